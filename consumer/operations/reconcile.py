"""Finds where rows and Stack differ: a scan repairs what adds or updates; what Stack no longer has is deleted here.

A scan proves that somebody is there, never that somebody is not. So what it does not list is a suspect, about which
Stack is asked twice. A run is complete after the scan; its suspects stay with it until they are decided.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from consumer.operations import actions, drift, imports, questions, runs, suspects
from consumer.operations.actions import Action
from consumer.operations.backfill import backfill
from consumer.operations.imports import Finder
from consumer.operations.runs import BegunRun, PageCounts, Run
from consumer.operations.scan import ScanDisturbed
from consumer.operations.suspects import LISTED, Suspect
from consumer.outbox.storage import Delivery
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.stack_api.client import StackApi

# Longer than any lag of a replica, a deploy, or a cache of an edge is likely to last.
ASKED_AGAIN_AFTER = timedelta(minutes=5)
# As many as teams a page: a kill loses two seconds of calls at the default rate.
QUESTIONS_A_PAGE = 10
# A transaction of some tens of milliseconds.
DELETIONS_A_PAGE = 1_000
# What two answers lacked a day ago may be deleted without another scan: no id comes back, and a newer event wins.
UNDECIDED_FOR = timedelta(days=1)
# More would not be read; a query of consumer.suspects has them all (docs/BACKFILL.md).
NAMED_MAX = 20
# Some deletions are lost in any week; a wrong project or an empty list lacks nearly everybody.
DELETIONS_ALWAYS = 10
DELETIONS_SHARE = 100


class Excess(NamedTuple):
    """So many suspects of a kind, of so many living, that the cause is probably another than lost deletions."""

    kind: str
    suspected: int
    living: int
    limit: int


class DriftCount(NamedTuple):
    """Differences of a kind; what is *left* is neither repaired nor deleted."""

    kind: str
    found: int
    repaired: int
    left: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How far a run is; *due_at*: when it can go on, None if Stack need not be asked again.

    *gone* are the first NAMED_MAX of what two answers lack, which lives here still.
    With an *excess* nothing was asked or deleted, for want of force.
    """

    run: Run
    drift: Sequence[DriftCount]
    excess: Sequence[Excess]
    due_at: datetime | None
    gone: Sequence[Suspect] = ()

    @property
    def is_drifting(self) -> bool:
        """A difference stays that a repair or a deletion would end."""
        return self.run.unusable > 0 or any(each.left for each in self.drift if each.kind not in LISTED)


@dataclass(frozen=True, slots=True)
class ReconcileOptions:
    """*is_new*: begin another run; *is_fixing*: delete here; *is_forced*: however many there are.

    The *action* counts the deletions; None for a job of `maintain`, which nobody began.
    """

    is_new: bool = False
    is_fixing: bool = False
    is_forced: bool = False
    action: Action | None = None


async def begin(conn: Connection, access: Access, project_id: str, options: ReconcileOptions) -> BegunRun:
    """Return the run to go on with: one with undecided suspects, or the open one, or another.

    Raises BadSettings if the database has another project's users.
    """
    if not options.is_new:
        async with transaction(conn, access):
            await runs.refuse_other_project(conn, project_id)
            run = await runs.undecided(conn, "reconcile", within=UNDECIDED_FOR, is_fixing=options.is_fixing)
            if run and (options.is_forced or not await _excess(conn, run)):
                return BegunRun(run, is_resumed=True)
    return await runs.begin(conn, access, "reconcile", project_id, is_new=options.is_new)


async def reconcile(
    conn: Connection, access: Access, api: StackApi, run: Run, options: ReconcileOptions
) -> AsyncIterator[Run]:
    """Do of a run what is possible now, page by page; yield the run after each.

    It waits for nothing: `report` tells when a second call can go on. Raises ApiError and ScanDisturbed.
    """
    async for page in backfill(conn, access, api, run):
        run = page
        yield run
    if run.finished_at is None or not await _may_decide(conn, access, run, options):
        return
    while await _ask_page(conn, access, api, run):
        async with transaction(conn, access):
            run = await runs.read(conn, run.id)
        yield run
    if options.is_fixing and await _may_decide(conn, access, run, options):
        while await _delete_page(conn, access, run, options.action):
            pass


