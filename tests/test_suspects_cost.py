"""What suspects, and the view that asks about them, cost with many users."""

from typing import Any
from uuid import UUID

from consumer.postgres.queries import query
from tests.support.plans import nodes
from tests.support.rolled_back import Conn

USERS = 20_000
RUN = UUID(int=1)
USER_IDS = f"SELECT md5(i::text)::uuid AS id FROM generate_series(1, {USERS}) AS i"
# Users whom nothing but yesterday's scan has confirmed lately.
KNOWN = f"""
INSERT INTO identity.stack_user_profiles (stack_user_id, signed_up_at, version, occurred_at, message_id, has_profile)
SELECT u.id, now() - interval '90 days', '2', now() - interval '60 days', 'm', TRUE FROM ({USER_IDS}) AS u;
INSERT INTO identity.profiles (user_id, full_name, role_type, department, created_at)
SELECT u.id, 'Ada', 'user', 'General', now() - interval '90 days' FROM ({USER_IDS}) AS u;
INSERT INTO consumer.runs (id, kind, project_id, stage, calls, begun_at, finished_at)
SELECT gen_random_uuid(), 'reconcile', 'p', 'members', 1, d.at, d.at
FROM generate_series(now() - interval '300 days', now() - interval '2 hours', interval '1 day') AS d (at);
INSERT INTO consumer.suspects (run_id, kind, user_id)
SELECT r.id, 'undeleted_user', u.id FROM ({USER_IDS} LIMIT 20) AS u, consumer.runs AS r;
ANALYZE identity.stack_user_profiles, identity.profiles, consumer.runs, consumer.suspects;
"""
BEGUN = f"""
INSERT INTO consumer.suspects (run_id, kind, user_id)
SELECT '{RUN}', 'undeleted_user', u.id FROM ({USER_IDS}) AS u
"""
PAGE = f"{USER_IDS} LIMIT 1000"


def explained(conn: Conn, statement: bytes, values: dict[str, object]) -> dict[str, Any]:
    [(found,)] = conn.execute(b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, values).fetchall()
    return dict(found[0]["Plan"])


def buffers(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def ids(conn: Conn) -> list[UUID]:
    return [user_id for (user_id,) in conn.execute(PAGE.encode()).fetchall()]


def test_the_view_asks_about_all_users_at_once(conn: Conn) -> None:
    conn.execute(KNOWN.encode())

    plan = explained(conn, b"SELECT * FROM identity.profiles_needing_sync", {})

    assert plan["Actual Rows"] == 20
    assert buffers(plan) < USERS / 4


def test_a_page_clears_its_users_by_the_index(conn: Conn) -> None:
    conn.execute(BEGUN.encode())
    values = {"run_id": RUN, "user_ids": ids(conn), "team_ids": ids(conn)}

    plan = explained(conn, query("suspects/clear_listed"), values)

    assert conn.execute("SELECT count(*) FROM consumer.suspects").fetchall() == [(USERS - 1_000,)]
    assert max(node.get("Rows Removed by Filter", 0) for node in nodes(plan)) == 0


def test_a_page_of_deletions_is_not_compared_with_each_suspect(conn: Conn) -> None:
    conn.execute(BEGUN.encode())
    page: list[UUID | None] = [*ids(conn)]
    nothing: list[None] = [None] * len(page)
    values = {"kinds": ["undeleted_user"] * len(page), "team_ids": nothing, "user_ids": page, "permission_ids": nothing}

    plan = explained(conn, query("suspects/drop"), {**values, "run_id": RUN})

    assert conn.execute("SELECT count(*) FROM consumer.suspects").fetchall() == [(USERS - 1_000,)]
    assert max(node.get("Rows Removed by Join Filter", 0) for node in nodes(plan)) == 0
