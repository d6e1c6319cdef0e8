"""The addresses that a HOST asks for: those that overlap are one."""

import socket
from contextlib import ExitStack

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
