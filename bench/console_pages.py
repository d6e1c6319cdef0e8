"""What the console's pages cost: at the server, at the tables, on the wire."""

import time
from typing import Any

import psycopg

from bench.console_people import Operator
from bench.support import progress
from consumer.console import static

# A server's process tells its statistics at a transaction's end, at most once in this time; the console has fewer
# connections than the requests that follow.
STATISTICS_SECONDS, STATISTICS_REQUESTS = 1.1, 8
READ = """
SELECT (SELECT sum(seq_tup_read) FROM pg_stat_all_tables) + (SELECT sum(idx_tup_read) FROM pg_stat_all_indexes)
"""


def addresses(url: str) -> dict[str, list[str]]:
    """Return the addresses of each page, with several filters where it takes any."""
    [(dead, user_id)] = rows(url, "SELECT seq, user_id FROM consumer.outbox WHERE seq % 10 = 0 ORDER BY seq LIMIT 1")
    [(done,)] = rows(url, "SELECT max(seq) FROM consumer.outcomes")
    filters = (
        *("", "?state=dead", "?state=pending", "?type=user.*", "?type=team.*", "?outcome=stale", "?source=operator"),
        *("?since=15m", "?error=231", f"?user={user_id}", "?outcome=applied&source=app&since=7d"),
    )
    return {
        "/": ["/", "/?range=3h"],
        "/deliveries": [f"/deliveries{each}" for each in filters],
        "/deliveries/SEQ": [f"/deliveries/{dead}", f"/deliveries/{done}"],
        "/users": ["/users"],
        "/users/ID": [f"/users/{user_id}"],
        "/companies": ["/companies"],
        "/dead": ["/dead", "/dead?by=event", "/dead?by=each", "/dead?error=231"],
        "/dead/retry": ["/dead/retry", "/dead/retry?error=231"],
        "/recovery": ["/recovery"],
        "/actions": ["/actions"],
        "/system": ["/system"],
    }


def page_row(url: str, operator: Operator, address: str, requests: int) -> dict[str, object]:
    """Ask for a page again and again."""
    progress(address)
    size, before, took = len(operator.page(address)), _read(url, operator, address), []
    for _ in range(requests):
        began = time.perf_counter()
        operator.page(address)
        took.append(1000 * (time.perf_counter() - began))
    read = _read(url, operator, address) - before
    return {
        "page": address,
        "p95 ms": sorted(took)[int(0.95 * (len(took) - 1))],
        "rows read": round(read / (requests + STATISTICS_REQUESTS)),
        "bytes on the wire": size,
    }


def _read(url: str, operator: Operator, address: str) -> int:
    time.sleep(STATISTICS_SECONDS)
    for _ in range(STATISTICS_REQUESTS):
        operator.page(address)
    return int(rows(url, READ)[0][0])


def first_visit(operator: Operator) -> int:
    """Return the bytes that a browser without a cache loads, as they come."""
    names = [path.name for path in static.FOLDER.iterdir() if path.suffix in static.SERVED]
    return len(operator.page("/")) + sum(len(operator.page(f"/static/{static.VERSION}/{name}")) for name in names)


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(statement.encode()).fetchall()
