"""`consumer prune`: remove old audit rows and superseded deliveries."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import click

from consumer.cli.context import examples, pass_settings
from consumer.cli.database import as_operator
from consumer.cli.decision import shell_action
from consumer.cli.output import console, emit, json_option, show_rows
from consumer.operations import prune
from consumer.operations.actions import Action
from consumer.operations.prune import DeliveryPrune
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection, transaction
from consumer.settings.settings import Settings


@dataclass(slots=True)
class Pruned:
    """Audit rows, and deliveries by type, that were removed, or that a dry run counted."""

    audit_rows: int = 0
    deliveries: Counter[str] = field(default_factory=Counter)


@click.command(name="prune", epilog=examples("prune --dry-run", "prune", "prune --json"))
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only count what would be removed.")
@json_option
@pass_settings("operator")
def command(settings: Settings, *, is_dry_run: bool, is_json: bool) -> None:
    """Apply RETENTION_DAYS and AUDIT_RETENTION_DAYS.

    With RETENTION_DAYS, superseded deliveries that were received earlier are removed: all that they tell is also told
    by newer ones, so a rebuild makes the same rows. Dead, discarded and ignored deliveries stay. With
    AUDIT_RETENTION_DAYS, older audit rows are removed. A second call finishes an interrupted one.
    """
    found = Pruned()
    if settings.retention_days or settings.audit_retention_days:
        found = as_operator(settings, lambda conn, access: _shown(conn, access, settings, is_dry_run=is_dry_run))
    if is_json:
        suffix = "found" if is_dry_run else "removed"
        deliveries = dict(found.deliveries.most_common())
        emit({f"audit_rows_{suffix}": found.audit_rows, f"deliveries_{suffix}": deliveries})
    else:
        _show(settings, found, is_dry_run=is_dry_run)


async def _shown(conn: Connection, access: Access, settings: Settings, *, is_dry_run: bool) -> Pruned:
    found = Pruned()
    kept = {"retention_days": settings.retention_days, "audit_retention_days": settings.audit_retention_days}
    action = shell_action("prune", kept)
    with console(is_error=True).status("pruning") as status:
        async for found in pruned(conn, access, settings, is_dry_run=is_dry_run, action=action):
            status.update(f"{found.audit_rows:,} audit rows, {found.deliveries.total():,} superseded deliveries")
    return found


async def pruned(
    conn: Connection, access: Access, settings: Settings, *, is_dry_run: bool = False, action: Action | None = None
) -> AsyncIterator[Pruned]:
    """Apply both settings of the retention, page by page; yield what was removed so far after each.

    The *action* counts that, too; None for a job of `maintain`.
    """
    found = Pruned()
    if days := settings.audit_retention_days:
        async for count in _audit(conn, access, timedelta(days=days), action, is_dry_run=is_dry_run):
            found.audit_rows += count
            yield found
    if days := settings.retention_days:
        async with transaction(conn, access):
            until = await session.now(conn) - timedelta(days=days)
        async for page in prune.prune_deliveries(conn, access, DeliveryPrune(until, is_dry_run, action=action)):
            found.deliveries += page
            yield found


async def _audit(
    conn: Connection, access: Access, kept: timedelta, action: Action | None, *, is_dry_run: bool
) -> AsyncIterator[int]:
    if is_dry_run:
        yield await prune.count_audit(conn, access, kept)
    else:
        async for removed in prune.prune_audit(conn, access, kept, action=action):
            yield removed


def _show(settings: Settings, found: Pruned, *, is_dry_run: bool) -> None:
    out, end = console(), "would be removed" if is_dry_run else "removed"
    if days := settings.audit_retention_days:
        out.print(f"{_amount(found.audit_rows, 'audit row')} older than {_amount(days, 'day')} {end}.")
    if days := settings.retention_days:
        total = found.deliveries.total()
        noun = "superseded delivery" if total == 1 else "superseded deliveries"
        out.print(f"{total:,} {noun} older than {_amount(days, 'day')} {end}.")
        if total:
            counts = [{"type": name, "deliveries": f"{n:,}"} for name, n in found.deliveries.most_common()]
            show_rows(counts, numbers={"deliveries"})
    if not settings.audit_retention_days and not settings.retention_days:
        out.print(
            "Nothing to do: neither RETENTION_DAYS nor AUDIT_RETENTION_DAYS is set, so the log and the audit are kept "
            "whole."
        )


def _amount(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + "s" * (n != 1)
