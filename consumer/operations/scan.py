"""Fetches the next page of a run: users, then teams, then the members and permissions of each team.

A list is scanned by its cursors, and a cursor may be lost: its user is deleted, and an empty page ends the list; or its
user is upgraded from anonymous, moves to the end of the list, and all users between are skipped without a sign. Either
is noticed here, and the scan of that list begins again.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

from consumer.errors import ConsumerError
from consumer.operations.imports import Finder
from consumer.operations.runs import PageCounts, Place, Run
from consumer.outbox.storage import Delivery
from consumer.stack_api import listing
from consumer.stack_api.client import StackApi
from consumer.stack_api.errors import AnswerTooLarge
from consumer.stack_api.listing import ListedObject, ListPage, MemberProfile, Permission
from consumer.sync import REPLICA_LAG

T = TypeVar("T")

# Teams a page: twenty calls, two seconds at the default rate, which is all that a kill loses.
TEAMS_A_PAGE = 10
# A user that moved signed up, as the list shows it, after its cursor was listed. By so much less, because Stack's clock
# may differ from the database's, and a replica may lag.
CLOCKS_DIFFER = timedelta(minutes=2)
# Longer than a replica lags.
REPLICAS_AGREE = REPLICA_LAG + timedelta(seconds=5)
# A scan of 80 pages loses its cursor by chance perhaps once in a thousand runs.
RESTARTS_MAX = 5


class ScanDisturbed(ConsumerError):
    """Stack's list lost its place time and again: begin another run with --new, at a quieter hour."""


@dataclass(frozen=True, slots=True)
class RunPage:
    """What to store, and where the run goes on; without a *place* it is complete."""

    deliveries: Sequence[Delivery]
    place: Place | None
    counts: PageCounts
    listed_user_ids: Sequence[UUID] = field(default=())
    listed_team_ids: Sequence[UUID] = field(default=())
    done_team_ids: Sequence[UUID] = field(default=())
    # Of those of them that Stack still has.
    team_answers: Mapping[UUID, "TeamAnswers"] = field(default_factory=dict)


class TeamAnswers(NamedTuple):
    """The members of a team, and what they may do."""

    members: Sequence[MemberProfile] = ()
    permissions: Sequence[Permission] = ()


async def fetch(api: StackApi, run: Run, team_ids: Sequence[UUID]) -> RunPage:
    """Fetch the page at which a run is; *team_ids* are the teams of the next page of members.

    Call it outside any transaction. Raises ApiError, and ScanDisturbed if the scan begins anew too often.
    """
    finder = Finder(run.id, run.now, run.kind)
    if run.stage == "users":
        return await _users(api, run, finder)
    if run.stage == "teams":
        return await _teams(api, run, finder)
    return await _members(api, run, finder, team_ids)


async def _users(api: StackApi, run: Run, finder: Finder) -> RunPage:
    before = api.requests
    _await_replicas(api, run)
    page = await api.users(run.cursor)
    is_lost = run.cursor is not None and await _is_lost(api, run, run.cursor, page)
    found = [finder.user(user.id.lower(), user.body) for user in page.items]
    place = _next(run, page, is_lost=is_lost) or Place("teams", run.restarts)
    # Another scan counts anew.
    users = -run.users if is_lost else len(page.items)
    ids = [user_id for user in page.items if (user_id := _uuid(user.id))]
    return RunPage(found, place, PageCounts(users=users, calls=api.requests - before), listed_user_ids=ids)


async def _teams(api: StackApi, run: Run, finder: Finder) -> RunPage:
    before = api.requests
    _await_replicas(api, run)
    page = await api.teams(run.cursor)
    # Teams do not move.
    is_lost = run.cursor is not None and not page.items
    found = [finder.team(team.id.lower(), team.body) for team in page.items]
    place = _next(run, page, is_lost=is_lost) or Place("members", run.restarts)
    ids = [team_id for team in page.items if (team_id := _uuid(team.id))]
    return RunPage(found, place, PageCounts(calls=api.requests - before), listed_team_ids=ids)


def _await_replicas(api: StackApi, run: Run) -> None:
    """Put the first call of another scan off until each replica knows what the scan before it has met."""
    if run.cursor is None and run.listed_at is not None:
        api.pause((run.listed_at + REPLICAS_AGREE - run.now).total_seconds())


