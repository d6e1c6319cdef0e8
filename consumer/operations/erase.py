"""Erasure: forgets a user for good, and takes the user's data out of stored bodies, page by page beside live work.

The erasure itself is a delivery, which a worker applies. A kill or a repeat does no harm: a second call goes on.
"""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import orjson
from psycopg.rows import args_row, scalar_row, tuple_row

from consumer.events import personal
from consumer.events.personal import EMPTY, ErasedBody, Person, Traces
from consumer.events.registry import ERASED
from consumer.operations import actions, stored_bodies
from consumer.operations.actions import Action
from consumer.operations.stored_bodies import Candidate, StoredBody
from consumer.outbox import rebuild_queue, storage
from consumer.outbox.rebuild_queue import Stage
from consumer.outbox.storage import Delivery
from consumer.postgres import ledger, session
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import rows

# Nobody judges more, and a short name stands in any number of bodies.
MENTIONS_MAX = 10_000
OWN_BODIES, OTHER_BODIES = "consumer.outbox: about the user", "consumer.outbox: about others"
FAILURES = "consumer.failures"


class Mention(NamedTuple):
    """A text that holds a name or an address of the user, and that nobody but a person can judge."""

    relation: str
    key: str
    column: str


class TouchedTeam(NamedTuple):
    """A team that deliveries or tables connect with the user; *is_own*: nobody else was ever in it."""

    id: UUID
    is_own: bool


@dataclass(slots=True)
class Report:
    """The result: how many rows of each kind changed, and what is left for a person to decide.

    *unreadable* are deliveries about the user whose bodies are no JSON; these bodies are emptied. *mentions* are the
    first ones of *mention_count*. *shared_emails* counts addresses that another user has, too: they stay in bodies
    about others.
    """

    changed: Counter[str] = field(default_factory=Counter)
    unreadable: list[StoredBody] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    mention_count: int = 0
    shared_emails: int = 0

    def mention(self, *found: Mention) -> None:
        """Count mentions, and keep the first ones."""
        self.mentions += found[: MENTIONS_MAX - len(self.mentions)]
        self.mention_count += len(found)


@dataclass(frozen=True, slots=True)
class Erasure:
    """All that has to be known of a user to erase its data: *person* in bodies, *found* values, *teams*."""

    person: Person
    found: Traces
    teams: Sequence[TouchedTeam]
    shared_emails: int

    @property
    def team_ids(self) -> list[UUID]:
        """Return the teams without any other member."""
        return [team.id for team in self.teams if team.is_own]

    @property
    def company_ids(self) -> list[UUID]:
        """Return the companies whose names may come from the user."""
        return [team.id for team in self.teams]


async def held(conn: Connection, user_id: UUID) -> Counter[str]:
    """Count the rows that hold the user's data, by table."""
    return Counter(dict(await rows(conn, tuple_row, "erase/held", {"user_id": user_id})))


async def prepare(conn: Connection, access: Access, user_id: UUID) -> Erasure:
    """Collect the user's names, addresses and teams from tables and bodies, before any of them is erased."""
    async with transaction(conn, access):
        [(names, emails)] = await rows(conn, tuple_row, "erase/traces", {"user_id": user_id})
    found = Traces(frozenset(names or ()) - {"Unknown User", "Deleted user"}, frozenset(emails or ()))
    async for page in stored_bodies.about(conn, access, user_id):
        for stored in page:
            found |= personal.traces(stored.body)
    async with transaction(conn, access):
        # An earlier call may have been killed after the tables forgot which teams the user had selected.
        values = {"user_id": user_id, "team_ids": list(found.team_ids)}
        teams = await rows(conn, args_row(TouchedTeam), "erase/teams", values)
        values = {"user_id": user_id, "emails": list(found.emails)}
        shared = set(await rows(conn, scalar_row, "erase/shared_emails", values))
    own_teams = frozenset(team.id for team in teams if team.is_own)
    return Erasure(Person(user_id, own_teams, found.emails - shared), found, teams, len(shared))


