"""Each migration on a database that holds rows: what it keeps, what it derives, and what its rollback gives back."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from consumer.postgres.connections import connect, transaction, worker_access
from consumer.postgres.preflight import DUTIES
from consumer.worker import rehome
from tests.support.batches import every, one
from tests.support.databases import plain_owner, roll_back, rows, scratch_database
from tests.support.outbox import apply_next
from tests.support.releases import IDS, fill, migrate, stored, undo
from tests.support.schema import SCHEMA_FILE, dumped_schema
from tests.support.worker import drain_all, worker

ALL = len(IDS)
NUMBERS = range(1, ALL + 1)


def number(user_id: UUID | None) -> int | None:
    return user_id.int if user_id else None


@pytest.fixture
def old_url(lone_server_url: str) -> Iterator[str]:
    with scratch_database(lone_server_url, "old") as url:
        yield url


@pytest.fixture(params=["superuser", "plain owner"])
def migrator_url(old_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The conninfo of a superuser, then of an owner that row-level security is forced on."""
    if request.param == "superuser":
        yield old_url
        return
    with plain_owner(old_url, "old_owner") as owner_url:
        yield owner_url


def admin(url: str) -> str:
    return make_conninfo(url, user="postgres")


@pytest.mark.parametrize("count", NUMBERS, ids=IDS)
def test_a_migration_keeps_every_row_and_its_rollback_gives_schema_and_rows_back(old_url: str, count: int) -> None:
    migrate(old_url, count - 1)
    fill(old_url, count - 1)
    before, schema = stored(old_url), dumped_schema(old_url)

    assert migrate(old_url, count) == [IDS[count - 1]]
    assert stored(old_url, before) == before
    migrated = dumped_schema(old_url)
    if count > 1:
        undo(old_url, IDS[count - 1])

        assert dumped_schema(old_url) == schema
        assert stored(old_url) == before
        assert migrate(old_url, count) == [IDS[count - 1]]
        assert dumped_schema(old_url) == migrated


@pytest.mark.parametrize("count", NUMBERS, ids=IDS)
def test_from_each_release_with_rows_to_the_present_one(migrator_url: str, count: int) -> None:
    migrate(migrator_url, count)
    fill(admin(migrator_url), count)
    before = stored(admin(migrator_url))

    assert migrate(migrator_url) == IDS[count:]

    assert stored(admin(migrator_url), before) == before
    assert dumped_schema(admin(migrator_url)) == SCHEMA_FILE.read_text()
    assert migrate(migrator_url) == []
    states = every(admin(migrator_url), "consumer.deliveries", "message_id, state, outcome, attempts, error")
    assert states == [
        ("app_6", "done", "stale", 0, None),
        ("msg_1", "done", "applied", 0, None),
        ("msg_2", "pending", None, 0, None),
        ("msg_3", "retrying", None, 3, "UniqueViolation"),
        ("msg_4", "dead", None, 1, "$: not JSON"),
        ("msg_5", "done", "discarded", 0, "forged"),
        ("msg_7", "pending", None, 0, None),
    ]
    depth = one(admin(migrator_url), "consumer.queue_stats", "pending, retrying, dead, done")
    assert depth == (3 if count >= 3 else 2, 1, 1, 3)


@pytest.mark.parametrize("count", NUMBERS, ids=IDS)
async def test_what_waited_in_an_earlier_release_is_applied_by_the_present_one(old_url: str, count: int) -> None:
    migrate(old_url, count)
    fill(old_url, count)
    migrate(old_url)

    assert await drain_all(old_url, worker()) == 2

    pending = "SELECT full_name, search_name, role_type, department FROM identity.profiles WHERE user_id = %s"
    with psycopg.connect(old_url) as conn:
        found = conn.execute(pending, [UUID(int=21)]).fetchone()
        conn.execute("UPDATE consumer.failures SET next_attempt_at = now() WHERE state = 'retrying'")
    assert found == ("José Łuk", "jose luk", "captain", "Nowhere")
    assert await drain_all(old_url, worker()) == 1
    if count >= 2:
        # The deletion is older than the one that is known.
        third = one(old_url, "identity.profiles", "full_name, deleted_at", "user_id::text LIKE '%0003'")
        assert third[0] == "Deleted user"
    assert one(old_url, "identity.companies", "name", "id::text LIKE '%0016'") == ("Late",)


@pytest.mark.parametrize("count", range(2, 5))
def test_0003_and_0004_begin_with_nothing_derived(old_url: str, count: int) -> None:
    migrate(old_url, count - 1)
    fill(old_url, count - 1)
    migrate(old_url, count)

    if count == 3:
        assert {version for (version,) in every(old_url, "identity.companies", "version")} == {""}
        sources = every(old_url, "identity.stack_user_profiles", "source_company_id")
        assert sources == [(None,)] * 8
    new = {2: ["identity.profiles"], 3: ["consumer.memberships", "consumer.rehome"], 4: ["consumer.edits"]}[count]
    assert [every(old_url, table, "1") for table in new] == [[]] * len(new)


