"""What each delivery does to mirror, profile and audit, case by case; the laws cover the orders."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from consumer.events.check import check
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, worker_access
from consumer.providers.stack.message_ids import occurred_at
from consumer.settings.settings import ShapingSettings
from tests.support.databases import record, rows
from tests.support.effects import applied, audit, profile
from tests.support.factories import delivery, snapshot, user_deleted, user_updated
from tests.support.outbox import apply_next, put

DATA = Path(__file__).parent / "data"
ACCESS = worker_access("consumer")


@pytest.mark.parametrize(
    ("display_name", "full_name"),
    [
        ("  Ada \u3000", "Ada"),
        ("\u2028\x1f", "Unknown User"),
        ("", "Unknown User"),
        (None, "Unknown User"),
        ("\u202eada 🦊", "\u202eada 🦊"),
        ("x" * 256, "x" * 256),
        ("\u200b", "\u200b"),
    ],
)
async def test_a_name_is_trimmed_and_never_made_of_an_address(
    emptied: str, display_name: str | None, full_name: str
) -> None:
    user_id = uuid4()

    await applied(emptied, user_updated(user_id, display_name=display_name))

    assert profile(emptied, user_id)["full_name"] == full_name


def test_trimmed_strips_what_python_strips(emptied: str) -> None:
    points = [chr(n) for n in range(1, 0x110000) if not 0xD800 <= n <= 0xDFFF]

    with psycopg.connect(emptied) as conn:
        found = conn.execute(
            "SELECT array_agg(c) FROM unnest(%s::text[]) AS c WHERE consumer.trimmed(c) = ''", [points]
        ).fetchone()

    assert found == ([point for point in points if not point.strip()],)


@pytest.mark.parametrize(
    ("metadata", "role", "department"),
    [
        ({"role": "admin", "department": " Sales "}, "admin", " Sales "),
        ({"role": "  ", "department": 7}, "member", "General"),
        ([{"role": "admin"}], "member", "General"),
        ("admin", "member", "General"),
        (None, "member", "General"),
    ],
)
async def test_role_and_department_come_from_server_metadata_alone(
    emptied: str, metadata: object, role: str, department: str
) -> None:
    user_id = uuid4()

    await applied(emptied, user_updated(user_id, server_metadata=metadata, client_metadata={"role": "owner"}))

    assert profile(emptied, user_id, "role_type, department") == {"role_type": role, "department": department}


async def test_null_clears_e_mail_and_avatar(emptied: str) -> None:
    user_id = uuid4()
    await applied(emptied, user_updated(user_id, profile_image_url="https://example.com/a.png"))

    await applied(emptied, user_updated(user_id, primary_email=None, profile_image_url=None))

    assert profile(emptied, user_id, "email, avatar_url") == {"email": None, "avatar_url": None}
    assert audit(emptied)[1] == ("updated", ["avatar_url", "email"])


@pytest.mark.parametrize(("event_type", "source"), [("user.updated", "stack"), ("user.signed_in", "app")])
@pytest.mark.parametrize("blank", ["", " ", "\u3000\t"])
async def test_a_blank_e_mail_is_none(emptied: str, blank: str, event_type: str, source: str) -> None:
    user_id = uuid4()

    await applied(emptied, delivery(event_type, user_id, source, **snapshot(primary_email=blank)))
    await applied(emptied, delivery(event_type, user_id, source, **snapshot(primary_email=None)))

    [mirrored] = rows(emptied, "SELECT stack_primary_email FROM identity.stack_user_profiles")
    assert (mirrored["stack_primary_email"], profile(emptied, user_id)["email"]) == (None, None)
    assert "updated" not in {operation for operation, _ in audit(emptied)}


async def test_equal_content_moves_the_version_and_nothing_else(emptied: str) -> None:
    user_id = uuid4()
    first, repeat, older = user_updated(user_id), user_updated(user_id), user_updated(user_id, display_name="Older")
    outcomes = await applied(emptied, first)
    before = rows(emptied, "SELECT xmin::text, * FROM identity.profiles")
    synced = rows(emptied, "SELECT sync_version, last_synced_at FROM identity.stack_user_profiles")

    outcomes += await applied(emptied, repeat)
    outcomes += await applied(emptied, older._replace(occurred_at=first.occurred_at - timedelta(seconds=1)))

    assert outcomes == ["applied", "unchanged", "stale"]
    assert rows(emptied, "SELECT xmin::text, * FROM identity.profiles") == before
    assert rows(emptied, "SELECT sync_version, last_synced_at FROM identity.stack_user_profiles") == synced
    assert rows(emptied, "SELECT message_id FROM identity.stack_user_profiles") == [{"message_id": repeat.message_id}]
    assert len(audit(emptied)) == 1


async def test_an_anonymous_user_has_a_mirror_and_no_profile(emptied: str) -> None:
    user_id = uuid4()

    await applied(emptied, user_updated(user_id, is_anonymous=True), delivery("user.signed_in", user_id, "app"))

    assert not rows(emptied, "SELECT user_id FROM identity.profiles")
    assert rows(emptied, "SELECT is_anonymous, last_sign_in_at IS NULL AS never FROM identity.stack_user_profiles") == [
        {"is_anonymous": True, "never": False}
    ]


async def test_the_old_snapshot_that_brings_a_profile_about_is_applied(emptied: str) -> None:
    user_id = uuid4()
    older, newer = user_updated(user_id, display_name="Ada"), user_updated(user_id, is_anonymous=True)

    outcomes = await applied(emptied, newer, older)

    assert outcomes == ["applied", "applied"]
    assert audit(emptied, "operation, message_id") == [("created", older.message_id)]


async def test_the_application_counts_until_stack_speaks(emptied: str) -> None:
    user_id = uuid4()
    mine = snapshot(display_name="From the app", primary_email="app@example.com", server_metadata={"role": "owner"})
    stack = user_updated(user_id, display_name="From Stack")._replace(occurred_at=datetime(2020, 1, 1, tzinfo=UTC))

    await applied(emptied, delivery("user.signed_in", user_id, "app", **mine))
    alone = profile(emptied, user_id, "full_name, email, email_verified, role_type")
    await applied(emptied, stack, delivery("user.signed_in", user_id, "app", **mine))

    assert alone == {
        "full_name": "From the app",
        "email": "app@example.com",
        "email_verified": None,
        "role_type": "member",
    }
    assert profile(emptied, user_id, "full_name, email_verified") == {"full_name": "From Stack", "email_verified": True}


async def test_activity_alone_is_no_change(emptied: str) -> None:
    user_id = uuid4()
    await applied(emptied, user_updated(user_id, last_active_at_millis=1_795_330_800_000))
    before = profile(emptied, user_id, "updated_at")

    await applied(emptied, user_updated(user_id, last_active_at_millis=1_795_330_801_000))

    assert profile(emptied, user_id, "updated_at") == before
    assert profile(emptied, user_id, "last_active_at")["last_active_at"] == datetime(2026, 11, 22, 7, 0, 1, tzinfo=UTC)
    assert len(audit(emptied)) == 1


async def test_the_audit_names_what_changed_from_what_to_what_and_by_which_delivery(emptied: str) -> None:
    user_id = uuid4()
    first, change = user_updated(user_id, display_name="Ada"), user_updated(user_id, display_name="Grace")
    await applied(emptied, first, change)

    [row] = rows(emptied, "SELECT * FROM identity.profile_audit WHERE operation = 'updated'")

    assert (row["changed_fields"], row["source"], row["message_id"]) == (["full_name"], "stack", change.message_id)
    assert row["previous_values"] | {"full_name": "Grace"} == row["new_values"]
    assert row["previous_values"]["full_name"] == "Ada"


@pytest.mark.parametrize(
    "statement", ["UPDATE identity.profile_audit SET operation = 'x'", "DELETE FROM identity.profile_audit"]
)
def test_the_audit_is_append_only_for_the_worker(emptied: str, statement: str) -> None:
    with psycopg.connect(emptied) as conn:
        conn.execute("SET LOCAL ROLE consumer_worker")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)


async def test_of_two_deletions_in_one_batch_the_oldest_counts(emptied: str) -> None:
    user_id = uuid4()
    older, younger = user_deleted(user_id), user_deleted(user_id)

    async with await connect(emptied, ACCESS) as conn:
        await put(conn, [user_updated(user_id), younger, older])
        await apply_next(conn, 10)

    assert older.occurred_at < younger.occurred_at
    assert profile(emptied, user_id, "deleted_at") == {"deleted_at": older.occurred_at}


async def test_events_from_a_source_that_may_not_send_them_change_nothing(emptied: str) -> None:
    outcomes = await applied(emptied, delivery("user.updated", uuid4(), "app", **snapshot()))

    assert outcomes == ["ignored"]
    assert not rows(emptied, "SELECT stack_user_id FROM identity.stack_user_profiles")


async def test_the_default_company_is_everyones_home_until_deleted(emptied: str) -> None:
    company_id, user_id = uuid4(), uuid4()
    await record(emptied, ShapingSettings(default_company_id=company_id))

    await applied(emptied, user_updated(user_id))
    home = profile(emptied, user_id)["company_id"]
    await applied(emptied, user_deleted(user_id))

    assert home == company_id
    assert profile(emptied, user_id)["company_id"] is None


async def test_a_company_that_is_declared_again_is_unchanged(emptied: str) -> None:
    await record(emptied, ShapingSettings(default_company_id=uuid4()))
    with psycopg.connect(emptied) as conn:
        conn.execute("DELETE FROM consumer.outcomes")
        conn.execute("INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outbox")

    assert await applied(emptied, user_updated()) == ["unchanged", "applied"]


@pytest.mark.parametrize("name", [path.stem for path in sorted((DATA / "sequences").glob("*.json"))])
@pytest.mark.parametrize("is_reversed", [False, True])
async def test_a_recorded_sequence_ends_as_expected_in_either_order(emptied: str, name: str, is_reversed: bool) -> None:
    sequence = json.loads((DATA / "sequences" / f"{name}.json").read_text())
    deliveries = [_recorded(each) for each in sequence["deliveries"]]

    await applied(emptied, *(reversed(deliveries) if is_reversed else deliveries))

    assert ENDS[name](rows(emptied, "SELECT full_name, email, deleted_at FROM identity.profiles"))


ENDS = {
    "anonymous-upgrade": lambda found: [row["email"] for row in found] == ["upg@example.com"],
    "duplicate-delivery": lambda found: [row["full_name"] for row in found] == ["v1"],
    "late-update-after-delete": lambda found: [row["deleted_at"] is not None for row in found] == [True],
    "out-of-order-update": lambda found: [row["full_name"] for row in found] == ["v2"],
    "personal-team-sign-up": lambda found: [row["full_name"] for row in found] == ["v1"],
}


def _recorded(each: dict[str, object]) -> Delivery:
    body = json.dumps(each["body"]).encode()
    event = check(body, "stack")
    message_id = str(each["svix_id"])
    signed_at = datetime.fromtimestamp(int(str(each["svix_timestamp"])), UTC)
    return Delivery(
        source="stack",
        message_id=message_id,
        event_type=event.type,
        user_id=event.user_id,
        team_id=event.team_id,
        occurred_at=occurred_at(message_id, signed_at, timedelta(minutes=5)),
        verified_by=None,
        body=body,
    )
