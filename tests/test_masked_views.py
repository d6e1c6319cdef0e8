"""What a viewer sees instead of persons, and what a page of it costs."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors as postgres

from consumer.postgres.connections import connect, enter, operator_access, transaction, viewer_access
from tests.support.cli import arrive, work
from tests.support.databases import change, rows
from tests.support.factories import membership, team_event, user_updated
from tests.support.plans import nodes, rows_read

VIEWER = viewer_access("consumer")
ADA = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")
STORED = 20_000
FILLED = f"""
INSERT INTO consumer.outbox (source, message_id, event_type, user_id, team_id, occurred_at, body)
SELECT 'stack', 'm' || n, 'user.updated', gen_random_uuid(), gen_random_uuid(), now() - interval '1 hour', '{{}}'
FROM generate_series(1, {STORED}) AS n;
INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outbox WHERE seq % 100 = 1;
INSERT INTO consumer.outcomes (seq, outcome, at)
SELECT seq, 'applied', now() - interval '10 seconds' FROM consumer.outbox WHERE seq % 10 > 0 AND seq % 100 <> 1;
INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error, source, event_type)
SELECT seq, 'dead', 1, NULL, '23505', 'x', 'stack', NULL FROM consumer.outbox WHERE seq % 20 = 0
UNION ALL
SELECT seq, 'retrying', 2, now() - interval '20 seconds', '40P01', 'y', NULL, NULL FROM consumer.outbox
WHERE seq % 20 = 10;
INSERT INTO identity.stack_user_profiles (stack_user_id, stack_primary_email)
SELECT user_id, message_id || '@example.com' FROM consumer.outbox;
INSERT INTO identity.profiles (user_id, full_name, email, role_type, department)
SELECT user_id, message_id, message_id, 'member', 'General' FROM consumer.outbox;
ANALYZE consumer.outbox, consumer.outcomes, consumer.failures, consumer.pending, consumer.exclusions,
identity.stack_user_profiles, identity.profiles
"""


@pytest.fixture
def many(emptied: str) -> str:
    """A database with some thousand deliveries, of which a tenth are dead."""
    change(emptied, FILLED)
    return emptied


@pytest.fixture
def viewer(many: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(many, autocommit=True) as conn:
        conn.execute("SET ROLE consumer_viewer")
        yield conn


def ran(conn: psycopg.Connection[Any], statement: str) -> list[Mapping[str, Any]]:
    """Run a statement and return the nodes of its plan."""
    [(plan,)] = conn.execute(f"EXPLAIN (ANALYZE, VERBOSE, FORMAT JSON) {statement}".encode()).fetchall()
    return nodes(plan[0]["Plan"])


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM consumer_masked.deliveries ORDER BY seq DESC LIMIT 50",
        "SELECT * FROM consumer_masked.deliveries WHERE seq < 10000 ORDER BY seq DESC LIMIT 50",
        "SELECT * FROM consumer_masked.deliveries JOIN consumer_masked.bodies USING (seq) ORDER BY seq DESC LIMIT 50",
    ],
    ids=["newest", "further", "with bodies"],
)
def test_a_page_of_deliveries_reads_no_more_than_the_page(viewer: psycopg.Connection[Any], statement: str) -> None:
    plan = ran(viewer, statement)

    assert max(map(rows_read, plan)) <= 100
    assert "outbox_pkey" in {node.get("Index Name") for node in plan}


def test_a_delivery_is_in_one_state_as_in_the_view_that_is_not_masked(many: str) -> None:
    change(many, "UPDATE consumer.outbox SET received_at = now() - interval '30 seconds' WHERE seq % 2 = 1")
    shown = (
        "SELECT seq, source, message_id, event_type, user_id, team_id, occurred_at, received_at, state, attempts, "
        "next_attempt_at, outcome, error_code, error FROM {}.deliveries ORDER BY seq"
    )
    times = (
        "SELECT count(*) FROM consumer_masked.deliveries AS v LEFT JOIN consumer.outcomes AS d USING (seq) "
        "LEFT JOIN consumer.failures AS f USING (seq) "
        "WHERE (v.done_at, v.failed_at) IS DISTINCT FROM (d.at, f.failed_at)"
    )

    assert rows(many, shown.format("consumer_masked")) == rows(many, shown.format("consumer"))
    assert rows(many, times) == [{"count": 0}]


def test_the_masked_figures_are_those_that_are_not_masked(many: str) -> None:
    change(
        many,
        "DELETE FROM consumer.failures WHERE seq = (SELECT min(seq) FILTER (WHERE state = 'retrying') "
        "FROM consumer.failures)",
    )
    with psycopg.connect(many) as conn:
        seen, masked = (
            conn.execute(f"TABLE {schema}.queue_stats".encode()).fetchall()
            for schema in ("consumer", "consumer_masked")
        )

    assert masked == seen
    assert seen[0][:4] == (STORED // 100, STORED // 20 - 1, STORED // 20, STORED * 89 // 100)


def test_a_failure_that_does_not_know_its_delivery_asks_the_log(many: str) -> None:
    found = "SELECT state, source, event_type FROM consumer_masked.failures GROUP BY 1, 2, 3 ORDER BY 1"

    assert [tuple(row.values()) for row in rows(many, found)] == [
        ("dead", "stack", None),
        ("retrying", "stack", "user.updated"),
    ]


def test_a_masked_view_is_part_of_the_query_that_reads_it(viewer: psycopg.Connection[Any]) -> None:
    plan = ran(viewer, f"SELECT full_name, email, avatar_url FROM consumer_masked.profiles WHERE user_id = '{ADA}'")

    assert [(node["Node Type"], node["Index Name"]) for node in plan] == [("Index Scan", "profiles_pkey")]
    assert "consumer_masked." not in json.dumps(plan)


@pytest.mark.parametrize(("address", "found"), [("m77@example.com", 1), ("M77@Example.COM", 1), ("m7@example", 0)])
def test_a_user_is_found_by_the_whole_address_in_any_case_and_by_its_index(many: str, address: str, found: int) -> None:
    with psycopg.connect(many) as conn:
        users = conn.execute("SELECT consumer_masked.users_by_email(%s)", [address]).fetchall()
        [(scans,)] = conn.execute(
            "SELECT pg_stat_get_xact_numscans('identity.stack_user_profiles_email'::regclass)"
        ).fetchall()

    assert (len(users), scans) == (found, 1)


def test_an_address_too_long_for_the_index_is_stored_and_not_found(emptied: str) -> None:
    # Text that repeats itself would be compressed.
    address = f"ada@{''.join(uuid4().hex for _ in range(400))}.com"
    arrive(emptied, user_updated(ADA, primary_email=address))
    work(emptied)

    assert rows(emptied, "SELECT length(stack_primary_email) AS n FROM identity.stack_user_profiles") == [
        {"n": len(address)}
    ]
    assert rows(emptied, f"SELECT consumer_masked.users_by_email('{address}')") == []


@pytest.mark.parametrize(
    ("function", "value", "masked"),
    [
        ("email", "max@example.com", "m•••••@example.com"),
        ("email", '"a@b"@example.com', '"•••••@example.com'),
        ("email", "no address", "n•••••"),
        ("email", "", "•••••"),
        ("email", None, None),
        ("written", "as max@example.com asked", "as •••••@example.com asked"),
        ("written", '{"a": ["\\"max@example.com", 1]}', '{"a": ["\\"•••••@example.com", 1]}'),
        ("written", '{"a": "\\u0001max@example.com"}', '{"a": "•••••@example.com"}'),
        ("written", "no address", "no address"),
        ("written", None, None),
        ("name", "Max Long", "M••• L•••"),
        ("name", "  山田 太郎 ", "  山••• 太••• "),
        ("name", "max@example.com", "m•••"),
        ("name", "Unknown User", "Unknown User"),
        ("name", "Deleted user", "Deleted user"),
        ("name", None, None),
        ("hidden", "https://example.com/max.png", "•••"),
        ("hidden", None, None),
    ],
)
def test_a_mask_leaves_first_letters(database_url: str, function: str, value: str | None, masked: str | None) -> None:
    with psycopg.connect(database_url) as conn:
        [(found,)] = conn.execute(f"SELECT consumer_masked.{function}(%s)", [value]).fetchall()

    assert found == masked


@pytest.mark.parametrize(
    ("document", "masked"),
    [
        (
            {"display_name": "Max Long", "primary_email": "m@x.de"},
            {"display_name": "M••• L•••", "primary_email": "m•••••@x.de"},
        ),
        ({"client_metadata": {"a": [1, "b"]}}, {"client_metadata": "•••"}),
        ({"phone_number": 4917712345}, {"phone_number": "•••"}),
        ({"note": "call Max", "times": 3, "is_new": True}, {"note": "•••", "times": 3, "is_new": True}),
        ({"id": "max@example.com"}, {"id": "•••"}),
        ({"max@example.com": None}, {"•••": None}),
        (
            {"id": str(ADA), "type": "user.updated", "role_type": "admin"},
            {"id": str(ADA), "type": "user.updated", "role_type": "admin"},
        ),
        (["Max", {"name": ["Max Long"]}], ["•••", {"name": "•••"}]),
        ("Max", "•••"),
        ({}, {}),
        ([], []),
        (None, None),
    ],
)
def test_a_document_keeps_its_shape_and_no_person(database_url: str, document: object, masked: object) -> None:
    with psycopg.connect(database_url) as conn:
        [(found,)] = conn.execute("SELECT consumer_masked.document(%s::jsonb)", [json.dumps(document)]).fetchall()

    assert found == masked


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"no json", b'{"a": "\\u0000"}', b"[" * 90_000 + b"]" * 10, b'["' + b"x" * 100_000 + b'"]']
)
def test_a_body_that_cannot_be_read_is_shown_as_none(database_url: str, body: bytes) -> None:
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT consumer_masked.body(%b)", [body]).fetchall() == [(None,)]


def test_what_lies_deep_in_a_body_is_masked_whole(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        [(body,)] = conn.execute("SELECT consumer_masked.body(%b)::text", [b"[" * 400 + b"7" + b"]" * 400]).fetchall()

    assert body == "[" * 16 + '"•••"' + "]" * 16


def test_a_company_that_never_had_a_second_member_bears_no_name_of_a_person(emptied: str) -> None:
    alone, crowd = uuid4(), uuid4()
    arrive(
        emptied,
        team_event("created", alone, display_name="Max Long"),
        team_event("created", crowd, display_name="Max Long"),
    )
    arrive(emptied, *(membership("created", team, uuid4()) for team in (alone, crowd, crowd)))
    work(emptied)

    names = {row["id"]: row["name"] for row in rows(emptied, "SELECT id, name FROM consumer_masked.companies")}

    assert names == {alone: "M••• L•••", crowd: "Max Long"}


async def test_a_viewers_transaction_only_reads_and_does_not_wait(emptied: str) -> None:
    async with await connect(emptied, VIEWER) as conn:
        async with transaction(conn, VIEWER):
            cursor = await conn.execute(
                "SELECT current_user, current_setting('transaction_read_only'), current_setting('statement_timeout')"
            )
            seen = await cursor.fetchone()
        with pytest.raises(postgres.ReadOnlySqlTransaction):
            async with transaction(conn, VIEWER):
                await conn.execute("CREATE TABLE public.t (n integer)")

    assert seen == ("consumer_viewer", "on", "2s")


async def test_a_connection_that_a_viewer_used_writes_for_an_operator(emptied: str) -> None:
    operator = operator_access("consumer")
    async with await connect(emptied, VIEWER) as conn:
        async with transaction(conn, VIEWER):
            await conn.execute("SELECT count(*) FROM consumer_masked.deliveries")
        async with transaction(conn, operator):
            await conn.execute("UPDATE consumer.actions SET affected = 0")


async def test_a_viewers_session_stays_one(emptied: str) -> None:
    async with await connect(emptied, VIEWER) as conn:
        assert await enter(conn, VIEWER)
        with pytest.raises(postgres.ReadOnlySqlTransaction):
            await conn.execute("CREATE TEMPORARY TABLE t (n integer)")


async def test_an_operators_login_becomes_a_viewer_by_its_own_role(emptied: str) -> None:
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute("SET SESSION AUTHORIZATION consumer_operator; SET ROLE consumer_viewer")
        conn.execute("SELECT count(*) FROM consumer_masked.deliveries")
        with pytest.raises(postgres.InsufficientPrivilege):
            conn.execute("SELECT count(*) FROM consumer.deliveries")
