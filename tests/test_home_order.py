"""members/home: the order of a user's candidates for a home, the guest marks on every path, and time zones."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.batches import (
    DEFAULT,
    FIRST,
    SECOND,
    THIRD,
    at,
    crew,
    edit,
    every,
    gone,
    in_batches,
    may,
    member,
    millis,
    one,
    signed,
    user,
)
from tests.support.databases import empty, record
from tests.support.effects import rehomed
from tests.support.factories import NOON, team

TEAMS = [crew("created", 0, team_id) for team_id in (FIRST, SECOND, THIRD)]
EDIT, NAMED, JOIN = (
    edit(5, company_id=str(FIRST)),
    user(5, server_metadata={"company_id": str(SECOND)}),
    member("created", 5, THIRD),
)
PLAIN = user(1)


def ended(team_id: UUID) -> Delivery:
    return crew("deleted", 9, team_id)


@pytest.mark.parametrize(
    ("told", "home"),
    [
        ([EDIT, NAMED, JOIN], FIRST),
        ([EDIT, NAMED, JOIN, ended(FIRST)], SECOND),
        ([EDIT, NAMED, JOIN, ended(FIRST), ended(SECOND)], THIRD),
        ([EDIT, NAMED, JOIN, ended(FIRST), ended(SECOND), ended(THIRD)], DEFAULT),
        ([EDIT, NAMED, JOIN, ended(FIRST), ended(SECOND), ended(THIRD), ended(DEFAULT)], None),
        ([EDIT, NAMED, JOIN, gone(6)], None),
        ([EDIT, edit(6, company_id=None), JOIN], THIRD),
        # An older edit is never tried.
        ([EDIT, edit(6, company_id=str(SECOND)), ended(SECOND)], DEFAULT),
        ([NAMED, user(6), JOIN], THIRD),
        ([JOIN, member("deleted", 6, THIRD)], DEFAULT),
        ([JOIN, member("created", 4, SECOND)], SECOND),
        ([JOIN, member("created", 5, SECOND)], SECOND),
        ([JOIN, member("created", 6, SECOND), member("created", 7, SECOND)], THIRD),
        # A first join counts though a removal and a second join came after it.
        ([JOIN, member("created", 4, SECOND), member("deleted", 5, SECOND), member("created", 6, SECOND)], SECOND),
        ([JOIN, user(4, selected_team=team(FIRST))], FIRST),
        ([], DEFAULT),
    ],
)
@pytest.mark.parametrize("is_reversed", [False, True])
async def test_the_first_active_candidate_is_the_home(
    emptied: str, told: list[Delivery], home: UUID | None, is_reversed: bool
) -> None:
    settings = ShapingSettings(default_company_id=DEFAULT)
    await record(emptied, settings)
    told = [*TEAMS, PLAIN, *told]

    await in_batches(emptied, *([each] for each in (reversed(told) if is_reversed else told)))
    await rehomed(emptied)

    assert one(emptied, "identity.profiles", "company_id") == (home,)
    assert model.state(emptied) == model.fold(told, settings)


def placed(second: float) -> Delivery:
    return user(second, server_metadata={"company_id": str(SECOND)})


JOINS = [member("created", 1), member("created", 2, SECOND)]
MADE = crew("created", 3, SECOND)
AT_HOME, GUEST_IN_FIRST = [(FIRST, False)], [(FIRST, True)]
GUEST_NOWHERE, GUEST_IN_SECOND = [(FIRST, False), (SECOND, False)], [(FIRST, False), (SECOND, True)]


@pytest.mark.parametrize(
    ("told", "marks"),
    [
        pytest.param(JOINS, GUEST_IN_SECOND, id="join"),
        pytest.param(
            [user(1, selected_team=team(FIRST)), user(2, selected_team=team(SECOND))], GUEST_IN_SECOND, id="choice"
        ),
        pytest.param([*JOINS, member("deleted", 3)], GUEST_NOWHERE, id="removal"),
        pytest.param([*JOINS, member("deleted", 3, SECOND)], GUEST_NOWHERE, id="a guest leaves"),
        pytest.param([*JOINS, gone(3)], GUEST_NOWHERE, id="end"),
        pytest.param([*JOINS, crew("deleted", 3)], GUEST_NOWHERE, id="home ends"),
        pytest.param([*JOINS, crew("deleted", 3, SECOND)], GUEST_NOWHERE, id="the other ends"),
        pytest.param(
            [member("created", 1), edit(2, company_id=str(SECOND)), MADE], GUEST_IN_FIRST, id="edit before the team"
        ),
        pytest.param([member("created", 1), MADE, edit(2, company_id=str(SECOND))], GUEST_IN_FIRST, id="edit"),
        pytest.param(
            [member("created", 1), MADE, edit(2, company_id=str(SECOND)), edit(3, company_id=None)],
            AT_HOME,
            id="edit withdrawn",
        ),
        pytest.param([member("created", 1), MADE, placed(2)], GUEST_IN_FIRST, id="metadata"),
        pytest.param([member("created", 1), placed(2), MADE], GUEST_IN_FIRST, id="metadata before the team"),
        pytest.param([member("created", 1), MADE, placed(2), user(3)], AT_HOME, id="metadata gone"),
        pytest.param(
            [member("created", 2), member("created", 1, SECOND)], [(FIRST, True), (SECOND, False)], id="an older join"
        ),
        pytest.param([*JOINS, may("created", 3, "r", team_id=SECOND)], GUEST_IN_SECOND, id="permission"),
    ],
)
@pytest.mark.parametrize("is_known_first", [True, False])
async def test_guests_are_marked_and_their_keys_carried_on_every_path(
    emptied: str, told: list[Delivery], marks: list[tuple[UUID, bool]], is_known_first: bool
) -> None:
    told = [user(0.5), *told] if is_known_first else [*told, user(0.5)]

    await in_batches(emptied, *([each] for each in told))
    await rehomed(emptied)

    assert every(emptied, "identity.company_members", "company_id, is_guest") == marks
    assert model.state(emptied) == model.fold(told, ShapingSettings())
    guest = "identity.companies AS c INNER JOIN identity.company_members AS b ON c.id = b.company_id"
    keys = [key for (key,) in every(emptied, guest, "guest_key", "is_guest")] or None
    assert one(emptied, "identity.stack_user_profiles", "guest_keys") == (keys,)
    assert one(emptied, "identity.profiles", "guest_keys") == (keys,)


async def test_an_anonymous_guest_is_marked_too(emptied: str) -> None:
    await in_batches(emptied, JOINS, [user(3, is_anonymous=True)])

    [key] = one(emptied, "identity.companies", "guest_key", f"id = '{SECOND}'")
    assert one(emptied, "identity.stack_user_profiles", "guest_keys") == ([key],)
    assert every(emptied, "identity.company_members", "company_id, is_guest") == GUEST_IN_SECOND


@contextmanager
def in_zone(url: str, zone: str) -> Iterator[None]:
    """Give the sessions of a database another time zone."""
    with psycopg.connect(url, autocommit=True) as conn:
        name = sql.Identifier(conn.info.dbname)
        conn.execute(sql.SQL("ALTER DATABASE {} SET TimeZone = {}").format(name, zone))
        try:
            yield
        finally:
            conn.execute(sql.SQL("ALTER DATABASE {} RESET TimeZone").format(name))


# In New York the clocks went back at 6:00 UTC of 1 November 2026: an hour came twice.
FALL = (NOON.replace(month=11, day=1, hour=5, minute=30) - NOON).total_seconds()
HISTORY = [
    crew("created", FALL, SECOND),
    user(FALL + 3600, display_name="New", server_metadata={"company_id": str(SECOND)}),
    user(FALL, last_active_at_millis=millis(FALL)),
    user(FALL + 60, display_name="Old"),
    member("created", FALL + 3600),
    member("deleted", FALL + 60),
    edit(FALL + 3600, role_type="new"),
    edit(FALL + 60, role_type="old"),
    may("created", FALL + 3600, "r"),
    may("deleted", FALL + 60, "r"),
    signed("in", FALL + 3600),
    crew("updated", FALL + 3600, SECOND, display_name="New"),
    crew("updated", FALL + 60, SECOND, display_name="Old"),
    gone(FALL + 7200),
    gone(FALL + 7100),
    user(FALL + 7300, display_name="Last"),
]  # fmt: skip
TABLES = {
    "identity.stack_user_profiles": "version, deleted_at, sync_version",
    "consumer.memberships": "join_version, removal_version, joined_at, removed_at",
    "consumer.team_permissions": "permission_id, version, is_present",
    "consumer.edits": "field, value, version",
    "identity.companies": "id, version, name",
    "consumer.outcomes": "outcome",
}
AUDIT = "operation, changed_fields, message_id, (new_values ->> 'deleted_at')::timestamptz AS deleted_at"


def left(url: str) -> list[Any]:
    tables = [every(url, table, columns) for table, columns in TABLES.items()]
    return [*tables, every(url, "identity.profile_audit", AUDIT, order="id"), model.state(url)]


@pytest.mark.parametrize("size", [1, 4, 15])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"])
async def test_the_time_zone_of_a_database_changes_no_row(emptied: str, zone: str, size: int) -> None:
    batches = [HISTORY[n : n + size] for n in range(0, len(HISTORY), size)]
    await in_batches(emptied, *batches)
    await rehomed(emptied)
    expected = left(emptied)
    empty(emptied)
    await record(emptied, ShapingSettings())

    with in_zone(emptied, zone):
        await in_batches(emptied, *batches)
        await rehomed(emptied)

    assert left(emptied) == expected
    assert expected[-1] == model.fold(HISTORY, ShapingSettings())
    assert one(emptied, "identity.profiles", "role_type, deleted_at") == ("new", at(FALL) + timedelta(seconds=7100))


async def test_a_database_may_change_its_time_zone_between_two_batches(emptied: str) -> None:
    with in_zone(emptied, "Asia/Kolkata"):
        await in_batches(emptied, HISTORY[:8], [gone(FALL + 7300)])
    await in_batches(emptied, HISTORY[8:])
    await rehomed(emptied)

    chain = every(
        emptied, "identity.profile_audit", "previous_values, new_values", "operation NOT LIKE 'signed%'", "id"
    )
    assert [before for before, _ in chain[1:]] == [after for _, after in chain[:-1]]
    assert chain[-1][1]["deleted_at"].endswith("+00:00")
