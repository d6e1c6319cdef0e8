"""Faults of the network between our processes and PostgreSQL. Each tells how often it struck."""

import time

from bench.pooler import pgbouncer
from tests.faults.proxy import Wire
from tests.faults.world import World

AWAY_SECONDS = 3.0
# Longer than a receiver takes to say that it could not store: two waits for company and three for the commit.
SILENT_SECONDS = 6.0
# Longer than a worker's idle_in_transaction_session_timeout.
FORGOTTEN_SECONDS = 11.0
# What was on its way when the wire fell silent.
IN_FLIGHT_SECONDS = 0.3
LATENCY_SECONDS = (0.03, 0.3)
SLOW_SECONDS = 4.0
POOLED_SECONDS = 2.0
POOLED_DELIVERIES = 100
# What PostgreSQL says of a statement that another backend prepared.
LOST_STATEMENT = '"26000"'
COMMITS_LOST = 4
TEARS = 5


def refused(world: World) -> int:
    """F15: connections are refused for a while; everybody hears so."""
    began = time.monotonic()
    for wire in (world.to_receivers, world.to_workers):
        wire.cut()
    time.sleep(AWAY_SECONDS)
    for wire in (world.to_receivers, world.to_workers):
        wire.mend()
    return len(world.weather.since(began, 503))


def torn(world: World) -> int:
    """F16: all connections are reset, again and again."""
    struck = 0
    for _ in range(TEARS):
        struck += world.to_receivers.tear() + world.to_workers.tear()
        world.weather.more(5)
    return struck


def receivers_cut_off(world: World) -> int:
    """F17: receivers and database do not hear each other; nothing is acknowledged, and soon everybody is told."""
    world.to_receivers.hold()
    began = time.monotonic()
    time.sleep(SILENT_SECONDS)
    answers = [answer for answer in world.weather.since(began + IN_FLIGHT_SECONDS) if answer.status]
    world.to_receivers.release()
    assert not [answer for answer in answers if answer.status == 204], "acknowledged while the database was silent"
    return len([answer for answer in answers if answer.status == 503])


def workers_cut_off(world: World) -> int:
    """F18: workers and database do not hear each other for a moment."""
    return _workers_cut_off(world, AWAY_SECONDS)


def workers_forgotten(world: World) -> int:
    """F18: workers and database do not hear each other until the server has given up their transactions."""
    return _workers_cut_off(world, FORGOTTEN_SECONDS)


def receiver_commits_lost(world: World) -> int:
    """F19: transactions of receivers are committed, and the answer is lost."""
    return _commits_lost(world, world.to_receivers)


def worker_commits_lost(world: World) -> int:
    """F20: transactions of workers are committed, and the answer is lost."""
    return _commits_lost(world, world.to_workers)


def slow(world: World) -> int:
    """F21: every packet takes long."""
    before = world.to_receivers.delayed
    for wire in (world.to_receivers, world.to_workers):
        wire.delay = LATENCY_SECONDS
    time.sleep(SLOW_SECONDS)
    for wire in (world.to_receivers, world.to_workers):
        wire.delay = None
    return world.to_receivers.delayed - before


def pooled(world: World) -> int:
    """F27: a pooler in transaction mode comes between, and dies."""
    began, clashes = time.monotonic(), world.said(LOST_STATEMENT)
    with pgbouncer(world.url, world.data_dir) as url:
        _lead(world, url)
        time.sleep(POOLED_SECONDS)
        done = world.outcomes()
        world.weather.more(POOLED_DELIVERIES)
        assert world.sees(lambda: world.outcomes() > done), "workers did not go on behind a pooler"
    _lead(world, world.url)
    assert world.said(LOST_STATEMENT) == clashes, "a prepared statement was missed"
    return len(world.weather.since(began, 204))


def _lead(world: World, url: str) -> None:
    for wire in (world.to_receivers, world.to_workers):
        wire.lead(url)
        wire.tear()


def _workers_cut_off(world: World, seconds: float) -> int:
    world.to_workers.hold()
    time.sleep(IN_FLIGHT_SECONDS)
    before = world.outcomes()
    time.sleep(seconds)
    struck = world.outcomes() == before
    world.to_workers.release()
    return int(struck)


def _commits_lost(world: World, wire: Wire) -> int:
    before = wire.lost
    wire.lose_commits(COMMITS_LOST)
    world.sees(lambda: wire.lost - before == COMMITS_LOST)
    wire.lose_commits(0)
    return wire.lost - before
