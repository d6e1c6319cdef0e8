"""Tables of one line a row: cut to the width of a terminal, and whole in a file or a pipe."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import Any
from uuid import UUID

import click
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from consumer.cli.cells import cell
from consumer.cli.output import PIPE_COLUMNS, as_called, console
from consumer.postgres.first_rows import FirstRows
from consumer.verdict.durations import duration

# The width of a terminal that does not tell its own.
COLUMNS = 80
# As many digits of an id find it again.
ID_DIGITS = 8
GAP = "  "
SECOND = 1.0
MINUTE = 60.0


def show_columns(rows: Sequence[Mapping[str, object]], widths: Mapping[str, int] | None = None) -> None:
    """Print rows, which name the same columns, as a table; what is wider than its column ends in dots.

    *widths* are the most that columns may take where the line is too short for all; the last one takes what is left.
    """
    texts = [{name: value if isinstance(value, Text) else cell(value) for name, value in row.items()} for row in rows]
    sizes = {name: max(len(name), *(cell_len(row[name].plain) for row in texts)) for name in rows[0]}
    *names, last = sizes
    if _width(sizes) > line_width():
        sizes |= {name: min(sizes[name], (widths or {}).get(name, sizes[name])) for name in names}
        sizes[last] = min(sizes[last], max(line_width() - _width(sizes | {last: 0}), 1))
    _print([Text(name, style="bold") for name in sizes], sizes)
    for row in texts:
        _print([row[name] for name in sizes], sizes)


def line_width() -> int:
    """Return the width of the terminal; a file or a pipe has room for whole values."""
    return get_terminal_size((COLUMNS, 24)).columns if sys.stdout.isatty() else PIPE_COLUMNS


def fitted(text: str, size: int) -> str:
    """Return the text in a column of this size: a terminal gets its beginning, a file or a pipe the whole."""
    return f"{text[:size] if sys.stdout.isatty() else text:{size}}"


def id_text(subject_id: UUID) -> str:
    """Return an id: its first digits on a terminal."""
    return fitted(str(subject_id), ID_DIGITS)


def wrapped(text: str, indent: str = "") -> None:
    """Print a sentence over as many lines as a terminal needs."""
    for line in click.wrap_text(text, width=line_width(), initial_indent=indent, subsequent_indent=indent).splitlines():
        console().print(Text(line), soft_wrap=True)


def show_rest(found: FirstRows[Any], where: str = "") -> None:
    """Print that a list goes on behind its rows, and *where*, if it does."""
    if remark := found.remark(as_called(where)):
        wrapped(remark)


def show_line(text: Text) -> None:
    """Print one line; what is wider ends in dots."""
    text.truncate(line_width(), overflow="ellipsis")
    console().print(text, soft_wrap=True)


def clock(at: datetime | None, now: datetime) -> str:
    """Return a time in UTC: of today to the millisecond, of another day its date and minute."""
    if at is None:
        return "-"
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    if at.date() == now.date():
        return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"
    return f"{at:%d %b %H:%M}" if at.year == now.year else f"{at:%Y-%m-%d}"


def took(begun: datetime, ended: datetime | None) -> str:
    """Return the time between both in at most seven characters."""
    if ended is None:
        return "-"
    seconds = max((ended - begun).total_seconds(), 0.0)
    if seconds < SECOND:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < MINUTE else duration(seconds)


def _width(sizes: Mapping[str, int]) -> int:
    return sum(sizes.values()) + len(GAP) * (len(sizes) - 1)


def _print(texts: Sequence[Text], sizes: Mapping[str, int]) -> None:
    line = Text(GAP).join(_cut(text, size) for text, size in zip(texts, sizes.values(), strict=True))
    line.rstrip()
    console().print(line, soft_wrap=True)


def _cut(text: Text, size: int) -> Text:
    if cell_len(text.plain) <= size:
        return Text(set_cell_size(text.plain, size), style=text.style)
    return Text(f"{set_cell_size(text.plain, size - 1)}…", style=text.style)
