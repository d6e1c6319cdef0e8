"""The bench of strangers: what they send, until when, and how many honest deliveries are accepted meanwhile."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import psutil
import pytest

from bench import hostile
from bench.checks import FalseFigure
from bench.commands import TREE
from bench.hostile import ATTACKS, LARGE, SMALL, Honest
from consumer.simulator.sender import NotDelivered
from tests.support.benches import Ticking, call_main, returning, silent

# Of 2 MiB; pieces of 64 KiB.
PIECES = 32
Stranger = tuple[bytes, bool]


def patched(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    for name, value in names.items():
        monkeypatch.setattr(hostile, name, value)


async def strangers(hang_up: bool, until: Callable[[int], float]) -> list[Stranger]:
    """Attack a server; return what each connection sent, and whether the attacker ended it."""
    seen: list[Stranger] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = b"" if hang_up else await reader.readexactly(len(b"head") + (PIECES - 1) * 4)
        ended = False
        if not hang_up:
            try:
                ended = await reader.read() == b""
            except ConnectionError:
                ended = True
        seen.append((sent, ended))
        writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, asyncio.timeout(20):
        port = server.sockets[0].getsockname()[1]
        await hostile.attack(port, lambda: b"head", b"rest", until(0))
        while len(seen) < 1:  # noqa: ASYNC110  The server sees the end a moment later.
            await asyncio.sleep(0.001)
    return seen


async def test_a_stranger_sends_all_pieces_but_one_and_waits_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    patched(monkeypatch, PIECE=b"x" * 65_536)
    clock = time.monotonic

    [(sent, is_ended)] = await strangers(False, lambda _: clock() + 0.1)

    assert (sent, is_ended) == (b"head" + b"rest" * (PIECES - 1), True)


async def test_a_stranger_who_is_hung_up_on_begins_again_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is looked at before each of three tries, of which the second ends in an error of the network."""
    tried: list[int] = []
    written: list[bytes] = []

    class Writer:
        transport = SimpleNamespace(abort=lambda: tried.append(-1))

        def write(self, data: bytes) -> None:
            written.append(data)

        async def drain(self) -> None: ...

    async def read() -> bytes:
        return b""

    async def connect(host: str, port: int) -> tuple[Any, Writer]:
        tried.append(port)
        if tried.count(port) == 2:
            raise OSError
        return SimpleNamespace(read=read), Writer()

    monkeypatch.setattr(asyncio, "open_connection", connect)
    # Before a try, and for what is left of the time after its pieces.
    patched(monkeypatch, time=Ticking(0.0, 1.0, 2.0, 3.0, 4.0, 5.0))

    await hostile.attack(4711, lambda: b"head", b"rest", 5.0)

    assert tried == [4711, -1, 4711, 4711, -1]
    assert written == [b"head", *[b"rest"] * (PIECES - 1)] * 2


def test_eight_hundred_strangers_attack_at_once_for_eight_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[Any] = []

    async def attack(*given: Any) -> None:
        came.append(given)

    patched(monkeypatch, attack=attack, time=Ticking(100.0))

    hostile.attack_all("unsigned", 4711)

    assert came == [(4711, *ATTACKS["unsigned"], 108.0)] * 800


