"""What a page of Stack's lists tells anew, and which of it is counted as drift."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from consumer.operations import drift, imports
from consumer.operations.imports import Finder
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import operator_access, transaction
from consumer.sync import REPLICA_LAG
from tests.support.databases import change
from tests.support.effects import applied
from tests.support.factories import (
    NOON,
    membership,
    permission,
    snapshot,
    team,
    team_event,
    user_deleted,
    user_updated,
)
from tests.support.kept import kept

ACCESS = operator_access("consumer")
RUN, ADA, BOB, EVE, CREW, OTHER = (UUID(int=n) for n in (99, 1, 2, 3, 8, 9))
# Later than every delivery of this test, and earlier.
LATER, EARLIER = (NOON + REPLICA_LAG + timedelta(days=days) for days in (1, -1))
KNOWN = {
    "display_name": "Ada",
    "last_active_at_millis": 1_795_330_900_000,
    "client_metadata": {"a": 1},
    "client_read_only_metadata": {"b": 2},
    "server_metadata": {"c": 3},
    "is_anonymous": False,
    "is_restricted": False,
    "selected_team": team(CREW, display_name="Crew"),
}
DIFFERING: dict[str, tuple[dict[str, Any], bool]] = {
    "the same": ({}, False),
    "name": ({"display_name": "Eve"}, True),
    "no name": ({"display_name": None}, True),
    "address": ({"primary_email": "eve@example.com"}, True),
    "verified": ({"primary_email_verified": False}, True),
    "image": ({"profile_image_url": "https://example.com/a.png"}, True),
    "client metadata": ({"client_metadata": {"a": 2}}, True),
    "read-only metadata": ({"client_read_only_metadata": {"b": 3}}, True),
    "server metadata": ({"server_metadata": {"c": 4}}, True),
    "anonymous": ({"is_anonymous": True}, True),
    "restricted": ({"is_restricted": True}, True),
    "signed up": ({"signed_up_at_millis": 1_795_330_800_124}, True),
}
UNDRIFTED: dict[str, tuple[dict[str, Any], bool]] = {
    "no selected team": ({"selected_team": None}, True),
    "another selected team": ({"selected_team": team(OTHER, display_name="Crew")}, True),
    "its name": ({"selected_team": team(CREW, display_name="Club")}, True),
    "its image": ({"selected_team": team(CREW, display_name="Crew", profile_image_url="x")}, True),
    "later activity": ({"last_active_at_millis": 1_795_330_900_001}, True),
    "earlier activity": ({"last_active_at_millis": 1_795_330_899_999}, False),
    "no activity": ({"last_active_at_millis": None}, False),
    "no field that a row has": ({"has_password": True}, False),
}
FINDER = Finder(RUN, LATER, "reconcile")


def listed_user(user_id: UUID, /, finder: Finder = FINDER, **data: Any) -> Delivery:
    return finder.user(str(user_id), orjson.dumps({"id": str(user_id), **snapshot(**{**KNOWN, **data})}))


def listed_team(team_id: UUID, /, finder: Finder = FINDER, **data: Any) -> Delivery:
    return finder.team(str(team_id), orjson.dumps(team(team_id, **data)))


async def news(url: str, *listed: Delivery) -> list[Delivery]:
    async with kept(url, ACCESS) as conn, transaction(conn, ACCESS):
        return await imports.news(conn, listed)


async def found(url: str, listed: Sequence[Delivery]) -> dict[str, int]:
    async with kept(url, ACCESS) as conn, transaction(conn, ACCESS):
        return dict(await drift.found(conn, listed))


@pytest.mark.parametrize(("data", "is_news"), [*DIFFERING.values(), *UNDRIFTED.values()], ids=[*DIFFERING, *UNDRIFTED])
async def test_a_listed_user_is_news_if_a_field_that_rows_are_made_of_differs(
    emptied: str, data: dict[str, Any], *, is_news: bool
) -> None:
    await applied(emptied, user_updated(ADA, **KNOWN))

    assert len(await news(emptied, listed_user(ADA, **data))) == is_news


@pytest.mark.parametrize(
    ("data", "kind"),
    [(data, "stale_user" if is_drift else None) for data, is_drift in DIFFERING.values()]
    + [(data, None) for data, _ in UNDRIFTED.values()],
    ids=[*DIFFERING, *UNDRIFTED],
)
async def test_a_listed_user_is_drift_if_its_row_shows_another_content(
    emptied: str, data: dict[str, Any], kind: str | None
) -> None:
    await applied(emptied, user_updated(ADA, **KNOWN))

    assert await found(emptied, [listed_user(ADA, **data)]) == ({kind: 1} if kind else {})


async def test_only_the_delivery_that_made_the_row_tells_what_is_known(emptied: str) -> None:
    shown = user_updated(ADA, **{**KNOWN, "display_name": "Shown"})
    older = listed_user(ADA, FINDER._replace(requested_at=EARLIER))._replace(message_id=shown.message_id)
    await applied(emptied, older, shown)

    assert len(await news(emptied, listed_user(ADA))) == 1


async def test_a_user_without_a_snapshot_is_missing(emptied: str) -> None:
    await applied(emptied, membership("created", CREW, BOB))

    assert await found(emptied, [listed_user(ADA), listed_user(BOB)]) == {"missing_user": 2}
    assert len(await news(emptied, listed_user(ADA), listed_user(BOB))) == 2


async def test_what_is_deleted_here_is_no_drift(emptied: str) -> None:
    await applied(emptied, user_updated(ADA, display_name="Old"), user_deleted(ADA))
    await applied(emptied, team_event("created", CREW), team_event("deleted", CREW), team_event("created", OTHER))

    listed = [
        listed_user(ADA),
        listed_team(CREW, display_name="New"),
        FINDER.membership(CREW, BOB),
        FINDER.membership(OTHER, ADA),
        FINDER.permission(CREW, BOB, "a"),
        FINDER.permission(OTHER, ADA, "a"),
    ]
    assert await found(emptied, listed) == {}


async def test_what_a_newer_event_tells_is_no_drift(emptied: str) -> None:
    await applied(
        emptied,
        user_updated(ADA, display_name="Newer"),
        team_event("created", CREW, display_name="Newer"),
        membership("created", CREW, ADA),
        membership("deleted", CREW, ADA),
        permission("created", CREW, BOB, "a"),
        permission("deleted", CREW, BOB, "a"),
    )

    def listed(finder: Finder) -> list[Delivery]:
        return [
            listed_user(ADA, finder),
            listed_team(CREW, finder),
            finder.membership(CREW, ADA),
            finder.permission(CREW, BOB, "a"),
        ]

    assert await found(emptied, listed(FINDER._replace(requested_at=EARLIER))) == {}
    assert await found(emptied, listed(FINDER)) == {
        "stale_user": 1,
        "stale_team": 1,
        "missing_membership": 1,
        "missing_permission": 1,
    }


async def test_what_the_run_has_stored_already_is_counted_once(emptied: str) -> None:
    listed = [listed_user(ADA), listed_team(CREW)]
    assert await found(emptied, listed) == {"missing_user": 1, "missing_team": 1}
    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        await imports.put(conn, listed)

    assert await found(emptied, listed) == {}
    change(emptied, "UPDATE consumer.outbox SET source = 'backfill'")
    assert await found(emptied, listed) == {"missing_user": 1, "missing_team": 1}


@pytest.mark.parametrize(
    ("known", "data", "kind"),
    [
        pytest.param([], {}, "missing_team", id="none"),
        pytest.param([user_updated(ADA, selected_team=team(CREW))], {}, "missing_team", id="named by users alone"),
        pytest.param([team_event("created", CREW)], {}, None, id="the same"),
        pytest.param([team_event("created", CREW)], {"display_name": "Club"}, "stale_team", id="name"),
        pytest.param([team_event("created", CREW)], {"profile_image_url": "x"}, "stale_team", id="image"),
    ],
)
async def test_a_listed_team_is_news_if_its_company_shows_another_content(
    emptied: str, known: list[Delivery], data: dict[str, Any], kind: str | None
) -> None:
    await applied(emptied, *known)

    listed = await news(emptied, listed_team(CREW, **data))

    assert len(listed) == (kind is not None)
    assert await found(emptied, listed) == ({kind: 1} if kind else {})


async def test_the_first_member_of_a_team_that_has_none_is_its_creator(emptied: str) -> None:
    await applied(emptied, team_event("created", CREW), membership("created", OTHER, EVE))
    listed = [FINDER.membership(*pair) for pair in ((CREW, ADA), (CREW, BOB), (OTHER, ADA), (OTHER, EVE))]

    fresh = await news(emptied, *listed)

    assert [(each.team_id, each.user_id) for each in fresh] == [(CREW, ADA), (CREW, BOB), (OTHER, ADA)]
    assert await found(emptied, fresh) == {"missing_creator": 1, "missing_membership": 2}


async def test_a_member_that_left_before_the_list_is_missing_again(emptied: str) -> None:
    await applied(emptied, team_event("created", CREW))
    await applied(emptied, membership("created", CREW, ADA), membership("deleted", CREW, ADA))

    fresh = await news(emptied, FINDER.membership(CREW, ADA))

    assert await found(emptied, fresh) == {"missing_membership": 1}


async def test_only_a_permission_that_is_present_is_known(emptied: str) -> None:
    await applied(
        emptied,
        team_event("created", CREW),
        permission("created", CREW, ADA, "present"),
        permission("created", CREW, ADA, "withdrawn"),
        permission("deleted", CREW, ADA, "withdrawn"),
    )
    names = ("present", "withdrawn", "new")

    fresh = await news(emptied, *(FINDER.permission(CREW, ADA, name) for name in names))
    of_another = await news(emptied, FINDER.permission(CREW, BOB, "present"), FINDER.permission(OTHER, ADA, "present"))

    assert await found(emptied, fresh) == {"missing_permission": 2}
    assert (len(fresh), len(of_another)) == (2, 2)
