"""When the failures of a batch have a cause that is not the deliveries."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from consumer.errors import StatementRefused, WorkerPaused
from consumer.outbox.queue import Claimed
from consumer.postgres.error_classes import ErrorClass, code, error_class, summary

# From this many users on: if half of them fail alike, the cause is not the deliveries (docs/OPERATIONS.md).
ALIKE_SUBJECTS_MIN = 20
# Stop bisecting after this many locked users and put the rest back. If nothing succeeded, assume a table lock and roll
# back.
BUSY_USERS_MAX = 10


class BatchTally:
    """Counts subjects that fail alike; too many stop the worker, because then the cause is not the deliveries.

    A subject is a user, or a delivery without one. It counts once, however many deliveries it has. Deliveries that
    failed before do not count, because many retries can be due together. Users that the application's statement
    refuses do not count either: the application's owner must mend that, and the worker goes on.
    """

    def __init__(self, batch: Sequence[Claimed]) -> None:
        self._batch = batch
        self._failed: defaultdict[tuple[str, str], set[UUID | int]] = defaultdict(set)
        # The error that too many users met; the rest is not tried.
        self.overrun: Exception | None = None

    def count(self, claimed: Claimed, error: Exception, *, nothing_passed: bool) -> None:
        """Count one failure. WorkerPaused if too many fail alike, *error* itself if locks let nothing pass."""
        if isinstance(error, StatementRefused):
            return
        is_busy = error_class(error) is ErrorClass.BUSY
        if claimed.has_failed and not is_busy:
            return
        alike = self._failed[code(error), summary(error)]
        alike.add(subject_of(claimed))
        if is_busy:
            if len(alike) >= BUSY_USERS_MAX:
                self.overrun = error
            if self.overrun and nothing_passed:
                raise error
            return
        subject_count = len({subject_of(delivery) for delivery in self._batch if not delivery.has_failed})
        if subject_count >= ALIKE_SUBJECTS_MIN and len(alike) * 2 >= subject_count:
            raise WorkerPaused(f"{len(alike)} of {subject_count} failed alike: {summary(error)}") from error


def subject_of(claimed: Claimed) -> UUID | int:
    """Return the user, or the delivery's number without one."""
    return claimed.user_id or claimed.seq
