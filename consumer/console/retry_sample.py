"""What a retry would do, as checked now: a sample is checked by this release, applied, and rolled back."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg

from consumer.console.reading import TooSlow
from consumer.console.turns import Busy
from consumer.console.visit import Visit
from consumer.deadline import within
from consumer.errors import ConsumerError
from consumer.operations import replay
from consumer.operations.replay import Rechecked
from consumer.outbox.deliveries import Selection
from consumer.postgres.connections import transaction
from consumer.postgres.error_classes import ErrorClass, code, error_class
from consumer.worker import dry_run

# Few enough for a page that a person waits for, and enough to see whether the cause is mended.
SIZE = 20
NOT_IN_TIME = f"Not checked in time: it took over {dry_run.TIME.seconds} s and was given up."
WITHOUT_STATEMENT = "No statement of your application ran: this console has no CONSUMER_PROJECTION_SQL."
# In the order in which the page tells them.
OUTCOMES: Mapping[str, str] = {
    "applied": "would be applied",
    "unchanged": "would change nothing",
    "stale": "would end as stale: a newer one counts",
    "ignored": "would be ignored",
    "discarded": "would be discarded: the user is erased",
}


@dataclass(frozen=True, slots=True)
class RetrySample:
    """How many were checked again, how many of them end in each outcome, and codes of the errors that others meet.

    *unusable* are refused by this release. *locked* could not be tried: others hold their rows, or it took too long.
    *reread* are usable, and were not applied. *problem*: why none was.
    """

    size: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    failing: Mapping[str, int] = field(default_factory=dict)
    unusable: Mapping[str, int] = field(default_factory=dict)
    locked: int = 0
    reread: int = 0
    problem: str | None = None
    has_statement: bool = False

    @property
    def sentences(self) -> Sequence[str]:
        """What the page says."""
        if not self.size:
            return [self.problem or "None of them is dead any more."]
        found = [f"{self.size} checked again: {', '.join(self._parts())}."]
        if self.problem:
            return [*found, f"None was applied: {self.problem}"]
        return found if self.has_statement else [*found, WITHOUT_STATEMENT]

    def _parts(self) -> Iterator[str]:
        for outcome, words in OUTCOMES.items():
            if number := self.outcomes.get(outcome):
                yield f"{number} {words}"
        if self.failing:
            yield f"{sum(self.failing.values())} would fail again: {_codes(self.failing)}"
        if self.locked:
            yield f"{self.locked} could not be tried: their rows are locked, or it takes too long"
        if self.reread:
            yield f"{self.reread} can be used by this release"
        if self.unusable:
            yield f"{sum(self.unusable.values())} would stay dead: {_codes(self.unusable)}"


async def take(visit: Visit, selection: Selection) -> RetrySample:
    """Check a sample of the selection and apply it, in a transaction of a worker that is rolled back."""
    try:
        return await within(dry_run.TIME, _take(visit, selection))
    except (TimeoutError, Busy, TooSlow):
        return RetrySample(problem=NOT_IN_TIME)


async def _take(visit: Visit, selection: Selection) -> RetrySample:
    async with visit.counting() as (conn, access):
        reading = replace(access, statement_timeout=dry_run.STATEMENT_TIMEOUT, is_read_only=True)
        async with transaction(conn, reading):
            seqs = await replay.sample(conn, selection, SIZE)
            rechecked = await replay.recheck(conn, seqs)
    # Without the operator's connection, so that no click waits for it.
    async with visit.console.trying:
        return await _applied(visit, rechecked)


async def _applied(visit: Visit, rechecked: Rechecked) -> RetrySample:
    """Return what became of the usable ones; one that this release reads otherwise would first be stored anew."""
    reread = {each.seq for each in rechecked.reread}
    stored = [seq for seq in rechecked.usable if seq not in reread]
    sample = RetrySample(
        len(rechecked.usable) + len(rechecked.unusable),
        unusable=Counter(each.code for each in rechecked.unusable),
        reread=len(rechecked.usable) - len(stored),
        has_statement=visit.console.projection_sql is not None,
    )
    if not stored:
        return sample
    try:
        async with visit.console.outside.as_worker() as (worker, access):
            outcomes, failing = await dry_run.run(worker, access, stored, visit.console.projection_sql)
    except (ConsumerError, psycopg.Error) as error:
        problem = code(error) if isinstance(error, psycopg.Error) else str(error)
        return replace(sample, reread=len(rechecked.usable), problem=problem)
    errors = [error for _, error in failing]
    tried = [error for error in errors if error_class(error) is not ErrorClass.BUSY]
    return replace(
        sample, outcomes=Counter(outcomes.values()), failing=Counter(map(code, tried)), locked=len(errors) - len(tried)
    )


def _codes(found: Mapping[str, int]) -> str:
    codes = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(name if len(codes) == 1 else f"{name} ({number})" for name, number in codes)
