"""What the catalogue tells of an application's tables: every kind of column, index, key, trigger and check."""

from collections.abc import Iterator
from typing import Any

import pytest

from consumer.adopt.catalogue import Column, InspectedTable, Table, inspect, tables
from consumer.postgres.connections import connect, operator_access
from tests.support.application import tables as tables_for

DROP = 'DROP SCHEMA IF EXISTS app, "My App", pgx CASCADE'
TABLES = """
    CREATE SCHEMA app; CREATE SCHEMA pgx; CREATE SCHEMA "My App";
    CREATE TABLE "My App"."User" (a int, "A a" int, gone int, c int);
    ALTER TABLE "My App"."User" RENAME a TO b;
    ALTER TABLE "My App"."User" DROP COLUMN gone;
    ALTER TABLE "My App"."User" ENABLE ROW LEVEL SECURITY;
    CREATE TABLE app.parted (id int PRIMARY KEY) PARTITION BY HASH (id);
    CREATE TABLE app.part PARTITION OF app.parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    CREATE TABLE app.b (); CREATE TABLE app.a (); CREATE TABLE pgx.x ();
    CREATE VIEW app.seen AS SELECT 1 AS one; CREATE MATERIALIZED VIEW app.held AS SELECT 1 AS one;
    CREATE SEQUENCE app.numbers; CREATE TYPE app.pair AS (x int);
"""
COLUMNS = """
    CREATE SCHEMA app; CREATE SCHEMA "My App";
    CREATE TYPE app.mood AS ENUM ('wild', 'Calm'); ALTER TYPE app.mood ADD VALUE 'first' BEFORE 'wild';
    CREATE TYPE "My App"."Kind" AS ENUM ('x');
    CREATE DOMAIN app.short AS varchar(4); CREATE DOMAIN app.fixed AS char(6) NOT NULL DEFAULT 'none';
    CREATE DOMAIN app.plain AS varchar; CREATE DOMAIN app.price AS numeric(9, 2);
    CREATE TABLE app.other (id int PRIMARY KEY, n int DEFAULT 7, own serial);
    CREATE TABLE app.users (
        id uuid PRIMARY KEY, gone int, "Full name" varchar(40) NOT NULL DEFAULT 'x', one varchar(1), letters char(3),
        word text, is_on boolean, at timestamptz(3), day date, number numeric(9, 2), counter serial,
        own int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (own * 2) STORED, raw json, doc jsonb,
        tags text[], place point, mood app.mood DEFAULT 'Calm', kind "My App"."Kind", nick app.short, code app.fixed,
        free app.plain, price app.price, bits varbit(40)
    );
    ALTER TABLE app.users DROP COLUMN gone;
    ALTER TABLE app.users RENAME is_on TO was_on; ALTER TABLE app.users RENAME was_on TO is_on;
"""
INDEXES = """
    CREATE SCHEMA app;
    CREATE TABLE app.other (a int, b int UNIQUE, UNIQUE NULLS NOT DISTINCT (a));
    CREATE TABLE app.users (
        id uuid PRIMARY KEY, alone text UNIQUE, same text UNIQUE NULLS NOT DISTINCT, late text,
        pair_one text, pair_two text, partial text, lowered text, base text, included text, covers text,
        made text GENERATED ALWAYS AS (lower(base)) STORED UNIQUE, barred text, plain text, dependent text,
        from_plain text GENERATED ALWAYS AS (upper(dependent)) STORED,
        twice text, CONSTRAINT later UNIQUE (late) DEFERRABLE, UNIQUE (covers) INCLUDE (included),
        EXCLUDE USING btree (barred WITH =)
    );
    CREATE UNIQUE INDEX ON app.users (pair_one, pair_two);
    CREATE UNIQUE INDEX ON app.users (partial) WHERE partial <> '';
    CREATE UNIQUE INDEX ON app.users (lower(lowered));
    CREATE UNIQUE INDEX ON app.users (twice); CREATE UNIQUE INDEX ON app.users (twice) NULLS NOT DISTINCT;
    CREATE INDEX ON app.users (plain); CREATE INDEX ON app.users (lower(plain)); CREATE INDEX ON app.users (from_plain);
"""
SURROUNDINGS = """
    CREATE SCHEMA app;
    CREATE TABLE app."Teams" (id int PRIMARY KEY, part int, UNIQUE (id, part));
    CREATE TABLE app.users (
        id int PRIMARY KEY, team int REFERENCES app."Teams", boss int REFERENCES app.users, a int, b int,
        email text UNIQUE, CONSTRAINT z_no CHECK (a > 0), CONSTRAINT a_no CHECK (b > 1),
        FOREIGN KEY (a, b) REFERENCES app."Teams" (id, part)
    );
    CREATE INDEX ON app.users (a);
    CREATE TABLE app.zeal (user_id int CONSTRAINT b REFERENCES app.users, again int CONSTRAINT a REFERENCES app.users);
    CREATE TABLE app.acts (user_id int REFERENCES app.users ON DELETE CASCADE, n int UNIQUE CHECK (n > 2));
    CREATE FUNCTION app.as_own() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION app.as_us() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER z BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.as_own();
    CREATE TRIGGER b BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.as_us();
    CREATE TRIGGER off BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.as_us();
    CREATE TRIGGER other BEFORE INSERT ON app.zeal FOR EACH ROW EXECUTE FUNCTION app.as_us();
    ALTER TABLE app.users DISABLE TRIGGER off; ALTER TABLE app.users CLUSTER ON users_pkey;
"""


