"""What stands in place of an answer when the network, a proxy or the server misbehaves."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.fake_stack.answers import TEXT

HTML = "<html><body>secret page</body></html>"
LIMIT_BODY = b'{"message": "<sentence>"}'


def limited(retry_after: str | None = None, date: datetime | None = None) -> ASGIApp:
    """Refuse for the rate: Stack's own way with a number, an edge's with a page and none, or with a date."""
    dated = {"date": format_datetime(date, usegmt=True)} if date else {}
    if retry_after is None:
        return Response(HTML, 429, media_type="text/html")
    return Response(LIMIT_BODY, 429, {"retry-after": retry_after, **dated}, "application/json")


def limited_until(seconds: int, now: datetime) -> ASGIApp:
    """Refuse for the rate until a date on the server's clock."""
    return limited(format_datetime(now + timedelta(seconds=seconds), usegmt=True), now)


def page(status: int) -> ASGIApp:
    """Answer with a page of a proxy."""
    return Response(HTML, status, media_type="text/html")


def text(status: int) -> ASGIApp:
    """Answer as Stack does to its own failures."""
    return Response("<sentence with the request id>", status, media_type=TEXT)


def body(content: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> ASGIApp:
    """Answer with these bytes as JSON."""
    return Response(content, status, headers, "application/json")


def redirect(address: str) -> ASGIApp:
    return Response(status_code=308, headers={"location": address})


async def truncated(scope: Scope, receive: Receive, send: Send) -> None:
    """Promise more bytes than are sent, and hang up."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"items": [', "more_body": False})


def slow(seconds: float) -> ASGIApp:
    """Say nothing for so long."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(seconds)
        await page(200)(scope, receive, send)

    return answer


def dripping(seconds: float) -> ASGIApp:
    """Send a byte again and again, without an end."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(seconds)

    return answer


def lost(app: ASGIApp) -> ASGIApp:
    """Do what is asked, and hang up before the answer."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def drop(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send({**message, "headers": [(b"content-length", b"1000000")]})

        await app(scope, receive, drop)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return answer
