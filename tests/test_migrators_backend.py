"""What the migrators' backend does around each migration: in which order, and what it says of one that is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from psycopg.errors import AdminShutdown, InsufficientPrivilege
from yoyo import internalmigrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend

from consumer.postgres import default_privileges, migration_records, migrations, migrator
from consumer.postgres.migrations import MigrationFailed, _Backend

UNIQUE = "CREATE TEMPORARY TABLE t (name text PRIMARY KEY); INSERT INTO t VALUES ('kanarie'), ('kanarie')"


class Told:
    """A backend whose every step is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[Any] = []
        self.backend = cast("Any", object.__new__(_Backend))
        self.backend.holder, self.backend._connection = "holder", "conn"
        monkeypatch.setattr(_Backend, "connection", "conn")
        monkeypatch.setattr(_Backend, "execute", self.tell("execute"))
        monkeypatch.setattr(_Backend, "mark_one", self.tell("mark"))
        monkeypatch.setattr(_Backend, "unmark_one", self.tell("unmark"))
        monkeypatch.setattr(_Backend, "transaction", self.transaction)
        monkeypatch.setattr(PostgresqlPsycopgBackend, "commit", self.tell("commit"))
        monkeypatch.setattr(migrator, "require_lock", self.tell("lock"))
        monkeypatch.setattr(migrator, "isolate", self.tell("isolate"))
        monkeypatch.setattr(default_privileges, "withhold", self.tell("withhold", ["GRANT x"]))
        monkeypatch.setattr(default_privileges, "give_back", self.tell("give back"))
        monkeypatch.setattr(migration_records, "advance", self.tell("advance"))
        monkeypatch.setattr(migration_records, "forget", self.tell("forget"))

    def tell(self, name: str, result: object = None) -> Any:
        def told(*values: object, **named: object) -> object:
            self.told.append((name, *(each for each in values if not isinstance(each, _Backend)), *named.items()))
            return result

        return told

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.told.append("begin")
        yield
        self.told.append("end")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def test_a_transaction_begins_under_the_lock_and_hands_what_it_makes_to_nobody(told: Told) -> None:
    told.backend.begin()

    assert told.told == [
        ("lock", "holder"),
        ("execute", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE"),
        ("isolate", "conn", ("is_local", True)),
        ("withhold", "conn"),
    ]
    assert (told.backend._in_transaction, told.backend.withheld) == (True, ["GRANT x"])


def test_a_commit_comes_after_the_default_privileges_are_given_back(told: Told) -> None:
    told.backend.withheld = ["GRANT x"]

    told.backend.commit()

    assert told.told == [("give back", "conn", ["GRANT x"]), ("commit",)]


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("is_old", [False, True])
def test_the_ledger_is_made_where_it_is_missing_and_asked_about_once(
    told: Told, monkeypatch: pytest.MonkeyPatch, *, is_there: bool, is_old: bool
) -> None:
    schema = SimpleNamespace(fetchone=lambda: (1,) if is_there else None)
    monkeypatch.setattr(_Backend, "execute", told.tell("execute", schema))
    monkeypatch.setattr(internalmigrations, "needs_upgrading", told.tell("look", is_old))
    monkeypatch.setattr(internalmigrations, "upgrade", told.tell("upgrade"))

    told.backend.begin_schema()
    told.backend.ensure_internal_schema_updated()

    made = [] if is_there else [("execute", "CREATE SCHEMA consumer")]
    assert told.told == [
        "begin",
        ("execute", "SELECT 1 FROM pg_namespace WHERE nspname = 'consumer'"),
        *made,
        ("look",),
        *([("upgrade",)] if is_old else []),
        "end",
    ]


def test_a_migration_goes_on_where_it_stood_and_is_marked_with_its_last_step(
    told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "0099.m.sql"
    file.write_text("SELECT 1;")
    migration = SimpleNamespace(id="0099.m", path=str(file))
    monkeypatch.setattr(migration_records, "progress", told.tell("progress", (2, "key")))

    class Runner:
        def __init__(self, conn: object, transaction: object, migration_id: str, advance: Any) -> None:
            assert transaction == told.backend.transaction
            told.told.append((conn, migration_id))
            self.advance = advance

        def run(self, text: str, number: int, page: str | None) -> None:
            told.told.append((text, number, page))
            self.advance(3, "later")
            self.advance(None, None)

    monkeypatch.setattr(migrations, "StepRunner", Runner)

    told.backend.apply(migration, "hash")

    record = ("advance", "conn", "0099.m", "hash")
    assert told.told == [
        ("progress", "conn", "0099.m"),
        ("conn", "0099.m"),
        ("SELECT 1;", 2, "key"),
        (*record, ("next_step", 3), ("page", "later")),
        (*record, ("next_step", None), ("page", None)),
        ("mark", migration),
    ]


def test_a_migration_is_rolled_back_unmarked_and_forgotten_together(told: Told) -> None:
    migration = SimpleNamespace(id="0099.m", process_steps=told.tell("process"))

    told.backend.undo(migration)

    assert told.told == ["begin", ("process", "rollback"), ("unmark", migration), ("forget", "conn", "0099.m"), "end"]


@pytest.mark.parametrize(("is_complete", "is_recorded"), [(True, True), (False, False), (None, True)])
def test_a_login_that_may_not_see_the_record_has_nothing_to_record(
    told: Told, monkeypatch: pytest.MonkeyPatch, is_complete: bool | None, is_recorded: bool
) -> None:
    def are_complete(*_: object) -> bool | None:
        if is_complete is None:
            raise InsufficientPrivilege
        return is_complete

    monkeypatch.setattr(migration_records, "are_complete", are_complete)

    assert told.backend.is_recorded({}) is is_recorded


def refused(url: str, statement: str, *, is_first: bool) -> str:
    backend: Any = SimpleNamespace(is_first=is_first)
    explained = _Backend.refusal_explained(backend, SimpleNamespace(id="0099.m"))
    with psycopg.connect(url) as conn, pytest.raises(MigrationFailed) as raised, explained:
        conn.execute(statement.encode())
    return str(raised.value)


def test_a_refusal_says_what_is_kept_and_shows_a_message_only_where_no_row_is(database_url: str) -> None:
    """After the first migration a message may hold the values of a row."""
    first = refused(database_url, UNIQUE, is_first=True)
    later = refused(database_url, UNIQUE, is_first=False)

    start = "The database refused the migration 0099.m (23505), and"
    assert first == f'{start} nothing was changed: duplicate key value violates unique constraint "t_pkey".'
    assert later.startswith(f"{start} nothing of this step was kept: ")
    assert "kanarie" not in later
    assert "duplicate key value" not in later


@pytest.mark.parametrize("error", [AdminShutdown("ending"), ZeroDivisionError("ours")], ids=str)
def test_an_outage_and_a_bug_are_no_refusal(error: Exception) -> None:
    backend: Any = SimpleNamespace(is_first=False)

    with pytest.raises(type(error)) as raised, _Backend.refusal_explained(backend, SimpleNamespace(id="0099.m")):
        raise error

    assert raised.value is error


def test_only_our_roles_get_a_prefix() -> None:
    text = "GRANT consumer_worker TO consumer_workers; consumer.settings, consumer_masked.x, consumer_viewer;"

    assert migrations.renamed(text, "shop") == (
        "GRANT shop_worker TO consumer_workers; consumer.settings, consumer_masked.x, shop_viewer;"
    )
