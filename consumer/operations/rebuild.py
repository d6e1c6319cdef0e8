"""Rebuild, as an operator asks for it: which users and companies are queued, and what a rebuild would change."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from consumer.effects import anew
from consumer.effects.anew import Differing
from consumer.operations import actions
from consumer.operations.actions import Action
from consumer.operations.paging import in_pages
from consumer.outbox import rebuild_queue
from consumer.outbox.deliveries import SelectedDelivery, Selection
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres import ledger, session
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.error_classes import ErrorClass, error_class

# The kind of difference of a row that a constraint, or an application's trigger, keeps as it is.
REFUSED = "refused"

# The states of deliveries that have changed rows: a pending one has changed none.
APPLIED = ("done",)

# A company begins or ends with these: users without a delivery of their own may have got another home.
REHOMING = {"team.created", "team.deleted", "company.declared"}


@dataclass(frozen=True, slots=True)
class Subjects:
    """Users and companies by their ids."""

    user_ids: Sequence[UUID] = ()
    company_ids: Sequence[UUID] = ()


@dataclass(slots=True)
class Drift:
    """What a rebuild would change: how many were compared, and of these how many differ in each kind of row.

    *first* names the first that differs, with the kinds.
    """

    users: int = 0
    companies: int = 0
    differing: Counter[str] = field(default_factory=Counter)
    first: tuple[UUID, list[str]] | None = None

    def add(self, stage: Stage, page: Sequence[UUID], differing: Differing) -> None:
        """Count a page that was compared."""
        self.differing.update(kind for kinds in differing.values() for kind in kinds)
        if self.first is None and differing:
            self.first = next(iter(sorted(differing.items())))
        if stage is Stage.USER:
            self.users += len(page)
        elif stage is Stage.COMPANY:
            self.companies += len(page)


async def queue_concerned(conn: Connection, concerned: Iterable[SelectedDelivery]) -> None:
    """Queue the users and companies of these deliveries, in the caller's transaction."""
    subjects = await _subjects_of(conn, concerned)
    if subjects.user_ids:
        await rebuild_queue.put_users(conn, subjects.user_ids)
    if company_ids := {*subjects.company_ids, *await rebuild_queue.named_by(conn, subjects.user_ids)}:
        await rebuild_queue.put_companies(conn, company_ids, Stage.COMPANY, Stage.NAMED_BY_USERS)


async def queue(conn: Connection, access: Access, subjects: Subjects, action: Action) -> int:
    """Queue these users and companies, in one transaction; return how many they are."""
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        count = await put(conn, subjects)
        await actions.record(conn, action, count)
    return count


async def put(conn: Connection, subjects: Subjects) -> int:
    """Queue these users and companies in the caller's transaction; return how many there are."""
    await rebuild_queue.put_users(conn, subjects.user_ids)
    await rebuild_queue.put_companies(conn, subjects.company_ids, Stage.COMPANY, Stage.NAMED_BY_USERS)
    await session.wake(conn)
    return len(subjects.user_ids) + len(subjects.company_ids)


async def unknown(conn: Connection, access: Access, named: Subjects) -> list[UUID]:
    """Return those of these users and companies that neither a delivery nor a row names."""
    wanted = [(Stage.USER, one) for one in named.user_ids] + [(Stage.COMPANY, one) for one in named.company_ids]
    async with transaction(conn, access):
        return [
            one
            for stage, one in wanted
            if (await rebuild_queue.next_ids(conn, stage, UUID(int=max(one.int - 1, 0))))[:1] != [one]
        ]


async def with_users_of(conn: Connection, access: Access, subjects: Subjects) -> Subjects:
    """Add every user that the companies concern."""
    async with transaction(conn, access):
        users = await rebuild_queue.users_of(conn, subjects.company_ids)
    return Subjects([*subjects.user_ids, *users], subjects.company_ids)


async def with_companies_named_by(conn: Connection, access: Access, subjects: Subjects) -> Subjects:
    """Add the companies whose names are facts of the users; each is named once."""
    async with transaction(conn, access):
        companies = await rebuild_queue.named_by(conn, subjects.user_ids)
    return Subjects(list(dict.fromkeys(subjects.user_ids)), list(dict.fromkeys([*subjects.company_ids, *companies])))


async def chosen(conn: Connection, access: Access, named: Subjects, applied: Selection | None) -> Subjects:
    """Return the named users, the named companies with their users, and those of *applied* deliveries.

    The companies that these users name come with them.
    """
    subjects = await with_users_of(conn, access, named)
    if applied:
        found = await concerned(conn, access, applied)
        subjects = Subjects([*subjects.user_ids, *found.user_ids], [*subjects.company_ids, *found.company_ids])
    return await with_companies_named_by(conn, access, subjects)


