"""The bench of row-level security: lookups in turns, ratios, and what each query read."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from bench import tenants
from bench.support import database
from consumer.postgres import migrations
from tests.support.benches import Ticking, call_main, during, returning, silent
from tests.support.names import own

COMPANY, USER = UUID(int=1), UUID(int=2)


class Conn:
    """A connection that answers each statement with one row, or with what a test says."""

    def __init__(self, name: str = "", *answers: list[tuple[Any, ...]]) -> None:
        self.name = name
        self.done: list[Any] = []
        self._answers = iter(answers)

    def execute(self, statement: Any, values: Any = None, *, prepare: bool | None = None) -> SimpleNamespace:
        self.done.append((statement, values, prepare))
        found = [()] if "set_config" in str(statement) else next(self._answers, [("a row",)])
        return SimpleNamespace(fetchall=lambda: found)

    def commit(self) -> None:
        self.done.append("commit")

    def rollback(self) -> None:
        self.done.append("rollback")


def patched(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    for name, value in names.items():
        monkeypatch.setattr(tenants, name, value)


def test_a_fill_has_people_companies_and_guests_and_is_counted(server_url: str) -> None:
    with database(server_url, own("bench_tenants")) as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url) as conn:
            tenants.fill(conn, profiles=100, companies=5)
            assert not conn.autocommit
            [(profiles, companies, guests, counted)] = conn.execute(
                "SELECT (SELECT count(*) FROM identity.profiles), (SELECT count(*) FROM identity.companies),"
                " (SELECT count(*) FROM identity.company_members WHERE is_guest),"
                " (SELECT reltuples FROM pg_class WHERE oid = 'identity.profiles'::regclass)"
            ).fetchall()
            # After a transaction, because the questions above began one.
            conn.rollback()
            [(role, company)] = context_of(conn)

    assert (profiles, companies, guests, counted) == (100, 6, 25, 100)
    assert (role, company) == ("consumer_tenant", str(COMPANY))


def context_of(conn: tenants.Connection) -> list[tuple[Any, ...]]:
    """Enter a company as its tenant; return what the transaction says of itself, and leave it."""
    tenants.enter(conn, "consumer_tenant", COMPANY)
    found = conn.execute("SELECT current_user, current_setting('app.company_id')").fetchall()
    conn.rollback()
    assert conn.execute("SELECT current_user = session_user").fetchall() == [(True,)]
    return found


@pytest.mark.parametrize("is_prepared", [True, False])
def test_roles_look_up_the_same_people_in_turns_each_in_a_transaction(
    monkeypatch: pytest.MonkeyPatch, is_prepared: bool
) -> None:
    conns: Any = {"app": Conn(), "tenant": Conn()}
    patched(monkeypatch, time=Ticking(0, 1, 10, 12, 20, 24, 30, 38))
    pairs = [(COMPANY, USER), (USER, COMPANY)]

    taken = tenants.lookups(conns, pairs, is_prepared=is_prepared)

    assert taken == {"app": [1, 4], "tenant": [2, 8]}
    for role, conn in conns.items():
        assert [each[1:] for each in conn.done if each != "commit"] == [
            *(([role, str(COMPANY)], None), ((COMPANY, USER), is_prepared)),
            *(([role, str(USER)], None), ((USER, COMPANY), is_prepared)),
        ]
        assert [place for place, each in enumerate(conn.done) if each == "commit"] == [2, 5]


def test_lookups_are_compared_by_their_medians_and_by_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = silent(monkeypatch, tenants)
    found = [(COMPANY, USER)] * 4
    conns = iter([Conn("a", found), Conn("b"), Conn("c", found), Conn("d")])
    asked: list[Any] = []

    @contextmanager
    def connect(url: str) -> Iterator[Conn]:
        assert url == "url"
        yield next(conns)

    def lookups(conns: Any, pairs: Any, *, is_prepared: bool) -> dict[str, list[float]]:
        asked.append(({role: conn.name for role, conn in conns.items()}, pairs, is_prepared))
        return {"app": [1e-6, 9e-6, 4e-6], "tenant": [6e-6, 5e-6, 50e-6]}

    patched(monkeypatch, psycopg=SimpleNamespace(connect=connect), lookups=lookups)
    patched(monkeypatch, backend=lambda conn: None if conn.name == "d" else conn.name)
    patched(monkeypatch, cpu_seconds=returning(1.0, 2.0, 1.5, 3.0, 7.0, 8.0))

    prepared, planned = tenants.compared("url", 4)

    assert prepared == {
        "lookup": "prepared",
        "without µs": pytest.approx(4),
        "tenant µs": pytest.approx(6),
        "ratio": pytest.approx(1.5),
        "without, PostgreSQL CPU µs": pytest.approx(125_000),
        "tenant, PostgreSQL CPU µs": pytest.approx(250_000),
        "CPU ratio": pytest.approx(2),
    }
    assert planned["lookup"] == "planned each time"
    assert planned["without, PostgreSQL CPU µs"] == pytest.approx(250_000)
    assert (planned["tenant, PostgreSQL CPU µs"], planned["CPU ratio"]) == (None, None)
    assert asked == [
        ({"consumer_app": "a", "consumer_tenant": "b"}, found, True),
        ({"consumer_app": "c", "consumer_tenant": "d"}, found, False),
    ]
    assert shown.progress == ["lookups, prepared", "lookups, planned each time"]


@pytest.mark.parametrize(("free", "bound"), [(0.0, 1.0), (1.0, 0.0)])
def test_processor_time_that_no_clock_saw_has_no_ratio(
    monkeypatch: pytest.MonkeyPatch, free: float, bound: float
) -> None:
    silent(monkeypatch, tenants)
    patched(monkeypatch, psycopg=SimpleNamespace(connect=during(Conn("x"))), backend=lambda conn: conn)
    patched(monkeypatch, cpu_seconds=returning(*[0.0, 0.0, free, bound] * 2))
    patched(monkeypatch, lookups=lambda *_, **__: {"app": [1.0], "tenant": [1.0]})

    assert [row["CPU ratio"] for row in tenants.compared("url", 1)] == [None, None]


def plan(ms: float, *children: dict[str, Any], **own: Any) -> list[tuple[Any, ...]]:
    return [([{"Execution Time": ms, "Plan": {"Node Type": "Limit", "Plans": list(children), **own}}],)]


def test_each_query_runs_in_each_company_and_says_what_it_read(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = silent(monkeypatch, tenants)
    index = {"Node Type": "Index Scan", "Index Name": "an_index"}
    whole = {"Node Type": "Seq Scan", "Relation Name": "profiles", "Plans": [index]}
    conn: Any = Conn("", plan(1.5, index, whole, index), plan(2.5, index), plan(3.5), plan(4.5))
    monkeypatch.setattr(tenants, "QUERIES", {"one": "SELECT 1", "two": "SELECT 2"})

    rows = tenants.planned(conn, {"ten": COMPANY, "many": USER})

    assert rows == [
        {"query": "one", "ms, ten": 1.5, "by": "an_index", "ms, many": 2.5},
        {"query": "two", "ms, ten": 3.5, "by": "a function's own plan", "ms, many": 4.5},
    ]
    explain = b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT 1"
    assert conn.done[0][1] == ["consumer_tenant", str(COMPANY)]
    assert conn.done[1][:2] == (explain, {"user": UUID(int=2**126)})
    assert conn.done[2] == "rollback"
    assert conn.done[3][1] == ["consumer_tenant", str(USER)]
    assert shown.progress == ["one", "two"]


def test_a_plan_is_read_by_its_indexes_and_the_tables_that_it_reads_whole() -> None:
    index = {"Node Type": "Index Scan", "Index Name": "an_index"}
    whole = {"Node Type": "Seq Scan", "Relation Name": "profiles", "Plans": [index]}

    assert tenants._indexes(index) == ["an_index"]
    assert tenants._indexes({"Node Type": "Limit", "Plans": [whole, index]}) == [
        *("all of profiles", "an_index", "an_index"),
    ]
    assert tenants._indexes({"Node Type": "Result"}) == []


def test_lookups_and_queries_are_shown_of_three_companies(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, what = silent(monkeypatch, tenants), list[Any]()
    patched(monkeypatch, migrations=SimpleNamespace(apply=lambda *given: what.append(given)))
    patched(monkeypatch, psycopg=SimpleNamespace(connect=during("a connection")))
    patched(monkeypatch, fill=lambda conn, **named: what.append((conn, named)))
    patched(monkeypatch, compared=lambda *given: [{"compared": given}], planned=lambda *given: [{"planned": given}])

    call_main(monkeypatch, tenants, "--profiles=4000", "--companies=20", "--rounds=7", "--json")
    call_main(monkeypatch, tenants)

    url = "postgresql://the-server/tenants"

    def ids(**numbers: int) -> dict[str, UUID]:
        names = {"ten": "ten people", "half": "2,000", "guests": "guests"}
        return {names[n]: UUID(hashlib.md5(f"company{number}".encode()).hexdigest()) for n, number in numbers.items()}

    assert what[:2] == [(url, "consumer"), ("a connection", {"profiles": 4000, "companies": 20})]
    assert what[3] == ("a connection", {"profiles": 1_000_000, "companies": 50_000})
    assert shown.rows[0] == [
        {"compared": (url, 7)},
        {"planned": ("a connection", ids(ten=1, half=0, guests=20))},
    ]
    assert shown.rows[1][0] == {"compared": (url, 5000)}
    assert shown.titles == ["Lookups and queries under row-level security"] * 2
    assert (shown.facts, shown.as_json) == ([{}, {}], [True, False])
    assert shown.progress == ["filling", "filling"]
