"""Re-homing: recompute the home of each user of a created or deleted company, page by page."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row, scalar_row

from consumer.effects import application, companies, members, users
from consumer.effects.companies import SelectedTeams
from consumer.errors import Inseparable
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows
from consumer.worker.bisect import Failing, FailureLimit, apply_except_failing

# Users a transaction: a page takes about as long as a batch of deliveries, so that neither holds up the other.
PAGE_SIZE = 500
# At most this many users of a page may be locked or refused. If there are more, a table is locked, or an application's
# constraint concerns everybody: then all remaining users of the company are postponed.
POSTPONED_MAX = 10
# Milliseconds to wait for a lock: deliveries wait meanwhile, and re-homing can be tried again.
LOCK_TIMEOUT = 50


class Task(NamedTuple):
    """The users of a company, from one id to another, that must be re-homed because of the delivery *seq*."""

    id: int
    company_id: UUID
    next_user_id: UUID
    last_user_id: UUID
    attempts: int
    seq: int


class PageResult(NamedTuple):
    """The result of one page: the number of its users, and the first postponed ones with their errors.

    *is_overrun*: all remaining users of the company are postponed.
    """

    users: int
    postponed: Sequence[tuple[UUID, Exception]]
    is_overrun: bool


class Due(NamedTuple):
    """What waits besides deliveries: companies whose users are re-homed, users and companies that are made anew."""

    is_rehoming: bool
    is_rebuilding: bool


async def due(conn: Connection) -> Due:
    """Return what waits besides deliveries."""
    [found] = await rows(conn, args_row(Due), "rehome/is_due")
    return found


async def waiting(conn: Connection) -> int:
    """Return how many companies wait whose users are to be re-homed, those not due yet included."""
    [companies_waiting] = await rows(conn, scalar_row, "rehome/waiting")
    return int(companies_waiting)


async def run_page(
    conn: Connection, delay: Callable[[int], timedelta], page_size: int = PAGE_SIZE, projection_sql: bytes | None = None
) -> PageResult | None:
    """Re-home one page of one company's users in the caller's transaction.

    Return None when no company is queued, or other workers hold all of them.
    A user that is locked, or that an application's constraint or statement refuses, is postponed by a *delay* that
    depends on the attempts. With too many such users, all remaining ones of the company are postponed.
    """
    if (task := next(iter(await rows(conn, args_row(Task), "rehome/claim")), None)) is None:
        return None
    await session.set_lock_timeout(conn, LOCK_TIMEOUT)
    # Each failed attempt halves the page, because its users may fail only together. A page that succeeds resets it.
    size = max(1, page_size >> task.attempts)
    user_ids: list[UUID] = await rows(conn, scalar_row, "rehome/page", {**task._asdict(), "page_size": size + 1})
    page, rest = user_ids[:size], user_ids[size:]
    postponed, is_overrun = await _rehome_except_failing(conn, task.seq, page, projection_sql)
    ranges = [(user_id, user_id) for user_id, _ in postponed]
    if is_overrun:
        ranges, rest = [(task.next_user_id, task.last_user_id)], []
    task = task._replace(attempts=task.attempts + 1)
    for first, last in ranges:
        values = {**task._asdict(), "first_user_id": first, "last_user_id": last, "delay": delay(task.attempts)}
        await conn.execute(query("rehome/postpone"), values)
    if rest:
        await conn.execute(query("rehome/advance"), {"id": task.id, "next_user_id": rest[0]})
    else:
        await conn.execute(query("rehome/finish"), {"id": task.id})
    return PageResult(len(page), postponed[:POSTPONED_MAX], is_overrun)


async def _rehome_except_failing(
    conn: Connection, seq: int, page: Sequence[UUID], projection_sql: bytes | None
) -> tuple[Failing[UUID], bool]:
    """Re-home the page; return the users that failed, and whether to postpone all remaining ones too."""
    tally = FailureLimit(POSTPONED_MAX)
    try:
        _, failing = await apply_except_failing(
            conn, page, lambda user_ids: _rehome(conn, seq, user_ids, projection_sql), tally
        )
    except Inseparable as error:
        return [(page[0], error)], True
    return failing, tally.overrun is not None


async def _rehome(conn: Connection, seq: int, user_ids: Sequence[UUID], projection_sql: bytes | None) -> None:
    # The order of locks is that of a batch: users, then companies.
    await users.lock(conn, user_ids)
    await companies.lock(conn, [], SelectedTeams(), user_ids)
    if moved := await members.update_members_and_homes(conn, user_ids):
        await users.put_rehomed(conn, seq, moved)
    # Run it for all users: even one that keeps its home may have lost a membership.
    await application.run_app_statement(conn, projection_sql, user_ids)
    await session.check_constraints(conn)
