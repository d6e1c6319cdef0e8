"""Receiver and worker as real processes under a stream of deliveries, while something dies."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from consumer.embedded import server as embedded
from tests.faults.judge import judge
from tests.faults.proxy import Wire, wire
from tests.faults.storm import NO_ANSWER, Attempt, storm
from tests.faults.support import IS_LONG, takes_long
from tests.faults.world import kill, opened, postmaster, prepare
from tests.support.databases import rows, scratch_database
from tests.support.processes import Running, is_ready, on, ports, running, until

AWAY_SECONDS = 40.0 if IS_LONG else 20.0
# Promise P7: a process works again that soon after its database is back; the slack is this machine's.
RECOVERY_SECONDS = 3.0 + 1.0


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    with scratch_database(server_url, "faults") as made:
        prepare(made)
        yield made


@contextmanager
def receiving(folder: Path, url: str, port: int) -> Iterator[Running]:
    with running(folder, on(url, PORT=port), "serve") as receiver:
        until(lambda: is_ready(port))
        yield receiver


@pytest.mark.slow
def test_a_receiver_killed_under_load_loses_nothing_it_acknowledged(url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    with running(tmp_path, on(url), "work"), ExitStack() as last:
        with storm(port) as weather:
            for target in (100, 200, 300):
                with receiving(tmp_path, url, port) as receiver:
                    weather.reach(target)
                    kill(receiver)
            last.enter_context(receiving(tmp_path, url, port))
            weather.reach(400)

        judge(url, weather)
    assert weather.since(0.0, NO_ANSWER), "no request met a dead receiver"


def test_a_worker_killed_under_load_applies_everything_once(url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    with receiving(tmp_path, url, port), ExitStack() as last:
        with storm(port) as weather:
            for target in (100, 200, 300):
                with running(tmp_path, on(url), "work") as worker:
                    until(partial(is_done, url, target))
                    kill(worker)
            last.enter_context(running(tmp_path, on(url), "work"))

        judge(url, weather)


def test_a_killed_postmaster_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """The embedded server's keeper starts it again; both processes come back by themselves."""
    (port,) = ports(1)
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as name,
        embedded.server(opened(Path(name)), create=True) as url,
    ):
        prepare(url)
        with receiving(tmp_path, url, port), running(tmp_path, on(url), "work"):
            with storm(port) as weather:
                for target in (100, 200, 300):
                    weather.reach(target)
                    os.kill(until(lambda: postmaster(opened(Path(name)))), signal.SIGKILL)
                    weather.reach(weather.count + 1)
                weather.reach(400)

            judge(url, weather)
    assert worst_gap(weather.answers) < RECOVERY_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fail", "mend"),
    [
        pytest.param(Wire.cut, Wire.mend, id="refuses"),
        pytest.param(Wire.hold, Wire.release, id="is silent", marks=takes_long),
    ],
)
def test_a_database_that_is_away_is_said_so_and_survived_without_a_restart(
    url: str, tmp_path: Path, fail: Callable[[Wire], None], mend: Callable[[Wire], None]
) -> None:
    (port,) = ports(1)
    with wire(url) as line, receiving(tmp_path, line.url, port), running(tmp_path, on(line.url), "work"):
        with storm(port) as weather:
            weather.reach(50)
            fail(line)
            cut_at = time.monotonic()
            # The length of the outage is what is tested.
            time.sleep(AWAY_SECONDS)
            mend(line)
            mended_at = time.monotonic()
            weather.reach(weather.count + 50)

        judge(url, weather)
    during = {answer.status for answer in weather.since(cut_at + 5) if answer.at < mended_at}
    first_after = min(answer.at for answer in weather.since(mended_at, 204))
    assert during == {503}
    assert first_after - mended_at < RECOVERY_SECONDS


def test_a_lost_backend_is_not_even_noticed_by_the_sender(url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    with receiving(tmp_path, url, port), running(tmp_path, on(url), "work"):
        with storm(port) as weather:
            for target in (50, 100, 150, 200, 250):
                weather.reach(target)
                with psycopg.connect(url, autocommit=True) as conn:
                    conn.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
            weather.reach(300)

        judge(url, weather)
    assert {answer.status for answer in weather.answers} == {204}


def is_done(url: str, count: int) -> bool:
    return len(rows(url, "SELECT seq FROM consumer.outcomes")) >= count


def worst_gap(answers: list[Attempt]) -> float:
    """Return the longest time without an acknowledgement, in seconds."""
    acknowledged = sorted(answer.at for answer in answers if answer.status == 204)
    return max(later - earlier for earlier, later in pairwise(acknowledged))
