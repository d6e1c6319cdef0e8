"""What a viewer may read holds no person, whatever was delivered; found by the catalogue, not by a list of views."""

import asyncio
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from psycopg import errors as postgres

from consumer.operations import imports
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, operator_access, transaction
from consumer.simulator.samples import SAMPLES, SampleContext
from consumer.simulator.samples import data as sample
from tests.support.cli import facts
from tests.support.databases import change, rows, schema_change
from tests.support.factories import NOON
from tests.support.worker import LOCK, drain_all, worker

# In every name, address, picture and piece of metadata that is sent.
TOKEN = "kanarie"
NAME, EMAIL, AVATAR = f"Zoe {TOKEN.title()}", f"{TOKEN}.zoe@example.com", f"https://example.com/{TOKEN}.png"
METADATA = {"deep": [{TOKEN: {"text": f"a {TOKEN}", "number": 1}}], f"{TOKEN}@example.com": True}
# Keys of texts that are no person's.
PLAIN = ("type", "role_type", "department")
OTHER_BODIES = (
    ("user.updated", f"{{{TOKEN}".encode()),
    ("user.updated", orjson.dumps({"type": "user.updated", "data": {"id": EMAIL, "display_name": NAME}})),
    (
        "user.updated",
        orjson.dumps({"type": "user.updated", "data": {"id": str(uuid4()), "primary_email_verified": NAME}}),
    ),
    ("order.placed", orjson.dumps({"type": "order.placed", "data": {"note": f"call {TOKEN}", "guests": [NAME]}})),
)
READABLE = """
SELECT c.oid::regclass::text AS relation, (
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND has_column_privilege('consumer_viewer', c.oid, a.attnum, 'SELECT')
) AS columns
FROM pg_class AS c
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND has_schema_privilege('consumer_viewer', c.relnamespace, 'USAGE')
    AND has_any_column_privilege('consumer_viewer', c.oid, 'SELECT')
ORDER BY 1
"""
# Views of several tables.
MADE = {"bodies", "companies", "deliveries", "failures", "queue_stats"}
# What the others do not show as it is.
MASKED = {
    "actions": {"filter", "reason"},
    "audit": {"previous_values", "new_values", "edited_by", "reason"},
    "exclusions": {"reason"},
    "mirror": {"stack_display_name", "stack_primary_email", "stack_profile_image_url"},
    "past_exclusions": {"reason", "taken_back_reason"},
    "profiles": {"full_name", "email", "avatar_url"},
}


