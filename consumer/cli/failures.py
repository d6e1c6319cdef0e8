"""Failed deliveries as tables for people."""

from collections.abc import Sequence

from consumer.cli.cells import cell
from consumer.cli.output import console, table
from consumer.outbox.deliveries import ErrorGroup, Failed

# Up to this length an id stays on one line of a terminal, to be pasted; Svix's have 31 characters.
ID_CHARACTERS = 36


def show_errors(groups: Sequence[ErrorGroup]) -> None:
    """Print failed deliveries, one line for each group."""
    columns = ("error", "type", "state", "count", "first", "last", "latest message id", "reason")
    made = table(*columns, numbers=frozenset({"count"}), whole=_whole("latest message id", groups))
    for group in groups:
        values = (group.first_at, group.last_at, group.message_id, group.error)
        count = f"{group.deliveries:,}"
        made.add_row(cell(group.error_code), cell(group.event_type), group.state, count, *map(cell, values))
    console().print(made)


def show_each(failed: Sequence[Failed]) -> None:
    """Print failed deliveries, one line for each."""
    columns = ("message id", "error", "type", "user", "attempts", "failed", "reason")
    made = table(*columns, numbers=frozenset({"attempts"}), whole=_whole("message id", failed))
    for one in failed:
        subject = (one.message_id, one.error_code, one.event_type, one.user_id)
        made.add_row(*map(cell, subject), str(one.attempts), cell(one.failed_at), cell(one.error))
    console().print(made)


def _whole(column: str, rows: Sequence[ErrorGroup | Failed]) -> frozenset[str]:
    """Return the column of ids, unless an id is so long that no width would remain for the other columns."""
    return frozenset({column} if all(len(row.message_id) <= ID_CHARACTERS for row in rows) else ())
