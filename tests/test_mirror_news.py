"""When an offered mirror row is news to the known one, when it is only newer, and when it is neither."""

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support.databases import session

TIMES = [f"2026-11-0{day}T12:00:00+00:00" for day in (1, 2, 3)]
FIRST, SECOND, THIRD = TIMES
TEXTS = (
    *("stack_display_name", "stack_primary_email", "stack_profile_image_url", "source_role", "source_department"),
    "stack_metadata",
)
FLAGS = ("stack_primary_email_verified", "is_anonymous", "is_restricted")
ID = "00000000-0000-0000-0000-00000000000{}"
# Of each part of a snapshot: two values.
CONTENT: dict[str, tuple[Any, Any]] = {
    **dict.fromkeys(TEXTS, ("a", "b")),
    **dict.fromkeys(FLAGS, (True, False)),
    "signed_up_at": (FIRST, SECOND),
    "source_company_id": (ID.format(1), ID.format(2)),
}
ACTIVITY = ("last_active_at", "last_sign_in_at", "last_sign_out_at")
ROW = {"has_profile": True, "is_erased": False, "is_forgotten": False, "version": "1b", "message_id": "m"}
FOUND = {"missing_at": SECOND, "deleted_at": SECOND}
TOLD = {"deletion_at": SECOND, "deleted_at": SECOND}


def judged(url: str, function: str, offered: dict[str, Any], known: dict[str, Any]) -> bool | None:
    record = "jsonb_populate_record(NULL::identity.stack_user_profiles, %s)"
    with session(url) as conn:
        call = f"SELECT identity.{function}({record}, {record})"
        [(found,)] = conn.execute(call.encode(), [Jsonb(ROW | offered), Jsonb(ROW | known)]).fetchall()
        return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("field", CONTENT)
@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (None, 0), (0, None)])
def test_a_newer_snapshot_is_news_if_it_differs(
    database_url: str, field: str, pair: tuple[int | None, int | None]
) -> None:
    offered, known = ({field: None if place is None else CONTENT[field][place]} for place in pair)

    assert judged(database_url, "is_news", offered | {"version": "1c"}, known) is True
    assert judged(database_url, "is_news", offered, known) is False
    assert judged(database_url, "is_news", offered | {"version": "1a"}, known) is False
    assert judged(database_url, "is_news", offered | {"version": "1c"}, known | {"is_forgotten": True}) is False


def test_a_newer_snapshot_of_the_same_content_is_no_news(database_url: str) -> None:
    whole = {field: values[0] for field, values in CONTENT.items()}

    for content in (whole, {}):
        assert judged(database_url, "is_news", content | {"version": "1c"}, content) is False
        assert judged(database_url, "is_news", content, content) is False


@pytest.mark.parametrize(
    ("offered", "known", "is_news"),
    [
        ({"has_profile": True}, {"has_profile": False}, True),
        ({"has_profile": False}, {"has_profile": True}, False),
        ({"is_erased": True}, {"is_erased": False}, True),
        ({"is_erased": False}, {"is_erased": True}, False),
        ({"deletion_at": SECOND}, {}, True),
        ({"deletion_at": FIRST}, TOLD, True),
        ({"deletion_at": SECOND}, TOLD, False),
        ({"deletion_at": THIRD}, TOLD, False),
        ({"missing_at": SECOND}, {}, True),
        ({"missing_at": FIRST}, FOUND, False),
        ({"missing_at": SECOND}, FOUND, False),
        ({"missing_at": THIRD}, FOUND, True),
        ({"seen_at": THIRD}, FOUND | {"seen_at": FIRST}, True),
        ({"seen_at": FIRST}, FOUND, False),
        ({"seen_at": THIRD}, TOLD, False),
        ({"seen_at": THIRD}, {}, False),
        ({}, FOUND, False),
        ({}, TOLD, False),
        ({"last_active_at": THIRD}, {}, False),
    ],
)
def test_a_row_is_news_if_it_brings_a_profile_an_erasure_or_another_deletion(
    database_url: str, offered: dict[str, Any], known: dict[str, Any], is_news: bool
) -> None:
    assert judged(database_url, "is_news", offered, known) is is_news
    assert judged(database_url, "is_news", offered, known | {"is_forgotten": True}) is is_news


@pytest.mark.parametrize(
    ("offered", "known", "is_newer"),
    [
        ({}, {}, False),
        ({"version": "1c"}, {}, True),
        ({"version": "1a"}, {}, False),
        ({"deletion_at": SECOND}, {}, True),
        ({"deletion_at": FIRST}, TOLD, True),
        ({"deletion_at": SECOND}, TOLD, False),
        ({"deletion_at": THIRD}, TOLD, False),
        *(
            case
            for field in ("missing_at", "seen_at")
            for case in (
                ({field: SECOND}, {}, True),
                ({field: THIRD}, {field: SECOND}, True),
                ({field: SECOND}, {field: SECOND}, False),
                ({field: FIRST}, {field: SECOND}, False),
                ({}, {field: SECOND}, False),
            )
        ),
        ({"stack_display_name": "b"}, {"stack_display_name": "a"}, False),
    ],
)
def test_a_row_is_newer_if_its_version_or_one_of_its_times_is(
    database_url: str, offered: dict[str, Any], known: dict[str, Any], is_newer: bool
) -> None:
    assert judged(database_url, "is_newer", offered, known) is is_newer
    assert judged(database_url, "is_newer", offered, known | {"is_forgotten": True}) is is_newer


@pytest.mark.parametrize("field", ACTIVITY)
def test_later_activity_is_newer_unless_the_user_is_forgotten(database_url: str, field: str) -> None:
    cases = [(SECOND, None, True), (THIRD, SECOND, True), (SECOND, SECOND, False), (FIRST, SECOND, False)]
    for offered, known, is_newer in [*cases, (None, SECOND, False)]:
        assert judged(database_url, "is_newer", {field: offered}, {field: known}) is is_newer
        assert judged(database_url, "is_newer", {field: offered}, {field: known, "is_forgotten": True}) is False
