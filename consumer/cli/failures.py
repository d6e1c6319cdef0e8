"""Failed deliveries for people: a table, or a block for each on a narrow terminal."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from consumer.cli.cells import cell
from consumer.cli.output import console, table
from consumer.outbox.deliveries import ErrorGroup, Failed

# A table needs this many columns beside its message ids, which stay on one line, to be pasted.
COLUMNS_MIN = 89
# The length of Svix's ids.
ID_CHARACTERS = 31


def show_errors(groups: Sequence[ErrorGroup]) -> None:
    """Print failed deliveries, one row or block for each group."""
    columns = ("error", "type", "state", "count", "first", "last", "latest message id", "reason")
    made = table(*columns, numbers=frozenset({"count"}), whole=frozenset({"latest message id"}))
    blocks = []
    for group in groups:
        kind, times = (group.error_code, group.event_type, group.state), (group.first_at, group.last_at)
        made.add_row(*map(cell, (*kind, f"{group.deliveries:,}", *times, group.message_id, group.error)))
        code, event_type, state, _, last = map(cell, (*kind, *times))
        head = f"{group.deliveries:,} × {code} {event_type}, last {last}, {group.message_id}, {state}"
        blocks.append((head, group.error))
    _show(made, blocks, groups)


def show_each(failed: Sequence[Failed]) -> None:
    """Print failed deliveries, one row or block for each."""
    columns = ("message id", "error", "type", "user", "attempts", "failed", "reason")
    made = table(*columns, numbers=frozenset({"attempts"}), whole=frozenset({"message id"}))
    blocks = []
    for one in failed:
        values = (one.error_code, one.event_type, one.user_id, one.attempts, one.failed_at)
        made.add_row(*map(cell, (one.message_id, *values, one.error)))
        code, event_type, user, attempts, at = map(cell, values)
        blocks.append((f"{one.message_id}  {code} {event_type}, user {user}, attempt {attempts}, {at}", one.error))
    _show(made, blocks, failed)


def _show(made: Table, blocks: Iterable[tuple[str, str]], rows: Sequence[ErrorGroup | Failed]) -> None:
    out = console()
    if out.width >= COLUMNS_MIN + max(ID_CHARACTERS, *(len(row.message_id) for row in rows)):
        out.print(made)
        return
    for head, reason in blocks:
        # Never wrapped here: the terminal wraps the line, and an id can be pasted.
        out.print(cell(head), cell(f"    {reason}"), sep="\n", soft_wrap=True)
