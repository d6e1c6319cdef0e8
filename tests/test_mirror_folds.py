"""users/mirror: each column of the mirror by the newest snapshot, each time by its maximum, the oldest deletion."""

from typing import Any
from uuid import UUID

import pytest

from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings
from tests.support.batches import (
    DEFAULT,
    FIRST,
    SECOND,
    USER,
    at,
    crew,
    edit,
    every,
    gone,
    in_batches,
    member,
    millis,
    one,
    signed,
    snapshot,
    user,
)
from tests.support.databases import record
from tests.support.factories import team

CONTENT = (
    "stack_display_name, stack_primary_email, stack_primary_email_verified, stack_profile_image_url, stack_metadata, "
    "is_anonymous, is_restricted, signed_up_at, source_role, source_department, source_company_id, occurred_at, "
    "message_id"
)


def user_data(word: str, number: int, company_id: UUID, *, is_so: bool, active_at: float) -> dict[str, Any]:
    """Return every field of a snapshot; all differ between two words, numbers, companies and flags."""
    return {
        "display_name": word.title(),
        "primary_email": f"{word}@example.com",
        "primary_email_verified": is_so,
        "profile_image_url": f"https://example.com/{word}.png",
        "signed_up_at_millis": millis(-10 * number),
        "client_metadata": {"c": number},
        "client_read_only_metadata": {"r": number},
        "server_metadata": {"role": word, "department": word.title(), "company_id": str(company_id)},
        "is_anonymous": is_so,
        "is_restricted": is_so,
        "last_active_at_millis": millis(active_at),
    }


OLD_DATA = user_data("old", 1, FIRST, is_so=True, active_at=9)
NEW_DATA = user_data("new", 2, SECOND, is_so=False, active_at=5)


def content(data: dict[str, Any], second: float, message_id: str) -> tuple[Any, ...]:
    server = data["server_metadata"]
    return (
        data["display_name"],
        data["primary_email"],
        data["primary_email_verified"],
        data["profile_image_url"],
        {"client": data["client_metadata"], "client_read_only": data["client_read_only_metadata"], "server": server},
        data["is_anonymous"],
        data["is_restricted"],
        at(-20 if data is NEW_DATA else -10),
        server["role"],
        server["department"],
        SECOND if data is NEW_DATA else FIRST,
        at(second),
        message_id,
    )


@pytest.mark.parametrize("split", ["together", "apart"])
@pytest.mark.parametrize("order", ["old first", "new first"])
async def test_each_column_is_the_newest_snapshots(emptied: str, split: str, order: str) -> None:
    old, new = user(1, **OLD_DATA), user(2, **NEW_DATA)
    deliveries = [old, new] if order == "old first" else [new, old]

    outcomes = await in_batches(emptied, *([deliveries] if split == "together" else [[each] for each in deliveries]))

    mirror = "identity.stack_user_profiles"
    assert one(emptied, mirror, CONTENT) == content(NEW_DATA, 2, new.message_id)
    assert one(emptied, mirror, "last_active_at, has_profile, version") == (
        at(9),
        True,
        f"1{at(2):%Y%m%d%H%M%S%f}{new.message_id}\x01stack",
    )
    older = "applied" if (split, order) == ("apart", "old first") else "stale"
    assert [outcome for batch in outcomes for outcome in batch] == (
        [older, "applied"] if order == "old first" else ["applied", older]
    )


# Two snapshots that differ in one column alone: the column makes news, or no news.
@pytest.mark.parametrize("column", [name for name in OLD_DATA if name != "last_active_at_millis"])
async def test_a_change_of_any_column_alone_is_news(emptied: str, column: str) -> None:
    outcomes = await in_batches(
        emptied, [user(1, **OLD_DATA)], [user(2, **OLD_DATA)], [user(3, **OLD_DATA | {column: NEW_DATA[column]})]
    )

    assert outcomes == [["applied"], ["unchanged"], ["applied"]]
    assert one(emptied, "identity.stack_user_profiles", "sync_version, occurred_at") == (2, at(3))


# A snapshot with the same metadata, read under another key.
@pytest.mark.parametrize(
    ("setting", "column", "value"),
    [
        ({"role_key": "rank"}, "role_type", "boss"),
        ({"department_key": "unit"}, "department", "Mint"),
        ({"company_key": "firm"}, "company_id", SECOND),
    ],
    ids=["role", "department", "company"],
)
async def test_a_newer_snapshot_is_news_when_another_key_finds_another_value(
    emptied: str, setting: dict[str, str], column: str, value: object
) -> None:
    metadata = {"role": "old", "department": "Old", "company_id": str(FIRST)}
    metadata |= {"rank": "boss", "unit": "Mint", "firm": str(SECOND)}
    await in_batches(emptied, [crew("created", 0, FIRST), crew("created", 0, SECOND)])
    await in_batches(emptied, [user(1, server_metadata=metadata)])
    await record(emptied, ShapingSettings(**setting))  # type: ignore[arg-type]  # Only texts are set here.

    outcomes = await in_batches(emptied, [user(2, server_metadata=metadata)], [user(3, server_metadata=metadata)])

    assert outcomes == [["applied"], ["unchanged"]]
    assert one(emptied, "identity.profiles", column) == (value,)


