"""Shows that an endpoint's webhooks arrive in this database, and records the endpoint."""

import asyncio
import time

from psycopg.rows import scalar_row

from consumer.errors import ConsumerError
from consumer.operations import runs
from consumer.outbox import numbers
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import query, rows
from consumer.settings import signing_secrets
from consumer.stack_api.admin import StackAdmin
from consumer.stack_api.svix_answers import SvixEndpoint

# Svix waits 15 s for an answer, and repeats a failed attempt after 5 s.
ARRIVAL_SECONDS = 30.0
# Somebody waits, and a look costs a fraction of a millisecond.
ASK_SECONDS = 0.2


class NotConnected(ConsumerError):
    """The test event did not arrive as it should."""


async def endpoint_url(conn: Connection) -> str | None:
    """Return the URL of the endpoint that was connected last; None before the first."""
    found = await rows(conn, scalar_row, "connect/endpoint_url")
    return found[0] if found else None


async def show_arrival(
    conn: Connection, access: Access, admin: StackAdmin, endpoint: SvixEndpoint, secret: str
) -> None:
    """Have Stack send its test event, and wait until the receiver has stored it, verified with the endpoint's secret.

    Raises NotConnected if that does not happen, with what did, and ApiError.
    """
    expected = signing_secrets.fingerprint(signing_secrets.decoded(secret))
    async with transaction(conn, access):
        last_seq = await numbers.last(conn)
    is_taken = await admin.send_test_webhook(endpoint.id)
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while True:
        async with transaction(conn, access):
            stored = await rows(conn, scalar_row, "connect/test_events", {"after_seq": last_seq})
        if expected in stored:
            return
        if time.monotonic() > deadline:
            raise NotConnected(_reason(endpoint.url, stored, is_taken=is_taken))
        await asyncio.sleep(ASK_SECONDS)


async def record(conn: Connection, access: Access, project_id: str, url: str) -> None:
    """Record the project and its endpoint; BadSettings if the database holds another project's users."""
    async with transaction(conn, access):
        await ledger.begin_work(conn)
        await runs.pin_project(conn, project_id)
        await conn.execute(query("connect/put_endpoint"), {"url": url})


def _reason(url: str, stored: list[str | None], *, is_taken: bool) -> str:
    """Return why the test event is not there as it should; *stored* are the secrets that verified what is there."""
    others = sorted({secret for secret in stored if secret})
    if others:
        return (
            f"The test event arrived, verified with another secret ({', '.join(others)}): put the endpoint's first in "
            "STACK_WEBHOOK_SECRETS, restart the receiver, and delete other endpoints that lead to it."
        )
    if stored:
        return "`consumer recover` stored the test event before the webhook came: stop it, and call this again."
    if is_taken:
        return f"{url} took the test event, but not into this database: compare the receiver's DATABASE_URL."
    return (
        f"No test event arrived within {ARRIVAL_SECONDS:g} s: does a receiver run, is {url} its address, and is the "
        "endpoint's secret in its STACK_WEBHOOK_SECRETS?"
    )
