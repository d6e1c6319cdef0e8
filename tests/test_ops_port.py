"""The port of metrics and health: the one that is set, else the first of the list that is free, or none."""

import asyncio
import logging
import socket
from dataclasses import replace

import pytest

from consumer import logs
from consumer.errors import BadSettings
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.process import ops_port
from consumer.process.ops import serve_ops
from consumer.process.ops_port import OPS_PORTS, listen_ops
from consumer.settings.settings import Settings
from consumer.web.listen import PortInUse
from tests.support.processes import on
from tests.support.settings import load

Asked = list[tuple[str, int, str]]


def listened(monkeypatch: pytest.MonkeyPatch, *busy: int) -> Asked:
    """Let these ports be in use; return what is asked for."""
    asked: Asked = []

    def listen(host: str, port: int, variable: str) -> list[socket.socket]:
        asked.append((host, port, variable))
        if port in busy:
            raise PortInUse([f"{variable} {port} is in use."])
        return []

    monkeypatch.setattr(ops_port, "listen", listen)
    return asked


def settings(ops: int | None, port: int = 8000) -> Settings:
    return replace(load(on("postgresql://localhost/app")), ops_host="::1", ops_port=ops, port=port)


def test_the_ports_are_the_two_beside_the_receiver_s_and_those_behind_the_console_s() -> None:
    assert (OPS_PORTS[:3], OPS_PORTS[-1], len(OPS_PORTS)) == ((8001, 8002, 8011), 8099, 91)


@pytest.mark.parametrize("port", [0, 9000])
def test_a_set_port_is_the_only_one_that_is_tried(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    asked = listened(monkeypatch, 9000)

    if port:
        with pytest.raises(PortInUse):
            listen_ops(settings(port))
    else:
        assert listen_ops(settings(port)) == []

    assert asked == [("::1", port, "OPS_PORT")]


@pytest.mark.parametrize(
    ("port", "busy", "expected"),
    [(8000, [], [8001]), (8001, [], [8002]), (8000, [8001, 8002], [8001, 8002, 8011]), (8002, [8001], [8001, 8011])],
)
def test_without_one_the_first_free_port_but_the_receiver_s_is_taken(
    monkeypatch: pytest.MonkeyPatch, port: int, busy: list[int], expected: list[int]
) -> None:
    asked = listened(monkeypatch, *busy)

    assert listen_ops(settings(None, port)) == []
    assert [each for _, each, _ in asked] == expected
    assert {(host, variable) for host, _, variable in asked} == {("::1", "OPS_PORT")}


def test_where_none_is_free_the_variable_to_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    listened(monkeypatch, *OPS_PORTS)

    with pytest.raises(BadSettings) as raised:
        listen_ops(settings(None))

    assert raised.value.problems == ["No port from 8001 to 8099 is free for metrics and health; set OPS_PORT."]


@pytest.mark.parametrize("is_off", [True, False])
async def test_a_port_that_is_off_serves_nothing_and_another_is_logged(
    caplog: pytest.LogCaptureFixture, is_off: bool
) -> None:
    async def probe() -> None:
        return None

    given = replace(load(on("postgresql://localhost/app", OPS_PORT="off" if is_off else "0")), ops_host="127.0.0.1")
    with caplog.at_level(logging.INFO, "consumer"):
        async with serve_ops(given, probe, Metrics(EVENT_TYPES)):
            served = [vars(record) for record in caplog.records if record.getMessage() == logs.OPS_STARTED]
            for each in served:
                # It answers there.
                reader, writer = await asyncio.open_connection("127.0.0.1", each["port"])
                writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                assert (await reader.read()).startswith(b"HTTP/1.1 200")
                writer.close()

    assert [each["host"] for each in served] == ([] if is_off else ["127.0.0.1"])
