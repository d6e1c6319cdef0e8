"""What a tenant sees of companies, members, profiles, mirror and audit: its own, and nothing without a context."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.databases import rows
from tests.support.effects import applied
from tests.support.factories import delivery, membership, team_event, user_deleted, user_updated
from tests.support.tenants import Context, join, reader, seen

# The key of every table of identity.
KEYS = {
    "companies": "id",
    "company_members": "user_id",
    "profiles": "user_id",
    "stack_user_profiles": "stack_user_id",
    "profile_audit": "user_id",
}
STRANGER = UUID("5d1f6c9e-0b44-4a0c-8d0e-2f6a3c1b7e90")
PEOPLE = "SELECT user_id FROM identity.profiles ORDER BY full_name, user_id"


@dataclass(frozen=True, slots=True)
class World:
    """Two companies: *ada* and *ben* are at home in one, *eve* in the other; *ben* is a guest of the other."""

    url: str
    ours: UUID
    theirs: UUID
    ada: UUID
    ben: UUID
    eve: UUID


@pytest.fixture
async def world(emptied: str) -> World:
    found = World(emptied, *(uuid4() for _ in range(5)))
    await join(emptied, found.ours, found.ada, found.ben)
    await join(emptied, found.theirs, found.eve)
    await applied(emptied, membership("created", found.theirs, found.ben))
    return found


@pytest.mark.parametrize(("table", "key"), KEYS.items())
def test_without_a_context_nothing_is_seen(world: World, table: str, key: str) -> None:
    statement = f"SELECT {key} FROM identity.{table}"

    assert seen(world.url, statement) == []
    assert seen(world.url, statement, "app")


@pytest.mark.parametrize(
    "value", ["", " ", "none", "'; --", "1" * 32, "0" * 36, f"{STRANGER}\n", f"{{{STRANGER}}}", "🦊"]
)
@pytest.mark.parametrize(("table", "key"), KEYS.items())
def test_a_context_that_is_no_id_shows_nothing_and_is_no_error(world: World, table: str, key: str, value: str) -> None:
    assert seen(world.url, f"SELECT {key} FROM identity.{table}", company=value, user=value) == []


def test_a_company_that_nobody_knows_shows_nothing(world: World) -> None:
    assert all(
        seen(world.url, f"SELECT {key} FROM identity.{table}", company=uuid4(), user=uuid4()) == []
        for table, key in KEYS.items()
    )


def test_a_company_sees_its_row_its_members_and_who_is_at_home_or_a_guest(world: World) -> None:
    context: Context = {"company": world.theirs}

    assert seen(world.url, "SELECT id FROM identity.companies", **context) == [world.theirs]
    assert set(seen(world.url, PEOPLE, **context)) == {world.ben, world.eve}
    assert set(seen(world.url, "SELECT stack_user_id FROM identity.stack_user_profiles", **context)) == {
        world.ben,
        world.eve,
    }
    with reader(world.url, **context) as conn:
        members = conn.execute("SELECT company_id, user_id FROM identity.company_members").fetchall()
    assert set(members) == {(world.theirs, world.ben), (world.theirs, world.eve)}


def test_a_context_in_capitals_is_the_same(world: World) -> None:
    assert set(seen(world.url, PEOPLE, company=str(world.ours).upper())) == {world.ada, world.ben}


async def test_whom_metadata_put_there_is_seen_without_a_membership(world: World) -> None:
    placed = uuid4()
    await applied(world.url, user_updated(placed, server_metadata={"company_id": str(world.theirs)}))

    assert placed in seen(world.url, PEOPLE, company=world.theirs)
    assert placed not in seen(world.url, PEOPLE, company=world.ours)


def test_a_person_sees_oneself_ones_memberships_and_their_companies(world: World) -> None:
    context: Context = {"user": world.ben}

    assert seen(world.url, PEOPLE, **context) == [world.ben]
    assert set(seen(world.url, "SELECT id FROM identity.companies", **context)) == {world.ours, world.theirs}
    assert set(seen(world.url, "SELECT company_id FROM identity.company_members", **context)) == {
        world.ours,
        world.theirs,
    }
    assert seen(world.url, "SELECT stack_user_id FROM identity.stack_user_profiles", **context) == [world.ben]
    assert seen(world.url, "SELECT id FROM identity.profile_audit", **context) == []


def test_both_contexts_show_what_each_does(world: World) -> None:
    assert set(seen(world.url, PEOPLE, company=world.theirs, user=world.ada)) == {world.ada, world.ben, world.eve}


async def test_a_removal_ends_what_is_seen_and_a_late_snapshot_does_not_restore_it(world: World) -> None:
    await applied(world.url, membership("deleted", world.theirs, world.ben), user_updated(world.ben))

    assert seen(world.url, PEOPLE, company=world.theirs) == [world.eve]
    assert seen(world.url, "SELECT user_id FROM identity.company_members", company=world.theirs) == [world.eve]
    assert seen(world.url, "SELECT id FROM identity.companies", user=world.ben) == [world.ours]


async def test_who_is_at_home_elsewhere_in_the_end_stays_seen_as_a_guest(world: World) -> None:
    await applied(world.url, user_updated(world.ada, server_metadata={"company_id": str(world.theirs)}))

    assert world.ada in seen(world.url, PEOPLE, company=world.ours)
    assert world.ada in seen(world.url, PEOPLE, company=world.theirs)


async def test_a_deleted_user_is_seen_by_nobody(world: World) -> None:
    await applied(world.url, user_deleted(world.ben))

    contexts: list[Context] = [{"company": world.ours}, {"company": world.theirs}, {"user": world.ben}]
    for context in contexts:
        for table, key in KEYS.items():
            assert world.ben not in seen(world.url, f"SELECT {key} FROM identity.{table}", **context)


async def test_a_deleted_company_sees_nothing_at_once_and_before_its_users_have_another_home(world: World) -> None:
    await applied(world.url, team_event("deleted", world.ours))

    assert rows(world.url, "SELECT user_id FROM identity.profiles WHERE company_id IS NOT NULL AND full_name = 'Ada'")
    for table, key in KEYS.items():
        assert seen(world.url, f"SELECT {key} FROM identity.{table}", company=world.ours) == []
    assert seen(world.url, "SELECT id FROM identity.companies", user=world.ada) == []
    assert seen(world.url, "SELECT id FROM identity.profile_audit", company=world.ours, user=world.ada) == []


async def test_an_anonymous_user_is_a_member_and_no_person(world: World) -> None:
    anonymous = uuid4()
    await applied(world.url, user_updated(anonymous, is_anonymous=True), membership("created", world.ours, anonymous))

    assert anonymous in seen(world.url, "SELECT user_id FROM identity.company_members", company=world.ours)
    assert anonymous not in seen(world.url, PEOPLE, company=world.ours)
    assert anonymous not in seen(
        world.url, "SELECT stack_user_id FROM identity.stack_user_profiles", company=world.ours
    )


async def test_the_audit_shows_a_company_its_own_rows_of_whom_it_sees(world: World) -> None:
    await applied(world.url, delivery("user.signed_in", world.ben), membership("deleted", world.ours, world.ada))

    ours = seen(world.url, "SELECT user_id FROM identity.profile_audit", company=world.ours)
    theirs = seen(world.url, "SELECT user_id FROM identity.profile_audit", company=world.theirs)

    assert set(ours) == {world.ben}
    assert set(theirs) == {world.eve}


@pytest.mark.parametrize("role", ["tenant", "app"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE identity.profiles SET full_name = 'x'",
        "UPDATE identity.profiles SET company_id = '{ours}' WHERE user_id = '{eve}'",
        "DELETE FROM identity.profiles",
        "INSERT INTO identity.profiles (user_id, full_name, role_type, department) VALUES ('{ada}', 'x', 'x', 'x')",
        "UPDATE identity.companies SET settings = '{{}}'",
        "INSERT INTO identity.companies (id) VALUES ('{ada}')",
        "UPDATE identity.company_members SET permissions = '{{admin}}'",
        "INSERT INTO identity.company_members (company_id, user_id) VALUES ('{ours}', '{eve}')",
        "DELETE FROM identity.company_members",
        "UPDATE identity.stack_user_profiles SET stack_primary_email = 'x'",
        "DELETE FROM identity.profile_audit",
        "TRUNCATE identity.profiles",
        "SELECT user_id FROM identity.profiles FOR UPDATE",
        "SELECT identity.scrub_audit('{{{ada}}}')",
        "ALTER TABLE identity.profiles DISABLE ROW LEVEL SECURITY",
    ],
)
def test_nothing_can_be_written_neither_ones_own_nor_anothers(world: World, role: str, statement: str) -> None:
    names = {"ours": world.ours, "ada": world.ada, "eve": world.eve}

    with (
        reader(world.url, role, company=world.ours, user=world.ada) as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute(statement.format(**names).encode())


def test_a_tenant_cannot_switch_the_policies_off(world: World) -> None:
    with reader(world.url, company=world.ours) as conn:
        conn.execute("SET LOCAL row_security = off")

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(PEOPLE)


def test_one_company_reads_nothing_of_another_by_any_key(world: World) -> None:
    with reader(world.url, company=world.ours) as conn:
        found = [
            conn.execute(f"SELECT count(*) FROM identity.{table} WHERE {key} = %s", [wanted]).fetchone()
            for table, key in KEYS.items()
            for wanted in (world.theirs, world.eve)
        ]

    assert set(found) == {(0,)}


def test_a_function_of_the_tenants_own_learns_nothing_of_rows_it_may_not_see(world: World) -> None:
    """What could tell on a row is asked only of rows that the policies let through."""
    with psycopg.connect(world.url) as conn:
        conn.execute("CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ "
                     "BEGIN RAISE NOTICE '%', $1; RETURN TRUE; END $$")  # fmt: skip
        heard: list[str] = []
        conn.add_notice_handler(lambda notice: heard.append(str(notice.message_primary)))
        conn.execute("SET LOCAL ROLE consumer_tenant")
        conn.execute("SELECT set_config('app.company_id', %s, TRUE)", [str(world.theirs)])

        conn.execute("SELECT user_id FROM identity.profiles WHERE pg_temp.tell(user_id::text)")
        conn.rollback()

    assert set(heard) == {str(world.ben), str(world.eve)}
