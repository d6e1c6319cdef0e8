"""users/put_profiles on rows made by hand: what a profile is made of, and which ones are written."""

import json
from typing import Any
from uuid import UUID

import pytest

from consumer.settings.settings import ShapingSettings
from tests.support.databases import record, rows
from tests.support.queries import ran
from tests.test_anew_rows import company, fill, mirror
from tests.test_stored import FEBRUARY, JANUARY, store

ADA, BOB, EVE, MAX = (UUID(int=0xA0 + n) for n in range(4))
CREW, TEAM = UUID(int=0xC0), UUID(int=0xC1)
KEY, OTHER_KEY = UUID(int=0xE0), UUID(int=0xE1)
ROLE, UNIT = "role_type", "department"
TIMES = ("last_active_at", "last_sign_in_at", "last_sign_out_at", "deleted_at")
# The values of a stored profile and of the mirror row that it is derived from.
ROW = {
    "company_id": f"'{CREW}'",
    "guest_keys": f"'{{{KEY}}}'",
    "full_name": "'Ada'",
    "search_name": "'ada'",
    "email": "'a@x'",
    "email_verified": "TRUE",
    "avatar_url": "'u'",
    "role_type": "'r'",
    "department": "'d'",
    "is_restricted": "TRUE",
    "last_active_at": f"'{JANUARY}'",
    "last_sign_in_at": f"'{JANUARY}'",
    "last_sign_out_at": f"'{JANUARY}'",
    "deleted_at": f"'{JANUARY}'",
    "created_at": f"'{JANUARY}'",
    "updated_at": f"'{JANUARY}'",
}
# The column of the mirror that each is made of, if its name is another.
MADE_OF = {
    "full_name": "stack_display_name",
    "email": "stack_primary_email",
    "email_verified": "stack_primary_email_verified",
    "avatar_url": "stack_profile_image_url",
    "role_type": "source_role",
    "department": "source_department",
}
DERIVED = {MADE_OF.get(name, name): value for name, value in ROW.items()}
for each in ("search_name", "created_at", "updated_at"):
    del DERIVED[each]


def derived(user_id: UUID, **values: str) -> str:
    return mirror(user_id, **{"has_profile": "TRUE", **DERIVED, **values})


def shown(user_id: UUID, **values: str) -> str:
    given = {"user_id": f"'{user_id}'", **ROW, **values}
    return f"INSERT INTO identity.profiles ({', '.join(given)}) VALUES ({', '.join(given.values())})"


def edited(user_id: UUID, field: str, value: str | None, seq: int) -> str:
    given = "NULL" if value is None else f"'{value}'"
    return f"INSERT INTO consumer.edits VALUES ('{user_id}', '{field}', {given}, '1', {seq})"


def told(url: str, user_id: UUID = ADA, event_type: str = "user.updated", **values: Any) -> int:
    return store(url, event_type, user_id=user_id, outcome=None, **values)


def said(by: str, why: str) -> str:
    return json.dumps({"data": {"edited_by": by, "reason": why}})


async def put(url: str, written: list[UUID], seqs: list[int], **values: object) -> Any:
    """Run the query; return the deliveries that the audit names, the written users, and the guests to name."""
    nobody: dict[str, object] = {"changed": [], "applied": [], "rehomed": []}
    given = {**nobody, "rehomed_by": None, "operation": None, **values}
    [found] = await ran(url, "users/put_profiles", written=written, seqs=seqs, **given)
    return found


def audit(url: str, columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows(url, f"SELECT {columns} FROM identity.profile_audit ORDER BY id")]


def profiles(url: str, columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows(url, f"SELECT {columns} FROM identity.profiles ORDER BY user_id")]


