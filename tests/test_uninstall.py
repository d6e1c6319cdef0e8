"""`consumer uninstall --keep-profiles` removes the product, and leaves the users' data to the application."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors as postgres
from psycopg.conninfo import make_conninfo

from consumer.cli import uninstall
from consumer.postgres.connections import Access, connect, receiver_access, worker_access
from consumer.postgres.preflight import DUTIES
from tests.support.cli import call, facts
from tests.support.databases import change, plain_owner, rows, scratch_database
from tests.support.names import own
from tests.support.processes import ROOT

PREFIX = own("leaving")
PREFIXED = {"ROLE_PREFIX": PREFIX}
LEAVE = ("uninstall", "--keep-profiles", "--yes")
TABLES = ("companies", "company_members", "profile_audit", "profiles", "stack_user_profiles")
OURS = "SELECT rolname::text AS role FROM pg_roles WHERE rolname LIKE '{}\\_%' ORDER BY 1"
OBJECTS = """
SELECT n.nspname || '.' || c.relname AS object FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('consumer', 'consumer_masked', 'identity') AND c.relkind IN ('r', 'v', 'S')
UNION ALL
SELECT n.nspname || '.' || p.proname || '()' FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname IN ('consumer', 'consumer_masked', 'identity')
UNION ALL
SELECT 'policy ' || polname FROM pg_policy
UNION ALL
SELECT 'secured ' || relname FROM pg_class WHERE relrowsecurity OR relforcerowsecurity
ORDER BY 1
"""
LEFT = [
    "identity.companies",
    "identity.company_members",
    "identity.current_company_id()",
    "identity.current_user_id()",
    "identity.profile_audit",
    "identity.profile_audit_id_seq",
    "identity.profiles",
    "identity.stack_integration_stats",
    "identity.stack_user_profiles",
]
APPLICATION = """
CREATE TABLE public.orders (id bigint PRIMARY KEY, user_id uuid NOT NULL REFERENCES identity.profiles (user_id));
CREATE VIEW public.people AS SELECT p.user_id, p.full_name, c.name FROM identity.profiles AS p
LEFT JOIN identity.companies AS c ON c.id = p.company_id;
INSERT INTO public.orders SELECT row_number() OVER (), user_id FROM identity.profiles
"""
DROP_ROLES = "; ".join(f"DROP ROLE IF EXISTS {PREFIX}_{duty}" for duty in DUTIES)


COMPANY = uuid4()
ROWS = f"""
INSERT INTO identity.companies (id, name) VALUES ('{COMPANY}', 'Acme');
INSERT INTO identity.profiles (user_id, company_id, full_name, role_type, department)
VALUES (gen_random_uuid(), '{COMPANY}', 'Ann', 'member', 'General'),
    (gen_random_uuid(), NULL, 'Zoe', 'member', 'General');
INSERT INTO identity.profile_audit (user_id, operation, source, message_id, seq)
SELECT user_id, 'created', 'stack', user_id, 1 FROM identity.profiles
"""


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    """A superuser's conninfo of a database whose roles are its own and whose owner is no superuser."""
    with scratch_database(server_url, "leaving") as made, plain_owner(made, "leaver") as owner:
        facts(owner, "migrate", **PREFIXED)
        change(made, ROWS)
        try:
            yield made
        finally:
            change(made, "DROP SCHEMA IF EXISTS consumer, consumer_masked, identity, public CASCADE")
            change(made, f"DROP OWNED BY {own('leaver')}; {DROP_ROLES}")


@pytest.fixture
def owner(url: str) -> str:
    return make_conninfo(url, user=own("leaver"), password="x")


def held(url: str) -> dict[str, list[dict[str, object]]]:
    return {table: rows(url, f"SELECT * FROM identity.{table} ORDER BY 1, 2") for table in TABLES}


def objects(url: str) -> list[str]:
    return [row["object"] for row in rows(url, OBJECTS)]


def roles(url: str) -> list[str]:
    return [row["role"].removeprefix(f"{PREFIX}_") for row in rows(url, OURS.format(PREFIX))]


def test_it_leaves_the_tables_with_every_row_and_nothing_of_the_machinery(url: str, owner: str) -> None:
    before = held(url)

    result = call(owner, *LEAVE, **PREFIXED)

    assert result.exit_code == 0, result.output
    assert held(url) == before
    assert len(before["profiles"]) == 2
    assert objects(url) == LEFT
    assert roles(url) == []


