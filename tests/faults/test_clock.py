"""The database's clock jumps, a day ahead and a day back, while ours goes on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from consumer.embedded import keeper
from tests.faults.cluster import Cluster, bare
from tests.faults.judge import judge
from tests.faults.storm import storm
from tests.faults.world import prepare
from tests.support.databases import rows
from tests.support.processes import deliver, is_ready, on, ports, running, until

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
DAY = timedelta(days=1)
# What a clock that is right may differ by while it is asked.
SLACK = timedelta(minutes=1)
STORM_SECONDS = 1.0
REFUSE = """
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON identity.profiles FOR EACH ROW EXECUTE FUNCTION public.refuse();
"""
WAITING = "SELECT next_attempt_at - now() AS left FROM consumer.deliveries WHERE state = 'retrying'"

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="a clock is put wrong by libfaketime, which is not here")


class Clock:
    """The clock of one server."""

    def __init__(self, made: Cluster) -> None:
        self._url = made.url
        self._file = made.installation.data_dir / "clock"
        self.put(timedelta())
        made.installation = replace(made.installation, binaries=self._programs(made.installation))

    def put(self, off: timedelta) -> None:
        """Let the clock be wrong by so much from now on; it is read anew each time."""
        self._file.write_text(f"{off.total_seconds():+.0f}\n")

    def jump(self, off: timedelta) -> None:
        """Put the clock wrong, and see that the server believes it."""
        self.put(off)
        [row] = rows(self._url, "SELECT clock_timestamp() AS now")
        assert abs(row["now"] - datetime.now(UTC) - off) < SLACK, "the server's clock did not jump"

    def _programs(self, installation: keeper.Installation) -> Path:
        """Return a folder with a server that goes by this clock."""
        folder = installation.data_dir / "clocked"
        folder.mkdir()
        settings = {
            "LD_PRELOAD": LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": self._file,
            "FAKETIME_NO_CACHE": 1,
            # Sleeps and timers are not what jumps.
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
        }
        assigned = " ".join(f"{name}='{value}'" for name, value in settings.items())
        program = folder / "postgres"
        program.write_text(f"#!/bin/sh\n{assigned} exec '{installation.binaries / 'postgres'}' \"$@\"\n")
        program.chmod(0o755)
        return folder


@contextmanager
def clocked() -> Iterator[tuple[Cluster, Clock]]:
    """Run a server whose clock can be put wrong."""
    with bare() as made:
        made.make()
        clock = Clock(made)
        made.start()
        prepare(made.url)
        yield made, clock


def test_a_clock_that_jumps_under_load_loses_nothing_and_applies_nothing_twice(tmp_path: Path) -> None:
    """F70: ahead, back beyond what was, and right again."""
    (port,) = ports(1)
    with (
        clocked() as (made, clock),
        running(tmp_path, on(made.url), "work") as worker,
        running(tmp_path, on(made.url, PORT=port), "serve") as receiver,
    ):
        until(lambda: is_ready(port))
        with storm(port) as weather:
            for off in (DAY, -DAY, timedelta()):
                weather.more(50)
                clock.jump(off)
                # Long enough for the timers that run to end at the wrong time.
                time.sleep(STORM_SECONDS)
            weather.more(50)
        judge(made.url, weather)
        exit_codes = receiver.stop(), worker.stop()

    assert exit_codes == (0, 0)


def test_a_retry_is_due_by_the_database_s_clock_alone(tmp_path: Path) -> None:
    """F70: it waits for as long as the clock was set back, and comes at once when it is set right."""
    (port,) = ports(1)
    with clocked() as (made, clock), running(tmp_path, on(made.url, PORT=port), "serve"):
        until(lambda: is_ready(port))
        with psycopg.connect(made.url, autocommit=True) as conn:
            conn.execute(REFUSE)
            assert deliver(port).status == 204
            with running(tmp_path, on(made.url), "work", "--drain") as first:
                first.process.wait()
            conn.execute("DROP FUNCTION public.refuse CASCADE")
        clock.jump(-DAY)
        with running(tmp_path, on(made.url), "work", "--drain") as second:
            second.process.wait()
        waiting = rows(made.url, WAITING)

        clock.jump(DAY)
        with running(tmp_path, on(made.url), "work", "--drain") as third:
            third.process.wait()

        outcomes = rows(made.url, "SELECT state, outcome, attempts FROM consumer.deliveries")
    assert [row["left"] > DAY - SLACK for row in waiting] == [True]
    assert outcomes == [{"state": "done", "outcome": "applied", "attempts": 0}]
