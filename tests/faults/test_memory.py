"""A receiver that gets no more memory."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.judge import judge
from tests.faults.storm import storm
from tests.faults.world import prepare
from tests.support.databases import scratch_database
from tests.support.processes import HOST, is_ready, on, ports, running, until

# Enough for a delivery and too little for what a few strangers send.
ROOM_BYTES = 8 * 1024 * 1024
# Below the largest body that is taken; the rest of it never comes.
BODY_BYTES = 2_000_000
HEAD = (
    "POST /webhooks/stack HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n"
    "svix-id: x\r\nsvix-timestamp: {}\r\nsvix-signature: v1,x\r\n\r\n"
)
STRANGERS = 40


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    with scratch_database(server_url, "memory") as made:
        prepare(made)
        yield made


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits the memory of another process")
def test_a_receiver_without_memory_loses_nothing_it_acknowledged_and_recovers(url: str, tmp_path: Path) -> None:
    """F13: large bodies are refused for want of memory, not as malformed; once there is some, all goes on."""
    (port,) = ports(1)
    with running(tmp_path, on(url), "work"), running(tmp_path, on(url, PORT=port), "serve") as receiver:
        until(lambda: is_ready(port))
        with storm(port) as weather:
            weather.reach(100)
            process = psutil.Process(receiver.process.pid)
            limit(process, process.memory_info().vms + ROOM_BYTES)
            answers = crowd(port)
            limit(process, resource.RLIM_INFINITY)
            weather.more(100)
        judge(url, weather)

    assert answers, "there was memory for everybody"
    assert {answer.partition(b"\r\n")[0] for answer in answers if answer} == {b"HTTP/1.1 503 Service Unavailable"}
    assert all(b"retry-after: " in answer for answer in answers if answer)


def limit(process: psutil.Process, count: int) -> None:
    """Allow a process so many bytes of addresses, until told otherwise."""
    (_, most) = resource.prlimit(process.pid, resource.RLIMIT_AS)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (count, most))


def crowd(port: int) -> list[bytes]:
    """Send large bodies that never end, and return what those are told that are refused at once: some, nothing."""
    answers = []
    # What the head refuses takes no memory, so the head looks signed.
    large = HEAD.format(BODY_BYTES, int(time.time())).encode() + bytes(BODY_BYTES - 1)
    with ExitStack() as connections:
        for _ in range(STRANGERS):
            stranger = connections.enter_context(socket.create_connection((HOST, port), timeout=5))
            with suppress(OSError):
                stranger.sendall(large)
            stranger.settimeout(0.1)
            with suppress(OSError):
                answers.append(stranger.recv(4096))
    return answers
