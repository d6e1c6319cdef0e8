"""How much disk and how many connections: `python -m bench.sizes` measures one user, then counts installations.

Each user is created, updated and signed in once (bodies of 1.3 kB), and joins one team. The first table has the bytes
of a row with its indexes, after a vacuum, so with the room that updates leave. The second one multiplies them by a year
of --updates, --sign-ins and --teams a user. The connections are those of a process that is ready.
"""

import argparse
import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import LiteralString
from uuid import UUID

import psycopg

from bench.checks import require_finished
from bench.commands import running
from bench.drainers import ACCESS
from bench.events import USERS_PER_TEAM, fill, of_kind, updates
from bench.support import database, progress, server, show
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.postgres import migrations
from consumer.postgres.connections import connect
from consumer.worker.batch import BatchRunner, drain

USERS = 20_000
INSTALLATIONS = (80_000, 1_000_000, 10_000_000)
# A year of a user: one change a month, a sign-in every third day, two teams.
YEAR = {"updates": 12, "sign-ins": 120, "teams": 2}
YEAR_SECONDS = 365 * 86_400
LOG = ("consumer.outbox", "consumer.outcomes")
USER = ("identity.profiles", "identity.stack_user_profiles")
MEMBER = ("identity.company_members", "consumer.memberships")
AUDIT = ("identity.profile_audit",)
SESSIONS = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
# The look whether the database is ready closes its connection a moment later.
LOOKS, LOOK_SECONDS = 10, 0.1


class Tables:
    """Bytes and rows of the tables, and how much they have grown since they were last asked."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._before: dict[str, tuple[int, int]] = {}

    def grown(self, names: Sequence[str]) -> tuple[int, int]:
        """Return by how many rows the first of these tables has grown, and by how many bytes all of them."""
        now = {name: self._size(name) for name in names}
        before = {name: self._before.get(name, (0, 0)) for name in names}
        self._before |= now
        return now[names[0]][0] - before[names[0]][0], sum(now[name][1] - before[name][1] for name in names)

    def _size(self, name: str) -> tuple[int, int]:
        with psycopg.connect(self._url) as conn:
            [size] = conn.execute(f"SELECT count(*), pg_total_relation_size('{name}') FROM {name}".encode()).fetchall()
        return size


async def _apply(url: str, deliveries: Sequence[Delivery], finished: int) -> None:
    await fill(url, deliveries, 0)
    async with await connect(url, ACCESS) as conn:
        await drain(conn, BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12))
        require_finished("sizes", url, len(deliveries), history=finished)
    _vacuum(url, "VACUUM")


def _vacuum(url: str, statement: LiteralString) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(statement)


def measure(url: str, users: int) -> dict[str, tuple[int, float]]:
    """Return how many rows of each kind were made, and the bytes of one of them."""
    migrations.apply(url, "consumer")
    lives = updates(2 * users)
    ids = [delivery.user_id for delivery in lives[:users] if delivery.user_id]
    phases: tuple[tuple[Sequence[Delivery], Mapping[str, Sequence[str]]], ...] = (
        (lives, {"update: stored delivery": LOG, "user: profile and mirror": USER, "update: audit row": AUDIT}),
        (
            [of_kind("sign_in", len(lives) + n, user_id, user_id) for n, user_id in enumerate(ids)],
            {"sign-in: stored delivery": LOG, "sign-in: audit row": AUDIT},
        ),
        (
            [
                of_kind("membership", len(lives) + users + n, user_id, UUID(int=1 + n // USERS_PER_TEAM))
                for n, user_id in enumerate(ids)
            ],
            {"team: stored delivery": LOG, "team: membership": MEMBER},
        ),
    )
    tables, finished, found = Tables(url), 0, {}
    for deliveries, kinds in phases:
        # Small bodies would fill the ends of the pages that large ones left, and seem to take nothing.
        _vacuum(url, "VACUUM FULL")
        for names in kinds.values():
            tables.grown(names)
        asyncio.run(_apply(url, deliveries, finished))
        finished += len(deliveries)
        for kind, names in kinds.items():
            rows, size = tables.grown(names)
            found[kind] = (rows, size / rows)
    return found


def installation(users: int, each: Mapping[str, float], year: Mapping[str, int]) -> dict[str, object]:
    """Return what so many users take: their rows, and a year of the log and of the audit, in GB."""
    rows = each["user: profile and mirror"] + year["teams"] * each["team: membership"]
    log = year["updates"] * each["update: stored delivery"] + year["sign-ins"] * each["sign-in: stored delivery"]
    audit = year["updates"] * each["update: audit row"] + year["sign-ins"] * each["sign-in: audit row"]
    return {
        "users": users,
        "deliveries a second, mean": users * (year["updates"] + year["sign-ins"]) / YEAR_SECONDS,
        "rows GB": users * rows / 1e9,
        "log GB a year": users * log / 1e9,
        "audit GB a year": users * audit / 1e9,
    }


def connections(url: str, command: str) -> int:
    """Return how many sessions a process that is ready holds."""
    counts = []
    with running(command, url, secrets.token_bytes(24)), psycopg.connect(url, autocommit=True) as conn:
        for _ in range(LOOKS):
            counts += [int(count) for (count,) in conn.execute(SESSIONS)]
            time.sleep(LOOK_SECONDS)
    return min(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=USERS, help="measured users")
    for name, default in YEAR.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"a user's in a year; default {default}")
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    year = {name: getattr(options, name.replace("-", "_")) for name in YEAR}
    with server(options.database_url) as server_url, database(server_url, "sizes") as url:
        progress(f"{options.users:,} users")
        measured = measure(url, options.users)
        held = {f"connections of `consumer {name}`": connections(url, name) for name in ("serve", "work")}
    rows = [{"what": kind, "measured": count, "bytes each": size} for kind, (count, size) in measured.items()]
    each = {kind: size for kind, (_, size) in measured.items()}
    installations = [installation(users, each, year) for users in INSTALLATIONS]
    if options.json:
        show("Sizes", rows, {"installations": installations, **held}, as_json=True)
        return
    show("A row with its indexes", rows, held, as_json=False)
    show(
        "Installations",
        installations,
        {f"{name} a user and year": count for name, count in year.items()},
        as_json=False,
    )


if __name__ == "__main__":
    main()
