"""The benches of statements: the slowest run of each, the tables that it read whole, and the best of five batches."""

import asyncio
import json
from collections.abc import Sequence
from hashlib import md5
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import Diagnostic

from bench import plans, statements
from bench.events import fill, mixed, updates
from bench.plans import Plans
from bench.support import database
from consumer.postgres import migrations
from consumer.postgres.queries import query
from consumer.worker.batch import BatchRunner
from tests.support.benches import answering, autocommitting, call_main, during, returning, silent
from tests.support.databases import rows
from tests.support.names import own

CLAIM = query("queue/claim").decode()


def notice(text: str | None) -> Diagnostic:
    return cast("Diagnostic", SimpleNamespace(message_primary=text))


def told(ms: float, statement: str, plan: dict[str, Any]) -> Diagnostic:
    return notice(f"duration: {ms} ms  plan:\n" + json.dumps({"Query Text": statement, "Plan": plan}))


def scan(table: str, count: float, loops: float = 1, removed: int = 0) -> dict[str, Any]:
    return {
        "Node Type": "Seq Scan",
        "Relation Name": table,
        "Actual Rows": count,
        "Actual Loops": loops,
        "Rows Removed by Filter": removed,
    }


def test_the_slowest_run_of_our_own_statements_counts_and_all_that_any_read_whole() -> None:
    found = Plans()
    found.take(told(1.5, CLAIM, scan("a", 2000)))
    found.take(told(2.5, CLAIM, scan("b", 2000)))
    found.take(told(0.5, CLAIM, scan("c", 10)))
    found.take(told(9.5, "SELECT 1\nFROM x", scan("d", 2000)))
    found.take(notice("something else {"))
    found.take(notice(None))

    assert dict(found.ms) == {"queue/claim": 2.5}
    assert dict(found.whole) == {"queue/claim": {"a", "b"}}


@pytest.mark.parametrize(
    ("plan", "whole"),
    [
        (scan("a", 1000), set()),
        (scan("a", 1001), {"a"}),
        (scan("a", 1, removed=1000), {"a"}),
        (scan("a", 10, 100), set()),
        (scan("a", 10, 100, 1), {"a"}),
        ({"Node Type": "Seq Scan", "Relation Name": "a"}, set()),
        ({"Node Type": "Seq Scan", "Relation Name": "a", "Actual Rows": 1000}, set()),
        ({"Node Type": "Seq Scan", "Relation Name": "a", "Actual Rows": 1001}, {"a"}),
        ({"Node Type": "Seq Scan", "Relation Name": "a", "Actual Rows": 1000, "Rows Removed by Filter": 1}, {"a"}),
        (scan("a", 5000) | {"Node Type": "Index Scan"}, set()),
        (
            {"Node Type": "Limit", "Plans": [scan("a", 2000), {"Node Type": "X", "Plans": [scan("b", 2000)]}]},
            {"a", "b"},
        ),
    ],
)
def test_a_table_of_more_than_a_thousand_rows_is_read_whole_by_a_scan(plan: dict[str, Any], whole: set[str]) -> None:
    assert plans._read_whole(plan) == whole


@pytest.mark.parametrize(
    ("profiles", "companies", "numbers", "teams"),
    [(2500, 100, range(1, 2501, 2), 50), (30, 7, range(1, 31), 7), (1_000_000, 50_000, range(1, 1_000_001, 1000), 50)],
)
def test_the_deliveries_are_about_users_of_all_the_table_and_about_few_companies(
    monkeypatch: pytest.MonkeyPatch, profiles: int, companies: int, numbers: Sequence[int], teams: int
) -> None:
    shown, what = silent(monkeypatch, plans), list[Any]()

    async def filled(url: str, deliveries: Any, history: int) -> None:
        what.append((url, deliveries, history))

    async def work(url: str, found: Plans) -> None:
        what.append((url, found))

    conn = SimpleNamespace(execute=what.append)
    tenants = SimpleNamespace(fill=lambda _, **named: what.append(named))
    for name, value in {
        "migrations": SimpleNamespace(apply=lambda *given: what.append(given)),
        "psycopg": SimpleNamespace(connect=during(conn)),
        "tenants": tenants,
        "mixed": lambda *given: given,
        "fill": filled,
        "_work": work,
    }.items():
        monkeypatch.setattr(plans, name, value)

    found = plans.measure("server", profiles, companies)

    def ids(names: Sequence[str]) -> list[UUID]:
        return [UUID(md5(name.encode(), usedforsecurity=False).hexdigest()) for name in names]

    users, companies_of = ids([str(n) for n in numbers]), ids([f"company{n}" for n in range(teams)])
    url = "server/plans"
    assert what[:3] == [(url, "consumer"), {"profiles": profiles, "companies": companies}, plans.FACTS]
    assert what[3:] == [(url, (1000, users, companies_of), 0), (url, found)]
    assert shown.progress == [f"{profiles:,} profiles"]


