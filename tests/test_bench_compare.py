"""Two trees are compared in turns, by what each took after its start, and by exact ratios."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from bench import compare
from bench.checks import FalseFigure
from bench.client import Outcome
from bench.commands import TREE
from bench.compare import Cost
from bench.events import everything, updates
from bench.support import database
from consumer.postgres import migrations
from tests.support.benches import Shown, Ticking, call_main, is_checkpointed, returning, silent, written
from tests.support.names import own

OTHER = Path("/other")


def patched(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    for name, value in names.items():
        monkeypatch.setattr(compare, name, value)


def test_a_cost_without_another_is_what_is_left_of_each_time() -> None:
    assert Cost(5.0, 3.0, 2.0).without(Cost(1.0, 0.5, 0.25)) == Cost(4.0, 2.5, 1.75)
    assert Cost(5.0, 3.0, None).without(Cost(1.0, 0.5, 0.25)) == Cost(4.0, 2.5, None)
    assert Cost(5.0, 3.0, 2.0).without(Cost(1.0, 0.5, None)) == Cost(4.0, 2.5, None)


def test_a_drain_is_charged_without_the_shortest_of_three_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    what: list[Any] = []
    costs = iter([Cost(2.0, 1.0, None), Cost(1.0, 0.75, None), Cost(3.0, 0.5, None), Cost(9.0, 4.0, None)])

    def drain(url: str, tree: Path) -> Cost:
        what.append((url, tree))
        return next(costs)

    def keep(name: str) -> Callable[..., None]:
        return lambda *given, **named: what.append((name, *given, *named.values()))

    patched(monkeypatch, _drain=drain, run=keep("run"), _store=keep("store"))
    patched(monkeypatch, require_finished=keep("finished"), require_shown=keep("shown"))
    deliveries = updates(4)

    assert compare.drained("url", OTHER, deliveries) == Cost(8.0, 3.25, None)
    assert what == [
        *(("run", "url", "migrate", OTHER), *[("url", OTHER)] * 3, ("store", "url", deliveries), ("url", OTHER)),
        *(("finished", "drain of /other", "url", 4), ("shown", "drain of /other", "url", deliveries)),
    ]


def test_a_run_costs_what_the_clocks_went_on_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    what: list[Any] = []
    used = returning(SimpleNamespace(ru_utime=1.0, ru_stime=0.5), SimpleNamespace(ru_utime=3.0, ru_stime=1.25))
    patched(monkeypatch, getrusage=used, time=Ticking(10.0, 14.0), postgres_cpu_seconds=returning(7.0, 7.5))
    patched(monkeypatch, run=lambda *given, **named: what.append((*given, named)))

    assert compare._drain("url", OTHER) == Cost(4.0, 2.75, 0.5)
    assert what == [("url", "work", "--drain", {"tree": OTHER})]


def test_a_receiver_is_charged_for_what_came_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    what: list[Any] = []

    @contextmanager
    def running(command: str, url: str, key: bytes, *, port: int, tree: Path) -> Iterator[str]:
        what.append((command, url, len(key), port, tree))
        yield "a process"

    def warm(port: int, requests: Iterator[bytes], connections: int) -> Outcome:
        made = list(requests)
        what.append((port, len(made), b"msg_%027d" % 0 in made[0], connections))
        return Outcome(len(made), 2000, 1.0, 1.0, {})

    def full(port: int, requests: Iterator[bytes], connections: int, client: str) -> Outcome:
        made = list(requests)
        what.append((port, len(made), b"msg_%027d" % 2000 in made[0], connections, client))
        return Outcome(len(made), 30, 2.5, 1.0, {})

    patched(monkeypatch, running=running, full_load=full, at_full_load=warm, free_port=lambda _: 4711)
    patched(monkeypatch, uvloop=SimpleNamespace(run=lambda found: found), stored_rows=returning(2030, 2029))
    patched(monkeypatch, run=lambda *given, **named: what.append((*given, named)))
    patched(monkeypatch, cpu_seconds=returning(1.0, 4.0, 0, 0), postgres_cpu_seconds=returning(5.0, 7.0, 0, 0))

    assert compare.ingested("url", OTHER, 30, "python") == Cost(2.5, 3.0, 2.0)
    assert what == [
        *(("url", "migrate", {"tree": OTHER}), ("serve", "url", 24, 4711, OTHER)),
        *((4711, 2000, True, 64), (4711, 30, True, 64, "python")),
    ]
    with pytest.raises(FalseFigure, match=r"of /other: 2,030 requests were sent, 2,030 answered 204, 2,029 stored\.$"):
        compare.ingested("url", OTHER, 30, "python")


def test_who_begins_changes_from_pair_to_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = silent(monkeypatch, compare)
    measured: list[tuple[str, Path]] = []

    def measure(url: str, tree: Path) -> Cost:
        measured.append((url, tree))
        return Cost(len(measured), 0, None)

    found = compare.pairs("postgresql://here", OTHER, 3, measure)

    url = "postgresql://here/compare"
    assert measured == [(url, tree) for tree in (OTHER, TREE, TREE, OTHER, OTHER, TREE)]
    assert [(base.seconds, ours.seconds) for base, ours in found] == [(1, 2), (4, 3), (5, 6)]
    assert shown.progress[0] == "pair 1 of 3: /other"
    assert shown.progress[2:4] == [f"pair 2 of 3: {TREE}", "pair 2 of 3: /other"]


def test_a_row_has_each_figure_of_both_and_their_ratio() -> None:
    assert compare.row(3, Cost(2.0, 0.5, 1.0), Cost(4.0, 0.25, 3.0), 1000) == {
        "pair": 3,
        "events/s, base": 500.0,
        "events/s, ours": 250.0,
        "events/s, ratio": 0.5,
        "own CPU us, base": 500.0,
        "own CPU us, ours": 250.0,
        "own CPU us, ratio": 0.5,
        "PostgreSQL CPU us, base": 1000.0,
        "PostgreSQL CPU us, ours": 3000.0,
        "PostgreSQL CPU us, ratio": 3.0,
    }


@pytest.mark.parametrize(("base", "ours"), [(None, 1.0), (1.0, None)])
def test_a_reading_that_one_tree_lacks_is_in_no_row(base: float | None, ours: float | None) -> None:
    row = compare.row(1, Cost(2.0, 0.5, base), Cost(4.0, 0.25, ours), 1000)

    assert not [name for name in row if "PostgreSQL" in name]


def test_a_median_is_of_each_column() -> None:
    rows: list[dict[str, object]] = [{"pair": n, "a": a, "b": b} for n, a, b in ((1, 3, 9), (2, 1, 8), (3, 2, 1))]

    assert compare.medians(rows) == {"pair": "median", "a": 2, "b": 8}


def test_deliveries_are_stored_in_order_and_queued_and_counted(server_url: str) -> None:
    deliveries = everything(100)
    with database(server_url, own("bench_compare")) as url:
        migrations.apply(url, "consumer")
        before = written(url)
        compare._store(url, deliveries)
        assert is_checkpointed(url, before)

        with psycopg.connect(url) as conn:
            columns = ", ".join(compare.COLUMNS)
            stored = conn.execute(f"SELECT {columns} FROM consumer.outbox ORDER BY seq".encode()).fetchall()
            queued = conn.execute("SELECT count(*) FROM consumer.pending JOIN consumer.outbox USING (seq)").fetchall()
            [(counted,)] = conn.execute("SELECT reltuples FROM pg_class WHERE oid = 'consumer.outbox'::regclass")

    assert stored == [delivery[:8] for delivery in deliveries]
    assert (queued, counted) == ([(100,)], 100)


@pytest.fixture
def base(tmp_path: Path) -> str:
    """Another checkout."""
    (tmp_path / "consumer").mkdir()
    (tmp_path / "consumer" / "__init__.py").touch()
    return str(tmp_path)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was measured on the way, each pair as fast as the other."""
    what: list[Any] = []

    def pairs(url: str, base: Path, count: int, measure: Callable[[str, Path], Cost]) -> list[tuple[Cost, Cost]]:
        what.append((url, base, count))
        return [(measure("a url", base), measure("a url", TREE)) for _ in range(count)]

    def drained(url: str, tree: Path, deliveries: Sequence[Any]) -> Cost:
        what.append(("drain", url, tree, deliveries))
        return Cost(1.0 if tree == TREE else 2.0, 1.0, None)

    def ingested(url: str, tree: Path, requests: int, client: str) -> Cost:
        what.append(("ingest", url, tree, requests, client))
        return Cost(1.0 if tree == TREE else 2.0, 1.0, None)

    patched(monkeypatch, pairs=pairs, drained=drained, ingested=ingested, cheapest_client=lambda: "python")
    patched(monkeypatch, updates=lambda count: [f"updates {count}"] * 3, everything=lambda count: [f"mix {count}"] * 3)
    return what


