"""The verdict and the rates on one screen of 80 columns, as `status` and `status --watch` show them."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC

from rich.text import Text

from consumer.cli.cells import printable
from consumer.cli.output import as_called
from consumer.outbox.deliveries import Stats
from consumer.verdict.durations import duration
from consumer.verdict.finding import Finding
from consumer.verdict.findings import verdict_sentence
from consumer.verdict.observation import Observation
from consumer.verdict.rates import MINUTES, Rates, quantile

COLUMNS = 80
SIGNS = {"failing": "x", "warning": "!", "note": " "}
STYLES = {"failing": "bold red", "warning": "yellow", "note": ""}
SUBJECT_COLUMNS = 16
BARS = "▁▂▃▄▅▆▇█"


def board(
    seen: Observation, found: Sequence[Finding], stats: Stats | None, rates: Rates | None, *, columns: int
) -> list[Text]:
    """Return the lines: the verdict with the time, a finding each, and the rates, unless the database is away."""
    lines = [headline(seen, found, columns), *(line for each in found if each.cure for line in _finding(each))]
    if stats:
        lines += rate_lines(stats, rates, columns)
    return lines


def headline(seen: Observation, found: Sequence[Finding], columns: int) -> Text:
    """Return the verdict, with the gravest finding's sign, and in a wide window the time at the right."""
    gravest = found[0].gravity if found else "note"
    text = f"{SIGNS[gravest]} {verdict_sentence(found)}"
    at = f"{seen.at.astimezone(UTC):%H:%M:%S} UTC"
    return Text(f"{text:{COLUMNS - len(at) - 1}} {at}" if columns >= COLUMNS else text, style=STYLES[gravest])


def rate_lines(stats: Stats, rates: Rates | None, columns: int) -> Iterator[Text]:
    """Yield the counts: what flows, with a bar for each of the last minutes, what waits, and for how long.

    They are three lines of 80 columns, or in a narrower window a line each.
    """
    applied_a_second = stats.applied_last_minute / 60
    drained = f"{duration(stats.pending / applied_a_second)}" if applied_a_second else "-"
    rates = rates or Rates(received=(), applied=(), refused=0, delivery_seconds=())
    half, most = (quantile(share, rates.delivery_seconds) for share in (0.5, 0.99))
    if half is None or most is None:
        latency = "-"
    else:
        latency = f"{half * 1000:g} / {most * 1000:g} ms" if most < 1 else f"{half:g}/{most:g} s"
    due = duration(stats.oldest_due_seconds) if stats.oldest_due_seconds else "-"
    received = f"{stats.received_last_minute / 60:,.1f}/s"
    flows = (
        ("received", f"{received:>9} {bars(rates.received):{MINUTES}}"),
        ("applied", f"{applied_a_second:>7,.1f}/s {bars(rates.applied):{MINUTES}}"),
        ("refused", f"{rates.refused:,}/{MINUTES} min".rjust(9).ljust(MINUTES + 10)),
    )
    depths = (("pending", f"{stats.pending:,}"), ("retrying", f"{stats.retrying:,}"), ("dead", f"{stats.dead:,}"))
    times = (("oldest due", due), ("p50/p99 ≤", latency), ("drained in", drained))
    for flow, depth, time in zip(flows, depths, times, strict=True):
        parts = (f"{flow[0]:8} {flow[1]}", f"{depth[0]:8} {depth[1]:>9}", f"{time[0]:10} {time[1]:>11}")
        yield from map(Text, [f" {'  '.join(parts)}"] if columns >= COLUMNS else [f" {part}" for part in parts])


def bars(counts: Sequence[int]) -> str:
    """Return a bar for each count, the highest for the greatest."""
    most = max(counts, default=0)
    return "".join(BARS[count * (len(BARS) - 1) // most] if most else BARS[0] for count in counts)


def _finding(finding: Finding) -> Iterator[Text]:
    """Yield a finding in lines of 80 columns: its subject, and its sentence beside."""
    width = COLUMNS - SUBJECT_COLUMNS - 3
    sentence = textwrap.wrap(printable(as_called(finding.sentence)), width) or [""]
    subject = f"{SIGNS[finding.gravity]} {printable(finding.subject)}"
    # A long subject has a line of its own.
    if len(subject) > SUBJECT_COLUMNS + 1:
        yield Text(subject, style=STYLES[finding.gravity])
        subject = ""
    for line in sentence:
        head = Text(f"{subject:{SUBJECT_COLUMNS + 2}} ", style=STYLES[finding.gravity])
        yield head.append(Text(line, style="default"))
        subject = ""
