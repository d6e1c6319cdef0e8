"""What a command prints: tables for people, one JSON document for machines."""

import sys
from collections.abc import Callable
from typing import Literal, TypeVar

import click
import orjson
from rich import box
from rich.console import Console
from rich.table import Table

T = TypeVar("T")

# A pipe has no width: a row of a table stays on one line there, for grep; only bodies are longer than this.
PIPE_COLUMNS = 1000
JSON_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS

json_option = click.option("--json", "is_json", is_flag=True, help="Print one JSON document and nothing else.")


def emit(document: object) -> None:
    """Write one JSON document to standard output; it may hold dataclasses, UUIDs and datetimes."""
    click.echo(orjson.dumps(document, option=JSON_OPTIONS), nl=False)


def present(document: T, show: Callable[[T], None], *, is_json: bool) -> None:
    """Emit the document as JSON, or show it to people."""
    (emit if is_json else show)(document)


def console(*, is_error: bool = False) -> Console:
    """Return a console for people, with colour and the window's width only on a terminal."""
    stream = sys.stderr if is_error else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else PIPE_COLUMNS)


def table(
    *columns: str, title: str | None = None, numbers: frozenset[str] = frozenset(), whole: frozenset[str] = frozenset()
) -> Table:
    """Return an empty table in the style of this program.

    The columns named in *numbers* align right; those in *whole* keep each value on one line while the others fold.
    """
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, header_style="bold")
    for column in columns:
        # Folded, because half an id or half a path is useless.
        justify: Literal["left", "right"] = "right" if column in numbers else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=column in whole)
    return made
