"""Which processes work, and which of them are paused, silent or have a wrong clock."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from uuid import UUID

from consumer.doctor.installation import DUE_MAX
from consumer.doctor.server import SKEW_MAX
from consumer.verdict.durations import duration
from consumer.verdict.finding import Finding, Gravity
from consumer.verdict.observation import REPORT_LATE, Duty, Observation, ReportedProcess

# A fifth of the 300 s after which a receiver refuses every signature for its time.
SKEW_FAILING_MAX = timedelta(seconds=60)
# A process that has been silent for longer is known to be gone, if another does its duty.
FORGET_TIME = timedelta(hours=1)
# A restart, or a deploy that stops the old process first, is over by then.
RESTART_TIME = timedelta(seconds=20)
# What starts a process of a duty again.
COMMANDS: Mapping[Duty, str] = {"receiver": "serve", "worker": "work", "maintenance": "maintain --watch"}
PAGE = "/system"


def process_findings(observation: Observation) -> Iterator[Finding]:
    """Yield what is wrong with receivers, workers and maintenance, as they report it or no longer do."""
    yield from _no_receiver(observation)
    yield from _no_worker(observation)
    yield from _paused_workers(observation)
    yield from _silent(observation)
    yield from _skewed(observation)


def is_worked_on(observation: Observation) -> bool:
    """Tell whether any worker runs: one that reports, or one of a release that does not yet."""
    return bool(observation.worker_sessions or _alive(observation, "worker"))


def replaced(observation: Observation) -> set[UUID]:
    """Return the ids of the processes that vanished, and of which each has a successor.

    It is one of the same duty that began to report later, on the same host before any other, whatever became of it
    since. Each process succeeds one only, and those that ended as they were told have successors too.
    """
    found: set[UUID] = set()
    for duty in {process.duty for process in observation.processes}:
        ours = [process for process in observation.processes if process.duty == duty]
        began = sorted(ours, key=lambda each: each.first_at)
        # What was seen last has the fewest that began later.
        gone = sorted(ours, key=lambda each: each.last_at, reverse=True)
        gone = [process for process in gone if not process.is_alive(observation.at)]
        for is_here in (True, False):
            for process in [each for each in gone if each.process_id not in found]:
                later = (each for each in began if each.first_at > process.last_at)
                if successor := next((each for each in later if each.host == process.host or not is_here), None):
                    began.remove(successor)
                    found.add(process.process_id)
    return found & {process.process_id for process in observation.processes if process.is_silent(observation.at)}


def _no_worker(observation: Observation) -> Iterator[Finding]:
    """Yield that no worker runs if something waits for one, or the last one was stopped."""
    if is_worked_on(observation):
        return
    queue, last = observation.queue, _last(observation, "worker")
    if last and observation.at - last.last_at <= RESTART_TIME:
        sentence = f"nobody applies deliveries: stopped {_ago(observation, last)} ago"
        yield Finding("no_worker", "note", "workers", sentence, link=PAGE)
        return
    # A run fills the queue without making it late.
    is_late = queue.due_seconds > REPORT_LATE.total_seconds() or (queue.has_pending and not queue.due_seconds)
    if is_late or (last and last.next_at is None):
        gravity: Gravity = "failing" if queue.due_seconds > DUE_MAX.total_seconds() else "warning"
        waits = f", the oldest has waited for {duration(queue.due_seconds)}" if is_late else ""
        seen = f"; last seen: {last.host}, {_ago(observation, last)} ago" if last else ""
        sentence = f"nobody applies deliveries{waits}{seen}"
        cure = "Start a worker: `consumer work`, or `consumer up`. What waits is stored."
        yield Finding("no_worker", gravity, "workers", sentence, cure, PAGE, queue.due_seconds)


def _paused_workers(observation: Observation) -> Iterator[Finding]:
    alive = _alive(observation, "worker")
    # The others go on applying.
    gravity: Gravity = "failing" if all(worker.paused_by for worker in alive) else "warning"
    for worker in alive:
        if worker.paused_by:
            sentence = f"paused by {worker.paused_by}"
            cure = "Nothing dies of it, and it tries again every 30 s. `consumer doctor` names what is missing."
            yield Finding("worker_paused", gravity, _name(observation, worker), sentence, cure, PAGE)


def _silent(observation: Observation) -> Iterator[Finding]:
    """Yield each process that vanished and was not replaced.

    While none of its duty is alive, it is forgotten with its reports only: what is broken does not mend itself.
    """
    over = replaced(observation)
    for process in observation.processes:
        # A console is opened and left at will.
        if process.duty == "console" or not process.is_silent(observation.at) or process.process_id in over:
            continue
        alive_count = len(_alive(observation, process.duty))
        if alive_count and observation.at - process.last_at > FORGET_TIME:
            continue
        # Without a receiver nothing is stored; without a worker, `no_worker` says what waits.
        gravity: Gravity = "failing" if process.duty == "receiver" and not alive_count else "warning"
        sentence = f"has not reported for {_ago(observation, process)}; others of its kind: {alive_count}"
        log = f"Why it vanished is in its log on {process.host} (pid {process.pid})."
        cure = f"Start it again: `consumer {COMMANDS[process.duty]}`. {log}"
        yield Finding("process_silent", gravity, _name(observation, process), sentence, cure, PAGE)


def _no_receiver(observation: Observation) -> Iterator[Finding]:
    """Yield that the last receiver was stopped, and none was started since; of one that vanished, `_silent` tells."""
    last = _last(observation, "receiver")
    if last is None or last.next_at is not None or _alive(observation, "receiver"):
        return
    if observation.at - last.last_at <= RESTART_TIME:
        sentence = f"nobody takes deliveries: stopped {_ago(observation, last)} ago"
        yield Finding("no_receiver", "note", "receivers", sentence, link=PAGE)
        return
    sentence = f"nobody takes deliveries; last seen: {last.host}, stopped {_ago(observation, last)} ago"
    cure = "Start a receiver: `consumer serve`, or `consumer up`. Meanwhile the senders repeat."
    yield Finding("no_receiver", "failing", "receivers", sentence, cure, PAGE)


def _skewed(observation: Observation) -> Iterator[Finding]:
    for process in observation.processes:
        seconds = process.clock_skew_seconds
        if process.is_alive(observation.at) and abs(seconds) > SKEW_MAX.total_seconds():
            # Only receivers compare a signature's time with their clock.
            is_failing = process.duty == "receiver" and abs(seconds) > SKEW_FAILING_MAX.total_seconds()
            gravity: Gravity = "failing" if is_failing else "warning"
            side = "ahead of" if seconds > 0 else "behind"
            sentence = f"its clock is {abs(seconds):.1f} s {side} the database's"
            cure = "Set its clock: at 300 s a receiver refuses every signature for its time."
            yield Finding("skew", gravity, _name(observation, process), sentence, cure, PAGE, abs(seconds))


def _alive(observation: Observation, duty: str) -> list[ReportedProcess]:
    return [each for each in observation.processes if each.duty == duty and each.is_alive(observation.at)]


def _last(observation: Observation, duty: Duty) -> ReportedProcess | None:
    ours = [process for process in observation.processes if process.duty == duty]
    return max(ours, key=lambda process: process.last_at, default=None)


def _name(observation: Observation, process: ReportedProcess) -> str:
    """Return the name by which an operator finds it, with its pid where the host has or misses several of its duty."""
    over = replaced(observation)
    meant = [
        each
        for each in observation.processes
        if each.name == process.name and each.next_at is not None and each.process_id not in over
    ]
    return process.name if len(meant) < 2 else f"{process.name} (pid {process.pid})"


def _ago(observation: Observation, process: ReportedProcess) -> str:
    return duration((observation.at - process.last_at).total_seconds())
