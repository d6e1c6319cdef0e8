"""`consumer prune`: remove old audit rows."""

from datetime import timedelta

import click

from consumer.cli.context import examples, pass_settings
from consumer.cli.database import as_operator
from consumer.cli.output import console, emit, json_option
from consumer.operations import prune
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings


@click.command(name="prune", epilog=examples("prune", "prune --json"))
@json_option
@pass_settings("operator")
def command(settings: Settings, *, is_json: bool) -> None:
    """Remove audit rows older than AUDIT_RETENTION_DAYS.

    If it is not set, no audit row is removed. Stored deliveries are never removed.
    """
    days = settings.audit_retention_days

    async def pruned(conn: Connection, access: Access) -> int:
        total = 0
        with console(is_error=True).status("pruning the audit") as status:
            async for rows in prune.prune_audit(conn, access, timedelta(days=days or 0)):
                total += rows
                status.update(f"{total:,} audit rows removed")
        return total

    removed = as_operator(settings, pruned) if days else 0
    if is_json:
        emit({"audit_rows_removed": removed})
    elif days:
        rows, age = "audit row" + "s" * (removed != 1), "day" + "s" * (days != 1)
        console().print(f"{removed:,} {rows} older than {days} {age} removed.")
    else:
        console().print("Nothing to do: AUDIT_RETENTION_DAYS is not set, so no audit row is removed.")
