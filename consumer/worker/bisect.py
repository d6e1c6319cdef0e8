"""Apply a batch without the items that fail; find those by bisection.

Each half is tried in a savepoint that is always rolled back: no lock outlives its try, so that a transaction takes its
locks in one order, however often it bisects.
"""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from consumer.errors import Inseparable, UsersRefused
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.error_classes import ErrorClass, error_class

Item = TypeVar("Item", bound=Hashable)
Counted_contra = TypeVar("Counted_contra", contravariant=True)
Result = TypeVar("Result")
Failing = list[tuple[Item, Exception]]

# Lock time-out while bisecting a lock conflict, in milliseconds: a search takes about ten waits.
BISECT_LOCK_TIMEOUT = 50


class Tally(Protocol[Counted_contra]):
    """Decides when too many items have failed to go on bisecting: *overrun* is then the error that they met."""

    overrun: Exception | None

    def count(self, item: Counted_contra, error: Exception, *, nothing_passed: bool) -> None:
        """Count a failing item; *nothing_passed*: no part has succeeded yet. Raise to roll the whole batch back."""


class FailureLimit:
    """Abandons the search after more than *most* failures: then the cause is not the items."""

    def __init__(self, most: float) -> None:
        self.overrun: Exception | None = None
        self._left = most

    def count(self, _item: object, error: Exception, *, nothing_passed: bool) -> None:
        """Count a failing item."""
        self._left -= 1
        if self._left < 0:
            self.overrun = error


async def apply_except_failing(
    conn: Connection,
    items: Sequence[Item],
    attempt: Callable[[Sequence[Item]], Awaitable[Result]],
    tally: Tally[Item],
    subject: Callable[[Item], Hashable] = lambda item: item,
) -> tuple[Result | None, Failing[Item]]:
    """Attempt all items but the failing ones in the caller's transaction; return the result and the failing items.

    The result is None when all items fail. A lock on a *subject* blocks all of its items.
    Raises errors that are not the items' fault, and Inseparable when items fail only together.
    """
    failing: Failing[Item] = []
    search = _Bisection(conn, attempt, tally, subject)
    while items:
        try:
            async with conn.transaction():
                return await attempt(items), failing
        except UsersRefused as error:
            found = [(item, error.reasons[subject(item)]) for item in items if subject(item) in error.reasons]
            if not found:
                raise Inseparable from error
            for item, reason in found:
                tally.count(item, reason, nothing_passed=False)
        # The one place that may catch any error: the error of an item decides whether it is retried or buried.
        except Exception as error:
            _raise_unless_items_fail(conn, error)
            together = sorted(items, key=lambda item: str(subject(item)))
            if not (found := await search.among(together, error)):
                raise Inseparable from error
        failing += found
        failed = {item for item, _ in found}
        items = [item for item in items if item not in failed]
    return None, failing


@dataclass(slots=True)
class _Bisection(Generic[Item]):
    conn: Connection
    attempt: Callable[[Sequence[Item]], Awaitable[object]]
    tally: Tally[Item]
    subject: Callable[[Item], Hashable]
    has_passed: bool = False

    async def among(self, items: Sequence[Item], error: Exception) -> Failing[Item]:
        """Bisect items that fail together; return with their errors those that fail alone and the untried rest."""
        is_busy = error_class(error) is ErrorClass.BUSY
        # Waiting again for each item of a locked subject would take minutes.
        if len(items) == 1 or (is_busy and len({self.subject(item) for item in items}) == 1):
            self.tally.count(items[0], error, nothing_passed=not self.has_passed)
            return [(item, error) for item in items]
        if is_busy:
            await session.set_lock_timeout(self.conn, BISECT_LOCK_TIMEOUT)
        failing: Failing[Item] = []
        half = len(items) // 2
        for part in (items[:half], items[half:]):
            if overrun := self.tally.overrun:
                failing += [(item, overrun) for item in part]
            elif failure := await self._failure(part):
                failing += await self.among(part, failure)
        return failing

    async def _failure(self, items: Sequence[Item]) -> Exception | None:
        try:
            async with self.conn.transaction(force_rollback=True):
                await self.attempt(items)
        # The items came as far as the application's statement. Its refusals are found when all others are attempted.
        except (UsersRefused, Inseparable):
            pass
        except Exception as error:
            _raise_unless_items_fail(self.conn, error)
            return error
        self.has_passed = True
        return None


def _raise_unless_items_fail(conn: Connection, error: Exception) -> None:
    if error_class(error) in {ErrorClass.TRANSIENT, ErrorClass.OURS} or conn.closed:
        raise error