def figures(shown: Shown) -> list[tuple[object, object]]:
    return [(row["pair"], row["events/s, ours"]) for row in shown.rows[0]]


@pytest.mark.parametrize(
    ("options", "deliveries", "pairs"),
    [
        pytest.param((), "updates 60000", 5, id="updates"),
        pytest.param(("--mix", "--events=7", "--pairs=2"), "mix 7", 2, id="the mix"),
    ],
)
def test_a_drain_is_compared(
    monkeypatch: pytest.MonkeyPatch,
    base: str,
    measured: list[Any],
    options: tuple[str, ...],
    deliveries: str,
    pairs: int,
) -> None:
    shown = silent(monkeypatch, compare)

    call_main(monkeypatch, compare, base, "drain", *options, "--json")

    path = Path(base).resolve()
    assert measured[0] == ("postgresql://the-server", path, pairs)
    assert measured[1:] == [("drain", "a url", tree, [deliveries] * 3) for tree in (path, TREE)] * pairs
    # Of three deliveries a run.
    assert figures(shown) == [*((number + 1, 3.0) for number in range(pairs)), ("median", 3.0)]
    assert shown.rows[0][0]["events/s, ratio"] == 2
    assert (shown.titles, shown.as_json, shown.servers) == (["Compare, drain"], [True], [None])
    assert shown.facts[0].keys() == {"base", "ours", "Python of the base", "event bytes"}
    assert (shown.facts[0]["base"], shown.facts[0]["ours"]) == (str(path), str(TREE))


def test_an_ingest_is_compared_with_its_client(monkeypatch: pytest.MonkeyPatch, base: str, measured: list[Any]) -> None:
    shown = silent(monkeypatch, compare)

    call_main(monkeypatch, compare, base, "ingest", "--client=wrk", "--pairs=1", "--database-url=postgresql://here")
    call_main(monkeypatch, compare, base, "ingest", "--pairs=1", "--events=7", "--mix")

    assert [each[3:] for each in measured if each[0] == "ingest"][::2] == [(40_000, "wrk"), (7, "python")]
    assert shown.titles == ["Compare, ingest"] * 2
    assert (shown.as_json, shown.servers) == ([False, False], ["postgresql://here", None])
    assert [facts["client"] for facts in shown.facts] == ["wrk", "python"]
    assert figures(shown) == [(1, 40_000.0), ("median", 40_000.0)]


@pytest.mark.parametrize("folder", [TREE, Path("/usr")], ids=["this one", "none"])
def test_what_is_no_other_checkout_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silent(monkeypatch, compare)
    with pytest.raises(SystemExit, match="2"):
        call_main(monkeypatch, compare, str(folder), "drain", "--events=1", "--pairs=0")

    assert f"{folder} is no other checkout" in capsys.readouterr().err
