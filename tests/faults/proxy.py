"""A wire between a process and its database that a test can cut, tear, hold, slow down, or make lose an answer."""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.support.processes import HOST, PATIENCE_SECONDS, ports

T = TypeVar("T")

CHUNK_BYTES = 65_536
# A simple query's length and text: how psycopg ends a transaction, alone in its packet.
COMMIT = b"\x00\x00\x00\x0bCOMMIT\x00"
# What the server says of a storage/put that committed by itself: its column, and that no transaction is open.
STORED, IDLE = b"new_count\x00", b"Z\x00\x00\x00\x05I"
# Linger for no time: what is not sent yet is thrown away and the peer gets RST instead of FIN.
TORN = struct.pack("ii", 1, 0)


class Link:
    """One connection through the wire."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.awaits_commit = False

    def end(self, *, torn: bool = False) -> None:
        """Close the client's side; the rest follows."""
        if torn:
            self.client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, TORN)
        self.client.transport.abort()


class Wire:
    """Passes bytes on, over TCP on loopback, as long as nothing is done to it; each method undoes no other's work."""

    def __init__(self, url: str) -> None:
        self.lead(url)
        (self._own_port,) = ports(1)
        self.url = make_conninfo(url, host=HOST, port=str(self._own_port), sslmode="disable", gssencmode="disable")
        # Seconds that a packet may take, at least and at most.
        self.delay: tuple[float, float] | None = None
        self.delayed = self.lost = 0
        self._to_lose = 0
        self._links: dict[asyncio.Task[None], Link] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.mend()

    def lead(self, url: str) -> None:
        """Connect what comes from now on to this server."""
        target = conninfo_to_dict(url)
        self._host, self._port = str(target["host"]), str(target.get("port", 5432))

    def cut(self) -> None:
        """Refuse new connections and end those there are."""
        self._run(self._cut())

    def mend(self) -> None:
        """Let connections through."""
        self._run(self._listen())

    def tear(self) -> int:
        """Reset the connections there are, and tell how many; new ones get through."""
        return self._run(self._tear())

    def hold(self) -> None:
        """Accept everything and pass nothing on."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def release(self) -> None:
        """Pass on what was held, and what comes."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def lose_commits(self, count: int) -> None:
        """Let the next commits through and end each one's connection in place of the server's answer."""
        self._to_lose = count

    def close(self) -> None:
        """End everything."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def _run(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self._own_port)

    async def _cut(self) -> None:
        self._server.close()
        for task in self._links:
            task.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _tear(self) -> int:
        for link in self._links.values():
            link.end(torn=True)
        return len(self._links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        link = self._links[task] = Link(writer)
        try:
            await self._pass_on(reader, link)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            link.end()
            del self._links[task]

    async def _pass_on(self, reader: asyncio.StreamReader, link: Link) -> None:
        if self._host.startswith("/"):
            theirs = await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        else:
            theirs = await asyncio.open_connection(self._host, self._port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ask(reader, theirs[1], link))
                group.create_task(self._answer(theirs[0], link))
        except* OSError:
            pass
        finally:
            theirs[1].transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, link: Link) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._travel()
            if self._to_lose and COMMIT in data:
                self._to_lose -= 1
                link.awaits_commit = True
            await _write(server, data)
        raise ConnectionResetError

    async def _answer(self, reader: asyncio.StreamReader, link: Link) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._travel()
            if self._to_lose and STORED in data and data.endswith(IDLE):
                self._to_lose -= 1
                link.awaits_commit = True
            if link.awaits_commit:
                self.lost += 1
                break
            await _write(link.client, data)
        with suppress(OSError):
            link.client.write_eof()
        raise ConnectionResetError

    async def _travel(self) -> None:
        await self._flowing.wait()
        if self.delay:
            self.delayed += 1
            await asyncio.sleep(random.uniform(*self.delay))


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


@contextmanager
def wire(url: str) -> Iterator[Wire]:
    """Put a wire in front of a server for the duration."""
    made = Wire(url)
    try:
        yield made
    finally:
        made.close()
