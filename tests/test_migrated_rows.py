"""What the migrations that work page by page make of rows, at the ends of pages and for each kind of row."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.databases import change, scratch_database
from tests.support.releases import migrate

# A page has a thousand rows.
ROWS = 2003


@pytest.fixture
def old_url(lone_server_url: str) -> Iterator[str]:
    with scratch_database(lone_server_url, "paged") as url:
        yield url


def every(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(statement.encode()).fetchall()


def number(user_id: UUID) -> int:
    """Return the number whose digits an id has."""
    return int(user_id.hex)


UUIDS = "lpad(n::text, 32, '0')::uuid"
# Those that a numbered row tells apart: what was deleted, what was forgotten, had a profile, and has it still.
DELETED, FORGOTTEN, HAD, HAS = ("n % 2 = 0", "n % 3 = 0", "n % 5 <> 0", "n % 7 = 0")


def test_0008_keeps_each_deletion_as_told_and_tells_who_was_removed(old_url: str) -> None:
    migrate(old_url, 7)
    change(
        old_url,
        "INSERT INTO identity.stack_user_profiles (stack_user_id, is_forgotten, has_profile, deleted_at) "
        f"SELECT {UUIDS}, {FORGOTTEN}, {HAD}, CASE WHEN {DELETED} THEN now() - n * interval '1 hour' END "
        f"FROM generate_series(1, {2 * ROWS}) AS n",
    )
    change(
        old_url,
        "INSERT INTO identity.profiles (user_id, full_name, role_type, department) "
        f"SELECT {UUIDS}, '', '', '' FROM generate_series(1, {2 * ROWS}) AS n WHERE {HAS}",
    )
    change(
        old_url,
        "INSERT INTO identity.companies (id, deleted_at) "
        f"SELECT {UUIDS}, CASE WHEN {DELETED} THEN now() - n * interval '1 hour' END "
        f"FROM generate_series(1, {2 * ROWS}) AS n",
    )

    migrate(old_url, 8)

    for table in ("stack_user_profiles", "companies"):
        wrong = f"SELECT count(*) FROM identity.{table} WHERE deletion_at IS DISTINCT FROM deleted_at"
        assert every(old_url, wrong) == [(0,)]
    facts = "bool_or(missing_at IS NOT NULL OR seen_at IS NOT NULL OR is_erased)"
    assert every(old_url, f"SELECT {facts} FROM identity.stack_user_profiles") == [(False,)]
    removed = every(old_url, "SELECT stack_user_id FROM identity.stack_user_profiles WHERE is_removed")
    assert {number(user_id) for (user_id,) in removed} == {
        n for n in range(1, 2 * ROWS + 1) if n % 2 == 0 and n % 3 == 0 and n % 5 and n % 7
    }


def test_0019_fills_in_what_a_failure_does_not_know(old_url: str) -> None:
    migrate(old_url, 18)
    change(
        old_url,
        "INSERT INTO consumer.outbox (source, message_id, event_type, occurred_at, body) "
        "SELECT CASE WHEN n % 2 = 0 THEN 'app' ELSE 'stack' END, n, CASE WHEN n % 3 = 0 THEN 't' || n END, now(), '' "
        f"FROM generate_series(1, {ROWS}) AS n",
    )
    change(
        old_url,
        "INSERT INTO consumer.failures (seq, state, attempts, error_code, error) "
        "SELECT seq, 'dead', 1, '', '' FROM consumer.outbox",
    )

    migrate(old_url, 19)

    wrong = (
        "SELECT count(*) FROM consumer.failures AS f JOIN consumer.outbox AS o USING (seq) "
        "WHERE (f.source, f.event_type) IS DISTINCT FROM (o.source, o.event_type)"
    )
    assert every(old_url, wrong) == [(0,)]


def test_0005_marks_guests_of_every_page_and_gives_each_company_its_key(old_url: str) -> None:
    """Of every four users one is at home in the first company, two have no home, and one was removed."""
    migrate(old_url, 4)
    users = f"FROM generate_series(1, {ROWS}) AS n"
    for statement in (
        "INSERT INTO consumer.settings "
        "(default_role, default_department, role_key, department_key, company_key, delete_policy) "
        "VALUES ('', '', '', '', '', 'soft')",
        f"INSERT INTO identity.companies (id) SELECT {UUIDS} FROM generate_series(1, {ROWS}) AS n",
        "INSERT INTO identity.stack_user_profiles (stack_user_id, company_id) "
        f"SELECT {UUIDS}, CASE WHEN n % 4 = 0 THEN lpad('1', 32, '0')::uuid END {users}",
        "INSERT INTO identity.company_members (company_id, user_id, removed_at) "
        f"SELECT lpad('1', 32, '0')::uuid, {UUIDS}, CASE WHEN n % 4 = 2 THEN now() END {users}",
        "INSERT INTO identity.company_members (company_id, user_id) "
        f"SELECT lpad('2', 32, '0')::uuid, {UUIDS} {users} WHERE n % 4 = 0",
        "INSERT INTO identity.profiles (user_id, full_name, role_type, department, deleted_at) "
        f"SELECT {UUIDS}, 'É' || n, '', '', CASE WHEN n % 12 = 1 THEN now() END {users} WHERE n % 4 <> 3",
    ):
        change(old_url, statement)

    migrate(old_url, 5)

    other_keys = (
        "SELECT count(*) FROM identity.companies AS c, consumer.settings "
        "WHERE c.guest_key <> consumer.guest_key(guest_salt, c.id)"
    )
    assert every(old_url, "SELECT count(DISTINCT guest_key) FROM identity.companies") == [(ROWS,)]
    assert every(old_url, other_keys) == [(0,)]
    read = "SELECT company_id, user_id, is_guest, search_name FROM identity.company_members"
    for company, user, is_guest, search_name in every(old_url, read):
        n = number(user)
        assert is_guest is (number(company) == 2 or n % 4 in (1, 3)), n
        has_name = is_guest and n % 4 != 3 and n % 12 != 1
        assert search_name == (f"e{n}" if has_name else None), n
    assert every(
        old_url, "SELECT count(*) FROM identity.profiles WHERE search_name <> 'e' || substr(full_name, 2)"
    ) == [(0,)]
    marked = (
        "SELECT {}, guest_keys = ARRAY[(SELECT guest_key FROM identity.companies WHERE id = lpad({}, 32, '0')::uuid)]"
    )
    for table, key in (("stack_user_profiles", "stack_user_id"), ("profiles", "user_id")):
        company = f"CASE WHEN right({key}::text, 12)::bigint % 4 = 0 THEN '2' ELSE '1' END"
        found = every(old_url, f"{marked.format(key, company)} FROM identity.{table}")
        for user, is_marked in found:
            n = number(user)
            assert is_marked is (None if n % 4 == 2 else True), n
