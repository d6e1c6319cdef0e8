"""The pages of a prune: whom they reach, what is removed of them and in which order, and what is locked and counted."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from consumer.postgres.connections import transaction
from consumer.postgres.queries import query
from tests.support.databases import change, rows
from tests.support.kept import kept
from tests.support.queries import turned_over
from tests.test_prune_rows import ADA, OPERATOR, TEAM, Told, asked, crew, page_of, tell, user
from tests.test_stored import JANUARY

MOMENT = timedelta(microseconds=1)
PEOPLE = [UUID(int=0xA0 + n) for n in range(3)]
TEAMS = [UUID(int=0xC0 + n) for n in range(3)]
SUBJECTS = ["users", "teams"]


def event(subject: str, place: int, second: float, *, is_kept: bool = False) -> tuple[Told, UUID | None]:
    """Return an event of the user or the team at a place."""
    if subject == "users":
        return user(is_kept, second), PEOPLE[place]
    return Told(is_kept, "team.updated", second, team=TEAMS[place]), None


def told(url: str, subject: str, places: str) -> list[int]:
    """Store an event of the user or team at each place, each newer than those before."""
    return [tell(url, *event(subject, int(place), n)) for n, place in enumerate(places)]


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize(
    ("places", "page_size", "after", "last", "is_cut", "removed"),
    [
        ("", 3, None, None, False, []),
        ("000", 4, None, 0, False, [0, 1]),
        ("000", 3, None, 0, True, [0, 1]),
        ("0000", 3, None, 0, True, None),
        ("00111", 4, None, 0, False, [0]),
        ("00111", 5, None, 0, False, [0]),
        ("00111", 6, None, 1, False, [0, 2, 3]),
        ("00112", 5, None, 1, False, [0, 2]),
        ("00112", 4, None, 0, False, [0]),
        ("00112", 6, None, 2, False, [0, 2]),
        ("00112", 3, 0, 1, False, [2]),
        ("00112", 9, 0, 2, False, [2]),
        ("00112", 9, 1, 2, False, []),
        ("00112", 9, 2, None, False, []),
        ("21100", 5, None, 1, False, [1, 3]),
        ("21100", 3, None, 0, False, [3]),
    ],
)
async def test_a_page_reaches_the_last_whole_user_or_team_and_tells_if_one_is_cut(
    emptied: str,
    subject: str,
    places: str,
    page_size: int,
    after: int | None,
    last: int | None,
    is_cut: bool,
    removed: list[int] | None,
) -> None:
    ids = PEOPLE if subject == "users" else TEAMS
    seqs = told(emptied, subject, places)
    turned_over(emptied)

    found = await page_of(
        emptied, subject, page_size=page_size, after_id=None if after is None else ids[after], removed_max=page_size
    )

    assert found[2:] == (None if last is None else ids[last], is_cut)
    if removed is None:
        # Which of them are in the page is not said.
        assert (len(found[0]), set(found[0]) < set(seqs)) == (2, True)
    else:
        assert found[0] == [seqs[n] for n in removed]
    assert len(found[1]) == len(found[0])


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_no_more_are_removed_than_wanted_and_the_first_stored_first(emptied: str, subject: str) -> None:
    seqs = told(emptied, subject, "11100022")
    turned_over(emptied)

    found = [(await page_of(emptied, subject, removed_max=most))[0] for most in (0, 1, 3, 9)]

    removable = [seqs[n] for n in (0, 1, 3, 4, 6)]
    assert found == [[], removable[:1], removable[:3], removable]


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_what_was_received_at_the_end_or_later_stays_and_supersedes_nothing(emptied: str, subject: str) -> None:
    first, old, last = told(emptied, subject, "000")
    change(emptied, f"UPDATE consumer.outbox SET received_at = received_at - interval '1 us' WHERE seq <> {last}")
    alone = told(emptied, subject, "1")
    change(emptied, f"UPDATE consumer.outbox SET received_at = received_at - interval '1 us' WHERE seq = {alone[0]}")

    assert (await page_of(emptied, subject, until=JANUARY))[0] == [first]
    assert (await page_of(emptied, subject, until=JANUARY + MOMENT))[0] == [first, old]
    assert (await page_of(emptied, subject, until=JANUARY - MOMENT))[0] == []


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize(
    ("outcome", "counts"),
    [("applied", True), ("unchanged", True), ("stale", True), ("ignored", False), ("discarded", False), (None, False)],
)
async def test_only_what_was_applied_is_removed_and_supersedes(
    emptied: str, subject: str, outcome: str | None, counts: bool
) -> None:
    first, second, third = told(emptied, subject, "000")
    done = f"UPDATE consumer.outcomes SET outcome = '{outcome}'" if outcome else "DELETE FROM consumer.outcomes"
    change(emptied, f"{done} WHERE seq IN ({first}, {third})")

    assert (await page_of(emptied, subject))[0] == ([first, second] if counts else [])


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_what_repeats_a_removed_delivery_tells_nothing_and_may_be_removed_itself(
    emptied: str, subject: str
) -> None:
    first, second, third = told(emptied, subject, "000")
    change(
        emptied,
        "INSERT INTO consumer.pruned (key) SELECT consumer.message_key(source, message_id) FROM consumer.outbox "
        f"WHERE seq = {third}",
    )

    assert (await page_of(emptied, subject))[0] == [first, third]
    assert second not in (await page_of(emptied, subject))[0]


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_only_the_delivery_that_a_company_waits_with_stays_for_it(emptied: str, subject: str) -> None:
    first, second, _ = told(emptied, subject, "000")
    change(emptied, f"INSERT INTO consumer.rehome (company_id, seq) VALUES ('{TEAM}', {first})")

    assert (await page_of(emptied, subject))[0] == [second]


@pytest.mark.parametrize("event_type", ["user.erased", "company.declared", "x.y", "team_membership.created"])
async def test_other_types_are_never_looked_at_as_a_teams_own(emptied: str, event_type: str) -> None:
    for second in range(3):
        tell(emptied, Told(True, event_type, second, team=TEAM), None)

    assert await page_of(emptied, "teams") == ([], [], None, False)


@pytest.mark.parametrize("event_type", ["user.erased", "project_permission.created", "x.y", "team.updated"])
async def test_other_types_are_never_looked_at_as_a_users(emptied: str, event_type: str) -> None:
    for second in range(3):
        tell(emptied, Told(True, event_type, second), ADA)

    assert await page_of(emptied, "users") == ([], [], None, False)


async def test_each_user_and_team_is_compared_for_itself(emptied: str) -> None:
    kept_seqs = [tell(emptied, user(True, n), one) for n, one in enumerate(PEOPLE)]
    kept_seqs += [tell(emptied, Told(True, "team.deleted", n, team=one), None) for n, one in enumerate(TEAMS)]
    removed = [tell(emptied, user(False, -1), PEOPLE[2]), tell(emptied, crew(False, "deleted", 9), None)]

    assert (await page_of(emptied, "users"))[0] == removed[:1]
    assert (await page_of(emptied, "teams"))[0] == removed[1:]
    assert not set(kept_seqs) & set(removed)


async def test_what_is_still_done_is_locked_in_its_order_against_everybody(emptied: str) -> None:
    seqs = told(emptied, "users", "00000000")
    outcomes = ["applied", "unchanged", "stale", "ignored", "discarded", "applied", "applied", "applied"]
    for seq, outcome in zip(seqs, outcomes, strict=True):
        change(emptied, f"UPDATE consumer.outcomes SET outcome = '{outcome}' WHERE seq = {seq}")
    turned_over(emptied)
    free = "SELECT seq FROM consumer.outcomes FOR KEY SHARE SKIP LOCKED"

    with psycopg.connect(emptied) as other:
        other.execute("SELECT FROM consumer.outcomes WHERE seq = %s FOR UPDATE", [seqs[5]])
        async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
            values = {"seqs": [seqs[n] for n in (6, 5, 4, 3, 2, 1, 0)]}
            cursor = await conn.execute(query("prune/lock"), values, binary=True)
            locked = [seq for (seq,) in await cursor.fetchall()]
            with psycopg.connect(emptied) as stranger:
                left: set[Any] = {seq for (seq,) in stranger.execute(free).fetchall()}

    assert locked == [seqs[n] for n in (0, 1, 2, 6)]
    assert left == {seqs[n] for n in (3, 4, 7)}


async def test_expired_audit_rows_are_counted_up_to_the_instant(emptied: str) -> None:
    change(
        emptied,
        "INSERT INTO identity.profile_audit (user_id, operation, source, message_id, seq, at) "
        f"SELECT '{ADA}', 'updated', 'stack', n, n, now() - n * interval '1 day' FROM generate_series(1, 4) AS n",
    )

    found = [await asked(emptied, "count_audit", kept=timedelta(days=days)) for days in (0, 2.5, 3.5, 9)]

    assert found == [[(4,)], [(2,)], [(1,)], [(0,)]]
    assert len(rows(emptied, "SELECT FROM identity.profile_audit")) == 4
