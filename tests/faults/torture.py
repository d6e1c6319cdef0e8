"""Torture: faults in an order that a seed chooses, under a storm of deliveries, and a judge at the end.

Run it as ``python -m tests.faults.torture --seed 1 --seconds 120``. It exits with 1 when anything was lost or wrong,
and with 3 when a planned fault did not strike: such a run proves nothing.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import click

from consumer.cli.output import console, emit, json_option, table
from tests.cli_support import until
from tests.faults.judge import UNDUE, Flaw, flaws
from tests.faults.plan import KINDS, Kind, plan
from tests.faults.storm import Storm, blowing
from tests.faults.world import DRAIN_SECONDS_MAX, World, world
from tests.support import rows

# Promise P7: a process works again that soon after its database is back.
GAP_SECONDS_MAX = 3.0
# Between two faults, at least: what is measured after one must not be the next one's.
CALM_SECONDS = 1.0
# A plan whose faults take that much longer than expected is given up.
OVERRUN = 1.5
# Acknowledged before a fault strikes, so that it strikes the users of its own window.
WARM_UP = 40
WRONG, INVALID = 1, 3


@dataclass
class Episode:
    """One fault and what came of it."""

    fault: str
    fired: int = 0
    seconds: float = 0.0
    broken: str = ""
    gap_seconds: float = 0.0
    drain_seconds: float = 0.0
    deadlocks: int = 0
    unknown: int = 0
    resolved: int = 0
    flaws: dict[str, int] = field(default_factory=dict)

    @property
    def survived(self) -> bool:
        """Nothing is lost or wrong, and the recovery was as quick as promised."""
        return not self.broken and not self.flaws and self.gap_seconds <= GAP_SECONDS_MAX


@dataclass
class Report:
    """One run."""

    seed: int
    receivers: int
    seconds: float = 0.0
    deliveries: int = 0
    acknowledged: int = 0
    requests: int = 0
    drain_seconds: float = 0.0
    episodes: list[Episode] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """What the process says: what is wrong outweighs what did not happen."""
        if self.flaws or not all(episode.survived for episode in self.episodes):
            return WRONG
        return 0 if all(episode.fired for episode in self.episodes) else INVALID


def torture(seed: int, seconds: float, codes: Sequence[str] = ()) -> Report:
    """Run the plan of a seed and judge what is left."""
    chance = random.Random(seed)
    planned = plan(chance, seconds, codes)
    with world(chance) as made:
        report = Report(seed, receivers=len(made.receivers))
        began = time.monotonic()
        with blowing(made.weather):
            for number, kind in enumerate(planned):
                is_late = time.monotonic() > began + OVERRUN * seconds
                made.weather.window = number
                report.episodes.append(Episode(kind.name) if is_late else _episode(made, kind))
        stormed = time.monotonic()
        report.seconds = stormed - began
        with suppress(AssertionError):  # The judge names what is still pending.
            until(lambda: not rows(made.url, UNDUE), DRAIN_SECONDS_MAX)
        report.drain_seconds = time.monotonic() - stormed
        _conclude(report, made)
    return report


def _episode(made: World, kind: Kind) -> Episode:
    """Let one fault strike and wait until everything is as before."""
    episode, started = Episode(kind.name), time.monotonic()
    try:
        made.weather.more(WARM_UP)
        began, deadlocks = time.monotonic(), made.deadlocks()
        episode.fired = kind.act(made)
        back = time.monotonic()
        made.weather.more(1)
        episode.drain_seconds = made.drained()
        time.sleep(max(0.0, back + CALM_SECONDS - time.monotonic()))
        episode.gap_seconds = _worst_gap(made.weather, began if kind.spares_receivers else back)
        # A crash sets the server's own count back to nothing.
        episode.deadlocks = made.deadlocks() - deadlocks if made.deadlocks() >= deadlocks else made.deadlocks()
        assert kind.may_deadlock or not episode.deadlocks, "processes of ours waited for each other"
    except AssertionError as error:
        episode.broken = str(error)
    episode.seconds = time.monotonic() - started
    return episode


def _worst_gap(weather: Storm, back: float) -> float:
    """Return the longest time without an acknowledgement from a moment until now, in seconds."""
    moments = [back, *sorted(answer.at for answer in weather.since(back, 204)), time.monotonic()]
    return max(later - earlier for earlier, later in pairwise(moments))


def _conclude(report: Report, made: World) -> None:
    """Judge, and tell each fault what went wrong in its window."""
    weather = made.weather
    report.flaws = flaws(made.url, weather)
    report.deliveries, report.acknowledged = len(weather.sent), weather.count
    report.requests = len(weather.answers) + len(weather.strangers)
    for number, episode in enumerate(report.episodes):
        unknown = [message_id for message_id, message in weather.unknown.items() if message.window == number]
        episode.unknown = len(unknown)
        episode.resolved = len(weather.acknowledged.keys() & unknown)
        episode.flaws = dict(Counter(flaw.kind for flaw in report.flaws if flaw.window == number))


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="What decides on the plan.")
@click.option("--seconds", type=float, default=120.0, show_default=True, help="About how long the storm takes.")
@click.option("--kinds", default="", help=f"Only these, with commas: {', '.join(kind.code for kind in KINDS)}.")
@json_option
@click.pass_context
def command(context: click.Context, *, seed: int, seconds: float, kinds: str, is_json: bool) -> None:
    """Let faults strike under load, and judge the tables."""
    report = torture(seed, seconds, [code for code in kinds.split(",") if code])
    if is_json:
        emit({**asdict(report), "exit_code": report.exit_code})
    else:
        _print(report)
    context.exit(report.exit_code)


def _print(report: Report) -> None:
    screen = console()
    shown = table(
        "fault",
        "fired",
        "survived",
        "gap s",
        "lost",
        "unknown",
        "wrong rows",
        "audit",
        "poison",
        "deadlocks",
        "drain s",
        "all s",
    )
    for episode in report.episodes:
        shown.add_row(*_cells(episode))
    screen.print(shown)
    for episode in report.episodes:
        if episode.broken:
            screen.print(f"{episode.fault}: {episode.broken}", markup=False)
    for flaw in report.flaws[:20]:
        screen.print(f"{flaw.kind}: {flaw.what}", markup=False)
    screen.print(
        f"seed {report.seed}: {len(report.episodes)} faults in {report.seconds:.0f} s, {report.receivers} receivers, "
        f"{report.requests} requests, {report.acknowledged} of {report.deliveries} acknowledged, "
        f"{len(report.flaws)} flaws, last drain {report.drain_seconds:.1f} s: "
        + {0: "everything holds", WRONG: "NOT SURVIVED", INVALID: "INVALID, a fault did not strike"}[report.exit_code]
    )


def _cells(episode: Episode) -> list[str]:
    found = episode.flaws.get
    return [
        episode.fault,
        str(episode.fired or "NO"),
        "yes" if episode.survived else "NO",
        f"{episode.gap_seconds:.2f}",
        str(found("lost", 0) + found("unacknowledged", 0)),
        f"{episode.resolved}/{episode.unknown}",
        str(found("wrong row", 0) + found("double", 0) + found("altered", 0) + found("pending", 0)),
        str(found("audit missing", 0) + found("audit double", 0)),
        str(found("poison", 0)),
        str(episode.deadlocks),
        f"{episode.drain_seconds:.1f}",
        f"{episode.seconds:.1f}",
    ]


if __name__ == "__main__":
    command()
