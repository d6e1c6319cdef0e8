"""An application's backend that posts an event and waits for the answer, while a worker works."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from tests.support.outbox import work
from tests.support.web import APP_SECRET, Reply, Site, post

USER = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")


def event(
    data: object,
    event_type: str = "user.signed_in",
    *,
    message_id: str = "in_1",
    prefer: str | None = "wait=4",
    path: str = "/webhooks/app",
) -> bytes:
    """Return a signed event of the application as bytes on the wire; by default it waits."""
    body = json.dumps({"type": event_type, "data": data}).encode()
    more = {"prefer": prefer} if prefer else {}
    return post(body, path=path, secret=APP_SECRET, message_id=message_id, more=more)


async def answer(site: Site, database_url: str, request: bytes) -> Reply:
    """Ask, and work until the answer is there."""
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(site.ask, request)
        while not reply.done():
            await work(database_url)
        return reply.result()


def told(reply: Reply) -> tuple[int, dict[str, object]]:
    """Return the status and the document."""
    return reply.status, json.loads(reply.body)
