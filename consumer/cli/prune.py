"""`consumer prune`: apply the retention."""

from datetime import timedelta

import click

from consumer.cli.context import as_operator, operator_problems, pass_settings_unless
from consumer.cli.output import console, emit, json_option
from consumer.operations import prune
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings


@click.command(name="prune")
@json_option
@pass_settings_unless(operator_problems)
def command(settings: Settings, *, is_json: bool) -> None:
    """Remove what is kept no longer: audit rows older than AUDIT_RETENTION_DAYS.

    Unset, the audit is kept for ever. Stored deliveries are never removed.
    """
    days = settings.audit_retention_days

    async def pruned(conn: Connection, access: Access) -> int:
        total = 0
        with console(is_error=True).status("pruning the audit") as status:
            async for removed in prune.prune_audit(conn, access, timedelta(days=days or 0)):
                total += removed
                status.update(f"{total:,} audit rows removed")
        return total

    removed = as_operator(settings, pruned) if days else 0
    if is_json:
        emit({"audit_rows_removed": removed})
    elif days:
        console().print(f"{removed:,} audit rows older than {days} days removed.")
    else:
        console().print("Nothing to do: AUDIT_RETENTION_DAYS is not set, and the audit is kept for ever.")
