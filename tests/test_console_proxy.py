"""The second door: a header in which a trusted proxy names the person."""

import http.client
from collections.abc import Iterator

import pytest

from consumer.settings.door import UserHeader, user_header
from tests.support.console import Desk, running
from tests.support.settings import faults

HEADER = "X-Forwarded-User operators=kim,lee"


@pytest.fixture(scope="module")
def desk(database_url: str) -> Iterator[Desk]:
    with running(database_url, CONSOLE_TRUST_USER_HEADER=HEADER) as desk:
        yield desk


def test_a_trusted_proxy_names_the_person(desk: Desk) -> None:
    kim = desk.get("/system", x_forwarded_user="kim")
    ada = desk.get("/system", x_forwarded_user="ada@example.org")

    assert "kim · operator" in kim.text
    assert "ada@example.org · viewer" in ada.text
    # A proxy signs out, not the console.
    assert "Sign out" not in kim.text


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\tb"])
def test_a_name_that_nobody_may_have_is_nobody(desk: Desk, name: str) -> None:
    assert desk.get("/system", x_forwarded_user=name).status == 303


def test_two_names_are_nobody(desk: Desk) -> None:
    """One of them would be the client's own, which the proxy should have taken away."""

    connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=15)
    connection.putrequest("GET", "/system")
    connection.putheader("x-forwarded-user", "kim")
    connection.putheader("x-forwarded-user", "ada")
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()

    assert status == 303


def test_the_link_s_door_stays_open_beside_it(desk: Desk) -> None:
    assert "kim · viewer" in desk.as_("viewer").get("/system").text


def test_a_peer_that_is_not_named_names_nobody(database_url: str) -> None:
    with running(database_url, CONSOLE_TRUST_USER_HEADER=f"{HEADER} peers=10.0.0.7") as desk:
        assert desk.get("/system", x_forwarded_user="kim").status == 303


def test_without_the_setting_the_header_is_a_stranger_s(database_url: str) -> None:
    with running(database_url) as desk:
        assert desk.get("/system", x_forwarded_user="kim").status == 303


@pytest.mark.parametrize(
    ("text", "address", "is_believed"),
    [
        ("X-User", "127.0.0.1", True),
        ("X-User", "::1", True),
        ("X-User", "::ffff:127.0.0.1", True),
        ("X-User", "10.0.0.7", False),
        ("X-User peers=10.0.0.0/8", "10.9.9.9", True),
        ("X-User peers=10.0.0.0/8", "127.0.0.1", False),
        ("X-User peers=10.0.0.7,fd00::/8", "fd00::1", True),
        ("X-User", "not an address", False),
        ("X-User", "", False),
    ],
)
def test_only_loopback_or_the_named_peers_are_believed(text: str, address: str, *, is_believed: bool) -> None:
    assert user_header(text).is_from(address) == is_believed


def test_the_setting_names_the_header_its_operators_and_its_peers() -> None:
    found = user_header("X-Forwarded-User  operators=kim,lee  peers=10.0.0.7")

    assert (found.name, sorted(found.operators)) == ("x-forwarded-user", ["kim", "lee"])
    assert [str(peer) for peer in found.peers] == ["10.0.0.7/32"]
    assert user_header("X-User") == UserHeader("x-user")


@pytest.mark.parametrize(
    "text", ["X_User", "X-User kim", "X-User role=kim", "X-User peers=ten", "X-User peers=a peers=b"]
)
def test_a_setting_that_cannot_be_read_is_refused(text: str) -> None:
    [problem] = faults(CONSOLE_TRUST_USER_HEADER=text)

    assert problem.startswith("CONSOLE_TRUST_USER_HEADER must be a header's name")


@pytest.mark.parametrize(
    ("text", "addition"),
    [
        *((text, "") for text in ("1X", "X_User", "X-User kim", "X-User role=kim", f"X{'y' * 64}")),
        ("X-User peers=10.0.0.1 peers=10.0.0.2", ""),
        ("X-User operators=kim operators=kim", ""),
        ("X_User peers=10.0.0.1 operators=kim", ""),
        ("X-User peers=ten", "; each peer is an address or a network such as 10.0.0.0/8"),
        ("X-User peers=10.0.0.1/8", "; each peer is an address or a network such as 10.0.0.0/8"),
    ],
)
def test_a_refusal_says_the_form_and_of_a_wrong_peer_what_one_is(text: str, addition: str) -> None:
    form = "must be a header's name, then perhaps peers=ADDRESS,… and operators=NAME,…"

    assert faults(CONSOLE_TRUST_USER_HEADER=text) == [f"CONSOLE_TRUST_USER_HEADER {form}{addition}, not {text[:20]!r}."]


@pytest.mark.parametrize(
    ("text", "operators", "peers"),
    [
        ("X-User operators=kim,,lee,", {"kim", "lee"}, ["127.0.0.0/8", "::1/128"]),
        ("X-User operators=a=b peers=", {"a=b"}, ["127.0.0.0/8", "::1/128"]),
        ("X-User peers=,10.0.0.0/8,::1 operators=", set(), ["10.0.0.0/8", "::1/128"]),
    ],
)
def test_names_and_peers_are_parted_by_commas_and_empty_ones_are_none(
    text: str, operators: set[str], peers: list[str]
) -> None:
    found = user_header(text)

    assert (found.name, set(found.operators), [str(peer) for peer in found.peers]) == ("x-user", operators, peers)
