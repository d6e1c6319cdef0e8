"""What a support engineer's questions take: `python -m bench.lookups`, with --events stored deliveries of 1.3 kB.

Every tenth is dead, each fourth is about another user, and the newest tenth is a backfill. Milliseconds, the best and
the median of ROUNDS with warm caches, under the viewer's role; `consumer.deliveries` is what the list would take
through that view. Below: how much faster one worker drains without the indexes that only support needs, in turns on
one server, the median of PAIRS.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import LiteralString
from uuid import UUID

import psycopg

from bench.checks import require_finished
from bench.drainers import ACCESS
from bench.events import fill, updates
from bench.support import EVENT_BYTES, database, progress, server, show, user_event
from consumer.events.registry import EVENT_TYPES
from consumer.lookup import audit, listing, one_delivery, one_user
from consumer.lookup.listing import ListFilter
from consumer.metrics import Metrics
from consumer.outbox import deliveries
from consumer.postgres import migrations
from consumer.postgres.connections import Access, Connection, connect, operator_access, transaction, viewer_access
from consumer.worker.batch import BatchRunner, drain

EVENTS = 100_000
ROUNDS = 20
DRAINED, PAIRS = 20_000, 3
SIZE = 50
USER = UUID("3f0c7a52-5d0f-4a53-9d0e-6f2f4d1f0b11")
FILL: LiteralString = """
    INSERT INTO consumer.outbox (source, message_id, event_type, user_id, team_id, occurred_at, received_at, body)
    SELECT
        CASE WHEN n > %(events)s::bigint * 0.9 THEN 'backfill' WHEN n %% 50 = 0 THEN 'app' ELSE 'stack' END,
        'msg_' || lpad(n::text, 27, '0'),
        'user.updated',
        md5('user' || n %% (%(events)s::bigint / 4))::uuid,
        CASE WHEN n %% 20 = 0 THEN md5('team' || n %% 1000)::uuid END,
        now(),
        now() - (%(events)s::bigint - n) * interval '1 second',
        %(body)s::bytea
    FROM generate_series(1, %(events)s::bigint) AS n;
"""
BESIDE: LiteralString = """
    INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type)
    SELECT seq, 'dead', 12, '23' || seq % 7, 'UniqueViolation public app_users', source, event_type
    FROM consumer.outbox WHERE seq % 10 = 0;
    INSERT INTO consumer.outcomes (seq, outcome)
    SELECT seq, 'applied' FROM consumer.outbox WHERE seq % 10 > 0;
    INSERT INTO identity.profile_audit (user_id, operation, changed_fields, source, message_id, seq)
    SELECT user_id, 'updated', '{email}', source, message_id, seq FROM consumer.outbox WHERE seq % 10 > 0;
    INSERT INTO identity.stack_user_profiles (stack_user_id, stack_primary_email)
    SELECT DISTINCT user_id, user_id || '@example.com' FROM consumer.outbox;
"""
THROUGH_THE_VIEW = b"SELECT seq FROM consumer.deliveries ORDER BY seq DESC LIMIT 50"
INDEXES = b"identity.profile_audit_seq, identity.stack_user_profiles_email"
Question = Callable[[Connection], Awaitable[object]]


def questions(seq: int, message_id: str, user_id: UUID, team_id: UUID) -> dict[str, Question]:
    """Return each question by its name."""

    def page(**wanted: object) -> Question:
        chosen = ListFilter(**wanted)  # type: ignore[arg-type]
        return lambda conn: listing.page(conn, chosen, size=SIZE)

    return {
        "newest 50": page(),
        "newest 50 dead": page(states=["dead"]),
        "50 of a user": page(user_ids=[user_id]),
        "50 of a team": page(team_id=team_id),
        "a type that nothing has, one look": page(event_type="team.*"),
        "an outcome that nothing has, one look": page(outcome="stale"),
        "one delivery by message id": lambda conn: one_delivery.find(conn, message_id),
        "what one delivery changed": lambda conn: audit.of_delivery(conn, seq, size=20),
        "a user by e-mail": lambda conn: one_user.by_email(conn, f"{user_id}@EXAMPLE.com"),
        "a user's timeline": lambda conn: one_user.timeline(conn, user_id, size=20),
        "dead by cause": lambda conn: deliveries.errors(conn, ["dead"], limit=100),
    }


async def measure(url: str) -> list[dict[str, object]]:
    """Ask each question and return what it took."""
    with psycopg.connect(url) as admin:
        [(seq, message_id, user_id)] = admin.execute(
            "SELECT seq, message_id, user_id FROM consumer.outbox WHERE seq % 10 = 1 ORDER BY seq LIMIT 1 OFFSET 500"
        ).fetchall()
        [(team_id,)] = admin.execute("SELECT md5('team' || 20)::uuid").fetchall()
    viewer, operator = viewer_access("consumer"), operator_access("consumer")
    async with await connect(url, viewer) as conn:
        found = [
            await _timed(conn, viewer, name, question)
            for name, question in questions(seq, message_id, user_id, team_id).items()
        ]
        found.append(await _timed(conn, operator, "last of each source", deliveries.last_received))
        found.append(
            await _timed(
                conn, operator, "newest 50 of consumer.deliveries", lambda conn: conn.execute(THROUGH_THE_VIEW)
            )
        )
    return found


async def _timed(conn: Connection, access: Access, name: str, question: Question) -> dict[str, object]:
    progress(name)
    taken = []
    for _ in range(ROUNDS):
        async with transaction(conn, access):
            begun = time.perf_counter()
            await question(conn)
            taken.append(1000 * (time.perf_counter() - begun))
    return {"question": name, "best ms": min(taken), "median ms": statistics.median(taken)}


async def drained(url: str, *, is_indexed: bool) -> float:
    """Return the seconds that a worker takes for DRAINED events."""
    migrations.apply(url, "consumer")
    events = updates(DRAINED)
    await fill(url, events, 0)
    if not is_indexed:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(b"DROP INDEX " + INDEXES)
    async with await connect(url, ACCESS) as conn:
        begun = time.perf_counter()
        await drain(conn, BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12))
        seconds = time.perf_counter() - begun
    require_finished("drain", url, len(events))
    return seconds


def ratio(server_url: str) -> float:
    """Return how many times as long a drain takes with the indexes."""
    ratios = []
    for number in range(PAIRS):
        seconds = {}
        for is_indexed in (True, False) if number % 2 else (False, True):
            progress(f"drain {'with' if is_indexed else 'without'} the indexes")
            with database(server_url, "lookups_drain") as url:
                seconds[is_indexed] = asyncio.run(drained(url, is_indexed=is_indexed))
        ratios.append(seconds[True] / seconds[False])
    return statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.database_url) as server_url:
        with database(server_url, "lookups") as url:
            migrations.apply(url, "consumer")
            progress(f"storing {options.events:,}")
            with psycopg.connect(url, autocommit=True) as conn:
                conn.execute(FILL, {"events": options.events, "body": user_event(USER, 1)})
                conn.execute(BESIDE)
                conn.execute("VACUUM ANALYZE")
            rows = asyncio.run(measure(url))
        facts = {"stored": options.events, "event bytes": EVENT_BYTES, "drain, with / without": ratio(server_url)}
    show("Questions of support", rows, facts, as_json=options.json)


if __name__ == "__main__":
    main()