def _next(run: Run, page: ListPage, *, is_lost: bool) -> Place | None:
    """Return where the scan of a list goes on, None at its end."""
    times = [user.signed_up_at_millis for user in page.items if user.signed_up_at_millis is not None]
    newest = max([run.newest_millis or 0, *times])
    if is_lost:
        if run.restarts >= RESTARTS_MAX:
            raise ScanDisturbed
        return Place(run.stage, run.restarts + 1, newest_millis=newest, listed_at=run.now)
    if page.next_cursor is None:
        return None
    # An old server's cursor is the first user of the next page, which is not listed yet.
    last = page.items[-1] if page.items else None
    listed_millis = last.signed_up_at_millis if last and last.id == page.next_cursor else None
    return Place(run.stage, run.restarts, page.next_cursor, listed_millis, newest, run.now)


async def _is_lost(api: StackApi, run: Run, cursor: str, page: ListPage) -> bool:
    """Tell whether the page does not follow the one before it; asks only if the page leaves a doubt."""
    # An old server's page begins with the cursor's user. One that was updated meanwhile skips that user.
    first = page.items[0] if page.items else None
    if first is None or (run.cursor_millis is None and first.id != cursor):
        return True
    if not _may_follow_a_move(run, first):
        return False
    if run.cursor_millis is None:
        # When it signed up was not listed before. An anonymous user has not moved.
        return not _is_anonymous(first)
    user_id = _uuid(cursor)
    body = await api.user(user_id) if user_id else None
    if body is None:
        return True
    # A replica that lags may show it anonymous still.
    user = listing.one(body)
    return user.signed_up_at_millis != run.cursor_millis or _is_anonymous(user)


def _may_follow_a_move(run: Run, first: ListedObject) -> bool:
    """Tell whether a page's first user may be one that moved, or stand behind one: it signed up after the move then.

    That is later than all that was listed before, in an earlier scan too because replicas agree on that, and than the
    page that named the cursor.
    """
    assert run.listed_at is not None, "a cursor was listed"
    at = first.signed_up_at_millis
    return at is None or (at >= millis(run.listed_at - CLOCKS_DIFFER) and at > (run.newest_millis or 0))


def _is_anonymous(user: ListedObject) -> bool:
    return listing.value(listing.members(user.body), "is_anonymous") is True


async def _members(api: StackApi, run: Run, finder: Finder, team_ids: Sequence[UUID]) -> RunPage:
    if not team_ids:
        return RunPage((), None, PageCounts())
    before = api.requests
    answers = await at_once([of_team(api, team_id) for team_id in team_ids])
    known = {team_id: answer for team_id, answer in zip(team_ids, answers, strict=True) if answer}
    members = [member for answer in known.values() for member in answer.members]
    permissions = [permission for answer in known.values() for permission in answer.permissions]
    found = [finder.membership(member.team_id, member.user_id) for member in members]
    found += [
        finder.permission(permission.team_id, permission.user_id, permission.id)
        for permission in permissions
        if permission.team_id
    ]
    # Each member comes with the whole user: a user that the list skipped is found here.
    bodies = {member.user_id: member.user_body for member in members}
    found += [finder.user(str(user_id), body) for user_id, body in bodies.items()]
    counts = PageCounts(memberships=len(members), permissions=len(permissions), calls=api.requests - before)
    place = Place("members", run.restarts, str(team_ids[-1]))
    return RunPage(found, place, counts, list(bodies), done_team_ids=team_ids, team_answers=known)


async def at_once(questions: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Ask several questions at once: one after the other, waiting for each answer, a slow server sets the rate."""
    tasks = [asyncio.create_task(question) for question in questions]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def of_team(api: StackApi, team_id: UUID) -> TeamAnswers | None:
    """Return a team's members and permissions, none if nobody is in it; None for a team that is gone."""
    try:
        members = await api.team_member_profiles(team_id)
    except AnswerTooLarge:
        members = await _members_by_page(api, team_id)
    if not members:
        return None if members is None else TeamAnswers()
    return TeamAnswers(members, await api.team_permissions(team_id))


async def _members_by_page(api: StackApi, team_id: UUID) -> tuple[MemberProfile, ...]:
    found: list[MemberProfile] = []
    page = await api.team_users(team_id)
    while True:
        found += [MemberProfile(team_id, user_id, user.body) for user in page.items if (user_id := _uuid(user.id))]
        if page.next_cursor is None:
            return tuple(found)
        page = await api.team_users(team_id, page.next_cursor)


def millis(at: datetime) -> int:
    """Return a time in milliseconds, as Stack tells times."""
    return int(at.timestamp() * 1000)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