# What was changed last is found last.
AS_IT_LIES = "SELECT set_config(name, 'off', FALSE) FROM pg_settings WHERE name ~ 'enable_(index|bitmap).*scan'"


async def listed(url: str) -> list[Table]:
    async with await connect(url, operator_access("consumer")) as conn:
        await conn.execute(AS_IT_LIES)
        return await tables(conn)


async def users(url: str, name: str = "app.users") -> InspectedTable:
    async with await connect(url, operator_access("consumer")) as conn:
        await conn.execute(AS_IT_LIES)
        [found] = [table for table in await tables(conn) if table.name == name]
        return await inspect(conn, found)


@pytest.fixture
def made(request: pytest.FixtureRequest, emptied: str) -> Iterator[str]:
    with tables_for(emptied, f"{DROP}; {request.param}", DROP):
        yield emptied


@pytest.mark.parametrize("made", [TABLES], indirect=True)
async def test_the_application_s_tables_are_listed_by_name_with_their_columns(made: str) -> None:
    found = await listed(made)

    assert [(each.name, each.sql_name, each.sql_schema) for each in found] == [
        ("My App.User", '"My App"."User"', '"My App"'),
        ("app.a", "app.a", "app"),
        ("app.b", "app.b", "app"),
        ("app.parted", "app.parted", "app"),
        ("pgx.x", "pgx.x", "pgx"),
    ]
    assert [each.has_row_security for each in found] == [True, False, False, False, False]
    assert [each.column_names for each in found] == [["b", "A a", "c"], [], [], ["id"], []]


async def columns(url: str) -> dict[str, Column]:
    found = await users(url)
    return {column.name: column for column in found.columns}


@pytest.mark.parametrize("made", [COLUMNS], indirect=True)
async def test_the_type_of_each_column_is_told_in_full(made: str) -> None:
    found = await columns(made)

    assert {name: (each.kind, each.cast_type, each.characters_max) for name, each in found.items()} == {
        "id": ("uuid", "uuid", None),
        "Full name": ("text", "character varying(40)", 40),
        "one": ("text", "character varying(1)", 1),
        "letters": ("text", "character(3)", 3),
        "word": ("text", "text", None),
        "is_on": ("boolean", "boolean", None),
        "at": ("time", "timestamp(3) with time zone", None),
        "day": ("time", "date", None),
        "number": ("number", "numeric(9,2)", None),
        "counter": ("number", "integer", None),
        "own": ("number", "integer", None),
        "twice": ("number", "integer", None),
        "raw": ("json", "json", None),
        "doc": ("jsonb", "jsonb", None),
        "tags": ("array", "text[]", None),
        "place": ("other", "point", None),
        "mood": ("enum", "app.mood", None),
        "kind": ("enum", '"My App"."Kind"', None),
        "nick": ("text", "app.short", 4),
        "code": ("text", "app.fixed", 6),
        "free": ("text", "app.plain", None),
        "price": ("number", "app.price", None),
        "bits": ("other", "bit varying(40)", None),
    }
    assert {name: found[name].type_name for name in ("word", "tags", "mood", "kind", "code")} == {
        "word": "pg_catalog.text",
        "tags": "pg_catalog._text",
        "mood": "app.mood",
        "kind": '"My App"."Kind"',
        "code": "app.fixed",
    }


