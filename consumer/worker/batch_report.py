"""What a committed batch and the pages after it leave in the log and in the metrics."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from consumer import logs
from consumer.metrics import Metrics
from consumer.outbox.queue import Claimed
from consumer.postgres.error_classes import code, summary
from consumer.worker.rebuild import RebuiltPage
from consumer.worker.rehome import PageResult

log = logging.getLogger(__name__)

SetAside = Sequence[tuple[Claimed, Exception]]


def report_batch(
    metrics: Metrics,
    claimed: Sequence[Claimed],
    outcomes: Mapping[int, str],
    retried: SetAside,
    buried: SetAside,
) -> None:
    """Log and count each delivery of a committed batch."""
    done = [(delivery, outcomes[delivery.seq]) for delivery in claimed if delivery.seq in outcomes]
    logs.log_outcomes([(d.message_id, d.event_type, d.user_id, outcome, d.attempts + 1) for d, outcome in done])
    for failed, error in retried:
        log.warning(logs.DELIVERY_RETRIED, extra=_failure(failed, error))
    for failed, error in buried:
        log.error(logs.DELIVERY_BURIED, extra=_failure(failed, error))
    for (event_type, outcome), n in Counter((d.event_type, outcome) for d, outcome in done).items():
        metrics.applied(event_type, outcome, deliveries=n)
    metrics.retried(deliveries=len(retried))
    metrics.buried(deliveries=len(buried))


def oldest_age(claimed: Sequence[Claimed], outcomes: Mapping[int, str]) -> float | None:
    """Return the age in seconds of the oldest delivery that was done at its first attempt, when it was claimed."""
    return max((d.age_seconds for d in claimed if d.age_seconds is not None and d.seq in outcomes), default=None)


def count_pages(metrics: Metrics, rehomed: PageResult | None, rebuilt: RebuiltPage | None) -> None:
    """Count the users of a committed page of re-homing, and what a committed page of a rebuild made anew."""
    if rehomed:
        metrics.rehomed(deliveries=rehomed.users)
    if rebuilt:
        stage = rebuilt.stage.name.lower()
        metrics.rebuilt(stage, deliveries=rebuilt.done)
        metrics.rebuild_postponed(stage, deliveries=len(rebuilt.postponed))
        for kind, n in rebuilt.differing.items():
            metrics.differing(kind, deliveries=n)


def _failure(claimed: Claimed, error: Exception) -> dict[str, object]:
    named = {"seq": claimed.seq, "message_id": claimed.message_id, "user_id": claimed.user_id}
    reason = {"error_code": code(error), "error": summary(error)}
    return {**named, "type": claimed.event_type, "attempt": claimed.attempts, **reason}
