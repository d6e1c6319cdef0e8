"""A receiver and a worker on another host, while the network between them and PostgreSQL misbehaves without a word."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from consumer.postgres.connections import Access, connect, receiver_access, worker_access
from tests.faults.cluster import Cluster, cluster
from tests.faults.judge import judge
from tests.faults.namespace import Elsewhere, elsewhere, what_is_missing
from tests.faults.storm import storm
from tests.faults.support import takes_long
from tests.faults.world import kill, prepare
from tests.support.databases import reset, rows
from tests.support.factories import user_updated
from tests.support.outbox import put
from tests.support.processes import deliver, is_ready, on, ports, running, until

# What this machine adds to a promised time.
SLACK_SECONDS = 1.5
# Promises P10 and P7.
REFUSAL_SECONDS = 5.0 + 0.5
RECOVERY_SECONDS = 3.0 + 1.0
FREED_SECONDS = 10.0
# Idle for thirty seconds, then three probes five seconds apart (consumer/postgres/connections.py).
KEEPALIVE_SECONDS = 45.0
BACKENDS = "SELECT client_port AS port FROM pg_stat_activity WHERE application_name = 'consumer {}'"
WAITING = "SELECT pid FROM pg_stat_activity WHERE application_name = 'consumer worker' AND wait_event_type = 'Lock'"


@pytest.fixture(scope="module")
def host() -> Iterator[Elsewhere]:
    if reason := what_is_missing():
        pytest.skip(reason)
    with elsewhere() as made:
        yield made


@pytest.fixture(scope="module")
def server(host: Elsewhere) -> Iterator[Cluster]:
    with cluster(host=host.here) as made:
        prepare(made.url)
        yield made


@pytest.fixture
def url(server: Cluster) -> str:
    reset(server.url)
    return server.url


@takes_long
@pytest.mark.parametrize("access", [receiver_access("consumer"), worker_access("consumer")], ids=lambda a: a.name)
async def test_a_statement_to_a_silent_server_fails_when_its_packets_stay_unacknowledged(
    host: Elsewhere, server: Cluster, access: Access
) -> None:
    """F22: without tcp_user_timeout the kernel retransmits for a quarter of an hour."""
    with host.inside():
        seconds = await seconds_until_lost(host, server, access)

    promised = access.unacknowledged_timeout.total_seconds()
    assert promised - 1 < seconds < promised + SLACK_SECONDS, f"lost after {seconds:.1f} s, promised {promised:.1f} s"


async def seconds_until_lost(host: Elsewhere, server: Cluster, access: Access) -> float:
    async with await connect(server.url, access) as conn:
        host.silence(server.port)
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            await conn.execute("SELECT 1")
        assert host.mend() > 0, "no packet was dropped"
    return time.monotonic() - began


def test_a_receiver_of_a_silent_server_says_so_in_time_and_comes_back_by_itself(
    host: Elsewhere, server: Cluster, url: str, tmp_path: Path
) -> None:
    """F22: half-open connections."""
    (port,) = ports(1)
    with host.inside(), running(tmp_path, on(url, PORT=port), "serve"):
        until(lambda: is_ready(port))
        assert deliver(port).status == 204

        host.silence(server.port)
        refused = deliver(port)
        dropped = host.mend()
        mended = time.monotonic()
        until(lambda: deliver(port).status == 204)
        seconds = time.monotonic() - mended

    assert dropped > 0
    assert refused.status == 503
    assert refused.seconds < REFUSAL_SECONDS, f"refused after {refused.seconds:.1f} s"
    assert seconds < RECOVERY_SECONDS, f"back after {seconds:.1f} s"
    assert len(rows(url, "SELECT seq FROM consumer.outbox")) >= 2


async def test_the_rows_of_a_worker_whose_host_vanished_are_free_in_time(
    host: Elsewhere, server: Cluster, url: str, tmp_path: Path
) -> None:
    """F23: its last words never reach the server, which gives up the transaction by itself."""
    user_id = uuid4()
    await store(url, user_id)
    with psycopg.connect(url) as foreign:
        foreign.execute("LOCK TABLE identity.profiles")
        with host.inside(), running(tmp_path, on(url), "work") as worker:
            until(lambda: rows(url, WAITING))
            host.silence(server.port)
            kill(worker)
        foreign.rollback()

    vanished = time.monotonic()
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SELECT FROM consumer.pending FOR UPDATE")
        seconds = time.monotonic() - vanished
    assert host.mend() > 0
    with running(tmp_path, on(url), "work", "--drain") as other:
        other.process.wait()
    assert FREED_SECONDS / 2 < seconds < FREED_SECONDS + SLACK_SECONDS, f"free after {seconds:.1f} s"
    assert [row["user_id"] for row in rows(url, "SELECT user_id FROM identity.profiles")] == [user_id]


def test_connections_that_a_router_forgot_cost_one_refusal_at_most(
    host: Elsewhere, server: Cluster, url: str, tmp_path: Path
) -> None:
    """F24: what is sent over an idle connection vanishes, while new connections get through."""
    (port,) = ports(1)
    with host.inside(), running(tmp_path, on(url, PORT=port), "serve"):
        until(lambda: is_ready(port))
        forget(host, server)
        first = deliver(port)
        answered = time.monotonic()
        until(lambda: deliver(port).status == 204)
        seconds = time.monotonic() - answered
        dropped = host.mend()

    assert dropped > 0
    assert first.seconds < REFUSAL_SECONDS, f"{first.status} after {first.seconds:.1f} s"
    assert seconds < RECOVERY_SECONDS, f"back after {seconds:.1f} s"


@takes_long
def test_an_idle_connection_that_a_router_forgot_is_replaced_before_it_is_needed(
    host: Elsewhere, server: Cluster, url: str, tmp_path: Path
) -> None:
    """F24: keepalives find out."""
    (port,) = ports(1)
    with host.inside(), running(tmp_path, on(url, PORT=port), "serve"):
        until(lambda: is_ready(port))
        forget(host, server)
        # The length of the idleness is what is tested.
        time.sleep(KEEPALIVE_SECONDS + 5)
        first = deliver(port)
        dropped = host.mend()

    assert dropped > 0
    assert first.status == 204, f"{first.status} after {first.seconds:.1f} s"


@takes_long
def test_a_line_that_is_slow_and_loses_packets_costs_time_and_nothing_else(
    host: Elsewhere, server: Cluster, url: str, tmp_path: Path
) -> None:
    """F25: one packet in twenty is lost, and a megabit per second is all there is."""
    (port,) = ports(1)
    with host.slowed("1mbit"), host.inside(), ExitStack() as there:
        for command in ("serve", "work"):
            there.enter_context(running(tmp_path, on(url, PORT=port), command))
        until(lambda: is_ready(port))
        host.lose(server.port, percent=5)
        with storm(port) as weather:
            weather.reach(200)
        judge(url, weather)
        dropped = host.mend()

    assert dropped > 0
    assert {answer.status for answer in weather.answers} <= {204, 503}
    slowest = max(answer.seconds for answer in weather.answers)
    assert slowest < REFUSAL_SECONDS, f"answered after {slowest:.1f} s"


async def store(url: str, user_id: UUID) -> None:
    async with await connect(url, receiver_access("consumer")) as conn:
        await put(conn, [user_updated(user_id)])


def forget(host: Elsewhere, server: Cluster) -> None:
    known = [row["port"] for row in rows(server.url, BACKENDS.format("receiver"))]
    assert known
    host.silence(server.port, known)