async def store(conn: Connection, access: Access, user_id: UUID, action: Action) -> None:
    """Store and queue the fact that the user is erased; a repeat changes nothing."""
    body = orjson.dumps({"type": ERASED, "data": {"id": str(user_id)}})
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        at = await session.now(conn)
        erasure = Delivery("operator", f"erase:{user_id}", ERASED, user_id, None, at, None, body)
        await storage.put(conn, [erasure])
        await actions.record(conn, action, 1)
        await session.wake(conn)


async def is_settled(conn: Connection, user_id: UUID, company_ids: Collection[UUID] = ()) -> bool:
    """Tell whether the erasure is applied, and no row of the user and these companies waits to be made anew."""
    values = {"user_id": user_id, "company_ids": list(company_ids)}
    return await rows(conn, scalar_row, "erase/is_settled", values) == [True]


async def erase_bodies(conn: Connection, access: Access, erasure: Erasure, *, is_kept: bool) -> AsyncIterator[Report]:
    """Take the user's data out of stored bodies, and queue what was made of them to be made anew.

    Yield the report after each page's commit; the same one each time. Bodies about others come first, because the
    values to look for are those in the bodies about the user. Without *is_kept* nothing is changed.
    """
    bodies = _Bodies(conn, access, erasure, is_kept, Report(shared_emails=erasure.shared_emails))
    async for others in stored_bodies.about_others(conn, access, erasure.person, erasure.found):
        await bodies.erase_others(others)
        yield bodies.report
    async for own in stored_bodies.about(conn, access, erasure.person.user_id):
        await bodies.erase_own(own)
        yield bodies.report
    async with transaction(conn, access):
        bodies.report.mention(*await _remarks(conn, erasure))
        if is_kept:
            # Even if no body changed: an earlier call may have ended before this.
            await _queue(conn, erasure)
            await actions.scrub(conn, erasure.person.user_id)
    yield bodies.report


@dataclass(frozen=True, slots=True)
class _Bodies:
    conn: Connection
    access: Access
    erasure: Erasure
    is_kept: bool
    report: Report

    async def erase_others(self, page: Sequence[Candidate]) -> None:
        """Erase the structured places of bodies about others; note what else holds a value."""
        erased: dict[int, ErasedBody] = {}
        values = personal.needles(self.erasure.found.names | self.erasure.found.emails)
        for found in page:
            made = personal.without(found.body, found.source, self.erasure.person) if found.body else None
            if made:
                erased[found.seq] = made
            left = made.body if made else found.body
            if left is None or any(value in left for value in values):
                self.report.mention(Mention("consumer.outbox", found.message_id, "body"))
        await self._replace(erased)
        self.report.changed[OTHER_BODIES] += len(erased)

    async def erase_own(self, page: Sequence[StoredBody]) -> None:
        """Leave only type and ids of bodies about the user, and nothing of those that are no JSON."""
        erased: dict[int, ErasedBody] = {}
        for stored in page:
            body = personal.erased(stored.body, self.erasure.person.user_id)
            if body is None and stored.body != EMPTY:
                self.report.unreadable.append(stored)
            if (body or EMPTY) != stored.body:
                erased[stored.seq] = ErasedBody(body or EMPTY, None)
        await self._replace(erased)
        self.report.changed[OWN_BODIES] += len(erased)

    async def _replace(self, erased: dict[int, ErasedBody]) -> None:
        """Replace bodies, and the recorded errors that go with them, in one transaction."""
        if not (erased and self.is_kept):
            return
        async with transaction(self.conn, self.access):
            await ledger.begin_work(self.conn)
            errors = await stored_bodies.replace(self.conn, self.erasure.person.user_id, erased)
            await _queue(self.conn, self.erasure)
        self.report.changed[FAILURES] += errors


async def _queue(conn: Connection, erasure: Erasure) -> None:
    """Queue the user and the companies to be made anew from the bodies as they are now."""
    await rebuild_queue.put_users(conn, [erasure.person.user_id])
    await rebuild_queue.put_companies(conn, erasure.company_ids, Stage.COMPANY, Stage.NAMED_BY_USERS)


async def _remarks(conn: Connection, erasure: Erasure) -> list[Mention]:
    texts = sorted((erasure.found.names | erasure.found.emails) - {""})
    values = {"user_id": erasure.person.user_id, "texts": texts, "team_ids": erasure.team_ids}
    return await rows(conn, args_row(Mention), "erase/remarks", values)
