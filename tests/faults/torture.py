"""Torture: faults in an order that a seed chooses, under a storm of deliveries, and a judge at the end.

Run it as ``python -m tests.faults.torture --seed 1 --seconds 120``. It exits with 1 when anything was lost or wrong,
and with 3 when a planned fault did not strike, at the second try either: such a run proves nothing.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import pairwise

import click

from consumer.cli.output import emit, json_option
from tests.faults.judge import UNDUE, flaws
from tests.faults.plan import KINDS, Kind, plan
from tests.faults.report import Episode, Report, show
from tests.faults.storm import Storm, blowing
from tests.faults.world import DRAIN_SECONDS_MAX, World, world
from tests.support.databases import rows
from tests.support.processes import until

# Between two faults, at least: what is measured after one must not be the next one's.
CALM_SECONDS = 1.0
# A plan whose faults take that much longer than expected is given up.
OVERRUN = 1.5
# Acknowledged before a fault strikes, so that it strikes the users of its own window.
WARM_UP = 40


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
                report.episodes.append(Episode(kind.name) if is_late else struck(partial(_episode, made, kind)))
        stormed = time.monotonic()
        report.seconds = stormed - began
        with suppress(AssertionError):  # The judge names what is still pending.
            until(lambda: not rows(made.url, UNDUE), DRAIN_SECONDS_MAX)
        report.drain_seconds = time.monotonic() - stormed
        _conclude(report, made)
    return report


def struck(strike: Callable[[], Episode]) -> Episode:
    """Let a fault strike, and once more if it did not strike in time, as on a busy machine, and broke nothing."""
    first = strike()
    if first.fired or not first.survived:
        return first
    click.echo(f"{first.fault} did not strike in time: it is tried once more.", err=True)
    second = strike()
    second.tries, second.seconds = 2, first.seconds + second.seconds
    return second


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
    episode.refusal_seconds = max((refused.seconds for refused in made.weather.since(started, 503)), default=0.0)
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
    codes = [code for code in kinds.split(",") if code]
    if unknown := sorted(set(codes) - {kind.code for kind in KINDS}):
        raise click.UsageError(f"There is no such kind of fault here: {', '.join(unknown)}.")
    report = torture(seed, seconds, codes)
    if is_json:
        emit({**asdict(report), "exit_code": report.exit_code})
    else:
        show(report)
    context.exit(report.exit_code)


if __name__ == "__main__":
    command()
