"""Which value each column of an application's table gets, in SQL, and what its owner has to decide."""

from typing import Any

import pytest

from consumer.adopt.catalogue import Column
from consumer.adopt.mapping import (
    COMPANY,
    COMPANY_KEYS,
    LIVES,
    NAMES_NO_COMPANY,
    NAMES_NO_DEPARTMENT,
    NAMES_NO_ROLE,
    USER,
    USER_KEYS,
    WrittenColumn,
    adopt,
    lowered,
    quoted,
    snake,
)
from consumer.errors import ConsumerError
from tests.support.adopted_columns import ID, column, inspected

NO_EMAIL = "p.user_id || '@no-email.invalid'"
CHANGED = "changed.user_id || '@no-email.invalid'"
UNKNOWN = "must not be null, and we know nothing of it: "
SECOND = (
    "is unique: when Stack has one value for two that live, the deliveries of the second wait (23505, `consumer dead "
    "list`), and are dead after MAX_ATTEMPTS unless one of the two changes; what is deleted gives its value up"
)


def written(given: Column) -> WrittenColumn:
    """Return what is written to the one column beside the key of a table of users."""
    [found] = adopt(inspected(ID, given), USER_KEYS, USER).written
    return found


def known(given: Column, value: str, **others: Any) -> WrittenColumn:
    return WrittenColumn(given, value, is_updated=True, **others)


def gone(value: str) -> dict[str, Any]:
    return {"gone": value}


@pytest.mark.parametrize(
    ("names", "kind", "value", "others"),
    [
        (("full_name", "display_name", "name"), "text", "p.full_name", gone("'Deleted user'")),
        (("email",), "text", "p.email", gone("NULL")),
        (("email_verified",), "boolean", "p.email_verified", gone("FALSE")),
        (("avatar_url", "image"), "text", "p.avatar_url", gone("NULL")),
        (("role_type", "role"), "text", "p.role_type", {"theirs_if": NAMES_NO_ROLE}),
        (("department",), "text", "p.department", {"theirs_if": NAMES_NO_DEPARTMENT}),
        (("company_id", "organization_id"), "uuid", "p.company_id", gone("NULL") | {"theirs_if": NAMES_NO_COMPANY}),
        (("company_id",), "text", "p.company_id::text", gone("NULL") | {"theirs_if": NAMES_NO_COMPANY}),
        (("is_active",), "boolean", "p.deleted_at IS NULL", gone("FALSE") | {"theirs_if": LIVES}),
        (("deleted_at",), "time", "p.deleted_at", gone("m.deleted_at") | {"theirs_if": LIVES}),
        (("last_sign_in_at",), "time", "p.last_sign_in_at", {}),
        (("last_active_at",), "time", "p.last_active_at", {}),
    ],
)
def test_a_column_of_a_known_name_gets_our_value(
    names: tuple[str, ...], kind: str, value: str, others: dict[str, Any]
) -> None:
    for name in names:
        given = column(name, kind=kind)
        assert written(given) == known(given, value, **others)


@pytest.mark.parametrize(
    ("name", "kind", "value", "gone"),
    [
        ("email", "text", f"coalesce(p.email, {NO_EMAIL})", CHANGED),
        ("email_verified", "boolean", "coalesce(p.email_verified, FALSE)", "FALSE"),
        ("avatar_url", "text", "coalesce(p.avatar_url, '')", "''"),
        ("last_sign_in_at", "time", "coalesce(p.last_sign_in_at, p.created_at)", None),
        ("last_active_at", "time", "coalesce(p.last_active_at, p.created_at)", None),
        ("name", "text", "p.full_name", "'Deleted user'"),
    ],
)
@pytest.mark.parametrize("cause", ["is_required", "has_equal_nulls"])
def test_a_known_column_that_takes_no_null_or_only_one_gets_a_value_for_each_user(
    cause: str, name: str, kind: str, value: str, gone: str | None
) -> None:
    given = column(name, kind=kind, **{cause: True})

    assert written(given) == known(given, value, gone=gone)


