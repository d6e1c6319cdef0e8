"""How a server begins and ends."""

import asyncio
import logging
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from threading import Thread

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from consumer.errors import BadSettings
from consumer.web.connection_limits import Limits
from consumer.web.listen import listen
from consumer.web.server import serve
from tests.support.web import SHORT, START, Site, Wire, post, request, running, stored_ids


@pytest.fixture
def site(emptied: str) -> Iterator[Site]:
    with running(emptied, SHORT) as site:
        yield site


def test_a_stop_answers_what_is_in_flight_and_takes_nothing_new(emptied: str) -> None:
    with ExitStack() as wires:
        with running(emptied, replace(SHORT, read_timeout_seconds=1.5)) as site:
            idle, begun, slow, half = (wires.enter_context(site.connect()) for _ in range(4))
            idle.send(post(message_id="msg_1"))
            assert idle.read().status == 204
            begun.send(post(message_id="msg_2")[:-1])
            slow.send(post(message_id="msg_3")[:-1])
            half.send(START)
            finisher = Thread(target=_send_once_refused, args=(site, begun, post(message_id="msg_2")[-1:]), daemon=True)
            finisher.start()
        finisher.join()

        assert begun.read().status == 204
        assert slow.read().status == 408
        assert all(wire.is_closed() for wire in (idle, begun, slow, half))
    assert stored_ids(emptied) == ["msg_1", "msg_2"]


def _send_once_refused(site: Site, wire: Wire, data: bytes) -> None:
    with suppress(ConnectionError):
        while True:
            with site.connect():
                pass
    wire.send(data)


def test_a_stop_lets_a_sender_read_its_answer_whose_body_is_still_on_its_way(emptied: str) -> None:
    with ExitStack() as wires:
        with running(emptied, replace(SHORT, read_timeout_seconds=10)) as site:
            wire = wires.enter_context(site.connect())
            wire.send(request(path="/nowhere", headers={"content-length": "50000"}))
            assert wire.read().status == 404
            wire.send(b"x" * 10_000)

        assert wire.is_closed()


async def test_two_servers_share_a_loop_and_leave_the_signals_alone(site: Site) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with (
        serve(site.app, listen("127.0.0.1", 0, "PORT"), SHORT, site.refused.append) as one,
        serve(site.app, listen("127.0.0.1", 0, "PORT"), SHORT, site.refused.append) as other,
    ):
        for port in (one, other):
            reply = await asyncio.to_thread(replace(site, port=port).ask, request(method="GET", path="/livez"))
            assert reply.status == 200
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_an_address_in_use_names_the_variable_of_its_port(site: Site) -> None:
    sentence = f"OPS_PORT {site.port} on 127.0.0.1 is in use (`ss -ltnp` shows by which process); set OPS_PORT."
    with pytest.raises(BadSettings, match=re.escape(sentence)):
        listen("127.0.0.1", site.port, "OPS_PORT")


def test_an_address_of_another_machine_names_both_variables() -> None:
    with pytest.raises(BadSettings, match=r"OPS_PORT 0 on 192\.0\.2\.1 .* assign .*; set OPS_PORT or OPS_HOST\."):
        listen("192.0.2.1", 0, "OPS_PORT")


async def test_a_server_asks_its_application_for_requests_alone_and_writes_no_log_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kinds: list[str] = []
    before = list(logging.getLogger("uvicorn").handlers)

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        kinds.append(scope["type"])
        await Response(status_code=204)(scope, _, send)

    with caplog.at_level(logging.INFO):
        async with serve(app, listen("127.0.0.1", 0, "PORT"), Limits(), lambda _: None) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = await reader.readuntil(b"\r\n\r\n")
            writer.close()

    assert answer.startswith(b"HTTP/1.1 204")
    assert kinds == ["http"]
    assert [record.name for record in caplog.records if record.name.startswith("uvicorn")] == []
    assert logging.getLogger("uvicorn").handlers == before
