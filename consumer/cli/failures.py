"""Failed deliveries for people."""

from collections.abc import Sequence

from consumer.cli.output import show_rows
from consumer.outbox.deliveries import ErrorGroup, Failed


def show_errors(groups: Sequence[ErrorGroup]) -> None:
    """Print failed deliveries by group."""
    rows = [
        {
            "error": group.error_code,
            "type": group.event_type,
            "state": group.state,
            "count": f"{group.deliveries:,}",
            "first": group.first_at,
            "last": group.last_at,
            "latest message id": group.message_id,
            "reason": group.error,
        }
        for group in groups
    ]
    show_rows(rows, numbers={"count"})


def show_each(failed: Sequence[Failed]) -> None:
    """Print failed deliveries one by one."""
    rows = [
        {
            "message id": one.message_id,
            "error": one.error_code,
            "type": one.event_type,
            "user": one.user_id,
            "attempts": one.attempts,
            "failed": one.failed_at,
            "reason": one.error,
        }
        for one in failed
    ]
    show_rows(rows, numbers={"attempts"})
