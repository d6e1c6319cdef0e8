"""Sessions that outlive a test: to connect and to read the catalogue anew costs more than most of what tests ask."""

import os
import select
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import psycopg
from psycopg.pq import TransactionStatus

from consumer.postgres.connections import Access, Connection, connect

# What else a new session would begin with.
DEFAULTS = "SELECT pg_conf_load_time()::text || coalesce(string_agg(s::text, ' '), '') FROM pg_db_role_setting AS s"


@dataclass
class Kept:
    """Idle sessions of one database by their access, each with the defaults that it began with."""

    url: str = ""
    sessions: dict[Access, tuple[Connection, str]] = field(default_factory=dict)


KEPT = Kept()


@asynccontextmanager
async def kept(url: str, access: Access) -> AsyncIterator[Connection]:
    """Yield a session with an access: the kept one, unless a new one would begin otherwise or the server has ended it.

    Its name does not count it among the processes. A test of what a new session does has to `connect`.
    """
    conn, defaults = await _taken(url, access) or await _begun(url, access)
    try:
        yield conn
    except BaseException:
        await conn.close()
        raise
    if _may_be_kept(conn, url) and access not in KEPT.sessions:
        KEPT.sessions[access] = conn, defaults
    else:
        await conn.close()


def close_kept() -> None:
    """Close the kept sessions."""
    while KEPT.sessions:
        _, (conn, _) = KEPT.sessions.popitem()
        conn.pgconn.finish()


async def _begun(url: str, access: Access) -> tuple[Connection, str]:
    conn = await connect(url, replace(access, name=f"kept {access.name}"))
    # Tests repeat long statements on a few rows: to parse and plan them anew is most of what they cost the server. A
    # pooler, which is reached by TCP, gives the session to others.
    if conn.info.host.startswith("/"):
        conn.prepare_threshold = 0
    return conn, await _defaults(conn)


async def _taken(url: str, access: Access) -> tuple[Connection, str] | None:
    if threading.current_thread() is not threading.main_thread():
        return None
    if KEPT.url != url:
        close_kept()
        KEPT.url = url
    if found := KEPT.sessions.pop(access, None):
        conn, defaults = found
        with suppress(psycopg.Error):
            if not conn.closed and not select.select([conn], [], [], 0)[0] and await _defaults(conn) == defaults:
                return found
        await conn.close()
    return None


async def _defaults(conn: Connection) -> str:
    [(found,)] = await (await conn.execute(DEFAULTS)).fetchall()
    return f"{found} {sorted(item for item in os.environ.items() if item[0].startswith('PG'))}"


def _may_be_kept(conn: Connection, url: str) -> bool:
    """Tell whether a session is as it began, and its server's host can't vanish, which a session would wait for."""
    return (
        threading.current_thread() is threading.main_thread()
        and KEPT.url == url
        and conn.info.host.startswith("/")
        and not conn.closed
        and not conn.is_entered
        and conn.info.transaction_status is TransactionStatus.IDLE
    )
