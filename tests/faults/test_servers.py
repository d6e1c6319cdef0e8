"""PostgreSQL moves, shows the wrong papers, or runs out of room for its log."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from consumer.embedded import keeper
from tests.faults.certificates import OPENSSL, Certificate, Papers
from tests.faults.certificates import papers as made_papers
from tests.faults.cluster import Cluster, bare, with_tls
from tests.faults.disk import can_mount, fill, mounted
from tests.faults.judge import judge
from tests.faults.proxy import Wire, wire
from tests.faults.storm import storm
from tests.faults.world import prepare
from tests.support.databases import scratch_database
from tests.support.processes import HOST, ask, deliver, deliveries, is_ready, on, ports, running, until

# Promise P7.
RECOVERY_SECONDS = 3.0 + 1.0
IN_FLIGHT_SECONDS = 0.5
# Segments of a megabyte, so that a small disk holds a few.
SMALL_SEGMENTS = ("--wal-segsize=1", "-c", "min_wal_size=2MB")
WAL_BYTES = 24 * 1024 * 1024


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    with scratch_database(server_url, "servers") as made:
        prepare(made)
        yield made


def test_of_two_hosts_the_one_that_is_there_is_used_and_a_change_is_noticed(url: str, tmp_path: Path) -> None:
    """F26: a list of hosts, as a failover without a new name has it."""
    (port,) = ports(1)
    with wire(url) as one, wire(url) as other, ExitStack() as last:
        both = either(one, other)
        one.cut()
        for command in ("serve", "work"):
            last.enter_context(running(tmp_path, on(both, PORT=port), command))
        until(lambda: is_ready(port))
        first = deliver(port)

        one.mend()
        other.cut()
        moved_at = time.monotonic()
        until(lambda: deliver(port).status == 204)
        seconds = time.monotonic() - moved_at
        until(lambda: deliveries(url, "done") >= 2)

    assert first.status == 204
    assert seconds < RECOVERY_SECONDS, f"stored again after {seconds:.1f} s"


def either(one: Wire, other: Wire) -> str:
    own_ports = [str(conninfo_to_dict(line.url)["port"]) for line in (one, other)]
    return make_conninfo(one.url, host=f"{HOST},{HOST}", port=",".join(own_ports))


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    if OPENSSL is None:
        pytest.skip("certificates are made by openssl, which is not here")
    return made_papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def encrypted(papers: Papers) -> Iterator[Cluster]:
    if (binaries := with_tls()) is None:
        pytest.skip("no PostgreSQL here was built with TLS")
    with bare(options={"ssl": "on"}, binaries=binaries) as made:
        made.make()
        papers.valid.install(made)
        made.start()
        prepare(made.url)
        yield made


@pytest.mark.parametrize(
    ("kind", "words"), [("expired", "certificate verify failed"), ("foreign", "does not match host name")]
)
def test_a_server_with_the_wrong_certificate_is_refused_and_the_reason_told(
    encrypted: Cluster, papers: Papers, kind: str, words: str, tmp_path: Path
) -> None:
    """F30: what was right is so no more, then again."""
    (port,) = ports(1)
    strict = make_conninfo(encrypted.url, host="localhost", sslmode="verify-full", sslrootcert=str(papers.root))
    wrong: Certificate = getattr(papers, kind)
    papers.valid.show(encrypted)
    with running(tmp_path, on(strict, PORT=port), "serve") as receiver:
        until(lambda: is_ready(port))
        before = deliver(port).status
        wrong.show(encrypted)
        until(lambda: ask(port, "/readyz")[0] == 503)
        meanwhile = deliver(port).status
        until(lambda: words in receiver.text)
        papers.valid.show(encrypted)
        until(lambda: deliver(port).status == 204)

    assert (before, meanwhile) == (204, 503)


@pytest.mark.skipif(not can_mount(), reason="a small disk takes a root who may mount")
def test_a_server_without_room_for_its_log_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """F41: PostgreSQL gives up and stays down until there is room again."""
    (port,) = ports(1)
    with bare() as made, ExitStack() as last:
        disk = made.installation.data_dir / "wal"
        keeper.make_private(made.installation, disk)
        last.enter_context(mounted(disk, WAL_BYTES))
        segments = disk / "segments"
        keeper.make_private(made.installation, segments)
        made.make(*SMALL_SEGMENTS, f"--waldir={segments}")
        made.start()
        prepare(made.url)
        for command in ("serve", "work"):
            last.enter_context(running(tmp_path, on(made.url, PORT=port), command))
        until(lambda: is_ready(port))
        with storm(port) as weather:
            weather.reach(50)
            fill(disk / "ballast")
            use_up_segments(made.url)
            until(lambda: not made.is_running)
            # What was committed before is still on its way to its sender.
            gone_at = time.monotonic() + IN_FLIGHT_SECONDS
            until(lambda: weather.since(gone_at, 503))
            with pytest.raises(AssertionError, match="startup process failure"):
                made.start()
            meanwhile = {answer.status for answer in weather.since(gone_at)}
            (disk / "ballast").unlink()
            made.start()
            weather.more(50)
        judge(made.url, weather)
        said = made.installation.log.read_text()

    assert "PANIC" in said
    assert meanwhile == {503}


def use_up_segments(url: str) -> None:
    """Write to one segment of the log after the other: those that are there already can still be filled."""
    with suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as conn:
        while True:
            conn.execute("SELECT pg_logical_emit_message(false, 'faults', 'x'), pg_switch_wal()")
