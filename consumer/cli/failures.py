"""What could not be applied, as tables for people."""

from collections.abc import Sequence

from consumer.cli.cells import cell
from consumer.cli.output import console, table
from consumer.outbox.deliveries import ErrorGroup, Failed

# Up to this length an id stays on one line of a terminal, to be pasted; Svix's have 31 characters.
ID_CHARACTERS = 36


def show_errors(groups: Sequence[ErrorGroup]) -> None:
    """Print what failed, a line a group."""
    columns = ("error", "type", "state", "count", "first", "last", "latest message id", "reason")
    whole = _whole("latest message id", groups)
    made = table(*columns, numbers=frozenset({"count"}), whole=whole)
    for group in groups:
        made.add_row(
            cell(group.error_code),
            cell(group.event_type),
            group.state,
            f"{group.deliveries:,}",
            cell(group.first_at),
            cell(group.last_at),
            cell(group.message_id),
            cell(group.error),
        )
    console().print(made)


def show_each(failed: Sequence[Failed]) -> None:
    """Print what failed, a line a delivery."""
    columns = ("message id", "error", "type", "user", "attempts", "failed", "reason")
    made = table(*columns, numbers=frozenset({"attempts"}), whole=_whole("message id", failed))
    for delivery in failed:
        made.add_row(
            cell(delivery.message_id),
            cell(delivery.error_code),
            cell(delivery.event_type),
            cell(delivery.user_id),
            str(delivery.attempts),
            cell(delivery.failed_at),
            cell(delivery.error),
        )
    console().print(made)


def _whole(column: str, rows: Sequence[ErrorGroup | Failed]) -> frozenset[str]:
    """Return the column of ids unless one is so long that nothing would be left for the others."""
    return frozenset({column} if all(len(row.message_id) <= ID_CHARACTERS for row in rows) else ())
