"""The bench of the drain: what is drained beside what, its figures by event, and what it compares."""

from queue import Empty
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from bench import drain
from bench.checks import FalseFigure
from bench.drain import Measure
from bench.drainers import Done, project, project_mix, work
from bench.events import everything, updates
from bench.support import database
from tests.support.benches import Ticking, call_main, during, returning, silent
from tests.support.names import own


def patched(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    for name, value in names.items():
        monkeypatch.setattr(drain, name, value)


def test_a_measure_is_one_worker_on_the_usual_batch_unless_it_says_else() -> None:
    plain = Measure("x", batch_size=500)
    sized = [Measure("ceiling, batch 250", is_ceiling=True, batch_size=250), Measure("one worker, batch 250")]

    assert drain.measures([250], 3_456_789) == [
        *(sized[0], Measure("one worker, batch 250", False, 1, 250, 0, False, False)),
        *(Measure("ceiling", is_ceiling=True), Measure("one worker"), Measure("two workers", workers=2)),
        Measure("one worker, 10k behind", history=10_000),
        Measure("one worker, 3456k behind", history=3_456_789),
        Measure("one worker, xmin held", is_xmin_held=True),
        Measure("everything: ceiling", is_ceiling=True, is_mix=True),
        Measure("everything: one worker", is_mix=True),
    ]
    assert (plain.is_ceiling, plain.workers, plain.history) == (False, 1, 0)
    assert (plain.is_xmin_held, plain.is_mix) == (False, False)


class Run:
    """A run of `drain.run` in which nothing is drained: what it did, and the counters that it read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, updated: int = 50) -> None:
        self.what: list[Any] = []
        self.shown = silent(monkeypatch, drain)
        conn = SimpleNamespace(execute=self.what.append)

        async def fill(url: str, deliveries: list[Any], history: int) -> None:
            self.what.append((url, len(deliveries), history))

        def timed(url: str, measure: Measure, events: int) -> tuple[float, list[Done]]:
            self.what.append(("timed", url, events))
            return 4.0, [Done(1, 0.5, 3 * 2**20), Done(1, 0.25, 5 * 2**20)]

        def keep(name: str) -> Any:
            return lambda *given, **named: self.what.append((name, *given[:2], *named.values()))

        patched(monkeypatch, migrations=SimpleNamespace(apply=keep("migrate")), fill=fill, timed=timed)
        patched(monkeypatch, psycopg=SimpleNamespace(connect=during(conn)), postgres_cpu_seconds=returning(1.0, 3.0))
        patched(
            monkeypatch, _counters=returning((1000, 10, 20, 5), (21_000, 110, 20 + updated, 5 + (updated + 3) // 4))
        )
        patched(monkeypatch, require_finished=keep("finished"), require_shown=keep("shown"))


URL = "postgresql://the-server/drain"


def test_a_row_s_figures_are_by_event(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, 52)

    row = drain.run("postgresql://the-server", Measure("two workers", workers=2, history=7), 200)

    assert row == {
        "measure": "two workers",
        "events/s": 50.0,
        "worker CPU us/event": pytest.approx(0.75e6 / 200),
        "PostgreSQL CPU us/event": pytest.approx(1e4),
        "WAL bytes/event": 100.0,
        "dead rows/event": 0.5,
        "HOT % of updates": 25.0,
        "worker RSS growth MB": 5.0,
    }
    assert run.shown.progress == ["two workers"]
    assert run.what == [
        *(("migrate", URL, "consumer"), (URL, 200, 7), ("timed", URL, 200)),
        *(("finished", "two workers", URL, 7), ("shown", "two workers", URL)),
    ]


def test_a_run_without_an_update_has_none_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    Run(monkeypatch, 0)

    assert drain.run("server", Measure("x"), 20)["HOT % of updates"] == 0


def test_a_ceiling_finishes_no_delivery_and_one_update_counts_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, 1)

    row = drain.run("server", Measure("ceiling", is_ceiling=True), 20)

    assert row["HOT % of updates"] == 100
    assert [each[0] for each in run.what] == ["migrate", "server/drain", "timed", "shown"]


def test_another_s_snapshot_is_held_from_before_until_after_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)

    drain.run("server", Measure("held", is_xmin_held=True), 20)

    assert run.what[2:5] == [
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SELECT count(*) FROM consumer.pending",
        ("timed", "server/drain", 20),
    ]


@pytest.mark.parametrize(("is_mix", "make"), [(True, everything), (False, updates)])
def test_a_run_drains_the_mix_or_updates(monkeypatch: pytest.MonkeyPatch, is_mix: bool, make: Any) -> None:
    Run(monkeypatch)
    asked: list[Any] = []
    patched(monkeypatch, require_shown=lambda *given: asked.append(given[2]))

    drain.run("server", Measure("x", is_mix=is_mix), 120)

    assert asked == [make(120)]


class Spawn:
    """Stand in for multiprocessing: processes that tell at once what each did."""

    def __init__(self, *events: int) -> None:
        self.done: list[Any] = []
        self._results = iter([Done(each, 0.5, 1) for each in events])

    def get_context(self, kind: str) -> SimpleNamespace:
        assert kind == "spawn"
        return SimpleNamespace(Barrier=self._barrier, Queue=lambda: self, Process=self._process)

    def _barrier(self, parties: int) -> SimpleNamespace:
        self.done.append(parties)
        return SimpleNamespace(wait=lambda timeout: self.done.append(("shot", timeout)))

    def _process(self, *, target: object, args: tuple[Any, ...], daemon: bool) -> SimpleNamespace:
        assert (args[3], daemon) == (self, True)
        self.done.append((target, *args[:2]))
        return SimpleNamespace(
            start=lambda: self.done.append("started"), join=lambda timeout: self.done.append(("joined", timeout))
        )

    def get(self, timeout: float) -> Done:
        self.done.append(("asked", timeout))
        found = next(self._results, None)
        if found is None:
            raise Empty
        return found


def test_all_workers_begin_at_one_shot_and_are_timed_to_the_last_one_s_end(monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = Spawn(12, 8)
    patched(monkeypatch, multiprocessing=spawn, time=Ticking(3.0, 5.5))

    seconds, done = drain.timed("url", Measure("two workers", workers=2, batch_size=7), 20)

    assert (seconds, done) == (2.5, [Done(12, 0.5, 1), Done(8, 0.5, 1)])
    assert spawn.done == [
        *(3, (work, "url", 7), (work, "url", 7), "started", "started", ("shot", 60)),
        *(("asked", 600), ("asked", 600), ("joined", 15), ("joined", 15)),
    ]


@pytest.mark.parametrize(
    ("is_ceiling", "is_mix", "target"),
    [(True, True, project_mix), (True, False, project), (False, True, work), (False, False, work)],
)
def test_a_measure_has_its_process(
    monkeypatch: pytest.MonkeyPatch, is_ceiling: bool, is_mix: bool, target: object
) -> None:
    spawn = Spawn(20)
    patched(monkeypatch, multiprocessing=spawn)

    drain.timed("url", Measure("x", is_ceiling=is_ceiling, is_mix=is_mix), 20)

    assert spawn.done[1] == (target, "url", Measure("x").batch_size)


def test_a_drain_without_an_end_or_without_all_events_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    patched(monkeypatch, multiprocessing=Spawn(7))
    with pytest.raises(FalseFigure, match=r"^No figure for two: no end after 600 s\.$"):
        drain.timed("url", Measure("two", workers=2), 7)
    for told in (1999, 2001):
        patched(monkeypatch, multiprocessing=Spawn(told))
        with pytest.raises(FalseFigure, match=rf"^No figure for x: 2,000 events were put and {told:,} were drained\.$"):
            drain.timed("url", Measure("x"), 2000)


def test_counters_are_the_wal_and_the_rows_that_were_killed_and_updated(server_url: str) -> None:
    with database(server_url, own("bench_counted")) as url, psycopg.connect(url, autocommit=True) as conn:
        conn.execute("CREATE TABLE public.counted AS SELECT n, n AS m FROM generate_series(1, 50) AS n")
        conn.execute("CREATE INDEX ON public.counted (m)")
        before = drain._counters(url)
        conn.execute("UPDATE public.counted SET n = n + 1 WHERE m <= 3")
        conn.execute("UPDATE public.counted SET m = m + 100 WHERE m > 45")
        conn.execute("DELETE FROM public.counted WHERE m = 10")
        conn.execute("SELECT pg_stat_force_next_flush()")
        conn.execute("SELECT")
        after = drain._counters(url)

    wal, dead, updated, hot = (late - early for late, early in zip(after, before, strict=True))
    assert wal > 0
    assert (dead, updated, hot) == (9, 8, 3)


SPEEDS = {
    "ceiling": 40,
    "one worker": 20,
    "two workers": 30,
    "one worker, 10k behind": 10,
    "one worker, 2k behind": 5,
    "one worker, xmin held": 4,
    "everything: ceiling": 8,
    "everything: one worker": 2,
    "ceiling, batch 9": 1,
    "one worker, batch 9": 1,
}


def test_the_drain_s_ratios_are_of_the_named_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, asked = silent(monkeypatch, drain), list[Any]()

    def run(url: str, measure: Measure, events: int) -> dict[str, object]:
        asked.append((url, events))
        return {"measure": measure.name, "events/s": SPEEDS[measure.name]}

    patched(monkeypatch, run=run)

    call_main(monkeypatch, drain, "--batch-sizes=9", "--history=2000", "--json")

    assert {str(row["measure"]): row["events/s"] for row in shown.rows[0]} == SPEEDS
    assert shown.facts == [
        {"event bytes": 1300, "one worker / ceiling": 0.5, "two workers / one": 1.5, "long history / short": 0.5}
        | {"everything: one worker / ceiling": 0.25, "xmin held / free": 0.2}
    ]
    assert asked == [("postgresql://the-server", 40_000)] * 10
    assert (shown.titles, shown.as_json, shown.servers) == (["Drain"], [True], [None])


def test_only_the_chosen_measures_run_and_the_best_of_their_repeats_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = silent(monkeypatch, drain)
    speeds = iter([3.0, 9.0, 5.0, 12.0, 4.0, 6.0])
    patched(monkeypatch, run=lambda _, measure, events: {"measure": measure.name, "events/s": next(speeds)})

    call_main(monkeypatch, drain, "--only=one worker,two workers", "--repeats=3", "--events=7")

    assert [(row["measure"], row["events/s"]) for row in shown.rows[0]] == [("one worker", 9.0), ("two workers", 12.0)]
    assert shown.facts == [{"event bytes": 1300, "two workers / one": pytest.approx(4 / 3)}]


def test_usually_four_batch_sizes_and_a_million_behind_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    silent(monkeypatch, drain)

    def run(_: str, measure: Measure, events: int) -> dict[str, object]:
        names.append(measure.name)
        return {"measure": measure.name, "events/s": 1.0}

    patched(monkeypatch, run=run)

    call_main(monkeypatch, drain)

    sized = [f"one worker, batch {size}" for size in (250, 500, 2000, 4000)]
    assert [name for name in names if "batch" in name][1::2] == sized
    assert "one worker, 1000k behind" in names
    assert len(names) == len({*names}) == 16