@pytest.mark.parametrize("order", ["app first", "Stack first", "together"])
async def test_an_applications_snapshot_ranks_below_each_of_stacks(emptied: str, order: str) -> None:
    mine, stack = signed("out", 5, **snapshot(**OLD_DATA)), user(1, **NEW_DATA)
    batches = {"app first": [[mine], [stack]], "Stack first": [[stack], [mine]], "together": [[stack, mine]]}[order]

    await in_batches(emptied, *batches)

    assert one(emptied, "identity.stack_user_profiles", CONTENT) == content(NEW_DATA, 1, stack.message_id)


async def test_an_applications_snapshot_tells_name_address_picture_and_that_alone(emptied: str) -> None:
    mine = signed("in", 5, **snapshot(**OLD_DATA | {"is_anonymous": False, "selected_team": team(FIRST)}))

    await in_batches(emptied, [mine])

    assert one(emptied, "identity.stack_user_profiles", CONTENT) == (
        "Old",
        "old@example.com",
        None,
        "https://example.com/old.png",
        None,
        False,
        *(None,) * 5,
        at(5),
        mine.message_id,
    )
    assert not every(emptied, "identity.companies", "id")


@pytest.mark.parametrize("verb", ["in", "out"])
async def test_a_snapshot_in_stacks_own_sign_in_ranks_as_stacks(emptied: str, verb: str) -> None:
    told = signed(verb, 2, source="stack", **snapshot(**NEW_DATA))

    await in_batches(emptied, [user(1, **OLD_DATA), told])

    assert one(emptied, "identity.stack_user_profiles", CONTENT) == content(NEW_DATA, 2, told.message_id)


@pytest.mark.parametrize("kind", ["users", "user"])
@pytest.mark.parametrize("is_team", [False, True])
async def test_only_an_answer_about_one_shows_it_alive_after_a_reconciliation_missed_it(
    emptied: str, kind: str, *, is_team: bool
) -> None:
    """A list may come from a replica that lags."""
    source, answer = "reconcile", f"run:{kind.replace('user', 'team') if is_team else kind}:1"
    told, missed, found = (
        (crew("created", 1), crew("deleted", 3, source=source), crew("updated", 5, source=source))
        if is_team
        else (user(1), gone(3, source=source), user(5)._replace(source=source))
    )

    await in_batches(emptied, [told], [missed], [found._replace(message_id=answer)])

    table = "identity.companies" if is_team else "identity.stack_user_profiles"
    assert one(emptied, table, "deleted_at, seen_at") == ((at(3), at(1)) if kind == "users" else (None, at(5)))


@pytest.mark.parametrize(
    "told",
    [signed("in", 1), signed("out", 1), gone(1), edit(1, role_type="x"), member("created", 1)],
    ids=lambda d: str(d.event_type),
)
async def test_without_a_snapshot_there_is_a_mirror_row_and_no_profile(emptied: str, told: Delivery) -> None:
    await in_batches(emptied, [told])

    assert one(
        emptied, "identity.stack_user_profiles", "has_profile, version, is_anonymous, occurred_at, message_id"
    ) == (
        False,
        "",
        *(None,) * 3,
    )
    assert not every(emptied, "identity.profiles", "user_id")


SYNC = "sync_version, last_synced_at"


@pytest.mark.parametrize(
    ("first", "second", "outcome", "is_moved"),
    [
        (user(2), user(3), "unchanged", False),
        (user(2), user(1), "stale", False),
        (user(2), user(3, display_name="Grace"), "applied", True),
        (user(2), user(3, last_active_at_millis=millis(1)), "unchanged", False),
        (user(2), signed("in", 3), "applied", False),
        (user(2), edit(3, role_type="x"), "applied", False),
        (user(2, is_anonymous=True), user(1), "applied", True),
        (user(2), user(1, is_anonymous=True), "stale", False),
        (user(2), gone(3), "applied", True),
        (gone(3), gone(2), "applied", True),
        (gone(2), gone(3), "unchanged", False),
        (user(2), signed("in", 3, **snapshot(display_name="x")), "applied", False),
    ],
    ids=lambda value: f"{value.event_type} at {value.occurred_at:%S}" if isinstance(value, Delivery) else str(value),
)
async def test_sync_version_and_time_move_with_news_alone(
    emptied: str, first: Delivery, second: Delivery, outcome: str, is_moved: bool
) -> None:
    await in_batches(emptied, [first])
    before = one(emptied, "identity.stack_user_profiles", SYNC)

    outcomes = await in_batches(emptied, [second])

    after = one(emptied, "identity.stack_user_profiles", SYNC)
    assert outcomes == [[outcome]]
    assert (after[0] - before[0], after[1] > before[1]) == (int(is_moved), is_moved)


@pytest.mark.parametrize("is_together", [True, False])
async def test_a_new_user_is_at_home_in_the_default_company_unless_it_or_the_user_is_deleted(
    emptied: str, is_together: bool
) -> None:
    await record(emptied, ShapingSettings(default_company_id=DEFAULT))
    deliveries = [user(1), gone(2)]

    await in_batches(emptied, *([deliveries] if is_together else [[each] for each in deliveries]))
    assert one(emptied, "identity.stack_user_profiles", "company_id") == (None,)

    await in_batches(emptied, [crew("deleted", 3, DEFAULT)], [user(4, USER), signed("in", 5)], [edit(6, role_type="x")])
    assert one(emptied, "identity.stack_user_profiles", "company_id") == (None,)
    assert one(emptied, "identity.profiles", "company_id, role_type") == (None, "x")
