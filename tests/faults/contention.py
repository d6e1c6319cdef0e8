"""Faults inside PostgreSQL: foreign locks, deadlocks, settings and capacity. Each tells how often it struck."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from uuid import UUID

import psycopg

from tests.faults.messages import window_of
from tests.faults.world import World
from tests.support.databases import rows
from tests.support.processes import until

# Longer than the lock_timeout of receivers and of workers.
LOCKED_SECONDS = 4.0
# Longer than the worker waits for a batch of two and then for one of them.
PROFILES_LOCKED_SECONDS = 7.0
SETTING_SECONDS = 3.0
FULL_SECONDS = 2.0
CANCEL_SECONDS = 2.0
DEADLOCK_ROUNDS = 3
# A deadlock is looked for after one second.
DEADLOCK_SECONDS = 3.0
STATISTICS_SECONDS = 1.5
# The SQLSTATE, as logs have it.
CANCELLED = '"57014"'
BLOCKED = "SELECT pid FROM pg_stat_activity WHERE {} = ANY(pg_blocking_pids(pid))"
# A lock that only a transaction under serializable takes.
SERIALIZABLE = """
    SELECT pid FROM pg_locks INNER JOIN pg_stat_activity USING (pid)
    WHERE mode = 'SIReadLock' AND application_name LIKE 'consumer%'
"""


def profiles_locked(world: World) -> int:
    """F31: a foreign transaction locks all profiles."""
    with locked(world, "identity.profiles"):
        struck = world.sees(lambda: world.waiting("worker"))
        time.sleep(PROFILES_LOCKED_SECONDS)
    return int(struck)


def outbox_locked(world: World) -> int:
    """F32: a foreign transaction locks the outbox; senders are told so."""
    began = time.monotonic()
    with locked(world, "consumer.outbox"):
        time.sleep(LOCKED_SECONDS)
    return len(world.weather.since(began, 503))


def profile_locked(world: World) -> int:
    """F33: a foreign transaction locks one profile; the users beside it do not wait for its end."""
    with psycopg.connect(world.url) as foreign:
        _lock_one(world, foreign)
        struck = world.sees(lambda: _blocks(world, foreign))
        time.sleep(LOCKED_SECONDS)
        foreign.rollback()
    return int(struck)


def deadlocked(world: World) -> int:
    """F34: a foreign transaction locks a profile before its mirror row, the other way round than workers do."""
    before = world.deadlocks()
    for _ in range(DEADLOCK_ROUNDS):
        with psycopg.connect(world.url) as foreign:
            user_id = _lock_one(world, foreign)
            if not world.sees(lambda: _blocks(world, foreign)):
                continue
            foreign.execute("SET LOCAL lock_timeout = '3s'")
            with suppress(psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable):
                foreign.execute(
                    "SELECT FROM identity.stack_user_profiles WHERE stack_user_id = %s FOR UPDATE", (user_id,)
                )
            foreign.rollback()
        if world.sees(lambda: world.deadlocks() > before, DEADLOCK_SECONDS):
            break
    # Each process tells the server's statistics at most once a second.
    time.sleep(STATISTICS_SECONDS)
    return world.deadlocks() - before


def snapshot_held(world: World) -> int:
    """F37: a foreign transaction keeps its snapshot, so that no dead row can be cleaned up."""
    with psycopg.connect(world.url) as foreign:
        foreign.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        foreign.execute("SELECT FROM consumer.pending")
        done = world.outcomes()
        time.sleep(SETTING_SECONDS)
        struck = world.outcomes() - done
        foreign.rollback()
    return struck


def read_only(world: World) -> int:
    """F28: transactions become read-only, as after a failover."""
    began = time.monotonic()
    with setting(world, "default_transaction_read_only", "on"):
        time.sleep(SETTING_SECONDS)
    return len(world.weather.since(began, 503))


def serializable(world: World) -> int:
    """F36: the default isolation is serializable; processes of ours say which they want."""
    began = time.monotonic()
    with setting(world, "default_transaction_isolation", "serializable"):
        [default] = rows(world.url, "SHOW default_transaction_isolation")
        while time.monotonic() < began + SETTING_SECONDS:
            assert not rows(world.url, SERIALIZABLE), "a transaction of ours was serializable"
            time.sleep(0.1)
    is_set = default["default_transaction_isolation"] == "serializable"
    return len(world.weather.since(began, 204)) if is_set else 0


def connections_exhausted(world: World) -> int:
    """F38, F39: others hold all connections when ours are lost."""
    began = time.monotonic()
    wires = (world.to_receivers, world.to_workers)
    for wire in wires:
        wire.cut()
    with ExitStack() as held:
        is_full = world.sees(lambda: _is_filled(world, held))
        for wire in wires:
            wire.mend()
        time.sleep(FULL_SECONDS)
        refused = len(world.weather.since(began, 503))
    return refused if is_full else 0


def receivers_cancelled(world: World) -> int:
    """F43: statements of receivers are cancelled, as a time-out would."""
    began = time.monotonic()
    _cancel(world, "application_name = 'consumer receiver' AND state = 'active'")
    return len(world.weather.since(began, 503))


def workers_cancelled(world: World) -> int:
    """F43: statements of workers are cancelled in the middle of a batch; no delivery dies of it."""
    before = world.said(CANCELLED)
    with locked(world, "identity.profiles"):
        _cancel(world, "application_name = 'consumer worker' AND wait_event_type = 'Lock'")
    return world.said(CANCELLED) - before


@contextmanager
def locked(world: World, table: str) -> Iterator[None]:
    """Lock a table against everybody for the duration."""
    with psycopg.connect(world.url) as foreign:
        foreign.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        foreign.rollback()


@contextmanager
def setting(world: World, name: str, value: str) -> Iterator[None]:
    """Give the whole server another default for the duration."""
    with psycopg.connect(world.url, autocommit=True) as conn:
        conn.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        conn.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            conn.execute(f"ALTER SYSTEM RESET {name}")
            conn.execute("SELECT pg_reload_conf()")


def _cancel(world: World, whom: str) -> None:
    """Cancel, as fast as we can, what these connections are at."""
    deadline = time.monotonic() + CANCEL_SECONDS
    with psycopg.connect(world.url, autocommit=True) as conn:
        while time.monotonic() < deadline:
            conn.execute(f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {whom}")


def _lock_one(world: World, foreign: psycopg.Connection) -> object:
    """Lock the profile of a user whom the storm is about now."""
    user_id = world.chance.choice(until(lambda: _current_users(world)))
    foreign.execute("SELECT FROM identity.profiles WHERE user_id = %s FOR UPDATE", (user_id,))
    return user_id


def _blocks(world: World, foreign: psycopg.Connection) -> bool:
    return bool(rows(world.url, BLOCKED.format(foreign.info.backend_pid)))


def _current_users(world: World) -> list[UUID]:
    known = [row["user_id"] for row in rows(world.url, "SELECT user_id FROM identity.profiles ORDER BY user_id")]
    return [user_id for user_id in known if window_of(user_id) == world.weather.window]


def _is_filled(world: World, held: ExitStack) -> bool:
    """Take connections until there is none left."""
    try:
        while True:
            held.enter_context(psycopg.connect(world.url, connect_timeout=2))
    except psycopg.OperationalError:
        return True