async def report(conn: Connection, access: Access, run: Run, options: ReconcileOptions) -> Reconciled:
    """Return how far a run is, and what it found."""
    async with transaction(conn, access):
        run = await runs.read(conn, run.id)
        repaired = await drift.repaired(conn, run)
        if run.finished_at is None:
            return Reconciled(run, [DriftCount(kind, n, n, 0) for kind, n in sorted(repaired.items())], (), None)
        left = {kind: found.suspected for kind, found in (await suspects.count(conn, run)).items()}
        excess = [] if options.is_forced else await _excess(conn, run)
        due_at = None if excess else await suspects.due_at(conn, run, asked_again_after=ASKED_AGAIN_AFTER)
        gone = await suspects.confirmed(conn, run, NAMED_MAX)
    counts = ((kind, repaired.get(kind, 0), left.get(kind, 0)) for kind in sorted({*repaired, *left}))
    return Reconciled(
        run, [DriftCount(kind, done + open_, done, open_) for kind, done, open_ in counts], excess, due_at, gone
    )


async def reconcile_now(
    conn: Connection, access: Access, api: StackApi, project_id: str, options: ReconcileOptions
) -> Reconciled:
    """Do what is possible now, and return when the next step is due: for a job that is called again and again.

    Raises ApiError, and ScanDisturbed; then the next call goes on with another run, because this one's place is lost.
    """
    run = (await begin(conn, access, project_id, options)).run
    try:
        async for page in reconcile(conn, access, api, run, options):
            run = page
    except ScanDisturbed:
        async with transaction(conn, access):
            run = await runs.read(conn, run.id)
        if run.is_open:
            await runs.begin(conn, access, "reconcile", project_id, is_new=True)
        raise
    return await report(conn, access, run, options)


async def _may_decide(conn: Connection, access: Access, run: Run, options: ReconcileOptions) -> bool:
    """Tell whether suspects may be asked about and deleted; those that events have told of are none any more."""
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        await runs.lock_complete(conn, run)
        await suspects.drop_settled(conn, run)
        return options.is_forced or not await _excess(conn, run)


async def _excess(conn: Connection, run: Run) -> list[Excess]:
    living = await suspects.living(conn)
    found = await suspects.count(conn, run)
    limits = {kind: max(DELETIONS_ALWAYS, number // DELETIONS_SHARE) for kind, number in living.items()}
    return [
        Excess(kind, found[kind].suspected, living[kind], limit)
        for kind, limit in limits.items()
        if kind in found and found[kind].suspected > limit
    ]


async def _ask_page(conn: Connection, access: Access, api: StackApi, run: Run) -> bool:
    """Ask about the next suspects that are due; False if none is."""
    async with transaction(conn, access):
        due = await suspects.due(conn, run, asked_again_after=ASKED_AGAIN_AFTER, page_size=QUESTIONS_A_PAGE)
    before = api.requests
    answers = await questions.ask(api, run, due)
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        await runs.lock_complete(conn, run)
        await suspects.put_missing(conn, run, answers.missing)
        await suspects.drop(conn, run, answers.cleared)
        put = await imports.put(conn, answers.deliveries)
        await drift.add(conn, run, await suspects.drop(conn, run, answers.revived))
        counts = PageCounts(stored=put.stored, unusable=put.unusable, calls=api.requests - before)
        await runs.count_answers(conn, run, counts)
    return bool(due)


async def _delete_page(conn: Connection, access: Access, run: Run, action: Action | None) -> bool:
    """Store the deletions of the next suspects that two answers lack; False if there is none."""
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        await runs.lock_complete(conn, run)
        gone = await suspects.confirmed(conn, run, DELETIONS_A_PAGE)
        put = await imports.put(conn, [_deletion(run, suspect) for suspect in gone])
        await drift.add(conn, run, await suspects.drop(conn, run, gone))
        await runs.count_answers(conn, run, PageCounts(stored=put.stored, unusable=put.unusable))
        if gone and action:
            await actions.record(conn, action, len(gone))
    return bool(gone)


def _deletion(run: Run, suspect: Suspect) -> Delivery:
    finder = Finder(run.id, suspect.requested_at, "reconcile")
    return finder.deletion(suspect.kind, suspect.team_id, suspect.user_id, suspect.permission_id)
