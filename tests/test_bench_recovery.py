"""The bench of a recovery: live deliveries beside it, and no figure when one of them was lost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from bench import recovery
from bench.checks import FalseFigure
from bench.client import Outcome
from bench.support import database
from consumer.postgres import migrations
from tests.support.benches import Ticking, answering, call_main, during, returning, silent
from tests.support.databases import rows
from tests.support.names import own

MEGABYTE = 2**20


def outcome(sent: int, answered: int, p99: float = 0.0, cpu: float = 0.0) -> Outcome:
    return Outcome(sent, answered, 1.0, cpu, {50: 0.0, 99: p99, 99.9: 10 * p99})


def process(*megabytes: float) -> Any:
    memory = iter([SimpleNamespace(rss=each * MEGABYTE) for each in megabytes])
    return SimpleNamespace(memory_info=lambda: next(memory))


class Recovery:
    """The bench of a recovery, whose clients answer at once and whose recoveries take what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.what: list[Any] = []
        self.monkeypatch = monkeypatch
        self.shown = silent(monkeypatch, recovery)
        commands = SimpleNamespace(HOST="127.0.0.1", running=self.running, run=self.run, RUN_SECONDS_MAX=1800)
        self.patch(commands=commands, free_port=lambda _: 4711, at_rate=self.load, require_soon=self.soon)
        self.patch(uvloop=SimpleNamespace(run=lambda found: found))

    def patch(self, **names: object) -> None:
        for name, value in names.items():
            self.monkeypatch.setattr(recovery, name, value)

    @contextmanager
    def running(self, command: str, url: str, key: bytes, *, port: int = 0) -> Iterator[str]:
        self.what.append((command, url, len(key), port))
        yield command

    def run(self, url: str, *arguments: str, settings: object = None) -> None:
        self.what.append((url, *arguments, settings))

    def load(self, port: int, requests: Iterator[bytes], connections: int, per_second: float) -> Outcome:
        made = list(requests)
        first = int(made[0].partition(b"svix-id: msg_")[2][:27])
        self.what.append((port, len(made), first, connections, per_second))
        return outcome(len(made), len(made), 1.0)

    def soon(self, what: str, holds: Callable[[], object], seconds: float, *, poll: float) -> None:
        self.what.append((what, seconds, poll))
        while not holds():
            self.what.append("not yet")


def test_live_deliveries_go_on_beside_each_recovery_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Recovery(monkeypatch)
    # By recovery, how often it was not over yet when a slice had been sent.
    looks = iter([True, False, False, True, True])

    class Threads:
        def __init__(self, count: int) -> None:
            assert count == 1

        def __enter__(self) -> "Threads":
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, begin: Callable[[str], None], url: str) -> SimpleNamespace:
            bench.what.append((begin, url))
            return SimpleNamespace(done=lambda: next(looks), result=lambda: bench.what.append("result"))

    def row(name: str, url: str, last: int, slices: list[Outcome], worker: object) -> dict[str, object]:
        return {"beside": name, "last": last, "slices": len(slices), "worker": worker}

    bench.patch(ThreadPoolExecutor=Threads, _last_seq=returning(50, 60, 70), _row=row)
    bench.patch(time=Ticking(1.0, 11.0, 20.0, 50.0, 60.0, 75.0))

    table = recovery.measure("url", 50)

    load = [(4711, 1000, 50 + 1000 * n, 16, 100) for n in range(5)]
    assert bench.what == [
        *(("serve", "url", 24, 4711), ("work", "url", 24, 0), (recovery._nothing, "url"), load[0], "result"),
        *((recovery._rebuild, "url"), *load[1:4], "result", (recovery._prune, "url"), load[4], "result"),
    ]
    assert table == [
        {"beside": "nothing", "last": 50, "slices": 1, "worker": "work", "took s": 10.0},
        {"beside": "a rebuild of everybody", "last": 60, "slices": 3, "worker": "work", "took s": 30.0},
        {"beside": "a prune", "last": 70, "slices": 1, "worker": "work", "took s": 15.0},
    ]
    assert bench.shown.progress[1] == "beside a rebuild of everybody"


