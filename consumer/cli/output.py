"""What a command prints: rows and facts for people, one JSON document for machines."""

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import click
import orjson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumer.cli.cells import cell
from consumer.settings.env_file import RUN

T = TypeVar("T")

NAME = "consumer"

# A pipe has no width: a row of a table stays on one line there, for grep, however long its values are.
PIPE_COLUMNS = 100_000
JSON_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS

json_option = click.option("--json", "is_json", is_flag=True, help="Print one JSON document and nothing else.")


def emit(document: object) -> None:
    """Write one JSON document to standard output; it may hold dataclasses, UUIDs and datetimes."""
    click.echo(orjson.dumps(document, option=JSON_OPTIONS), nl=False)


def as_called(text: str) -> str:
    """Return the text with each of our commands in backquotes as its caller typed it: as `./run` too."""
    return text.replace("`consumer ", f"`{program()} ")


def program() -> str:
    """Return our program as its caller typed it: `./run` with its path, else NAME."""
    run = os.environ.get(RUN)
    return "./run" if run and Path(run).parent == Path.cwd() else run or NAME


def present(document: T, show: Callable[[T], None], *, is_json: bool) -> None:
    """Emit the document as JSON, or show it to people."""
    (emit if is_json else show)(document)


def console(*, is_error: bool = False) -> Console:
    """Return a console for people, with colour and the window's width only on a terminal."""
    stream = sys.stderr if is_error else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else PIPE_COLUMNS)


def show_rows(
    rows: Sequence[Mapping[str, object]], *, title: str | None = None, numbers: Collection[str] = frozenset()
) -> None:
    """Print rows, which name the same columns, as a table, or each as a block if the table is wider than the window.

    The columns in *numbers* align right. No value is cut or broken: what is longer than a line the terminal wraps.
    """
    out = console()
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, header_style="bold")
    for column in rows[0]:
        made.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    for row in rows:
        made.add_row(*map(_text, row.values()))
    if out.measure(made, options=out.options.update(width=PIPE_COLUMNS)).maximum <= out.width:
        out.print(made)
        return
    if title:
        out.print(Text(title, style="bold"), soft_wrap=True)
    for row in rows:
        show_facts(row)
        out.print()


def show_facts(facts: Mapping[str, object]) -> None:
    """Print one fact a line: its name and its value."""
    width = max(map(len, facts))
    for name, value in facts.items():
        # Never wrapped here: the terminal wraps the line, so an id can be pasted and grep finds it.
        console().print(Text.assemble((f"{name:{width}}", "bold"), "  ", _text(value)), soft_wrap=True)


def _text(value: object) -> Text:
    return value if isinstance(value, Text) else cell(value)
