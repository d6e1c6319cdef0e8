"""The bounds of a migration: the oldest server, how long each lock is waited for, and how its log is written."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from socket import gethostname
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import LockNotAvailable

from consumer.postgres import ledger, migration_steps, preflight, refusals
from consumer.postgres.migration_steps import StepRunner, TablesHeld
from consumer.postgres.migrations import _Backend
from consumer.postgres.preflight import look


@pytest.mark.parametrize(("more", "is_taken"), [(0, True), (1, False)])
def test_the_oldest_server_is_looked_at_and_one_before_it_is_not(
    database_url: str, monkeypatch: pytest.MonkeyPatch, more: int, *, is_taken: bool
) -> None:
    with psycopg.connect(database_url) as conn:
        version = conn.info.server_version
    for module in (preflight, refusals):
        monkeypatch.setattr(module, "VERSION_MIN", version + more)

    found = look(database_url, "consumer")

    assert [each.name for each in found.refusals] == ([] if is_taken else ["server version"])
    assert found.applied == (ledger.carried_ids() if is_taken else [])
    assert found.pending == ([] if is_taken else ledger.carried_ids())


class Locking:
    """A connection that notes what is asked of it, and whose clock goes on with each LOCK."""

    def __init__(self, tables: Sequence[tuple[str, str]], seconds: float) -> None:
        self.tables, self.seconds, self.now = tables, seconds, 100.0
        self.asked: list[object] = []

    def execute(self, statement: Any, values: dict[str, Any] | None = None) -> Any:
        if values is None:
            self.asked.append(statement.as_string())
            self.now += self.seconds
        elif "tables" in values:
            self.asked.append(values["tables"])
        else:
            self.asked.append((values["lock_timeout"], values["statement_timeout"], values["is_local"]))
        return SimpleNamespace(fetchall=lambda: self.tables)

    def monotonic(self) -> float:
        return self.now


def asked(
    monkeypatch: pytest.MonkeyPatch, kind: str, tables: Sequence[tuple[str, str]], seconds: float
) -> list[object]:
    """Return what is asked before the work of a step whose LOCK takes so long."""
    conn = Locking(tables, seconds)
    monkeypatch.setattr(migration_steps, "time", conn)
    runner = StepRunner(cast("Any", conn), cast("Any", None), "0099.m", lambda *_: None)
    runner._lock_between_batches(kind)
    return conn.asked


LOCK = 'LOCK TABLE "b"."d", "b"."c" IN ACCESS EXCLUSIVE MODE'
TABLES = [("b", "d"), ("b", "c")]


@pytest.mark.parametrize(
    ("kind", "seconds", "limit", "after"),
    [
        ("identity", 0.0, ("900", "2000", True), ("900", "0", True)),
        ("identity", 0.5, ("900", "1500", True), ("900", "0", True)),
        ("identity", 1.5, ("500", "500", True), ("900", "0", True)),
        ("identity", 2.0, ("1", "1", True), ("900", "0", True)),
        ("identity", 5.0, ("1", "1", True), ("900", "0", True)),
        ("intake", 0.0, ("50", "50", True), ("50", "0", True)),
        ("intake", 1.975, ("25", "25", True), ("50", "0", True)),
        ("catalogue", 0.0, ("900", "2000", True), ("900", "0", True)),
    ],
)
def test_the_batches_and_the_tables_are_waited_for_two_seconds_together(
    monkeypatch: pytest.MonkeyPatch, kind: str, seconds: float, limit: object, after: object
) -> None:
    found = asked(monkeypatch, kind, TABLES, seconds)

    wanted = list(migration_steps.TABLES[kind])
    assert found == [("900", "2000", True), ["consumer.settings"], LOCK, limit, wanted, LOCK, after]


def test_tables_that_are_not_there_are_not_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, "intake", [], 0.0)

    assert [each for each in found if isinstance(each, str)] == []
    assert found[-1] == ("50", "0", True)


class HeldUp:
    """A connection whose first tries meet a lock that others hold, and whose clock stands."""

    def __init__(self, tries: int) -> None:
        self.tries, self.pauses = tries, list[float]()

    def execute(self, statement: Any, values: object = None) -> Any:
        if statement == b"SELECT 1;":
            self.tries -= 1
            if self.tries >= 0:
                raise LockNotAvailable
        is_about_holders = b"consumer migration_steps/holders" in statement
        return SimpleNamespace(fetchall=lambda: [(7, "ada", "psql", 0.4)] if is_about_holders else [])

    def monotonic(self) -> float:
        return 100.0

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def held_up(monkeypatch: pytest.MonkeyPatch, conn: HeldUp, patience: float) -> list[int | None]:
    """Take one step; return what is recorded as the next one."""
    advanced: list[int | None] = []
    monkeypatch.setattr(migration_steps, "time", conn)
    monkeypatch.setattr(migration_steps, "PATIENCE_SECONDS", patience)
    StepRunner(cast("Any", conn), nullcontext, "0099.m", lambda step, _: advanced.append(step)).run(
        "SELECT 1;", 0, None
    )
    return advanced


def test_a_step_is_given_up_after_its_time_and_not_at_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    conn = HeldUp(2)

    assert held_up(monkeypatch, conn, 0.0) == [None]
    assert conn.pauses == [1.0, 2.0]
    held = [vars(record) for record in caplog.records if record.message == "migration_held_up"]
    assert [(each["attempt"], each["error_code"], each["holders"]) for each in held] == [
        (attempt, "55P03", ["pid 7 (ada, psql, 0 s)"]) for attempt in (1, 2)
    ]
    with pytest.raises(TablesHeld, match=r"^Others have held the tables of 0099\.m for -100 minutes: pid 7 \(ada, "):
        held_up(monkeypatch, HeldUp(1), -6_000.0)


@pytest.mark.parametrize("migration", [None, SimpleNamespace(id="0099.m", hash="h")], ids=["none", "one"])
def test_a_line_of_the_migrators_log_has_utc_without_a_zone_and_no_person(migration: Any) -> None:
    before = datetime.now(UTC).replace(tzinfo=None)
    found = _Backend.get_log_data(cast("Any", None), migration, "rollback")

    assert before <= found["created_at_utc"] <= before + timedelta(minutes=1)
    assert UUID(found.pop("id"))
    del found["created_at_utc"]
    assert found == {
        "migration_id": migration and "0099.m",
        "migration_hash": migration and "h",
        "username": "consumer",
        "hostname": gethostname(),
        "operation": "rollback",
    }
