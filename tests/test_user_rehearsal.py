"""The doctor lets a made-up user live in the application's tables, and names all that the triggers lack at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from tests.support.application import tables
from tests.support.cli import examined, facts
from tests.support.databases import change, rows

pytestmark = pytest.mark.lone_server

DROP = "DROP SCHEMA IF EXISTS app, log CASCADE; DROP ROLE IF EXISTS own; DROP ROLE IF EXISTS keeper"
SCHEMA = """
    CREATE SCHEMA app;
    CREATE SCHEMA log;
    CREATE TABLE app.users (id uuid PRIMARY KEY, email text NOT NULL UNIQUE, name text, deleted_at timestamptz);
    CREATE TABLE log.entries (id serial, user_id uuid);
    CREATE TABLE app.totals (deleted int NOT NULL);
    CREATE TABLE app."Changes" (n int GENERATED ALWAYS AS IDENTITY, user_id uuid);
    INSERT INTO app.totals VALUES (0);
    CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO log.entries (user_id) VALUES (NEW.id);
        ELSIF NEW.deleted_at IS NULL THEN
            INSERT INTO app."Changes" (user_id) VALUES (NEW.id);
        ELSE
            UPDATE app.totals SET deleted = deleted + 1;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION app.note();
"""
GRANTS = {
    "GRANT USAGE ON SCHEMA log TO consumer_worker",
    "GRANT INSERT ON TABLE log.entries TO consumer_worker",
    "GRANT USAGE ON SEQUENCE log.entries_id_seq TO consumer_worker",
    'GRANT INSERT ON TABLE app."Changes" TO consumer_worker',
    "GRANT SELECT ON TABLE app.totals TO consumer_worker",
    "GRANT UPDATE ON TABLE app.totals TO consumer_worker",
}


@pytest.fixture
def app(emptied: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An application that is adopted, and the file with its statement."""
    file = str(tmp_path / "projection.sql")
    change(emptied, DROP)
    with tables(emptied, SCHEMA, DROP):
        facts(emptied, "adopt", "plan", "--table", "app.users", "--write", file)
        facts(emptied, "adopt", "grant", "--table", "app.users")
        yield emptied, file


def triggers(url: str, file: str, **environment: str) -> Any:
    return examined(url, CONSUMER_PROJECTION_SQL=file, **environment)[1]["application's triggers"]


def test_all_missing_grants_of_triggers_are_named_together_and_cure_it(app: tuple[str, str]) -> None:
    url, file = app

    exit_code, checks = examined(url, CONSUMER_PROJECTION_SQL=file)
    found = checks["application's triggers"]
    grants = found["cure"].removeprefix("As their owner: ")
    change(url, grants)

    assert (exit_code, found["state"]) == (1, "failing")
    assert {grant.strip() for grant in grants.split(";") if grant.strip()} == GRANTS
    assert triggers(url, file)["state"] == "ok"


@pytest.mark.parametrize(
    "message",
    ["keine Berechtigung für Tabelle %", "テーブル%へのアクセスが拒否されました", "% tablosuna erişim engellendi"],
)
def test_a_server_that_speaks_another_language_names_its_grants_too(app: tuple[str, str], message: str) -> None:
    """The words of a permission table stand in the English message too."""
    url, file = app
    change(
        url,
        f"""
        CREATE TABLE app.permission ();
        CREATE OR REPLACE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT has_table_privilege('app.totals', 'UPDATE') THEN
                RAISE EXCEPTION '{message}', 'totals' USING ERRCODE = 'insufficient_privilege';
            END IF;
            RETURN NEW;
        END $$;
    """,
    )

    assert triggers(url, file)["cure"] == "As their owner: GRANT UPDATE ON TABLE app.totals TO consumer_worker;"


def test_the_worker_s_own_login_is_rehearsed_by_the_login_that_may_grant(app: tuple[str, str]) -> None:
    url, file = app
    change(url, "CREATE ROLE own LOGIN; GRANT consumer_worker TO own")

    found = triggers(url, file, WORKER_DATABASE_URL=make_conninfo(url, user="own"))

    assert found["finding"] == f"{len(GRANTS)} missing grants"


def test_a_login_that_may_not_grant_names_the_first(app: tuple[str, str]) -> None:
    url, file = app
    change(url, "CREATE ROLE own LOGIN; GRANT consumer_worker, consumer_operator TO own")
    own = make_conninfo(url, user="own")

    found = triggers(url, file, WORKER_DATABASE_URL=own, MIGRATE_DATABASE_URL=own)

    assert found["state"] == "failing"
    assert "permission denied for schema log (42501)" in found["finding"]


def test_nothing_is_left_of_the_user(app: tuple[str, str]) -> None:
    url, file = app
    change(url, "GRANT USAGE ON SCHEMA log TO consumer_worker")
    before = rows(url, "SELECT relacl::text FROM pg_class ORDER BY oid")

    examined(url, CONSUMER_PROJECTION_SQL=file)

    assert rows(url, "SELECT relacl::text FROM pg_class ORDER BY oid") == before
    for table in ("app.users", "identity.profiles", "identity.companies", "identity.stack_user_profiles"):
        assert rows(url, f"SELECT FROM {table}") == []


def test_a_constraint_that_refuses_the_made_up_user_is_a_warning(app: tuple[str, str]) -> None:
    url, file = app
    change(url, "DROP TRIGGER note ON app.users; ALTER TABLE app.users ADD CONSTRAINT ours CHECK (email LIKE '%@crew')")

    found = triggers(url, file)

    assert (found["state"], "ours (23514)" in found["finding"]) == ("warning", True)


def test_a_trigger_whose_table_is_missing_fails(app: tuple[str, str]) -> None:
    url, file = app
    change(url, "DROP TABLE app.totals; GRANT ALL ON SCHEMA log TO consumer_worker; GRANT ALL ON ALL TABLES IN SCHEMA "
        "log, app TO consumer_worker; GRANT ALL ON ALL SEQUENCES IN SCHEMA log TO consumer_worker")  # fmt: skip

    found = triggers(url, file)

    assert (found["state"], "(42P01)" in found["finding"]) == ("failing", True)