def test_keys_and_views_of_the_application_go_on(url: str, owner: str) -> None:
    change(url, APPLICATION)
    people = rows(url, "SELECT * FROM public.people ORDER BY full_name")

    facts(owner, *LEAVE, **PREFIXED)

    assert rows(url, "SELECT * FROM public.people ORDER BY full_name") == people
    assert len(people) == 2
    with pytest.raises(postgres.ForeignKeyViolation):
        change(url, "INSERT INTO public.orders VALUES (99, gen_random_uuid())")
    with pytest.raises(postgres.ForeignKeyViolation):
        change(url, "DELETE FROM identity.profiles")


def test_a_role_with_a_member_stays_and_reads_all_companies(url: str, owner: str) -> None:
    shop = own("shop")
    change(url, f"CREATE ROLE {shop} LOGIN PASSWORD 'x' IN ROLE {PREFIX}_tenant, {PREFIX}_worker")
    try:
        asked = call(owner, "uninstall", "--keep-profiles", "--dry-run", **PREFIXED)
        document = facts(owner, *LEAVE, **PREFIXED)
        with psycopg.connect(make_conninfo(url, user=shop, password="x")) as conn:
            conn.execute(f"SET ROLE {PREFIX}_tenant")
            seen = conn.execute("SELECT full_name FROM identity.profiles ORDER BY 1").fetchall()
            with pytest.raises(postgres.InsufficientPrivilege):
                conn.execute("SELECT stack_metadata FROM identity.stack_user_profiles")
    finally:
        change(url, f"DROP ROLE {shop}")

    assert "every role with SELECT on the tables of identity sees the rows of all companies" in asked.output
    assert f"-- {PREFIX}_tenant stays, for {shop}: " in asked.output
    assert document["kept_roles"] == {f"{PREFIX}_tenant": [shop]}
    assert seen == [("Ann",), ("Zoe",)]
    assert roles(url) == ["tenant"]


def test_a_role_with_rights_on_other_tables_stays_and_is_named(url: str, owner: str) -> None:
    change(url, f"CREATE TABLE public.users (id uuid); GRANT SELECT ON public.users TO {PREFIX}_worker")

    result = call(owner, *LEAVE, **PREFIXED)

    assert result.exit_code == 0, result.output
    assert f"left: DROP ROLE {PREFIX}_worker;" in result.stdout
    assert "privileges for table users" in result.stdout
    assert "`consumer adopt undo`" in result.stdout
    assert roles(url) == ["worker"]
    assert objects(url) == LEFT


def test_a_login_that_may_drop_no_role_names_those_that_are_left(url: str, owner: str) -> None:
    change(url, f"ALTER ROLE {own('leaver')} NOCREATEROLE")

    document = facts(owner, *LEAVE, **PREFIXED)

    assert list(document["refused"]) == [f"DROP ROLE {PREFIX}_{duty};" for duty in DUTIES]
    assert objects(url) == LEFT


def test_the_runbook_leads_out_of_an_installation_with_adopted_tables(url: str, owner: str) -> None:
    _, _, leaving = (ROOT / "docs" / "OPERATIONS.md").read_text().partition("\n## Leaving\n")
    commands = [line.split()[1:] for line in leaving.partition("```sh\n")[2].partition("```")[0].splitlines()]
    change(url, "CREATE TABLE public.profiles (id uuid PRIMARY KEY, email text, full_name text NOT NULL)")
    facts(url, "adopt", "grant", "--table", "public.profiles", **PREFIXED)

    results = [call(url, *each, *(["--yes"] if tuple(each) == LEAVE[:2] else []), **PREFIXED) for each in commands]

    assert [each[0] for each in commands] == ["adopt", "uninstall", "uninstall"]
    assert [result.exit_code for result in results] == [0, 0, 0], [result.output for result in results]
    assert (objects(url), roles(url)) == (LEFT, [])
    assert len(rows(url, "SELECT FROM public.profiles")) == 0


def test_a_dry_run_prints_what_a_run_executes_and_changes_nothing(url: str, owner: str) -> None:
    before = objects(url), roles(url)

    printed = call(owner, "uninstall", "--keep-profiles", "--dry-run", **PREFIXED)
    after = objects(url), roles(url)
    statements = [line for line in printed.stdout.splitlines() if not line.startswith("--")]
    with psycopg.connect(owner) as conn:
        for statement in statements:
            conn.execute(statement.encode())

    assert (printed.exit_code, after) == (0, before)
    assert "CASCADE" not in printed.stdout
    assert objects(url) == LEFT
    assert roles(url) == []


