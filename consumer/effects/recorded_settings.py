"""The settings that shape rows, as recorded in the database: one installation, one shape."""

from contextlib import suppress
from dataclasses import asdict

from psycopg.errors import LockNotAvailable
from psycopg.rows import args_row, class_row

from consumer.effects.apply import apply
from consumer.errors import SettingsBusy, SettingsMismatch
from consumer.outbox.queue import Claimed
from consumer.postgres import ledger, locks, session
from consumer.postgres.connections import Access, Connection, as_login
from consumer.postgres.queries import query, rows
from consumer.settings.settings import ShapingSettings

# While `record` waits for running batches, the next wait behind it: a try ends before their lock time-out (3 s).
LOCK_TIMEOUT_MS = 2000
# A minute, the longest batch.
LOCK_TRIES = 30


async def recorded(conn: Connection) -> ShapingSettings | None:
    """Return the recorded settings, or None before the first `migrate`."""
    return next(iter(await rows(conn, class_row(ShapingSettings), "recorded_settings/read")), None)


async def record(
    conn: Connection, access: Access, settings: ShapingSettings, *, worker_role: str, is_forced: bool
) -> list[str]:
    """Record the settings and declare the default company under *worker_role*, in a transaction of its own.

    Returns the variables with a changed value, the first time all of them. Waits for running batches, so that none of
    them mixes old and new values; SettingsBusy if the table stays locked. Other settings than the recorded ones raise
    SettingsMismatch unless *is_forced*, and WrongRelease if this release is too old to apply what it declares.
    """
    # First without the lock, because most calls change nothing, and a pg_dump holds every table for as long as it runs.
    async with as_login(conn, access):
        known = await recorded(conn)
    if not _is_change(known, settings, is_forced=is_forced):
        return []
    for _ in range(LOCK_TRIES):
        with suppress(LockNotAvailable):
            async with as_login(conn, access):
                await session.set_lock_timeout(conn, LOCK_TIMEOUT_MS)
                await conn.execute(query("recorded_settings/lock"))
                return await _record(conn, settings, worker_role=worker_role, is_forced=is_forced)
    async with as_login(conn, access):
        held = [holder.sentence for holder in await locks.noteworthy(conn, readers_of="consumer.settings")]
    raise SettingsBusy(f"The settings could not be recorded, and nothing was changed: {'; '.join(held) or 'a lock'}.")


async def _record(conn: Connection, settings: ShapingSettings, *, worker_role: str, is_forced: bool) -> list[str]:
    known = await recorded(conn)
    if not _is_change(known, settings, is_forced=is_forced):
        return []
    await ledger.begin_work(conn)
    await conn.execute(query("recorded_settings/record"), asdict(settings))
    if settings.default_company_id:
        company = {"company_id": settings.default_company_id}
        declared = await rows(conn, args_row(Claimed), "recorded_settings/declare_company", company)
        # Row-level security is forced on the owner too: only the worker's policy allows a new company.
        await session.set_role(conn, worker_role)
        await apply(conn, declared)
    return _differing(known, settings)


def _is_change(known: ShapingSettings | None, settings: ShapingSettings, *, is_forced: bool) -> bool:
    if known and known != settings and not is_forced:
        raise SettingsMismatch(_disagreement(known, settings))
    return known != settings


async def require_any(conn: Connection) -> ShapingSettings:
    """Return the recorded settings; raise SettingsMismatch when none are recorded."""
    if known := await recorded(conn):
        return known
    raise SettingsMismatch("No settings are recorded yet: run `consumer migrate`.")


async def require(conn: Connection, settings: ShapingSettings) -> None:
    """Raise SettingsMismatch when the settings of this process differ from the recorded ones, or none are recorded."""
    if (known := await require_any(conn)) != settings:
        raise SettingsMismatch(_disagreement(known, settings))


def _disagreement(known: ShapingSettings, ours: ShapingSettings) -> str:
    pairs = [
        (name, *(getattr(one, name.lower()) or "none" for one in (ours, known))) for name in _differing(known, ours)
    ]
    found = ", ".join(f"{name} is {here} here and {there} in the database" for name, here, there in pairs)
    cure = " and ".join(f"{name if len(pairs) > 1 else 'it'} to {there}" for name, _, there in pairs)
    later = "the new value shapes only what is applied from then on"
    return f"{found}. Set {cure}, or run `consumer migrate --settings`: {later}."


def _differing(known: ShapingSettings | None, ours: ShapingSettings) -> list[str]:
    """Return the variables of the settings that differ."""
    return [name.upper() for name, value in asdict(ours).items() if known is None or getattr(known, name) != value]
