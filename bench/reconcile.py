"""What a scan of Stack's API costs: `python -m bench.reconcile` backfills users, and reconciles them unchanged.

A fake of Stack serves a project over real HTTP, and `consumer backfill`, `work --drain` and `consumer reconcile` run as
processes. Nothing is printed unless the reconciliation stored no delivery and changed no row of a user.
"""

import argparse
import time
from datetime import UTC, datetime, timedelta

import psycopg

from bench import commands
from bench.checks import FalseFigure
from bench.support import database, progress, server, show
from consumer.postgres import migrations
from consumer.stack_api.client import USERS_LIMIT
from tests.support.backfills import environment
from tests.support.databases import record_settings
from tests.support.fake_stack import serving

# Rows as they are on the disk: each write of a row, an equal one too, makes another.
ROWS = "SELECT md5(string_agg(xmin::text || ctid::text, ',' ORDER BY ctid)) FROM {}"
TABLES = ("identity.profiles", "identity.stack_user_profiles")
USERS = "SELECT count(*) FROM identity.profiles"
STORED = "SELECT count(*) FROM consumer.outbox"


def measure(url: str, users: int) -> list[dict[str, object]]:
    """Bring all users in, and compare them with Stack."""
    with serving() as port:
        fake = port.fake
        fake.project.now = datetime.now(UTC) - timedelta(days=2)
        for each in range(users):
            fake.project.sign_up(display_name=f"User {each}", primary_email=f"user{each}@example.com")
        settings = environment(fake)

        def timed(*arguments: str) -> dict[str, object]:
            progress(" ".join(arguments))
            before, started = len(fake.asked), time.monotonic()
            commands.run(url, *arguments, settings=settings)
            seconds = time.monotonic() - started
            return {"command": " ".join(arguments), "seconds": seconds, "calls": len(fake.asked) - before}

        table = [timed("backfill"), timed("work", "--drain")]
        if _one(url, USERS) != users:
            raise FalseFigure(f"No figure: {_one(url, USERS):,} of {users:,} users arrived.")
        before = [_one(url, ROWS.format(name)) for name in TABLES], _one(url, STORED)
        table.append(timed("reconcile"))
        if ([_one(url, ROWS.format(name)) for name in TABLES], _one(url, STORED)) != before:
            raise FalseFigure("No figure: a reconciliation of unchanged users changed rows.")
        return table


def _one(url: str, statement: str) -> int:
    with psycopg.connect(url) as conn:
        [(value,)] = conn.execute(statement.encode()).fetchall()
    return value  # type: ignore[no-any-return]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.database_url) as server_url, database(server_url, "reconcile") as url:
        migrations.apply(url, "consumer")
        record_settings(url)
        table = measure(url, options.users)
    facts = {"users": options.users, "pages that the API demands": -(-options.users // USERS_LIMIT)}
    show("Scans of Stack's API", table, facts, as_json=options.json)


if __name__ == "__main__":
    main()
