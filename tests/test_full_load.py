"""Both clients of full load, against a server that counts: what was sent, what was answered, and how long it took."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest
import uvloop

from bench import load
from bench.checks import FalseFigure
from bench.load import cheapest_client, full_load

needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="Debian's package wrk is not installed")
CLIENTS = ["python", pytest.param("wrk", marks=needs_wrk)]
HEAD = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\n"
STORED, REFUSED = b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"

# The answer to the request of a number, and after how many seconds; None hangs up.
Answer = Callable[[int], tuple[bytes | None, float]]


class Server:
    """What came, request by request and connection by connection."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []
        self.connections = 0
        self.open_at_most = self._open = 0
        self.port = 0

    async def serve(self, is_ready: Event, may_end: Event) -> None:
        async with await asyncio.start_server(self._connected, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            is_ready.set()
            await asyncio.to_thread(may_end.wait)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_counted = False
        try:
            while request := await reader.readexactly(len(HEAD) + 3):
                # wrk connects once beforehand, to see whether anybody is there.
                self.connections += not is_counted
                is_counted = True
                self.bodies.append(request[len(HEAD) :])
                answer, seconds = self.answer(int(self.bodies[-1]))
                await asyncio.sleep(seconds)
                if answer is None:
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    server, is_ready, may_end = Server(answer), Event(), Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: uvloop.run(server.serve(is_ready, may_end)))
        try:
            assert is_ready.wait(10)
            yield server
        finally:
            may_end.set()
        running.result(10)


def requests(count: int) -> list[bytes]:
    return [HEAD + b"%03d" % number for number in range(count)]


@pytest.mark.parametrize("client", CLIENTS)
def test_each_request_is_sent_once_and_by_every_connection(client: str) -> None:
    with serving(lambda _: (STORED, 0.005)) as server:
        outcome = full_load(server.port, iter(requests(60)), 3, client)

    assert sorted(server.bodies) == [b"%03d" % number for number in range(60)]
    assert server.connections == 3
    assert (outcome.sent, outcome.answered) == (60, 60)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_refusal_is_sent_and_not_answered(client: str) -> None:
    with serving(lambda number: (REFUSED if number % 4 == 0 else STORED, 0)) as server:
        outcome = full_load(server.port, requests(40), 2, client)

    assert (len(server.bodies), outcome.sent, outcome.answered) == (40, 40, 30)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_time_is_from_the_first_request_to_the_last_answer(client: str) -> None:
    with serving(lambda _: (STORED, 0.1)) as server:
        began = time.perf_counter()
        outcome = full_load(server.port, requests(6), 2, client)
        whole = time.perf_counter() - began

    assert 0.29 < outcome.seconds < whole
    assert 0 <= outcome.cpu_seconds < outcome.seconds


@pytest.mark.parametrize("client", CLIENTS)
def test_the_percentiles_are_milliseconds_of_single_answers(client: str) -> None:
    with serving(lambda number: (STORED, 0.4 if number == 20 else 0.04)) as server:
        outcome = full_load(server.port, requests(40), 2, client)

    assert list(outcome.percentiles_ms) == [50, 99, 99.9]
    assert 39 < outcome.percentiles_ms[50] < 300
    assert 399 < outcome.percentiles_ms[99] < 2000
    assert 399 < outcome.percentiles_ms[99.9] < 2000


@needs_wrk
def test_a_server_that_stops_answering_gives_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "SECONDS_MAX", 1)
    with serving(lambda number: (STORED, 0 if number < 5 else 3)) as server, pytest.raises(FalseFigure) as raised:
        full_load(server.port, requests(10), 2, "wrk")

    assert str(raised.value) == "No figure: wrk ended before every one of 10 requests was answered."


@needs_wrk
def test_an_answer_that_takes_too_long_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "ANSWER_SECONDS_MAX", 1)
    with serving(lambda number: (STORED, 3 if number == 2 else 0)) as server:
        outcome = full_load(server.port, requests(4), 1, "wrk")

    assert (outcome.sent, outcome.answered) == (4, 3)


@needs_wrk
def test_requests_of_several_lengths_are_refused() -> None:
    with pytest.raises(AssertionError, match="the same number of bytes"):
        full_load(1, [b"short", b"longer"], 1, "wrk")


@pytest.mark.parametrize(("found", "client"), [("/usr/bin/wrk", "wrk"), (None, "python")])
def test_the_cheapest_client_is_wrk_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, found: str | None, client: str
) -> None:
    monkeypatch.setattr(shutil, "which", {"wrk": found}.get)

    assert cheapest_client() == client