def test_nothing_takes_a_slice_and_a_rebuild_is_over_when_the_queue_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, clock = Recovery(monkeypatch), Ticking()
    bench.patch(time=clock, backlog=returning(3, 0))

    recovery._nothing("url")
    recovery._rebuild("url")

    assert clock.slept == [10]
    assert bench.what == [("url", "rebuild", None), ("the rebuild", 1800, 0.5), "not yet"]


@pytest.mark.parametrize(("after", "is_pruned"), [(4, True), (5, False), (6, False)])
def test_a_prune_that_removed_nothing_is_no_figure(
    monkeypatch: pytest.MonkeyPatch, after: int, is_pruned: bool
) -> None:
    bench = Recovery(monkeypatch)
    bench.patch(_count=returning(5, after))
    if is_pruned:
        recovery._prune("url")
    else:
        with pytest.raises(FalseFigure, match=r"^No figure: the prune removed nothing\.$"):
            recovery._prune("url")

    assert bench.what == [("url", "prune", {"RETENTION_DAYS": "30"})]


def test_a_row_has_what_the_deliveries_felt(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Recovery(monkeypatch)
    conn = answering([(30, 30, 70, 50)])
    bench.patch(psycopg=SimpleNamespace(connect=during(conn)), backlog=returning(2, 0))

    row = recovery._row("a prune", "url", 7, [outcome(10, 10, p99) for p99 in (1.0, 9.0, 3.0)], process(64))

    assert row == {
        "beside": "a prune",
        "live deliveries": 30,
        "answer p99 ms": 3.0,
        "worst slice's p99 ms": 9.0,
        "applied p99 ms": 50.0,
        "longest ms": 70.0,
        "worker MB": 64.0,
    }
    assert bench.what == [("an empty queue", 60, 0.1), "not yet"]
    assert conn.asked[0][1] == [7]


@pytest.mark.parametrize(
    ("answered", "stored", "applied", "told"),
    [
        (1999, 2000, 2000, "No figure for beside a prune: 2,000 requests were sent, 1,999 answered 204, 2,000 stored."),
        (2000, 1999, 2000, "No figure for beside a prune: 2,000 requests were sent, 2,000 answered 204, 1,999 stored."),
        (2000, 2000, 1999, "No figure beside a prune: 2,000 were sent, 1,999 applied."),
    ],
)
def test_deliveries_that_were_lost_beside_a_recovery_are_no_figure(
    monkeypatch: pytest.MonkeyPatch, answered: int, stored: int, applied: int, told: str
) -> None:
    bench = Recovery(monkeypatch)
    bench.patch(psycopg=SimpleNamespace(connect=during(answering([(stored, applied, 1, 1)]))), backlog=lambda _: 0)

    with pytest.raises(FalseFigure) as refused:
        recovery._row("a prune", "url", 7, [outcome(1000, 1000), outcome(1000, answered - 1000)], process(64))

    assert str(refused.value) == told


def test_what_was_stored_before_is_applied_and_two_months_old(server_url: str) -> None:
    with database(server_url, own("bench_recovery")) as url:
        migrations.apply(url, "consumer")
        assert recovery._last_seq(url) == 0
        recovery._fill(url, 20)

        assert recovery._count(url) == 20
        assert recovery._last_seq(url) == rows(url, "SELECT max(seq) FROM consumer.outcomes")[0]["max"]
        old = "SELECT count(*) FROM consumer.outcomes WHERE at < now() - interval '59 days'"
        assert rows(url, old) == [{"count": 20}]
        assert rows(url, "SELECT reltuples FROM pg_class WHERE oid = 'consumer.outbox'::regclass") == [
            {"reltuples": 20}
        ]


def test_a_recovery_is_measured_on_a_full_log(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Recovery(monkeypatch)
    bench.patch(migrations=SimpleNamespace(apply=lambda *given: bench.what.append(given)))
    bench.patch(_fill=lambda *given: bench.what.append(given), measure=lambda *given: [{"measured": given}])

    call_main(monkeypatch, recovery, "--json")

    url = "postgresql://the-server/recovery"
    assert bench.what == [(url, "consumer"), (url, 1_000_000)]
    assert bench.shown.rows == [[{"measured": (url, 1_000_000)}]]
    assert (bench.shown.titles, bench.shown.as_json) == (["Live deliveries beside a recovery"], [True])
    assert bench.shown.facts == [{"stored before": 1_000_000}]
    assert bench.shown.progress == ["1,000,000 deliveries"]
