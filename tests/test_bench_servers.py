"""The servers that the bench of ingest compares: what each does with a delivery, and how its process is run."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from bench import servers
from bench.checks import FalseFigure
from bench.client import signed_requests
from bench.path import parsed
from bench.servers import KINDS, STORING, running
from consumer.effects import recorded_settings
from consumer.postgres.connections import connect, operator_access, receiver_access
from consumer.providers.standard_webhooks import sign
from consumer.settings.settings import ShapingSettings
from tests.support.databases import rows

KEY = bytes(range(24))
Sent = list[dict[str, Any]]


async def answered(app: Any, headers: list[tuple[bytes, bytes]], pieces: list[bytes]) -> Sent:
    """Return what an application sends to a request whose body comes in pieces."""
    left, sent = [*pieces], Sent()

    async def receive() -> dict[str, object]:
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/webhooks/stack", "headers": headers, "query_string": b""}
    await app(scope | {"http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send)
    # A stranger's body is not read.
    assert left == [] or sent[0]["status"] == 401
    return sent


def signed_at(moment: datetime) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
    body = b'{"type":"user.deleted","data":{"id":"3f0c7a52-5d0f-4a53-9d0e-6f2f4d1f0b11"}}'
    headers = sign(f"whsec_{b64encode(KEY).decode()}", "msg_1", moment, body)
    known = {**headers, "content-type": "application/json", "content-length": str(len(body))}
    return [(name.lower().encode(), value.encode()) for name, value in known.items()], [body]


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_answers_204_and_those_that_store_have_stored(emptied: str, kind: str) -> None:
    access = operator_access("consumer")
    async with await connect(emptied, access) as conn:
        await recorded_settings.record(conn, access, ShapingSettings(), worker_role="consumer_worker", is_forced=False)
    async with servers._app(emptied, kind, KEY) as app:
        for request in signed_requests(2, 7, KEY):
            headers, body = parsed(request)
            sent = await answered(app, headers, [body[:500], body[500:]])
            assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
            assert (sent[0]["status"], sent[1].get("body", b"")) == (204, b"")

    stored = rows(emptied, "SELECT message_id FROM consumer.outbox ORDER BY seq")
    assert [row["message_id"] for row in stored] == ([f"msg_{n:027}" for n in (7, 8)] if kind in STORING else [])


@pytest.mark.parametrize(("minutes", "status"), [(58, 204), (62, 401), (-58, 204)])
async def test_a_signature_is_good_for_an_hour(emptied: str, minutes: float, status: int) -> None:
    async with servers._app(emptied, "verify", KEY) as app:
        sent = await answered(app, *signed_at(datetime.now(UTC) - timedelta(minutes=minutes)))

    assert sent[0]["status"] == status


@pytest.mark.parametrize(("kind", "size", "seconds", "waiting"), [("one insert", 16, 5, 0), ("ours", 3, 2, 7)])
async def test_a_kind_that_stores_has_its_connections(
    monkeypatch: pytest.MonkeyPatch, kind: str, size: int, seconds: float, waiting: int
) -> None:
    opened: list[Any] = []
    pool = SimpleNamespace(max_waiting=7)

    @asynccontextmanager
    async def open_pool(*given: Any, **named: Any) -> AsyncIterator[SimpleNamespace]:
        opened.append((*given, named))
        yield pool

    @asynccontextmanager
    async def open_intake(*given: Any) -> AsyncIterator[SimpleNamespace]:
        opened.append(given[:2])
        yield SimpleNamespace(put=None)

    monkeypatch.setattr(servers, "open_pool", open_pool)
    monkeypatch.setattr(servers, "open_intake", open_intake)

    async with servers._app("url", kind, KEY):
        assert opened[0] == (
            "url",
            receiver_access("consumer"),
            {"size": size, "wait_timeout": timedelta(seconds=seconds)},
        )
        assert len(opened) == (2 if kind == "ours" else 1)
        # psycopg_pool's zero is no limit.
        assert pool.max_waiting == waiting


class Spawn:
    """Stand in for multiprocessing: a process, and both ends of its pipe."""

    def __init__(self, answer: object) -> None:
        self.done: list[Any] = []
        self.pid = psutil.Process().pid
        self._answer = answer

    def pipe(self) -> tuple["Spawn", str]:
        return self, "theirs"

    def process(self, *, target: object, args: tuple[object, ...], daemon: bool) -> "Spawn":
        assert (target, daemon) == (servers._serve, True)
        self.done.append(args)
        return self

    def get_context(self, kind: str) -> SimpleNamespace:
        assert kind == "spawn"
        return SimpleNamespace(Pipe=self.pipe, Process=self.process)

    def start(self) -> None:
        self.done.append("started")

    def poll(self, seconds: float) -> bool:
        self.done.append(seconds)
        return self._answer is not None

    def recv(self) -> object:
        return self._answer

    def send(self, word: str) -> None:
        self.done.append(word)

    def join(self, timeout: float) -> None:
        self.done.append(timeout)


def test_a_server_runs_in_a_process_of_its_own_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = Spawn(4711)
    monkeypatch.setattr(servers, "multiprocessing", spawn)

    with running("url", "ours", KEY) as (port, process):
        assert (port, process.pid) == (4711, spawn.pid)
        assert spawn.done == [("url", "ours", KEY, "theirs"), "started", 30]

    assert spawn.done[3:] == ["stop", 15]


def test_a_server_that_does_not_start_in_time_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = Spawn(None)
    monkeypatch.setattr(servers, "multiprocessing", spawn)

    with pytest.raises(FalseFigure, match=r"^No figure: the server did not start within 30 s\.$"):
        running("url", "ours", KEY).__enter__()


def test_a_server_tells_its_port_and_serves_until_it_is_told_to_stop() -> None:
    ports: list[int] = []
    statuses: list[bytes] = []

    class Pipe:
        def send(self, port: int) -> None:
            ports.append(port)

        def recv(self) -> str:
            statuses.append(asyncio.run(posted(ports[0])))
            return "stop"

    async def posted(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(next(signed_requests(1, 7, KEY)))
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return line

    pipe: Any = Pipe()
    servers._serve("url", "bare", KEY, pipe)

    assert ports[0] > 1023
    assert statuses == [b"HTTP/1.1 204 No Content\r\n"]
