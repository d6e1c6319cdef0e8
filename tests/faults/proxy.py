"""A wire between a process and its database that a test can cut."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg.conninfo import conninfo_to_dict, make_conninfo

CHUNK_BYTES = 65_536


class Wire:
    """Passes bytes on until it is cut; `mend` lets new connections through again."""

    def __init__(self, url: str, folder: Path) -> None:
        target = conninfo_to_dict(url)
        self._host, self._port = str(target["host"]), str(target.get("port", 5432))
        self._path = folder / f".s.PGSQL.{self._port}"
        self.url = make_conninfo(url, host=str(folder))
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.mend()

    def cut(self) -> None:
        """Refuse new connections and end those there are."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    def mend(self) -> None:
        """Let connections through."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def close(self) -> None:
        """End everything."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self._path)

    async def _cut(self) -> None:
        self._server.close()
        self._path.unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._pass_on(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._host.startswith("/"):
            theirs = await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        else:
            theirs = await asyncio.open_connection(self._host, self._port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, theirs[1]))
                group.create_task(_pump(theirs[0], writer))
        except* OSError:
            pass
        finally:
            theirs[1].transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
    raise ConnectionResetError


@contextmanager
def wire(url: str) -> Iterator[Wire]:
    """Put a wire in front of a server for the duration."""
    with TemporaryDirectory() as folder:
        made = Wire(url, Path(folder))
        try:
            yield made
        finally:
            made.close()