def with_canaries(value: Any, key: str = "") -> Any:
    """Return a sample with a canary for every text of a person."""
    if isinstance(value, dict) and "metadata" not in key:
        return {name: with_canaries(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_canaries(inner, key) for inner in value]
    if "metadata" in key:
        return METADATA
    if not isinstance(value, str) or key in PLAIN or key == "id" or key.endswith("_id"):
        return value
    return next((text for part, text in (("mail", EMAIL), ("image", AVATAR), ("avatar", AVATAR)) if part in key), NAME)


def every_type(user_id: UUID) -> Iterator[tuple[str, bytes]]:
    """Yield a body of each event type that has a sample, about this user."""
    context = SampleContext(user_id, 1_795_330_800_123, random.Random(1))
    for event_type in SAMPLES:
        data = with_canaries(sample(event_type, context))
        if event_type == "profile.edited":
            data |= {"edited_by": NAME, "reason": f"{NAME} asked for it"}
        yield event_type, orjson.dumps({"type": event_type, "data": data})


def delivered(url: str, bodies: Iterable[tuple[str, bytes]], number: int) -> None:
    """Store bodies as a recovery does: those that can't be used are dead."""
    found: list[Delivery] = []
    for place, (event_type, body) in enumerate(bodies):
        source = "app" if event_type.startswith(("profile", "order", "user.sign")) else "stack"
        at = NOON + timedelta(seconds=100 * number + place)
        found.append(imports.checked(source, f"msg_{number:013}{place:014}", at, body))
    asyncio.run(put(url, found))


async def put(url: str, found: Sequence[Delivery]) -> None:
    access = operator_access("consumer")
    async with await connect(url, access) as conn, transaction(conn, access):
        await imports.put(conn, found)


@pytest.fixture
def filled(emptied: str) -> str:
    """A database with deliveries of every type in every state, edited, discarded and erased ones among them."""
    done, erased, failing, waiting = (uuid4() for _ in range(4))
    delivered(emptied, every_type(done), 1)
    delivered(emptied, every_type(erased), 2)
    delivered(emptied, OTHER_BODIES, 3)
    asyncio.run(drain_all(emptied, worker()))
    facts(emptied, "erase", str(erased), "--yes", "--even-if-alive")
    refusal = f"ADD CONSTRAINT no_canary CHECK (full_name NOT LIKE '%{TOKEN.title()}') NOT VALID"
    table = "ALTER TABLE identity.profiles"
    with schema_change(emptied, f"{table} {refusal}", f"{table} DROP CONSTRAINT no_canary"):
        delivered(emptied, every_type(failing), 4)
        asyncio.run(drain_all(emptied, worker(attempts_max=1)))
    with psycopg.connect(emptied) as holder:
        holder.execute(LOCK, [[done]])
        delivered(emptied, every_type(done), 5)
        asyncio.run(drain_all(emptied, worker()))
    facts(emptied, "deliveries", "discard", "--message-id", f"msg_{1:013}{0:014}", "--reason", f"{EMAIL} asked")
    delivered(emptied, every_type(waiting), 6)
    # Statistics hold values too.
    change(emptied, "ANALYZE")
    return emptied


def told(conn: psycopg.Connection[Any], relation: str, columns: str) -> int:
    """Count the rows of a relation that hold the canary."""
    found = conn.execute(f"SELECT ROW({columns})::text FROM {relation}").fetchall()
    return sum(TOKEN in text.lower() for (text,) in found)


def test_nothing_that_a_viewer_may_read_holds_a_canary(filled: str) -> None:
    states = rows(filled, "SELECT state, count(*) FROM consumer.deliveries GROUP BY 1 ORDER BY 1")
    readable = rows(filled, READABLE)

    with psycopg.connect(filled, autocommit=True) as conn:
        conn.execute("SET ROLE consumer_viewer")
        found = {row["relation"]: told(conn, row["relation"], row["columns"]) for row in readable}

    assert [row["state"] for row in states] == ["dead", "done", "pending", "retrying"]
    assert {relation: count for relation, count in found.items() if count} == {}
    assert len([relation for relation in found if relation.startswith("consumer_masked.")]) > 25


def test_the_same_search_finds_the_canaries_where_they_are(filled: str) -> None:
    with psycopg.connect(filled, autocommit=True) as conn:
        found = {
            relation: told(conn, relation, column)
            for relation, column in (
                ("consumer.outbox", "convert_from(body, 'UTF8')"),
                ("identity.profiles", "full_name, email, avatar_url"),
                ("identity.stack_user_profiles", "stack_metadata"),
                ("identity.profile_audit", "new_values"),
                ("identity.profile_audit ", "edited_by, reason"),
                ("identity.companies", "name"),
                ("consumer.exclusions", "reason"),
                ("consumer.actions", "reason"),
            )
        }

    assert all(found.values()), found


def test_each_body_is_there_with_its_shape(filled: str) -> None:
    shown_with = "consumer_masked.bodies AS b JOIN consumer.outbox AS o ON b.seq = o.seq"
    bodies = rows(filled, f"SELECT o.event_type, b.body FROM {shown_with} ORDER BY b.seq")

    shown = {row["event_type"] for row in bodies if row["body"]}
    assert shown >= SAMPLES.keys()
    updated = next(row["body"]["data"] for row in bodies if row["event_type"] == "user.updated")
    assert (updated["display_name"], updated["primary_email"]) == ("Z••• K•••", "k•••••@example.com")
    assert (updated["profile_image_url"], updated["server_metadata"]) == ("•••", "•••")
    assert UUID(updated["id"])


def test_a_column_of_a_masked_view_is_that_column_of_its_table(database_url: str) -> None:
    views = rows(database_url, "SELECT viewname AS name FROM pg_views WHERE schemaname = 'consumer_masked' ORDER BY 1")
    changed: dict[str, set[str]] = {}
    with psycopg.connect(database_url) as conn:
        for view in {row["name"] for row in views} - MADE:
            [(plan,)] = conn.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) TABLE consumer_masked.{view}".encode()).fetchall()
            scan = plan[0]["Plan"]
            columns = [
                each.name for each in conn.execute(f"TABLE consumer_masked.{view} LIMIT 0".encode()).description or ()
            ]
            named = [set(re.findall(rf"\b{scan['Alias']}\.(\w+)", text)) for text in scan["Output"]]
            assert ("Filter" in scan, "Plans" in scan, named) == (False, False, [{column} for column in columns]), view
            changed[view] = {
                column
                for column, text in zip(columns, scan["Output"], strict=True)
                if text != f"{scan['Alias']}.{column}"
            }

    assert {view: columns for view, columns in changed.items() if columns} == MASKED


@pytest.mark.parametrize("schema", ["consumer", "identity"])
def test_a_viewer_can_read_nothing_behind_the_views(database_url: str, schema: str) -> None:
    relations = rows(
        database_url,
        f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind IN ('r', 'v', 'S')",
    )

    assert len(relations) > 5
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SET ROLE consumer_viewer")
        for row in relations:
            with pytest.raises(postgres.InsufficientPrivilege):
                conn.execute(f"SELECT FROM {schema}.{row['relname']}")


def test_a_viewer_may_execute_no_function_but_those_that_mask_or_return_ids_or_names_of_queries(
    database_url: str,
) -> None:
    found = rows(
        database_url,
        "SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace "
        "WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND has_schema_privilege('consumer_viewer', n.oid, "
        "'USAGE') AND has_function_privilege('consumer_viewer', p.oid, 'EXECUTE') ORDER BY 1",
    )

    assert [row["name"] for row in found] == [
        "consumer_masked.body(bytea)",
        "consumer_masked.document(jsonb,text,integer)",
        "consumer_masked.email(text)",
        "consumer_masked.hidden(text)",
        "consumer_masked.name(text)",
        "consumer_masked.seq_before(timestamp with time zone)",
        "consumer_masked.statements()",
        "consumer_masked.users_by_email(text)",
        "consumer_masked.written(text)",
    ]


def test_a_viewer_is_a_member_of_nothing_and_may_write_nothing(database_url: str) -> None:
    memberships = rows(
        database_url, "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'consumer_viewer'::regrole"
    )
    writable = rows(
        database_url,
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p') "
        "AND relnamespace::regnamespace::text ~ '^(consumer|identity)' AND has_table_privilege('consumer_viewer', oid, "
        "'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')",
    )

    assert (memberships, writable) == ([], [])