async def test_a_new_profile_has_each_value_of_its_mirror_row_and_is_made_now(emptied: str) -> None:
    fill(emptied, company(CREW), derived(ADA))

    seqs, user_ids, guests = await put(emptied, [ADA], [seq := told(emptied)])

    [found] = rows(emptied, "SELECT *, updated_at = created_at AS is_one, now() - created_at < '1 min' AS is_new "
                            "FROM identity.profiles")  # fmt: skip
    del found["created_at"], found["updated_at"]
    assert found == {
        "user_id": ADA,
        "company_id": CREW,
        "guest_keys": [KEY],
        "full_name": "Ada",
        "search_name": "ada",
        "email": "a@x",
        "email_verified": True,
        "avatar_url": "u",
        "role_type": "r",
        "department": "d",
        "is_restricted": True,
        **dict.fromkeys(TIMES, JANUARY),
        "is_one": True,
        "is_new": True,
    }
    assert (seqs, user_ids, guests) == ([seq], [ADA], [ADA])


@pytest.mark.parametrize("column", [*ROW, None])
async def test_a_profile_is_written_again_where_one_value_differs(emptied: str, column: str | None) -> None:
    """Beside another user, whose profile stays: each differing value of the stored row is replaced."""
    odd = {"company_id": f"'{TEAM}'", "guest_keys": f"'{{{OTHER_KEY}}}'"} | dict.fromkeys(
        ("email_verified", "is_restricted"), "FALSE"
    )
    time = {name for name in ROW if name.endswith("_at")}
    stored = {} if column is None else {column: odd.get(column, f"'{FEBRUARY}'" if column in time else "'odd'")}
    clocked = {"created_at", "updated_at"}
    audited = {"company_id", "full_name", "email", "email_verified", "avatar_url", ROLE, UNIT, "is_restricted"}
    audited.add("deleted_at")
    fill(emptied, company(CREW), company(TEAM), derived(ADA), derived(BOB), shown(ADA, **stored), shown(BOB))
    before = profiles(emptied, "xmin::text, *")

    _, user_ids, guests = await put(emptied, [BOB, ADA], [told(emptied), told(emptied, BOB)])

    after = profiles(emptied, "xmin::text, *")
    assert after[1] == before[1]
    assert user_ids == ([ADA] if column not in {*clocked, None} else [])
    assert guests == ([ADA] if column in {"guest_keys", "search_name"} else [])
    found, expected = rows(emptied, "SELECT * FROM identity.profiles ORDER BY user_id")
    assert {name for name in found if found[name] != expected[name]} - {"user_id"} == (
        {"updated_at"} if column in audited else {column} & clocked
    )
    assert {operation for (operation,) in audit(emptied, "operation")} <= {"updated", "company_changed"}
    assert bool(audit(emptied, "id")) == (column in audited)


@pytest.mark.parametrize(
    "column", ["company_id", "guest_keys", "email", "email_verified", "avatar_url", "is_restricted", *TIMES]
)
@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_value_that_comes_or_goes_is_a_difference_too(emptied: str, column: str, is_stored: bool) -> None:
    source = MADE_OF.get(column, column)
    fill(emptied, company(CREW), derived(ADA, **({source: "NULL"} if is_stored else {})))
    fill(emptied, shown(ADA, **({} if is_stored else {column: "NULL"})))

    _, user_ids, _ = await put(emptied, [ADA], [told(emptied)])

    assert user_ids == [ADA]
    assert (profiles(emptied, column)[0][0] is None) == is_stored


async def test_names_are_trimmed_and_who_has_none_or_is_forgotten_is_called_so(emptied: str) -> None:
    names = {ADA: "' Ada\u3000'", BOB: "' \u3000'", EVE: "NULL", MAX: "'Max'"}
    fill(emptied, company(CREW))
    fill(emptied, *(derived(one, stack_display_name=name, is_forgotten=str(one == MAX)) for one, name in names.items()))

    await put(emptied, list(names), [told(emptied, one) for one in names])

    assert profiles(emptied, "full_name, search_name") == [
        ("Ada", "ada"),
        ("Unknown User", "unknown user"),
        ("Unknown User", "unknown user"),
        ("Deleted user", "deleted user"),
    ]


