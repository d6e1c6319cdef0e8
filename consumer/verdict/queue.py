"""What waits longer than it should, and what died."""

from collections.abc import Iterator
from datetime import UTC, timedelta

from consumer.doctor.installation import DUE_MAX
from consumer.verdict.durations import duration
from consumer.verdict.finding import Finding
from consumer.verdict.observation import Observation
from consumer.verdict.processes import is_worked_on

# Deliveries that died within this time die now: a release or a constraint kills more of them each minute.
DYING_TIME = timedelta(minutes=10)
# Fewer are slips of a sender, or the tail of what was mended.
DYING_MIN = 10

DEAD_CURE = "`consumer dead list` groups them by cause; after the repair, `consumer dead retry --all` applies them."


def queue_findings(observation: Observation) -> Iterator[Finding]:
    """Yield what is late though somebody works, and what died; where nobody works, that is the finding."""
    seconds = observation.queue.due_seconds
    if seconds > DUE_MAX.total_seconds() and is_worked_on(observation):
        sentence = f"the oldest delivery that is due has waited for {duration(seconds)}"
        cure = "Look into the worker's log, then at `consumer doctor`."
        yield Finding("stalled", "failing", "queue", sentence, cure, "/deliveries?state=pending", seconds)
    yield from _dead(observation)


def _dead(observation: Observation) -> Iterator[Finding]:
    queue = observation.queue
    if queue.died_lately >= DYING_MIN and queue.dying_since:
        since = f"{queue.dying_since.astimezone(UTC):%H:%M:%SZ}"
        cause = f"; most of them: {queue.dying_of}" if queue.dying_of else ""
        sentence = f"{queue.dead:,}, of which {queue.died_lately:,} died since {since}{cause}"
        yield Finding("dying", "failing", "dead letters", sentence, DEAD_CURE, "/dead", queue.dead)
    elif queue.dead:
        yield Finding("dead", "warning", "dead letters", f"{queue.dead:,}", DEAD_CURE, "/dead", queue.dead)
