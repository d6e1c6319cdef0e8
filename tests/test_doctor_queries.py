"""What the doctor reads of the server's settings, names in a refusal, and does with a made-up user."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from consumer.doctor.server import Server, server
from consumer.doctor.sessions import StatementLog
from consumer.doctor.user_rehearsal import _Named
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows
from tests.support.databases import rows as all_rows
from tests.support.passing import passing

SETTINGS = {
    "server_version": "16.3 (ours)",
    "server_version_num": "160003",
    "transaction_read_only": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "track_counts": "on",
    "max_connections": "77",
}
OFF = ("fsync", "full_page_writes", "autovacuum", "track_counts")


async def read(url: str, **settings: str) -> Server:
    """Return what is read of a server with these settings, whose sessions flush locally but for ours."""
    values = ", ".join(f"('{name}', '{value}')" for name, value in (SETTINGS | settings).items())
    faked = f"""
        CREATE SCHEMA faked;
        CREATE FUNCTION faked.current_setting(wanted text) RETURNS text LANGUAGE sql AS $$
            SELECT s.value FROM (VALUES {values}) AS s (name, value) WHERE s.name = wanted
        $$;
        CREATE TABLE faked.pg_settings AS
        SELECT name, CASE name WHEN 'synchronous_commit' THEN 'local' ELSE 'x' END AS reset_val
        FROM pg_catalog.pg_settings;
        SET LOCAL search_path = faked, pg_catalog;
    """
    async with passing(url, faked) as conn:
        return await server(conn)


async def test_a_server_is_read_with_its_settings_and_the_size_of_this_database(emptied: str) -> None:
    found = await read(emptied)
    [here] = all_rows(
        emptied,
        "SELECT d.oid::bigint AS oid, datname AS name, pg_postmaster_start_time() AS at, session_user AS login, "
        "pg_total_relation_size('consumer.outbox') AS outbox FROM pg_database AS d WHERE datname = current_database()",
    )

    assert (found.version, found.version_number, found.connections_max) == ("16.3 (ours)", 160003, 77)
    assert (found.database_oid, found.database, found.started_at) == (here["oid"], here["name"], here["at"])
    assert (found.login, found.is_superuser, found.encoding) == (here["login"], True, "UTF8")
    assert (found.is_standby, found.is_read_only, found.synchronous_commit) == (False, False, "local")
    assert (found.has_fsync, found.has_full_page_writes, found.has_autovacuum) == (True, True, True)
    assert found.outbox_bytes == here["outbox"] > 0
    assert found.database_bytes > found.outbox_bytes
    assert found.is_migrated
    assert found.place == (here["at"], here["oid"])


@pytest.mark.parametrize("name", OFF)
async def test_each_setting_that_is_off_is_read(emptied: str, name: str) -> None:
    found = await read(emptied, **{name: "off"})

    autovacuum = name not in {"autovacuum", "track_counts"}
    assert (found.has_fsync, found.has_full_page_writes) == (name != "fsync", name != "full_page_writes")
    assert found.has_autovacuum == autovacuum


async def test_a_database_without_our_outbox_is_not_migrated(emptied: str) -> None:
    moved = (
        "ALTER TABLE consumer.outbox RENAME TO past; CREATE SCHEMA other; CREATE TABLE other.outbox (id int UNIQUE);"
    )
    async with passing(emptied, moved) as conn:
        found = await server(conn)

    assert (found.outbox_bytes, found.is_migrated) == (0, False)
    assert (await read(emptied, transaction_read_only="on")).is_read_only


async def test_the_statement_log_s_settings_are_read_and_no_others(emptied: str) -> None:
    changed = "SET LOCAL log_statement = 'ddl'; SET LOCAL log_duration = 'on'"
    async with passing(emptied, changed) as conn:
        [found] = await rows(conn, psycopg.rows.class_row(StatementLog), "sessions/statement_log")

    assert found.login == "postgres"
    assert found.settings["log_statement"] == "ddl"
    assert set(found.settings) == {
        "debug_print_plan",
        "log_error_verbosity",
        "log_min_duration_sample",
        "log_min_duration_statement",
        "log_min_error_statement",
        "log_min_messages",
        "log_parameter_max_length",
        "log_parameter_max_length_on_error",
        "log_statement",
        "log_statement_sample_rate",
        "log_transaction_sample_rate",
    }


THEIRS = """
    CREATE SCHEMA zone; CREATE SCHEMA "Zone 2"; CREATE SCHEMA pgx;
    CREATE TABLE zone.zapper (id int); CREATE TABLE zone.parted (id int) PARTITION BY HASH (id);
    CREATE VIEW zone.viewed AS SELECT 1 AS one; CREATE MATERIALIZED VIEW zone.held AS SELECT 1 AS one;
    CREATE INDEX indexed ON zone.zapper (id); CREATE TYPE zone.typed AS (x int); CREATE SEQUENCE zone.counted;
    CREATE FUNCTION zone.called() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE TABLE "Zone 2"."Far zapper" (); CREATE TABLE pgx.distant ();
    SET LOCAL enable_sort = off;
    CREATE TABLE consumer.zapper (); CREATE TABLE identity.zapper (); CREATE TABLE consumer_masked.zapper ();