def test_a_text_is_cut_to_its_column_wherever_it_comes_from() -> None:
    name = column("name", characters_max=40)
    email = column("email", characters_max=20, is_required=True)

    assert written(name) == known(name, "left(p.full_name, 40)", gone="left('Deleted user', 40)")
    assert written(email) == known(
        email, f"coalesce(left(p.email, 20), left({NO_EMAIL}, 20))", gone=f"left({CHANGED}, 20)"
    )


@pytest.mark.parametrize(
    ("is_required", "value", "gone", "given_up"),
    [
        (False, "p.email", "NULL", "NULL"),
        (True, f"coalesce(p.email, {NO_EMAIL})", CHANGED, NO_EMAIL),
    ],
)
def test_a_deleted_user_gives_an_exclusive_value_up(is_required: bool, value: str, gone: str, given_up: str) -> None:
    given = column("email", is_exclusive=True, is_required=is_required)

    assert written(given) == known(
        given,
        f"CASE WHEN p.deleted_at IS NULL THEN {value} ELSE {given_up} END",
        gone=gone,
        gives_up=True,
        doubt=SECOND,
    )


def test_an_exclusive_name_of_a_removed_user_differs_from_all_others() -> None:
    given = column("name", is_exclusive=True, is_required=True, characters_max=30)
    no_name = "left(p.user_id || ' (deleted user)', 30)"

    assert written(given) == known(
        given,
        f"CASE WHEN p.deleted_at IS NULL THEN left(p.full_name, 30) ELSE {no_name} END",
        gone="left(changed.user_id || ' (deleted user)', 30)",
        gives_up=True,
        doubt=SECOND,
    )


def test_an_exclusive_column_that_nothing_of_ours_can_free_is_written_as_any_other() -> None:
    given = column("image", is_exclusive=True)

    assert written(given) == known(given, "p.avatar_url", gone="NULL")


@pytest.mark.parametrize("kind", ["uuid", "text"])
def test_a_company_that_must_not_be_null_may_be_lacking(kind: str) -> None:
    given = column("organization_id", kind=kind, is_required=True)

    found = written(given)

    assert found == known(
        given,
        "p.company_id::text" if kind == "text" else "p.company_id",
        theirs_if=NAMES_NO_COMPANY,
        may_lack=True,
        doubt="a user without one gets no row",
    )


def test_a_column_of_a_known_name_and_another_type_or_that_is_taken_already_is_left_alone() -> None:
    first, second, other = column("display_name"), column("full_name"), column("email", kind="json")

    found = adopt(inspected(ID, first, second, other), USER_KEYS, USER)

    assert [each.column for each in found.written] == [first]
    assert (found.names, found.updated) == (["id", "display_name"], ["display_name"])


def test_generated_columns_and_those_with_a_default_are_left_alone() -> None:
    generated = column("email", is_generated=True)
    defaulted = column("locale", is_required=True, default_value="'de'")
    nullable = column("colour")

    assert adopt(inspected(ID, generated, defaulted, nullable), USER_KEYS, USER).written == []


@pytest.mark.parametrize(
    ("kind", "filler"),
    [
        ("text", "''"),
        ("boolean", "FALSE"),
        ("time", "now()"),
        ("number", "0"),
        ("json", "'{}'::json"),
        ("jsonb", "'{}'::jsonb"),
        ("uuid", "gen_random_uuid()"),
        ("other", "NULL"),
        ("array", "'{}'::app.kinds"),
        ("enum", "'O''Neill'::app.kinds"),
    ],
)
def test_an_unknown_column_that_must_not_be_null_gets_a_filler_once(kind: str, filler: str) -> None:
    given = column("mood", kind=kind, is_required=True, type_name="app.kinds", labels=["a", "O'Neill"])

    assert written(given) == WrittenColumn(given, filler, is_updated=False, doubt=f"{UNKNOWN}{filler}")


@pytest.mark.parametrize(
    ("kind", "characters_max", "filler"),
    [
        ("text", None, "gen_random_uuid()::text"),
        ("text", 12, "left(gen_random_uuid()::text, 12)"),
        ("number", None, "0"),
    ],
)
def test_an_unknown_column_that_must_be_unique_says_so(kind: str, characters_max: int | None, filler: str) -> None:
    given = column("handle", kind=kind, is_required=True, is_unique=True, characters_max=characters_max)
    doubt = f"must not be null and must be unique, and we know nothing of it: {filler}"

    assert written(given) == WrittenColumn(given, filler, is_updated=False, doubt=doubt)


