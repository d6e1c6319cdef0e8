"""Rebuild speed against the drain of the same events, on the same database, in one run.

`python -m bench.rebuild` prints one table; `--json` one document. The events are drained by one worker, and then all
rows are made anew by one: as they are (nothing is written), compared only (`--check`), and after the tables of users
were lost. `everything` is the mix of bench/events.py, with teams, memberships and edits. Nothing is printed unless
every event was finished, the check finds no difference before and after, and each profile is there again.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import psutil
import psycopg

from bench.checks import FalseFigure, require_finished
from bench.drainers import ACCESS
from bench.events import everything, fill, updates
from bench.support import database, progress, server, show
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.operations import rebuild
from consumer.outbox.storage import Delivery
from consumer.postgres import migrations
from consumer.postgres.connections import Connection, connect, enter, operator_access
from consumer.worker.batch import BatchRunner, drain, rebuild_page
from tests.support.acting import action

LOST = (
    "SET session_replication_role = replica; DELETE FROM identity.profiles; DELETE FROM identity.stack_user_profiles; "
    "DELETE FROM identity.company_members; DELETE FROM consumer.memberships; DELETE FROM consumer.edits"
)
PROFILES = "SELECT user_id, company_id, full_name, email, role_type, department FROM identity.profiles ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to make all rows anew, and what is done to the tables before."""

    name: str
    run: Callable[[Connection], Awaitable[int]]
    damage: str = "SELECT"


async def _rebuild(conn: Connection) -> int:
    """Queue everybody and make all pages anew; return how many users and companies."""
    async with await connect(conn.info.dsn, operator_access("consumer")) as operator:
        async for _ in rebuild.queue_all(operator, operator_access("consumer"), action("rebuild")):
            pass
    done = 0
    while page := await rebuild_page(conn, ACCESS, projection_sql=None):
        done += page.done
    return done


async def _check(conn: Connection) -> int:
    found = [(drift.users, drift.differing) async for drift in rebuild.compare(conn, ACCESS, None)]
    users, differing = found[-1]
    if differing:
        raise FalseFigure(f"No figure: a rebuild would change {dict(differing)}.")
    return users


WAYS = (
    Way("rebuild, nothing differs", _rebuild),
    Way("check", _check),
    Way("rebuild, all lost", _rebuild, LOST),
)


async def _measure(url: str, name: str, deliveries: Sequence[Delivery]) -> AsyncIterator[dict[str, object]]:
    await fill(url, deliveries, 0)
    async with await connect(url, ACCESS) as conn:
        await enter(conn, ACCESS)
        started = time.perf_counter()
        await drain(conn, BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12))
        drained = len(deliveries) / (time.perf_counter() - started)
        require_finished(name, url, len(deliveries))
        shown = _profiles(url)
        yield {"measure": f"{name}: drain", "deliveries/s": drained, "of the drain": 1.0, "RSS growth MB": 0.0}
        for way in WAYS:
            progress(f"{name}: {way.name}")
            with psycopg.connect(url) as admin:
                admin.execute(way.damage.encode())
            before = psutil.Process().memory_info().rss
            started = time.perf_counter()
            await way.run(conn)
            rate = len(deliveries) / (time.perf_counter() - started)
            growth = psutil.Process().memory_info().rss - before
            if _profiles(url) != shown:
                raise FalseFigure(f"No figure for {name}, {way.name}: other profiles are shown than before.")
            await _check(conn)
            yield {
                "measure": f"{name}: {way.name}",
                "deliveries/s": rate,
                "of the drain": rate / drained,
                "RSS growth MB": growth / 2**20,
            }


def _profiles(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(PROFILES).fetchall()


async def _all(url: str, name: str, deliveries: Sequence[Delivery]) -> list[dict[str, object]]:
    return [row async for row in _measure(url, name, deliveries)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    with server(options.database_url) as server_url:
        for name, make in (("users", updates), ("everything", everything)):
            with database(server_url, "rebuild") as url:
                migrations.apply(url, "consumer")
                rows += asyncio.run(_all(url, name, make(options.events)))
    show("Rebuild", rows, {}, as_json=options.json)


if __name__ == "__main__":
    main()
