"""What could not be applied, as tables for people."""

from collections.abc import Sequence

from consumer.cli.cells import cell
from consumer.cli.output import console, table
from consumer.deliveries import ErrorGroup, Failed


def show_errors(groups: Sequence[ErrorGroup]) -> None:
    """Print what failed, a line a group."""
    made = table(
        "error", "type", "state", "count", "first", "last", "latest message id", "reason", numbers=frozenset({"count"})
    )
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
    made = table("message id", "error", "type", "user", "attempts", "failed", "reason", numbers=frozenset({"attempts"}))
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
