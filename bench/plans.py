"""What a worker's statements cost beside many rows: `python -m bench.plans` compares two sizes of the same database.

A thousand deliveries of bench/events.py about existing users. One company has half of all users; the last delivery
deletes it, and its users are re-homed page by page. Each statement's slowest run, in ms, by auto_explain,
and the tables that it reads whole.
"""

import argparse
import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg.errors import Diagnostic

from bench import tenants
from bench.events import fill, mixed
from bench.support import database, progress, server, show
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres import migrations
from consumer.postgres.connections import connect, worker_access
from consumer.postgres.queries import sql_root
from consumer.worker.batch import BatchRunner

ACCESS = worker_access("consumer")
EVENTS = 1_000
SIZES = {"small": (2_000, 100), "large": (1_000_000, 50_000)}
# The facts that the company's members are made of.
FACTS = """
INSERT INTO consumer.memberships (user_id, company_id, joined_at, join_version, removal_version, is_implied)
SELECT b.user_id, b.company_id, b.joined_at, '1', '', FALSE FROM identity.company_members AS b;
"""
# Our transactions hide from the client whatever is less than a warning.
EXPLAIN = """
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_analyze = on;
SET auto_explain.log_timing = off;
SET auto_explain.log_format = json;
SET auto_explain.log_level = warning;
"""
# A table of so few rows is read whole in any case.
FEW = 1_000


class Plans:
    """The slowest run of each of our statements, and which tables it read whole."""

    def __init__(self) -> None:
        self.ms: defaultdict[str, float] = defaultdict(float)
        self.whole: defaultdict[str, set[str]] = defaultdict(set)
        folders = (folder for folder in (sql_root() / "queries").iterdir() if folder.is_dir())
        files = ((folder.name, file) for folder in folders for file in folder.iterdir())
        self._names = {
            file.read_text().splitlines()[0]: f"{folder}/{file.name.removesuffix('.sql')}" for folder, file in files
        }

    def take(self, notice: Diagnostic) -> None:
        """Take one plan."""
        text = notice.message_primary or ""
        if "plan:" not in text:
            return
        found = json.loads(text[text.index("{") :])
        if name := self._names.get(found["Query Text"].splitlines()[0]):
            self.ms[name] = max(self.ms[name], float(text.split("duration: ")[1].split(" ms")[0]))
            self.whole[name] |= _read_whole(found["Plan"])


def _read_whole(plan: Mapping[str, Any]) -> set[str]:
    rows = plan.get("Actual Rows", 0) * plan.get("Actual Loops", 1) + plan.get("Rows Removed by Filter", 0)
    own = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" and rows > FEW else set()
    return own.union(*(_read_whole(child) for child in plan.get("Plans", ())))


def measure(server_url: str, profiles: int, companies: int) -> Plans:
    progress(f"{profiles:,} profiles")
    plans = Plans()
    users = [_md5(str(n)) for n in range(1, profiles + 1, max(1, profiles // EVENTS))]
    teams = [_md5(f"company{n}") for n in range(min(companies, 50))]
    with database(server_url, "plans") as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url) as conn:
            tenants.fill(conn, profiles=profiles, companies=companies)
            conn.execute(FACTS)
        asyncio.run(fill(url, mixed(EVENTS, users, teams), 0))
        asyncio.run(_work(url, plans))
    return plans


async def _work(url: str, plans: Plans) -> None:
    worker = BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12, batch_size=EVENTS)
    async with await connect(url, ACCESS) as conn:
        await conn.execute(EXPLAIN)
        conn.add_notice_handler(plans.take)
        # The deliveries, and three pages of users to re-home.
        for _ in range(4):
            await worker.run_once(conn)


def _md5(text: str) -> UUID:
    return UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.database_url) as url:
        plans = {size: measure(url, *counts) for size, counts in SIZES.items()}
    small, large = plans["small"], plans["large"]
    rows: list[dict[str, object]] = [
        {
            "statement": name,
            "ms, 2 k profiles": small.ms.get(name),
            "ms, 1 M profiles": ms,
            "read whole": ", ".join(sorted(large.whole[name])),
        }
        for name, ms in sorted(large.ms.items(), key=lambda item: -item[1])
    ]
    show("A batch beside many rows", rows, {"events": EVENTS}, as_json=options.json)


if __name__ == "__main__":
    main()