async def queue_all(conn: Connection, access: Access, action: Action) -> AsyncIterator[int]:
    """Queue every user and company that a delivery or a row names, page by page; yield how many after each commit."""
    for stage in Stage:
        async for ids in all_ids(conn, access, stage):
            async with transaction(conn, access):
                await ledger.begin_work(conn)
                queued = await put_stage(conn, stage, ids)
                await actions.record(conn, action, queued)
            yield queued


async def put_stage(conn: Connection, stage: Stage, ids: Sequence[UUID]) -> int:
    """Queue these for one stage, in the caller's transaction; return how many: a company counts in its first stage."""
    if stage is Stage.USER:
        await rebuild_queue.put_users(conn, ids)
    else:
        await rebuild_queue.put_companies(conn, ids, stage)
    await session.wake(conn)
    return 0 if stage is Stage.NAMED_BY_USERS else len(ids)


async def concerned(conn: Connection, access: Access, selection: Selection) -> Subjects:
    """Return the users and companies of the matching deliveries."""
    user_ids: set[UUID] = set()
    company_ids: set[UUID] = set()
    async for page in in_pages(conn, access, selection, _subjects_of):
        user_ids.update(page.user_ids)
        company_ids.update(page.company_ids)
    return Subjects(list(user_ids), list(company_ids))


async def _subjects_of(conn: Connection, found: Iterable[SelectedDelivery]) -> Subjects:
    """Return users and companies of these deliveries, and every user of a company that begins or ends with one."""
    read = list(found)
    rehomed = {delivery.team_id for delivery in read if delivery.team_id and delivery.event_type in REHOMING}
    user_ids = {delivery.user_id for delivery in read if delivery.user_id}
    if rehomed:
        user_ids.update(await rebuild_queue.users_of(conn, rehomed))
    return Subjects(list(user_ids), list({delivery.team_id for delivery in read if delivery.team_id}))


async def compare(conn: Connection, access: Access, subjects: Subjects | None) -> AsyncIterator[Drift]:
    """Make rows anew and roll each page back; yield what differs so far after each. None: of everybody.

    *access* is the worker's.
    """
    found = Drift()
    for stage in Stage:
        async for page in pages(conn, access, stage, subjects):
            found.add(stage, page, await differing(conn, access, stage, page))
            yield found


async def compare_page(
    conn: Connection, access: Access, place: tuple[Stage, UUID | None], subjects: Subjects | None
) -> tuple[Sequence[UUID], Differing]:
    """Make the next page of a stage anew and roll it back; return it, empty at the end, and where it differs.

    *place* is a stage and the last id that was compared in it. *access* is the worker's.
    """
    stage, after = place
    async with transaction(conn, access):
        if subjects is None:
            ids = await rebuild_queue.next_ids(conn, stage, after)
        else:
            chosen = subjects.user_ids if stage is Stage.USER else subjects.company_ids
            ids = sorted(one for one in chosen if after is None or one > after)
    async for page in _fitting(conn, access, stage, ids):
        return page, await differing(conn, access, stage, page)
    return [], {}


async def differing(conn: Connection, access: Access, stage: Stage, page: Sequence[UUID]) -> Differing:
    """Make a page anew and roll it back; return where it differs, as a row does that may not be changed."""
    try:
        async with transaction(conn, access):
            await ledger.begin_work(conn)
            return await anew.make_anew(conn, stage, page, is_kept=False)
    except psycopg.Error as error:
        if error_class(error) not in {ErrorClass.CONSTRAINT, ErrorClass.POISON}:
            raise
    if len(page) == 1:
        return {page[0]: [REFUSED]}
    half = len(page) // 2
    return {
        **await differing(conn, access, stage, page[:half]),
        **await differing(conn, access, stage, page[half:]),
    }


async def pages(conn: Connection, access: Access, stage: Stage, subjects: Subjects | None) -> AsyncIterator[list[UUID]]:
    """Yield the ids of a stage in pages as workers take them; None: of everybody."""
    if subjects is None:
        async for ids in all_ids(conn, access, stage):
            async for page in _fitting(conn, access, stage, ids):
                yield page
        return
    ids = sorted(subjects.user_ids if stage is Stage.USER else subjects.company_ids)
    async for page in _fitting(conn, access, stage, ids):
        yield page


async def _fitting(conn: Connection, access: Access, stage: Stage, ids: Collection[UUID]) -> AsyncIterator[list[UUID]]:
    left = list(ids)
    while left:
        size = rebuild_queue.COMPANIES_MAX
        if stage is Stage.USER:
            async with transaction(conn, access):
                size = await rebuild_queue.fitting(conn, left[: rebuild_queue.USERS_MAX])
        yield left[:size]
        left = left[size:]


async def all_ids(conn: Connection, access: Access, stage: Stage) -> AsyncIterator[list[UUID]]:
    """Yield the ids of all users, or of all companies, in pages and in their order."""
    after: UUID | None = None
    while True:
        async with transaction(conn, access):
            ids = await rebuild_queue.next_ids(conn, stage, after)
        if not ids:
            return
        yield ids
        after = ids[-1]
