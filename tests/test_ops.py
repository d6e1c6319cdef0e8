"""What the operator's port tells."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.gauges import Tables
from consumer.metrics import Metrics
from consumer.process.ops import Scrape, ops_app
from consumer.web import health
from consumer.web.connection_limits import Limits
from tests.support.web import Site, request, running

TABLES = Tables(
    {"pending": 3},
    {},
    oldest_due_seconds=1,
    oldest_xmin_seconds=2,
    clock_skew_seconds=0,
    rebuild_waiting_subjects={},
    rehome_waiting_companies=0,
    oldest_received=None,
    migrations_pending=0,
    jobs={},
)


@dataclass
class Process:
    """What a process says about itself."""

    reason: str | None = None
    tables: Tables | None = TABLES
    probes: int = 0

    async def probe(self) -> str | None:
        self.probes += 1
        await asyncio.sleep(0.05)
        return self.reason

    async def read_scrape(self) -> Scrape:
        return Scrape(self.tables, {("dead", "warning"): True, ("skew", "failing"): False})


@dataclass
class SilentProcess(Process):
    """A process whose database neither answers nor hangs up."""

    async def probe(self) -> str | None:
        self.probes += 1
        await asyncio.Event().wait()
        return None


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture(scope="module")
def server(database_url: str) -> Iterator[Site]:
    with running(database_url, Limits()) as site:
        yield site


@pytest.fixture
def site(server: Site, process: Process) -> Site:
    server.app = ops_app(process.probe, Metrics(EVENT_TYPES), process.read_scrape)
    return server


def test_metrics_are_prometheus_text_with_the_tables_gauges_and_each_finding(site: Site) -> None:
    reply = site.ask(request(method="GET", path="/metrics"))

    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'consumer_queue_deliveries{state="pending"} 3.0' in reply.body
    assert b'consumer_finding{code="dead",gravity="warning"} 1.0' in reply.body
    assert b'consumer_finding{code="skew",gravity="failing"} 0.0' in reply.body


def test_metrics_tell_whether_the_process_is_ready(site: Site, process: Process) -> None:
    assert b"\nconsumer_ready 1.0\n" in site.ask(request(method="GET", path="/metrics")).body

    process.reason = "The database is away."

    assert b"\nconsumer_ready 0.0\n" in site.ask(request(method="GET", path="/metrics")).body


def test_a_scrape_waits_for_a_silent_dependency_no_longer_than_a_probe(
    server: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT", timedelta(seconds=0.05))
    silent = SilentProcess()
    server.app = ops_app(silent.probe, Metrics(EVENT_TYPES), silent.read_scrape)

    assert b"\nconsumer_ready 0.0\n" in server.ask(request(method="GET", path="/metrics")).body


def test_metrics_are_told_without_gauges_while_the_tables_cannot_be_read(site: Site, process: Process) -> None:
    process.tables = None

    reply = site.ask(request(method="GET", path="/metrics/"))

    assert reply.status == 200
    assert b"consumer_deliveries_refused_total" in reply.body
    assert b"consumer_queue_deliveries" not in reply.body


@pytest.mark.parametrize("slash", ["", "/"])
def test_readiness_comes_with_its_reason(slash: str, site: Site, process: Process) -> None:
    assert site.ask(request(method="GET", path=f"/readyz{slash}")).body == b'{"status":"ready"}'

    process.reason = "The database is away."
    reply = site.ask(request(method="GET", path=f"/readyz{slash}"))

    assert (reply.status, reply.error) == (503, "not_ready")
    assert b"The database is away." in reply.body


def test_a_process_that_is_not_ready_is_alive(site: Site, process: Process) -> None:
    process.reason = "The database is away."

    assert site.ask(request(method="GET", path="/livez")).status == 200


def test_a_crowd_that_asks_for_readiness_costs_one_probe(site: Site, process: Process) -> None:
    with ExitStack() as wires:
        crowd = [wires.enter_context(site.connect()) for _ in range(50)]
        for wire in crowd:
            wire.send(request(method="GET", path="/readyz"))

        assert {wire.read().status for wire in crowd} == {200}
    assert process.probes < 5


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allowed"),
    [
        ("POST", "/metrics", 405, "method_not_allowed", {"GET", "HEAD"}),
        ("POST", "/readyz", 405, "method_not_allowed", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/webhooks/stack", 404, "not_found", set()),
    ],
)
def test_nothing_else_is_served(method: str, path: str, status: int, code: str, allowed: set[str], site: Site) -> None:
    reply = site.ask(request(method=method, path=path))

    assert (reply.status, reply.error) == (status, code)
    assert set(filter(None, reply.headers.get("allow", "").split(", "))) == allowed


def test_a_silent_dependency_holds_nobody_who_asks_for_health(server: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert timedelta(seconds=3) == health.PROBE_TIMEOUT
    monkeypatch.setattr(health, "PROBE_TIMEOUT", timedelta(seconds=0.05))
    silent = SilentProcess()
    server.app = ops_app(silent.probe, Metrics(EVENT_TYPES), silent.read_scrape)

    replies = [server.ask(request(method="GET", path="/readyz")) for _ in range(2)]

    assert [reply.status for reply in replies] == [503, 503]
    assert b"does not answer" in replies[0].body
    assert silent.probes == 2