"""


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("zapper denied", [("relation", "zapper", "zone.zapper")]),
        ("no parted or viewed", [("relation", "parted", "zone.parted"), ("relation", "viewed", "zone.viewed")]),
        ("no held", [("relation", "held", "zone.held")]),
        ("no indexed, no typed", []),
        ("no counted", [("sequence", "counted", "zone.counted")]),
        ("called", [("function", "called", "zone.called")]),
        (
            "for Far zapper",
            [("relation", "Far zapper", '"Zone 2"."Far zapper"'), ("relation", "zapper", "zone.zapper")],
        ),
        ("for schema zone", [("schema", "zone", "zone")]),
        ("distant", [("relation", "distant", "pgx.distant")]),
        ("schema identity", [("schema", "identity", "identity")]),
        ("pg_class, sql_features", []),
        (
            "viewed, held, counted, called",
            [
                ("function", "called", "zone.called"),
                ("sequence", "counted", "zone.counted"),
                ("relation", "held", "zone.held"),
                ("relation", "viewed", "zone.viewed"),
            ],
        ),
    ],
)
async def test_a_refusal_names_the_application_s_objects_and_any_schema(
    emptied: str, message: str, found: list[tuple[str, str, str]]
) -> None:
    async with passing(emptied, THEIRS) as conn:
        named = await rows(conn, psycopg.rows.args_row(_Named), "user_rehearsal/named", {"message": message})

    assert [tuple(each) for each in named] == found


async def user(conn: Connection, user_id: object) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            b"SELECT p.full_name, p.email, p.email_verified, p.role_type, p.department, p.company_id, c.name, "
            b"p.deleted_at = now() AS is_gone, m.deleted_at = now() AS is_gone_from_stack, m.has_profile, "
            b"m.company_id AS home FROM identity.profiles AS p JOIN identity.stack_user_profiles AS m "
            b"ON m.stack_user_id = p.user_id JOIN identity.companies AS c ON c.id = p.company_id WHERE p.user_id = %s",
            [user_id],
        )
        return await cursor.fetchall()


async def test_a_made_up_user_lives_is_renamed_and_deleted_beside_all_others(emptied: str) -> None:
    made, other = uuid4(), uuid4()
    async with passing(emptied) as conn:
        for user_id in (made, other):
            await conn.execute(query("user_rehearsal/put"), {"user_id": user_id})
        new = await user(conn, made)
        await conn.execute(query("user_rehearsal/change"), {"user_id": made})
        changed = await user(conn, made)
        await conn.execute(query("user_rehearsal/delete"), {"user_id": made})
        gone, beside = await user(conn, made), await user(conn, other)

    assert new == [
        {
            "full_name": "Rehearsal",
            "email": f"{made}@no-email.invalid",
            "email_verified": False,
            "role_type": "member",
            "department": "General",
            "company_id": made,
            "name": "Rehearsal",
            "is_gone": None,
            "is_gone_from_stack": None,
            "has_profile": True,
            "home": made,
        }
    ]
    assert changed == [new[0] | {"full_name": "Rehearsal again"}]
    assert gone == [changed[0] | {"is_gone": True, "is_gone_from_stack": True}]
    assert beside == [new[0] | {"email": f"{other}@no-email.invalid", "company_id": other, "home": other}]
