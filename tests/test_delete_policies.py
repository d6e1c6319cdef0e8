"""What is left of a deleted user, by policy, and with an application that still refers to it."""

from uuid import UUID, uuid4

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from consumer.settings.settings import DeletePolicy
from tests.support.application import referred_to
from tests.support.databases import change, rows
from tests.support.effects import ACCESS, applied, audit, profile, under
from tests.support.factories import membership, user_deleted, user_updated
from tests.support.kept import kept as kept_session
from tests.support.outbox import rebuild_everything

PERSONAL = ("Mallory", "mallory@example.com", "https://example.com/mallory.png")


def person(user_id: UUID) -> Delivery:
    return user_updated(
        user_id,
        display_name=PERSONAL[0],
        primary_email=PERSONAL[1],
        profile_image_url=PERSONAL[2],
        server_metadata={"role": "admin"},
    )


def dumped(url: str) -> str:
    """Return all that the tables of users hold, as text."""
    tables = ("profiles", "stack_user_profiles", "profile_audit")
    return "".join(str(rows(url, f"SELECT * FROM identity.{table}")) for table in tables)


async def test_soft_keeps_the_row_and_marks_it(emptied: str) -> None:
    user_id = uuid4()

    await applied(await under(emptied, "soft"), person(user_id), user_deleted(user_id))

    kept = profile(emptied, user_id)
    assert (kept["full_name"], kept["deleted_at"] is None) == ("Mallory", False)
    assert [operation for operation, _ in audit(emptied)] == ["created", "deleted"]


@pytest.mark.parametrize("policy", ["anonymise", "hard"])
@pytest.mark.parametrize("is_deleted_first", [False, True])
async def test_no_personal_value_is_left_in_any_order(
    emptied: str, policy: DeletePolicy, is_deleted_first: bool
) -> None:
    user_id = uuid4()
    deliveries = [person(user_id), user_deleted(user_id)]

    await applied(
        await under(emptied, policy), *(reversed(deliveries) if is_deleted_first else deliveries), person(user_id)
    )

    assert not [value for value in PERSONAL if value in dumped(emptied)]


async def test_anonymise_keeps_a_row_without_the_person(emptied: str) -> None:
    user_id = uuid4()

    await applied(await under(emptied, "anonymise"), person(user_id), user_deleted(user_id))

    kept = profile(emptied, user_id)
    assert (kept["full_name"], kept["role_type"], kept["email"]) == ("Deleted user", "admin", None)


async def test_hard_leaves_no_profile_and_audits_that(emptied: str) -> None:
    user_id = uuid4()

    await applied(await under(emptied, "hard"), person(user_id), user_deleted(user_id))

    assert not rows(emptied, "SELECT user_id FROM identity.profiles")
    assert [operation for operation, _ in audit(emptied)] == ["created", "deleted"]
    [left] = rows(emptied, "SELECT * FROM identity.stack_user_profiles")
    kept = {name for name, value in left.items() if value not in (None, False)}
    assert kept <= {
        "stack_user_id",
        "has_profile",
        "is_forgotten",
        "is_removed",
        "deletion_at",
        "seen_at",
        "is_held",
        "version",
        "occurred_at",
        "message_id",
    } | {
        "last_synced_at",
        "sync_version",
        "deleted_at",
    }


@pytest.mark.parametrize(
    "constraint", ["", "DEFERRABLE INITIALLY DEFERRED", "ON DELETE RESTRICT", "ON DELETE SET NULL NOT NULL"]
)
async def test_hard_falls_back_to_anonymise_for_a_profile_that_the_application_holds(
    emptied: str, constraint: str
) -> None:
    held, free = uuid4(), uuid4()
    await applied(await under(emptied, "hard"), person(held), person(free))

    with referred_to(emptied, held, constraint):
        outcomes = await applied(emptied, user_deleted(held), user_deleted(free))

        kept = rows(emptied, "SELECT user_id, full_name, email FROM identity.profiles")
    assert outcomes == ["applied", "applied"]
    assert kept == [{"user_id": held, "full_name": "Deleted user", "email": None}]
    assert not [value for value in PERSONAL if value in dumped(emptied)]


