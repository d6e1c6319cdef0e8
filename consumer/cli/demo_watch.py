"""`consumer demo --watch`: the scenario at a pace that a person can follow, shown by the console until Ctrl-C."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from rich.console import Console

from consumer.cli import console
from consumer.cli.announcement import until_listening
from consumer.deadline import first_of
from consumer.process.supervision import Program, supervise
from consumer.settings.settings import Settings

# Each is seen for a moment, and all take five minutes.
PAUSE_SECONDS = 0.25


async def watch(
    settings: Settings,
    programs: Sequence[Program],
    posts: Sequence[Callable[[], object]],
    out: Console,
    stop: asyncio.Event,
) -> None:
    """Run the group with a console, print its link, and send *posts* one by one; return once *stop* is set."""
    sockets = console.listen_console(settings)
    link = console.first_link(settings, sockets)
    numbers = ",".join(str(each.fileno()) for each in sockets)
    shown = replace(programs[0], name="console", arguments=["console", "--listeners", numbers], sockets=sockets)
    kept = replace(programs[0], name="maintenance", arguments=["maintain", "--watch"])

    async def send() -> None:
        await until_listening(settings.host, settings.port)
        await until_listening(settings.console_host, sockets[0].getsockname()[1])
        out.print(f"Open {link}", soft_wrap=True)
        out.print(f"{len(posts):,} requests follow, {1 / PAUSE_SECONDS:.0f} a second. Ctrl-C ends it.")
        for post in posts:
            await asyncio.to_thread(post)
            await asyncio.sleep(PAUSE_SECONDS)
        out.print("All are sent. The console stays until Ctrl-C.")

    supervising = asyncio.create_task(supervise([*programs, shown, kept], stop))
    try:
        await first_of(stop, send())
        await stop.wait()
    finally:
        stop.set()
        await supervising