@pytest.mark.parametrize("made", [COLUMNS], indirect=True)
async def test_what_a_column_demands_and_what_it_gets_by_itself_is_told(made: str) -> None:
    found = await columns(made)

    assert [name for name, each in found.items() if each.is_required] == ["id", "Full name", "counter", "own", "code"]
    assert {name: each.default_value for name, each in found.items() if each.default_value is not None} == {
        "Full name": "'x'::character varying",
        "counter": "nextval('app.users_counter_seq'::regclass)",
        "mood": "'Calm'::app.mood",
        "code": "'none'::bpchar",
    }
    assert [name for name, each in found.items() if each.is_generated] == ["own", "twice"]
    assert {name: each.sequence for name, each in found.items() if each.sequence} == {
        "counter": "app.users_counter_seq",
    }
    assert {name: each.labels for name, each in found.items() if each.labels} == {
        "mood": ["first", "wild", "Calm"],
        "kind": ["x"],
    }
    assert {name: each.sql_name for name, each in found.items() if name != each.sql_name} == {
        "Full name": '"Full name"',
    }


@pytest.mark.parametrize("made", [INDEXES], indirect=True)
async def test_only_an_index_over_one_whole_column_lets_on_conflict_name_it(made: str) -> None:
    found = await columns(made)

    assert [name for name, each in found.items() if each.is_unique] == [
        "id", "alone", "same", "covers", "made", "twice",
    ]  # fmt: skip


@pytest.mark.parametrize("made", [INDEXES], indirect=True)
async def test_every_column_of_which_two_equal_values_may_be_refused_is_exclusive(made: str) -> None:
    found = await columns(made)
    exclusive = {"id", "alone", "same", "late", "pair_one", "pair_two", "partial", "lowered", "base", "covers", "made"}

    assert {name for name, each in found.items() if each.is_exclusive} == exclusive | {"barred", "twice"}
    assert [name for name, each in found.items() if each.has_equal_nulls] == ["same", "twice"]


@pytest.mark.parametrize("made", [SURROUNDINGS], indirect=True)
async def test_what_a_write_to_the_table_meets_is_told_and_nothing_of_other_tables(made: str) -> None:
    found = await users(made)
    told: dict[str, Any] = {name: getattr(found, name) for name in ("triggers", "referrers", "checks", "leads_to")}

    assert told == {
        "triggers": ["b calls as_us as the worker", "z calls as_own as its owner"],
        "referrers": [
            "app.acts, FOREIGN KEY (user_id) REFERENCES app.users(id) ON DELETE CASCADE",
            "app.users, FOREIGN KEY (boss) REFERENCES app.users(id)",
            "app.zeal, FOREIGN KEY (again) REFERENCES app.users(id)",
            "app.zeal, FOREIGN KEY (user_id) REFERENCES app.users(id)",
        ],
        "checks": ["a_no, CHECK ((b > 1))", "z_no, CHECK ((a > 0))"],
        "leads_to": {"team": "app.Teams", "boss": "app.users"},
    }
    assert found.unique_indexes == [
        "CREATE UNIQUE INDEX users_pkey ON app.users USING btree (id)",
        "CREATE UNIQUE INDEX users_email_key ON app.users USING btree (email)",
    ]


@pytest.mark.parametrize("made", [TABLES], indirect=True)
async def test_a_table_that_meets_nothing_has_empty_lists(made: str) -> None:
    found = await users(made, "app.a")

    assert found == InspectedTable(found.table, [], [], [], [], [], {})
