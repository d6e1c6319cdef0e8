"""`consumer status --watch`: the verdict and the rates on a terminal, drawn again every two seconds."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import psycopg
from rich.live import Live
from rich.text import Text

from consumer.cli.board import COLUMNS, board
from consumer.cli.output import console
from consumer.cli.sources import expectations
from consumer.deadline import within
from consumer.outbox import deliveries
from consumer.postgres.connections import Connection, connect, operator_access, transaction
from consumer.process.outage_log import error_text
from consumer.settings.settings import Settings
from consumer.verdict.findings import findings
from consumer.verdict.observation import Observation
from consumer.verdict.observe import observe
from consumer.verdict.rates import rates

PERIOD_SECONDS = 2.0
# A person waits; what a busy database answers later is drawn the next time.
LOOK_TIMEOUT = timedelta(seconds=10)
QUIT = b"q"
# More than anybody types between two turns of the loop.
KEYS_MAX = 1024


def watch(settings: Settings, conninfo: str) -> None:
    """Draw until q or Ctrl-C; a database that is away is drawn too, and asked again."""
    with suppress(KeyboardInterrupt):
        asyncio.run(_draw(settings, conninfo))


async def _draw(settings: Settings, conninfo: str) -> None:
    stop = asyncio.Event()
    with _keys(stop), Live(console=console(), screen=True, auto_refresh=False) as live:
        async with aclosing(boards(settings, conninfo, live.console.width)) as drawn:
            async for lines in drawn:
                live.update(Text("\n").join(lines), refresh=True)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), PERIOD_SECONDS)
                if stop.is_set():
                    return


async def boards(settings: Settings, conninfo: str, columns: int = COLUMNS) -> AsyncGenerator[list[Text]]:
    """Yield what is to be drawn now, again and again, over one connection as long as it lasts."""
    conn: Connection | None = None
    try:
        while True:
            try:
                conn = conn or await connect(conninfo, operator_access(settings.role_prefix))
                lines = await within(LOOK_TIMEOUT, _look(settings, conn, columns))
            except (psycopg.OperationalError, TimeoutError) as error:
                if conn:
                    await conn.close()
                conn = None
                away = Observation(datetime.now(UTC), away_reason=error_text(error, conninfo))
                lines = board(away, findings(away), None, None, columns=columns)
            yield lines
    finally:
        if conn:
            await conn.close()


async def _look(settings: Settings, conn: Connection, columns: int) -> list[Text]:
    access = operator_access(settings.role_prefix)
    seen = await observe(conn, access, expectations(settings))
    async with transaction(conn, access):
        stats = await deliveries.stats(conn)
        flow = None if seen.missing_migrations else await rates(conn)
    return board(seen, findings(seen), stats, flow, columns=columns)


@contextmanager
def _keys(stop: asyncio.Event) -> Iterator[None]:
    """Set *stop* when somebody presses q, which needs no Enter and is not shown."""
    if not sys.stdin.isatty():
        yield
        return

    def read() -> None:
        # Not through sys.stdin, whose buffer would keep a key that was pressed with another.
        typed = os.read(sys.stdin.fileno(), KEYS_MAX)
        if QUIT in typed or not typed:
            stop.set()

    before = termios.tcgetattr(sys.stdin)
    asyncio.get_running_loop().add_reader(sys.stdin, read)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        asyncio.get_running_loop().remove_reader(sys.stdin)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
