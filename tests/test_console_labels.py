"""Whose names a page reads: those of every user and company that it mentions, and of no other."""

from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from consumer.console import deliveries, delivery, users
from consumer.lookup.shown import ShownDelivery, ShownUser
from consumer.postgres.connections import Connection

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
CONN = cast("Connection", None)
ADA, BOB, EVE, A, B, C, D = (UUID(int=n) for n in range(1, 8))


class Labels:
    """Knows an address of each user and a name of each company, and what it was asked for."""

    def __init__(self) -> None:
        self.user_ids: set[UUID | None] = set()
        self.company_ids: set[UUID | None] = set()

    async def emails(self, _: Connection, user_ids: Iterable[UUID | None]) -> dict[UUID, str]:
        self.user_ids = set(user_ids)
        return {user_id: f"masked {user_id.int}" for user_id in self.user_ids if user_id}

    async def company_names(self, _: Connection, company_ids: Iterable[UUID | None]) -> dict[UUID, str]:
        self.company_ids = set(company_ids)
        return {company_id: f"company {company_id.int}" for company_id in self.company_ids if company_id}


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> Labels:
    made = Labels()
    for module in (deliveries, delivery, users):
        monkeypatch.setattr(module, "labels", made)
    return made


def of(**values: object) -> Any:
    return SimpleNamespace(**values)


def around(delivery: Any, **values: object) -> ShownDelivery:
    """Return a delivery with what is around it; nothing but what is named."""
    none: dict[str, Any] = {
        "user": None,
        "actions": (),
        "changes": (),
        "unfollowed": (),
        "replay": "",
        "neighbours": (),
    }
    return ShownDelivery(delivery, **{**none, "body": None, "now": NOW, **values})


async def test_a_user_s_page_names_the_teams_of_deliveries_changes_and_memberships(
    labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        of(delivery=of(team_id=A), changes=[]),
        of(delivery=None, changes=[of(company_id=B), of(company_id=None)]),
        of(delivery=of(team_id=None), changes=[of(company_id=C)]),
    ]
    asked: list[object] = []

    async def show_user(_: Connection, *place: object, **values: object) -> ShownUser:
        asked.append((place, values))
        timeline = of(entries=entries)
        return ShownUser(of(), [of()], cast("Any", [of(company_id=D)]), timeline, of(), NOW)

    monkeypatch.setattr(users, "show_user", show_user)

    one = await users.shown(CONN, ADA, before=7)
    await users.shown(CONN, ADA, masked=False)

    assert one.teams == {each: f"company {each.int}" for each in (A, B, C, D)}
    assert (one.timeline.entries, one.now, len(one.fields)) == (entries, NOW, 1)
    assert labels.user_ids == set()
    assert asked == [
        ((ADA,), {"size": 30, "before": 7, "masked": True}),
        ((ADA,), {"size": 30, "before": None, "masked": False}),
    ]


@pytest.mark.parametrize(
    ("email", "masked", "shown"),
    [("ada@b.example", False, "ada@b.example"), ("a•••@b.example", True, "masked 1"), (None, False, "masked 1")],
)
async def test_a_delivery_s_page_names_users_and_teams_of_itself_its_changes_and_its_neighbours(
    labels: Labels, monkeypatch: pytest.MonkeyPatch, email: str | None, shown: str, *, masked: bool
) -> None:
    changes = [of(user_id=BOB, company_id=B), of(user_id=EVE, company_id=None)]
    stored: Any = of(user_id=ADA, team_id=A)
    asked: list[object] = []

    async def show_delivery(_: Connection, found: object, **values: object) -> ShownDelivery:
        asked.append((found, values))
        neighbours = [of(team_id=C, user_id=D), of(team_id=None, user_id=None)]
        return around(stored, user=of(user_id=ADA, email=email), changes=changes, neighbours=neighbours)

    monkeypatch.setattr(delivery, "show_delivery", show_delivery)

    one = await delivery.shown(CONN, stored, masked=masked)

    assert one.emails == {ADA: shown, BOB: "masked 2", EVE: "masked 3"}
    assert one.teams == {each: f"company {each.int}" for each in (A, B, C)}
    assert asked == [(stored, {"changes_max": 50, "is_operators": not masked, "masked": masked})]


async def test_a_delivery_about_no_user_is_shown_without_one(labels: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: Any = of(user_id=None, team_id=None)

    async def show_delivery(*_: object, **__: object) -> ShownDelivery:
        return around(stored)

    monkeypatch.setattr(delivery, "show_delivery", show_delivery)

    one = await delivery.shown(CONN, stored, masked=False)

    assert (one.emails, one.teams) == ({}, {})


async def test_a_list_names_the_user_of_a_delivery_and_the_team_where_it_has_none(labels: Labels) -> None:
    listed: Any = [of(user_id=ADA, team_id=A), of(user_id=None, team_id=B), of(user_id=None, team_id=None)]

    rows = await deliveries.labelled(CONN, listed)

    assert rows.deliveries is listed
    assert rows.emails == {ADA: "masked 1"}
    assert rows.teams == {B: f"company {B.int}"}