@pytest.mark.parametrize("access", [receiver_access, worker_access], ids=["receiver", "worker"])
async def test_a_process_that_is_connected_is_a_reason_to_refuse_unless_forced(
    url: str, owner: str, access: Callable[[str], Access]
) -> None:
    before = objects(url)

    async with await connect(url, access(PREFIX)):
        refused = await asyncio.to_thread(call, owner, *LEAVE, **PREFIXED)
        shown = await asyncio.to_thread(call, owner, "uninstall", "--keep-profiles", "--dry-run", **PREFIXED)
        left = objects(url)
        forced = await asyncio.to_thread(call, owner, *LEAVE, "--force", **PREFIXED)

    assert (refused.exit_code, left) == (1, before)
    assert f"still connected (1 {access(PREFIX).name}), and nothing was changed" in refused.stderr
    assert refused.stdout == ""
    assert (shown.exit_code, "DROP SCHEMA" in shown.stdout) == (0, True)
    assert (forced.exit_code, objects(url)) == (0, LEFT), forced.output


def test_what_depends_on_the_machinery_is_named_and_stops_all_of_it(url: str, owner: str) -> None:
    change(url, "CREATE VIEW public.waiting AS SELECT seq FROM consumer.pending")
    before = objects(url), roles(url)

    result = call(owner, *LEAVE, **PREFIXED)

    assert (result.exit_code, (objects(url), roles(url))) == (1, before)
    assert "Nothing was changed: DROP TABLE " in result.stderr
    assert "view waiting depends on table consumer.pending" in result.stderr


@pytest.mark.parametrize(("typed", "exit_code", "is_left"), [("y\n", 0, True), ("n\n", 1, False)])
def test_it_asks_and_says_who_sees_what(
    url: str, owner: str, monkeypatch: pytest.MonkeyPatch, typed: str, exit_code: int, *, is_left: bool
) -> None:
    monkeypatch.setattr(uninstall, "is_terminal", lambda: True)

    result = call(owner, "uninstall", "--keep-profiles", typed=typed, **PREFIXED)

    assert result.exit_code == exit_code
    assert f"{uninstall.OPEN} Remove the product now?" in result.stderr
    assert result.stdout.index("DROP SCHEMA consumer, consumer_masked;") > 0
    assert (objects(url) == LEFT) == is_left


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--keep-profiles"], "--yes confirms, --dry-run only prints"),
        (["--yes"], "run DROP SCHEMA consumer, consumer_masked, identity CASCADE, and then DROP ROLE"),
    ],
    ids=["nobody to ask", "everything"],
)
def test_without_a_word_on_what_to_do_it_refuses(url: str, owner: str, arguments: list[str], sentence: str) -> None:
    before = objects(url)

    result = call(owner, "uninstall", *arguments, **PREFIXED)

    assert (result.exit_code, objects(url)) == (2, before)
    assert sentence in result.stderr


def test_migrate_and_uninstall_after_it_say_what_is_there(url: str, owner: str) -> None:
    facts(owner, *LEAVE, **PREFIXED)
    before = held(url)

    migrated, checked, again = (call(owner, *each, **PREFIXED) for each in (["migrate"], ["migrate", "--check"], LEAVE))

    assert (migrated.exit_code, checked.exit_code, again.exit_code) == (1, 1, 1)
    assert "The schema identity holds what an installation left behind (" in migrated.stderr
    assert "ALTER SCHEMA identity RENAME TO" in migrated.stderr
    assert "CASCADE" not in migrated.stderr
    assert "run `consumer migrate`" in again.stderr
    assert (held(url), objects(url)) == (before, LEFT)


def test_a_database_of_another_release_is_left_alone(url: str, owner: str) -> None:
    change(url, "DELETE FROM consumer._yoyo_migration WHERE migration_id LIKE '0011.%'")
    before = objects(url)

    result = call(owner, *LEAVE, **PREFIXED)

    assert (result.exit_code, objects(url)) == (1, before)
    assert "another release's" in result.stderr


def test_the_embedded_database_is_not_left_where_nobody_can_read_it(tmp_path: Path) -> None:
    result = call(None, "uninstall", "--keep-profiles", "--yes", CONSUMER_DATA_DIR=str(tmp_path))

    assert result.exit_code == 2
    assert "Move the database to a server of yours first" in " ".join(result.stderr.split())