async def test_four_batches_are_explained_as_the_worker_runs_them(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runners: list[Any] = []

    class Runner:
        def __init__(self, *given: Any, **named: Any) -> None:
            runners.append(named)
            self._runner = BatchRunner(*given, **named)

        async def run_once(self, conn: Any) -> object:
            runners.append("batch")
            return await self._runner.run_once(conn)

    monkeypatch.setattr(plans, "BatchRunner", Runner)
    users = [UUID(int=n) for n in range(1, 4)]
    with database(server_url, own("bench_plans")) as url:
        migrations.apply(url, "consumer")
        await fill(url, mixed(20, users, users), 0)
        found = Plans()
        await plans._work(url, found)

    assert runners == [{"attempts_max": 12, "batch_size": 1000}, *["batch"] * 4]
    assert {"queue/claim", "users/mirror", "users/put_profiles"} <= found.ms.keys()


def test_statements_are_shown_by_what_they_took_among_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = silent(monkeypatch, plans)
    small, large, asked = Plans(), Plans(), list[Any]()
    small.ms.update({"a": 1.0, "c": 5.0})
    large.ms.update({"b": 2.0, "a": 7.0, "d": 3.0})
    large.whole["a"] = {"y", "x"}

    def measure(*given: Any) -> Plans:
        asked.append(given)
        return small if len(asked) == 1 else large

    monkeypatch.setattr(plans, "measure", measure)

    call_main(monkeypatch, plans, "--json")

    server = "postgresql://the-server"
    assert asked == [(server, 2_000, 100), (server, 1_000_000, 50_000)]
    assert shown.rows[0] == [
        {"statement": "a", "ms, 2 k profiles": 1.0, "ms, 1 M profiles": 7.0, "read whole": "x, y"},
        {"statement": "d", "ms, 2 k profiles": None, "ms, 1 M profiles": 3.0, "read whole": ""},
        {"statement": "b", "ms, 2 k profiles": None, "ms, 1 M profiles": 2.0, "read whole": ""},
    ]
    assert (shown.titles, shown.facts, shown.as_json) == (["A batch beside many rows"], [{"events": 1000}], [True])


def test_a_statement_s_time_is_its_plan_and_its_run_and_pages_are_those_that_it_touched() -> None:
    plan = {"Shared Hit Blocks": 7, "Shared Read Blocks": 3, "WAL Bytes": 2500}
    conn: Any = answering([([{"Execution Time": 1.5, "Planning Time": 0.25, "Plan": plan}],)])

    assert statements.explained(conn, "queue/claim", {"a": 1}) == {"ms": 1.75, "pages": 10, "WAL kB": 2.5}
    [(text, values)] = conn.asked
    assert text == b"EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT JSON) " + query("queue/claim")
    assert values == {"a": 1}


def test_a_batch_is_claimed_applied_and_finished_as_a_worker_does(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "BATCH_SIZE", 6)
    asked: dict[str, Any] = {}
    explained = statements.explained

    def keep(conn: Any, name: str, values: Any) -> dict[str, float]:
        asked[name] = values, conn.execute("SELECT current_user").fetchall()[0][0]
        return explained(conn, name, values)

    monkeypatch.setattr(statements, "explained", keep)
    with database(server_url, own("bench_statements")) as url:
        migrations.apply(url, "consumer")
        asyncio.run(fill(url, updates(20), 4))
        with psycopg.connect(url, autocommit=True) as conn:
            took = statements.batch(conn)
            took |= statements.batch(conn)
        counts = "SELECT (SELECT count(*) FROM consumer.pending) AS p, (SELECT count(*) FROM identity.profiles) AS u"
        left = rows(url, counts)
        users = rows(url, "SELECT DISTINCT user_id FROM consumer.outbox WHERE seq BETWEEN 11 AND 16")

    assert left == [{"p": 8, "u": 10}]
    assert took.keys() == asked.keys()
    seqs, them = [*range(11, 17)], {row["user_id"] for row in users}
    values = {name: given for name, (given, _) in asked.items()}
    assert values["queue/claim_retries"] == {"batch_size": 3, "known_types": None}
    assert values["queue/claim"] == {"after_seq": 10, "batch_size": 6}
    assert {*values["users/put_profiles"]["written"]} == {*values["users/put_profiles"]["changed"]} == them
    nobody: dict[str, object] = {"applied": [], "operation": None, "rehomed": [], "rehomed_by": None}
    assert values["users/put_profiles"].items() >= nobody.items()
    assert [given["seqs"] for name, given in values.items() if "claim" not in name] == [seqs] * 4
    assert (values["queue/finish_users"]["applied"], {*values["queue/finish_users"]["changed"]}) == ([], them)
    assert {user for _, user in asked.values()} == {"consumer_worker"}


def test_of_five_batches_the_best_of_each_statement_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, what = silent(monkeypatch, statements), list[Any]()
    took = iter([(3, 1), (1, 2), (2, 3), (5, 0.5), (4, 9)])

    def batch(_: object) -> dict[str, dict[str, float]]:
        a, b = next(took)
        return {"a": {"ms": a, "pages": 10 * a}, "b": {"ms": b, "pages": 10 * b}}

    async def filled(url: str, deliveries: Any, history: int) -> None:
        what.append((url, deliveries, history))

    for name, value in {
        "migrations": SimpleNamespace(apply=lambda *given: what.append(given)),
        "psycopg": SimpleNamespace(connect=autocommitting("conn")),
        "fill": filled,
        "updates": lambda count: count,
        "batch": batch,
        "backend": lambda _: "a process",
        "cpu_seconds": returning(1.0, 6.0),
    }.items():
        monkeypatch.setattr(statements, name, value)

    found, cpu = statements.measure("server", 10_000)

    assert found == [
        {"behind": 10_000, "statement": "a", "ms": 1, "pages": 10},
        {"behind": 10_000, "statement": "b", "ms": 0.5, "pages": 5.0},
    ]
    assert cpu == pytest.approx(1000)
    assert what == [("server/statements", "consumer"), ("server/statements", 5000, 10_000)]
    assert shown.progress == ["10,000 behind"]


def test_statements_are_summed_up_by_history(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = silent(monkeypatch, statements)
    found: dict[int, tuple[list[dict[str, object]], float | None]] = {
        10_000: ([{"behind": 10_000, "ms": 1.5}, {"behind": 10_000, "ms": 2}], 7.5),
        1_000_000: ([{"behind": 1_000_000, "ms": 4.0}], None),
    }
    monkeypatch.setattr(statements, "measure", lambda _, history: found[history])

    call_main(monkeypatch, statements, "--json")

    assert shown.rows == [[*found[10_000][0], *found[1_000_000][0]]]
    assert shown.facts == [
        {
            "event bytes": 1300,
            "10,000 behind, all statements, ms": 3.5,
            "1,000,000 behind, all statements, ms": 4.0,
            "10,000 behind, PostgreSQL CPU us/event": 7.5,
            "1,000,000 behind, PostgreSQL CPU us/event": None,
        }
    ]
    assert (shown.titles, shown.as_json) == (["A batch, statement by statement"], [True])