def without_inheritance(url: str) -> None:
    """Let the migrator pass no policy by a role that it is a member of."""
    login = conninfo_to_dict(url)["user"]
    with psycopg.connect(admin(url), autocommit=True) as conn:
        if login != "postgres" and conn.info.server_version >= 160_000:
            for duty in DUTIES:
                conn.execute(f"GRANT consumer_{duty} TO {login} WITH INHERIT FALSE")


GUESTS = {(11, 5), (11, 6), (13, 1), (13, 6), (13, 9)}


@pytest.mark.parametrize("before", [3, 4])
def test_0005_marks_guests_and_folds_names(migrator_url: str, before: int) -> None:
    migrate(migrator_url, before)
    fill(admin(migrator_url), before)

    url = admin(migrator_url)
    without_inheritance(migrator_url)

    migrate(migrator_url, 5)

    members = every(url, "identity.company_members", "company_id, user_id, is_guest")
    assert {(number(team), number(user)) for team, user, is_guest in members if is_guest} == GUESTS
    assert len(members) == 9
    names = "identity.company_members AS b INNER JOIN identity.profiles AS p USING (user_id)"
    copied = every(url, names, "user_id, b.search_name = p.search_name", "b.is_guest")
    assert [(number(user), is_copied) for user, is_copied in copied] == [(1, True), (5, True), (6, True), (6, True)]
    keys = {number(team): key for team, key in every(url, "identity.companies", "id, guest_key")}
    assert len(set(keys.values())) == 4
    visited: dict[int, list[UUID] | None] = {
        user: sorted(keys[team] for team, guest in GUESTS if guest == user) or None for user in (1, 2, 3, 4, 5, 6, 7, 9)
    }
    mirrored = every(url, "identity.stack_user_profiles", "stack_user_id, guest_keys")
    assert {number(user): found for user, found in mirrored} == visited
    profiles = every(url, "identity.profiles", "user_id, guest_keys, search_name")
    assert {number(user): found for user, found, _ in profiles} == {n: visited[n] for n in (1, 3, 4, 5, 6, 7)}
    assert [name for *_, name in profiles] == [
        "jose lukasz strasse",
        "deleted user",
        "e" * 256,
        "homeless",
        "two guest",
        "fine",
    ]
    forced = rows(url, "SELECT relname FROM pg_class WHERE relforcerowsecurity AND relkind = 'r' ORDER BY 1")
    assert [row["relname"] for row in forced] == [
        "companies",
        "company_members",
        "profile_audit",
        "profiles",
        "stack_user_profiles",
    ]


def test_0006_answers_for_deliveries_that_were_there_before(old_url: str) -> None:
    migrate(old_url, 5)
    fill(old_url, 5)
    migrate(old_url, 6)

    mine = "'00000000-0000-0000-0000-000000000001'"
    asked = f"ARRAY['app_6', 'msg_1', 'msg_2', 'none'], ARRAY[{mine}, {mine}, {mine}, {mine}]::uuid[]"
    answers = rows(old_url, f"SELECT state, is_repeat, profile FROM consumer.app_deliveries({asked})")
    # Nobody waits for it any more.
    assert answers == [{"state": "done", "is_repeat": True, "profile": None}]


def test_0007_prunes_an_audit_that_was_there_before(old_url: str) -> None:
    migrate(old_url, 6)
    fill(old_url, 6)
    migrate(old_url, 7)

    assert one(old_url, "consumer.settings", "audited_since") == (None,)
    with psycopg.connect(old_url) as conn:
        removed = conn.execute("SELECT removed FROM identity.prune_audit('2026-11-03 12:00', '10 days')").fetchone()
    assert removed == (2,)
    assert every(old_url, "identity.profile_audit", "message_id") == [("app_6",)]


async def test_a_company_that_was_half_rehomed_is_finished_by_the_present_release(old_url: str) -> None:
    migrate(old_url, 3)
    fill(old_url, 3)
    with psycopg.connect(old_url) as conn:
        conn.execute("UPDATE consumer.rehome SET due_at = now()")
        conn.execute("UPDATE identity.stack_user_profiles SET company_id = NULL WHERE stack_user_id::text LIKE '%0007'")
    migrate(old_url)

    async def page() -> Any:
        access = worker_access("consumer")
        async with await connect(old_url, access) as conn, transaction(conn, access):
            await apply_next(conn, 10)
            return await rehome.run_page(conn, lambda _: timedelta(0))

    assert await page() == (1, [], False)
    assert one(old_url, "identity.profiles", "company_id", "user_id::text LIKE '%0007'") == (UUID(int=10),)
    assert not every(old_url, "consumer.rehome", "id")


def test_another_prefix_reaches_every_role_of_a_migration_with_rows(old_url: str) -> None:
    migrate(old_url, 4, "renamed")
    fill(old_url, 4)
    migrate(old_url, role_prefix="renamed")

    schema = dumped_schema(old_url)
    # The rollback drops the roles, which outlive their database.
    roll_back(old_url, "renamed")
    assert schema.replace("renamed_", "consumer_") == SCHEMA_FILE.read_text()
    assert not [duty for duty in DUTIES if f"consumer_{duty}" in schema]
    assert not rows(old_url, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'renamed%'")
