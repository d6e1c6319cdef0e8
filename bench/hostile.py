"""Strangers: `python -m bench.hostile` holds 800 connections with most of a body of 2 MiB each, and delivers meanwhile.

The memory is the receiver's highest so far, as the kernel counts it. `--tree FOLDER` measures another checkout.
"""

import argparse
import asyncio
import multiprocessing
import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil
import uvloop

from bench.checks import FalseFigure
from bench.commands import HOST, TREE, running
from bench.events import fill
from bench.support import database, progress, server, show
from consumer.cli.addresses import free_port
from consumer.postgres import migrations
from consumer.providers.standard_webhooks import sign
from consumer.simulator.sender import NotDelivered, Sender, new_message_id

CONNECTIONS = 800
BODY_BYTES = 2 * 1024 * 1024
PIECE = b"x" * 65_536
ATTACK_SECONDS = 8.0
# Between two honest deliveries, of which every tenth is a large one.
PAUSE_SECONDS = 0.05
SMALL, LARGE = b'{"type":"moon.landed","data":{}}', b'{"type":"moon.landed","data":"%b"}' % (b"x" * 1_500_000)


class Honest(NamedTuple):
    """One delivery of the sender itself: its size, its status and how long its answer took."""

    size: int
    status: int
    seconds: float


def _signed() -> str:
    """Return signature headers of which only the body could tell that they are made up."""
    made_up = sign(_secret(secrets.token_bytes(24)), new_message_id(datetime.now(UTC)), datetime.now(UTC), b"")
    return "".join(f"{name}: {value}\r\n" for name, value in made_up.items())


def _secret(key: bytes) -> str:
    return f"whsec_{b64encode(key).decode()}"


def _head(headers: str) -> bytes:
    return f"POST /webhooks/stack HTTP/1.1\r\nhost: x\r\n{headers}\r\n".encode()


LENGTH = f"content-length: {BODY_BYTES}\r\n"
# By name: the head, and how a piece of the body is written.
ATTACKS: dict[str, tuple[Callable[[], bytes], bytes]] = {
    "unsigned": (lambda: _head(LENGTH), PIECE),
    "made-up signature": (lambda: _head(LENGTH + _signed()), PIECE),
    "made-up signature, chunks": (
        lambda: _head("transfer-encoding: chunked\r\n" + _signed()),
        b"%x\r\n%b\r\n" % (len(PIECE), PIECE),
    ),
}


async def attack(port: int, head: Callable[[], bytes], piece: bytes, until: float) -> None:
    """Send nearly all of a body, wait, and begin again when the receiver hangs up."""
    while time.monotonic() < until:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(head())
                for _ in range(BODY_BYTES // len(PIECE) - 1):
                    writer.write(piece)
                    await writer.drain()
                await asyncio.wait_for(reader.read(), until - time.monotonic())
            except TimeoutError:
                pass
            finally:
                writer.transport.abort()


def attack_all(name: str, port: int) -> None:
    """Attack over all connections at once, in a process of its own."""

    async def run() -> None:
        until = time.monotonic() + ATTACK_SECONDS
        await asyncio.gather(*(attack(port, *ATTACKS[name], until) for _ in range(CONNECTIONS)))

    uvloop.run(run())


def deliver(port: int, secret: str, is_attacked: Callable[[], bool]) -> list[Honest]:
    """Deliver as the sender does while the receiver is attacked."""
    answers: list[Honest] = []
    while is_attacked():
        body, began = LARGE if len(answers) % 10 == 9 else SMALL, time.perf_counter()
        try:
            with Sender(f"http://{HOST}:{port}/webhooks/stack", secret=secret) as sender:
                status = sender.post(body, new_message_id(datetime.now(UTC))).status
        except NotDelivered:
            status = 0
        answers.append(Honest(len(body), status, time.perf_counter() - began))
        time.sleep(PAUSE_SECONDS)
    return answers


def peak_megabytes(process: psutil.Process) -> float:
    """Return the most memory that a process has had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [kilobytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kilobytes) / 1024


def measured(name: str, url: str, tree: Path) -> dict[str, object]:
    """Return what one attack cost, and what became of the honest deliveries meanwhile."""
    progress(name)
    key, port = secrets.token_bytes(24), free_port(HOST)
    attacker = multiprocessing.get_context("spawn").Process(target=attack_all, args=(name, port))
    with running("serve", url, key, port=port, tree=tree) as process:
        before = peak_megabytes(process)
        attacker.start()
        answers = deliver(port, _secret(key), attacker.is_alive)
        peak = peak_megabytes(process)
    if attacker.exitcode != 0:
        raise FalseFigure(f"No figure for {name}: the attack failed.")
    return {
        "attack": name,
        "MB before": before,
        "peak MB": peak,
        "small answered 204": _accepted(answers, SMALL),
        "large answered 204": _accepted(answers, LARGE),
        "slowest s": max(answer.seconds for answer in answers),
    }


def _accepted(answers: list[Honest], body: bytes) -> str:
    statuses = [answer.status for answer in answers if answer.size == len(body)]
    return f"{statuses.count(204)} of {len(statuses)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--tree", type=Path, default=TREE, help="another checkout to measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.database_url) as server_url, database(server_url, "hostile") as url:
        migrations.apply(url, "consumer")
        asyncio.run(fill(url, [], 0))
        rows = [measured(name, url, options.tree) for name in ATTACKS]
    show("Strangers", rows, {"connections": CONNECTIONS, "body bytes": BODY_BYTES}, as_json=options.json)


if __name__ == "__main__":
    main()