async def test_hard_keeps_a_membership_that_the_application_holds(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    await applied(await under(emptied, "hard"), membership("created", team_id, user_id))

    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute(
            "CREATE TABLE public.seats (c uuid, u uuid, FOREIGN KEY (c, u) REFERENCES identity.company_members)"
        )
        conn.execute("INSERT INTO public.seats VALUES (%s, %s)", [team_id, user_id])
        outcomes = await applied(emptied, user_deleted(user_id))
        kept = rows(emptied, "SELECT user_id, removed_at IS NULL AS is_active FROM identity.company_members")
        conn.execute("DROP TABLE public.seats")

    assert outcomes == ["applied"]
    assert kept == [{"user_id": user_id, "is_active": False}]


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_held_profile_follows_its_user_whenever_the_deletion_comes(emptied: str, is_late: bool) -> None:
    user_id = uuid4()
    await applied(await under(emptied, "hard"), person(user_id))
    promoted = user_updated(user_id, server_metadata={"role": "owner"}, is_restricted=True)
    deleted = user_deleted(user_id)

    with referred_to(emptied, user_id, ""):
        await applied(emptied, *([deleted, promoted] if is_late else [promoted, deleted]))

        [kept] = rows(emptied, "SELECT full_name, role_type, is_restricted FROM identity.profiles")
    assert kept == {"full_name": "Deleted user", "role_type": "owner", "is_restricted": True}


async def test_the_worker_cannot_scrub_the_audit_of_a_living_user(emptied: str) -> None:
    user_id = uuid4()
    await applied(await under(emptied, "anonymise"), person(user_id))

    with psycopg.connect(emptied) as conn:
        conn.execute("SET LOCAL ROLE consumer_worker")
        conn.execute("SELECT identity.scrub_audit(ARRAY[%s::uuid])", [user_id])

    assert PERSONAL[1] in dumped(emptied)


@pytest.mark.parametrize("refusal", ["RAISE EXCEPTION 'no'", "RETURN NULL"])
async def test_hard_falls_back_to_anonymise_where_a_trigger_of_the_application_keeps_the_row(
    emptied: str, refusal: str
) -> None:
    user_id = uuid4()
    await applied(await under(emptied, "hard"), person(user_id))

    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute(f"""
            CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {refusal}; END $$;
            CREATE TRIGGER keep BEFORE DELETE ON identity.profiles FOR EACH ROW EXECUTE FUNCTION public.keep();
        """)
        outcomes = await applied(emptied, user_deleted(user_id))
        conn.execute("DROP FUNCTION public.keep CASCADE")

    assert outcomes == ["applied"]
    assert profile(emptied, user_id)["full_name"] == "Deleted user"
    assert not [value for value in PERSONAL if value in dumped(emptied)]


@pytest.mark.parametrize("policy", ["anonymise", "hard"])
async def test_who_was_forgotten_is_not_remembered_by_a_softer_policy(emptied: str, policy: DeletePolicy) -> None:
    user_id = uuid4()
    await applied(await under(emptied, policy), person(user_id), user_deleted(user_id))

    await applied(await under(emptied, "soft"), person(user_id))

    kept = [row["full_name"] for row in rows(emptied, "SELECT full_name FROM identity.profiles")]
    assert kept == (["Deleted user"] if policy == "anonymise" else [])
    assert not [value for value in PERSONAL if value in dumped(emptied)]


async def test_a_snapshot_of_a_forgotten_user_is_no_news(emptied: str) -> None:
    user_id = uuid4()
    await applied(await under(emptied, "anonymise"), person(user_id), user_deleted(user_id))
    before = rows(emptied, "SELECT sync_version FROM identity.stack_user_profiles")

    outcomes = await applied(emptied, person(user_id))

    assert outcomes == ["unchanged"]
    assert rows(emptied, "SELECT sync_version FROM identity.stack_user_profiles") == before


async def rebuilt(url: str) -> list[tuple[object, ...]]:
    """Make all rows anew; return the names in profiles, and the marks of the mirror."""
    async with kept_session(url, ACCESS) as conn:
        await rebuild_everything(conn)
    found = rows(
        url,
        "SELECT p.full_name, m.is_forgotten, m.is_held, m.is_removed FROM identity.stack_user_profiles AS m "
        "LEFT JOIN identity.profiles AS p ON p.user_id = m.stack_user_id",
    )
    return [tuple(row.values()) for row in found]


@pytest.mark.parametrize(
    ("policy", "made"),
    [("anonymise", ("Deleted user", True, False, False)), ("hard", (None, True, False, True))],
)
async def test_a_rebuild_under_a_softer_policy_brings_nothing_back(
    emptied: str, policy: DeletePolicy, made: tuple[object, ...]
) -> None:
    user_id, team_id = uuid4(), uuid4()
    told = [person(user_id), membership("created", team_id, user_id), user_deleted(user_id)]
    await applied(await under(emptied, policy), *told)
    before = rows(emptied, "SELECT user_id FROM identity.company_members")
    change(emptied, "DELETE FROM identity.company_members")
    change(emptied, f"INSERT INTO identity.company_members VALUES ('{team_id}', '{user_id}')")

    await under(emptied, "soft")

    assert await rebuilt(emptied) == [made]
    assert rows(emptied, "SELECT user_id FROM identity.company_members") == before


async def test_a_rebuild_keeps_a_profile_that_the_application_held_once(emptied: str) -> None:
    user_id = uuid4()
    await applied(await under(emptied, "hard"), person(user_id))
    with referred_to(emptied, user_id, ""):
        await applied(emptied, user_deleted(user_id))

    assert await rebuilt(emptied) == [("Deleted user", True, True, False)]


async def test_who_reconcile_was_wrong_about_has_a_name_again(emptied: str) -> None:
    user_id = uuid4()
    told, missed = person(user_id), user_deleted(user_id)._replace(source="reconcile")
    await applied(await under(emptied, "anonymise"), told, missed)
    forgotten = rows(emptied, "SELECT full_name FROM identity.profiles")

    await applied(emptied, person(user_id))
    queued = rows(emptied, "SELECT stage, id FROM consumer.rebuild")

    assert (forgotten, queued) == ([{"full_name": "Deleted user"}], [{"stage": 2, "id": user_id}])
    [(name, *marks)] = await rebuilt(emptied)
    assert (name, marks) == ("Mallory", [False, False, False])