@pytest.mark.parametrize(
    ("labels", "default", "other", "doubt"),
    [
        (["OWNER", "Staff", "MEMBER"], None, "'MEMBER'::app.kinds", None),
        (["OWNER", "Staff"], None, "'Staff'::app.kinds", None),
        (["OWNER", "CHIEF"], None, "'CHIEF'::app.kinds", "a role without a label becomes CHIEF"),
        (["OWNER", "MEMBER"], "'OWNER'::app.kinds", "'OWNER'::app.kinds", None),
    ],
)
def test_a_role_that_is_an_enum_finds_its_label_in_any_case(
    labels: list[str], default: str | None, other: str, doubt: str | None
) -> None:
    given = column("role", kind="enum", type_name="app.kinds", labels=labels, default_value=default)
    cases = " ".join(f"WHEN '{label.lower()}' THEN '{label}'" for label in labels)

    assert written(given) == known(
        given,
        f'CASE lower(p.role_type COLLATE "C") {cases} ELSE {other} END',
        theirs_if=NAMES_NO_ROLE,
        doubt=doubt,
    )


@pytest.mark.parametrize(
    ("name", "kind", "others", "expected"),
    [
        ("display_name", "text", {}, {"value": "p.name", "gone": "NULL"}),
        ("logo_url", "text", {"is_required": True}, {"value": "coalesce(p.logo_url, '')", "gone": "''"}),
        (
            "isActive",
            "boolean",
            {"sql_name": '"isActive"'},
            {
                "value": 'p.deleted_at IS NULL AND coalesce(t."isActive", TRUE)',
                "gone": "NULL",
                "theirs_if": LIVES,
            },
        ),
        (
            "deleted_at",
            "time",
            {},
            {"value": "coalesce(p.deleted_at, t.deleted_at)", "gone": "NULL", "theirs_if": LIVES},
        ),
        (
            "name",
            "text",
            {"is_exclusive": True, "is_required": True},
            {
                "value": "CASE WHEN p.deleted_at IS NULL THEN p.name ELSE p.id || ' (deleted company)' END",
                "gives_up": True,
                "doubt": SECOND,
            },
        ),
    ],
)
def test_a_company_s_column_gets_the_company_s_value(
    name: str, kind: str, others: dict[str, Any], expected: dict[str, Any]
) -> None:
    given = column(name, kind=kind, **others)

    [found] = adopt(inspected(ID, given), COMPANY_KEYS, COMPANY).written

    assert found == WrittenColumn(given, is_updated=True, **expected)


def test_the_first_unique_key_by_our_order_is_taken() -> None:
    stack, user = column("stackUserId", kind="uuid"), column("user_id", is_unique=True)
    own = column("id", kind="number", is_unique=True)

    assert adopt(inspected(own, user, stack), USER_KEYS, USER).key == user
    assert adopt(inspected(own, user, column("stack_id", is_unique=True)), USER_KEYS, USER).key.name == "stack_id"


def test_a_table_without_a_key_for_stack_s_ids_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConsumerError) as no_key:
        adopt(inspected(column("id", kind="number", is_unique=True)), USER_KEYS, USER)
    with pytest.raises(ConsumerError) as no_index:
        adopt(inspected(column("userId", sql_name='"userId"'), column("id")), USER_KEYS, USER)

    names = "stack_user_id, stack_id, hexclave_user_id, user_id, id"
    assert str(no_key.value) == f"app.users has no column of type uuid or text for Stack's id; possible names: {names}."
    assert str(no_index.value) == (
        'app.users."userId" is not unique: CREATE UNIQUE INDEX CONCURRENTLY ON app.users ("userId");'
    )


def test_names_labels_and_texts_are_written_as_sql_needs_them() -> None:
    assert [snake(name) for name in ("displayName", "OAuth2Id", "EMAIL", "a1B")] == [
        "display_name",
        "oauth2_id",
        "email",
        "a1_b",
    ]
    assert lowered("IİÄb") == "iİÄb"
    assert quoted("O'Neill's") == "'O''Neill''s'"