async def test_role_and_department_are_the_edited_ones_else_the_senders_else_the_default_ones(emptied: str) -> None:
    await record(emptied, ShapingSettings(default_role="role 0", default_department="unit 0"))
    none = {"source_role": "NULL", "source_department": "NULL"}
    fill(emptied, company(CREW), derived(ADA), derived(BOB), derived(EVE), derived(MAX, **none))
    seq = told(emptied)
    fill(emptied, edited(ADA, ROLE, "role 1", seq), edited(ADA, "company_id", str(TEAM), seq))
    fill(emptied, edited(BOB, UNIT, "unit 1", seq), edited(EVE, ROLE, None, seq), edited(EVE, UNIT, None, seq))

    await put(emptied, [ADA, BOB, EVE, MAX], [seq, *(told(emptied, one) for one in (BOB, EVE, MAX))])

    assert profiles(emptied, f"{ROLE}, {UNIT}") == [("role 1", "d"), ("r", "unit 1"), ("r", "d"), ("role 0", "unit 0")]


async def test_only_the_given_users_that_have_a_profile_get_one(emptied: str) -> None:
    fill(emptied, company(CREW), derived(ADA, has_profile="FALSE"), derived(BOB, is_removed="TRUE"))
    fill(emptied, derived(EVE), derived(MAX))
    seqs = [told(emptied, one) for one in (ADA, BOB, EVE, MAX)]

    assert await put(emptied, [ADA, BOB, EVE], seqs) == ([seqs[2]], [EVE], [EVE])
    assert profiles(emptied, "user_id") == [(EVE,)]


@pytest.mark.parametrize(
    ("deliveries", "operation"),
    [
        ([("user.updated", "backfill")], "imported"),
        ([("user.created", "reconcile"), ("user.updated", "backfill")], "imported"),
        ([("user.updated", "backfill"), ("user.signed_in", "app")], "imported"),
        ([("user.updated", "backfill"), ("user.updated", "stack")], "created"),
        ([("user.created", "stack"), ("user.updated", "reconcile")], "created"),
        ([("user.deleted", "backfill"), ("user.signed_in", "reconcile")], "created"),
    ],
)
async def test_a_new_profile_is_imported_if_only_stacks_api_tells_of_its_user(
    emptied: str, deliveries: list[tuple[str, str]], operation: str
) -> None:
    fill(emptied, company(CREW), derived(ADA), derived(BOB), derived(EVE), shown(EVE, full_name="'E'"))
    seqs = [told(emptied, ADA, event_type, source=source) for event_type, source in deliveries]
    seqs += [told(emptied, BOB, "user.created"), told(emptied, EVE, source="backfill")]

    await put(emptied, [ADA, BOB, EVE], seqs)

    named = [("created", None, True), ("updated", "E", True)]
    columns = "operation, previous_values ->> 'full_name' AS old, new_values ->> 'full_name' = 'Ada' AS is_new"
    assert audit(emptied, columns) == [(operation, None, True), *named]


@pytest.mark.parametrize(
    ("old", "new", "operation"),
    [("NULL", FEBRUARY, "deleted"), (f"'{JANUARY}'", FEBRUARY, "updated"), (f"'{JANUARY}'", None, "updated")],
)
@pytest.mark.parametrize("given", [None, "rebuilt"])
async def test_an_end_that_the_profile_did_not_show_is_audited_as_a_deletion(
    emptied: str, old: str, new: object, operation: str, given: str | None
) -> None:
    ends = f"'{new}'" if new else "NULL"
    fill(emptied, company(CREW), derived(ADA, deleted_at=ends), shown(ADA, deleted_at=old))

    await put(emptied, [ADA], [told(emptied)], operation=given)

    assert audit(emptied, "operation, changed_fields") == [(given or operation, ["deleted_at"])]