def test_strangers_make_up_signatures_and_lengths() -> None:
    heads = {name: head().decode() for name, (head, _) in ATTACKS.items()}
    lines = {name: dict(line.split(": ") for line in head.split("\r\n")[1:-2]) for name, head in heads.items()}

    assert {head.split("\r\n")[0] for head in heads.values()} == {"POST /webhooks/stack HTTP/1.1"}
    assert all(head.endswith("\r\n\r\n") for head in heads.values())
    assert lines["unsigned"] == {"host": "x", "content-length": str(2 * 1024 * 1024)}
    signature = {"svix-id", "svix-timestamp", "svix-signature"}
    assert lines["made-up signature"].keys() == {"host", "content-length", *signature}
    assert lines["made-up signature, chunks"].keys() == {"host", "transfer-encoding", *signature}
    assert abs(int(lines["made-up signature"]["svix-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    assert heads["made-up signature"] != ATTACKS["made-up signature"][0]().decode()


def test_strangers_write_pieces_of_64_kib_as_they_said() -> None:
    pieces = {name: piece for name, (_, piece) in ATTACKS.items()}

    assert pieces["unsigned"] == pieces["made-up signature"] == b"x" * 65_536
    assert pieces["made-up signature, chunks"] == b"10000\r\n" + b"x" * 65_536 + b"\r\n"


def test_honest_bodies_are_small_and_large_and_of_a_type_that_nothing_applies() -> None:
    assert (len(SMALL), len(LARGE)) == (32, 1_500_032)
    assert orjson.loads(SMALL) == {"type": "moon.landed", "data": {}}
    assert orjson.loads(LARGE) == {"type": "moon.landed", "data": "x" * 1_500_000}


class Senders:
    """Senders that are answered what a test says; an error is no answer."""

    def __init__(self, *statuses: int | None) -> None:
        self.posted: list[tuple[int, str]] = []
        self.opened: list[tuple[str, str]] = []
        self._statuses = iter(statuses)

    @contextmanager
    def __call__(self, url: str, *, secret: str) -> Iterator[SimpleNamespace]:
        self.opened.append((url, secret))
        yield SimpleNamespace(post=self.post)

    def post(self, body: bytes, message_id: str) -> SimpleNamespace:
        self.posted.append((len(body), message_id))
        status = next(self._statuses)
        if status is None:
            raise NotDelivered("nobody answers")
        return SimpleNamespace(status=status)


def test_every_tenth_honest_delivery_is_large_and_one_without_an_answer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    senders = Senders(204, None, 503, *[204] * 18)
    clock = Ticking(*(reading for n in range(21) for reading in (float(n), n + 0.5)))
    patched(monkeypatch, Sender=senders, time=clock)

    answers = hostile.deliver(4711, "whsec_x", returning(*[True] * 21, False))

    sizes = [*[32] * 9, 1_500_032, *[32] * 9, 1_500_032, 32]
    statuses = [204, 0, 503, *[204] * 18]
    assert answers == [Honest(size, status, 0.5) for size, status in zip(sizes, statuses, strict=True)]
    assert set(senders.opened) == {("http://127.0.0.1:4711/webhooks/stack", "whsec_x")}
    assert len({message_id for _, message_id in senders.posted}) == 21
    assert clock.slept == [0.05] * 21


def test_those_of_one_size_that_were_answered_204_are_counted() -> None:
    answers = [Honest(len(body), status, 0) for body, status in ((SMALL, 204), (SMALL, 503), (LARGE, 0), (SMALL, 204))]

    assert (hostile._accepted(answers, SMALL), hostile._accepted(answers, LARGE)) == ("2 of 3", "0 of 1")


def test_the_most_memory_is_in_megabytes_of_the_kernel_s_kilobytes() -> None:
    peak = hostile.peak_megabytes(psutil.Process())

    assert peak >= 0.9 * psutil.Process().memory_info().rss / 2**20
    [line] = [each for each in Path(f"/proc/{os.getpid()}/status").read_text().splitlines() if "VmHWM" in each]
    assert peak == pytest.approx(int(line.split()[1]) / 1024, rel=0.1)


@pytest.mark.parametrize("exit_code", [0, 1])
def test_an_attack_s_row_is_of_the_deliveries_meanwhile(monkeypatch: pytest.MonkeyPatch, exit_code: int) -> None:
    shown, what = silent(monkeypatch, hostile), list[Any]()
    is_alive = object()

    class Attacker:
        exitcode = exit_code

        def __init__(self, *, target: object, args: tuple[str, int]) -> None:
            what.append((target, args))
            self.is_alive = is_alive

        def start(self) -> None:
            what.append("started")

    @contextmanager
    def running(command: str, url: str, key: bytes, *, port: int, tree: Path) -> Iterator[str]:
        what.append((command, url, len(key), port, tree))
        yield "a process"

    def deliver(port: int, secret: str, is_attacked: object) -> list[Honest]:
        assert is_attacked is is_alive
        what.append((port, secret[:6], len(secret)))
        return [Honest(len(SMALL), 204, 0.5), Honest(len(LARGE), 204, 2.5), Honest(len(SMALL), 0, 1.5)]

    def context(kind: str) -> SimpleNamespace:
        assert kind == "spawn"
        return SimpleNamespace(Process=Attacker)

    monkeypatch.setattr(multiprocessing, "get_context", context)
    patched(monkeypatch, running=running, deliver=deliver, free_port=lambda _: 4711)
    patched(monkeypatch, peak_megabytes=returning(50.0, 80.0))

    if exit_code:
        with pytest.raises(FalseFigure, match=r"^No figure for unsigned: the attack failed\.$"):
            hostile.measured("unsigned", "url", TREE)
        return
    assert hostile.measured("unsigned", "url", TREE) == {
        "attack": "unsigned",
        "MB before": 50.0,
        "peak MB": 80.0,
        "small answered 204": "1 of 2",
        "large answered 204": "1 of 1",
        "slowest s": 2.5,
    }
    attacked = (hostile.attack_all, ("unsigned", 4711))
    assert what == [attacked, ("serve", "url", 24, 4711, TREE), "started", (4711, "whsec_", 38)]
    assert shown.progress == ["unsigned"]


def test_each_attack_is_measured_on_the_same_database(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, what = silent(monkeypatch, hostile), list[Any]()

    async def fill(*given: object) -> None:
        what.append(given)

    patched(monkeypatch, migrations=SimpleNamespace(apply=lambda *given: what.append(given)), fill=fill)
    patched(monkeypatch, measured=lambda *given: {"measured": given})

    call_main(monkeypatch, hostile, "--tree=/other", "--json")
    call_main(monkeypatch, hostile)

    url = "postgresql://the-server/hostile"
    assert what == [(url, "consumer"), (url, [], 0)] * 2
    assert shown.rows == [[{"measured": (name, url, tree)} for name in ATTACKS] for tree in (Path("/other"), TREE)]
    assert (shown.titles, shown.as_json) == (["Strangers"] * 2, [True, False])
    assert shown.facts[0] == {"connections": 800, "body bytes": 2_097_152}
