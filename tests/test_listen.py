"""The addresses that a HOST asks for: those that overlap are one."""

import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from consumer.cli.addresses import origin
from consumer.web.listen import PortInUse, listen
from tests.support.ipv6 import needs_ipv6
from tests.support.processes import ports


def listened(host: str, port: int = 0) -> list[str]:
    """Return the addresses on which a server of this HOST listens, all on one port."""
    with ExitStack() as opened:
        places = [opened.enter_context(listener).getsockname()[:2] for listener in listen(host, port, "PORT")]
    assert len({port for _, port in places}) == 1
    return [address for address, _ in places]


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1,127.0.0.1", ["127.0.0.1"]),
        ("::1 0:0:0:0:0:0:0:1", ["::1"]),
        ("0.0.0.0,127.0.0.1", ["0.0.0.0"]),
        ("127.0.0.1,0.0.0.0", ["0.0.0.0"]),
        ("0 0.0.0.0", ["0.0.0.0"]),
        ("::,::1", ["::"]),
        ("::1,::", ["::"]),
        ("::,0.0.0.0", ["::", "0.0.0.0"]),
        ("0.0.0.0,::", ["0.0.0.0", "::"]),
        ("::,127.0.0.1", ["::", "127.0.0.1"]),
        ("::,::1,127.0.0.1,0.0.0.0", ["::", "0.0.0.0"]),
    ],
)
@pytest.mark.parametrize("is_free", [False, True], ids=["a port", "a free port"])
def test_an_address_that_another_covers_is_left_out(host: str, addresses: list[str], is_free: bool) -> None:
    assert listened(host, 0 if is_free else ports(1)[0]) == addresses


@pytest.mark.parametrize("host", ["localhost,127.0.0.1", "127.0.0.1 localhost", "localhost LOCALHOST [::1] 127.0.0.1"])
def test_a_name_and_its_own_address_are_one(host: str) -> None:
    found = listened(host)

    assert "127.0.0.1" in found
    assert len(found) == len(set(found))


def test_a_name_is_not_listened_on_while_one_of_its_addresses_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortInUse):
        listen("both", taken.getsockname()[1], "PORT")


@needs_ipv6
@pytest.mark.parametrize("host", ["*", "*,127.0.0.1", "::1 *", "::", "::,::1"])
def test_a_wildcard_answers_both_families(host: str) -> None:
    with ExitStack() as opened:
        listeners = [opened.enter_context(listener) for listener in listen(host, 0, "PORT")]
        port = listeners[0].getsockname()[1]
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port), timeout=5).close()


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "0.0.0.0,::", "*,::"])
def test_the_url_of_a_server_on_all_addresses_can_be_asked(host: str) -> None:
    assert origin(host, 8000) == "http://127.0.0.1:8000"


@needs_ipv6
def test_everywhere_is_all_addresses_of_both_families() -> None:
    assert sorted(listened("*")) == ["0.0.0.0", "::"]
    assert sorted(listened("*,127.0.0.1,::1")) == ["0.0.0.0", "::"]


# What Linux tells of a socket that listens: how many may wait to be accepted, in the 32 bits from byte 28 on.
TCP_INFO_BYTES, BACKLOG_PLACE = 104, slice(28, 32)


def backlog(listener: socket.socket) -> int:
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    return int.from_bytes(info[BACKLOG_PLACE], sys.byteorder)


def test_as_many_may_wait_to_be_accepted_as_the_machine_allows_up_to_2048() -> None:
    most = int(Path("/proc/sys/net/core/somaxconn").read_text())

    with ExitStack() as opened:
        found = [backlog(opened.enter_context(listener)) for listener in listen("127.0.0.1", 0, "PORT")]

    assert found == [min(2048, most)]


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "is_for_ipv6_alone"),
    [("::", [False]), ("::1", [True]), ("::,0.0.0.0", [True, None]), ("::1,127.0.0.1", [True, None])],
)
def test_only_all_addresses_of_ipv6_alone_answer_both_families(host: str, is_for_ipv6_alone: list[bool | None]) -> None:
    with ExitStack() as opened:
        listeners = [opened.enter_context(listener) for listener in listen(host, 0, "PORT")]
        found = [
            bool(each.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)) if each.family == socket.AF_INET6 else None
            for each in listeners
        ]

    assert found == is_for_ipv6_alone
