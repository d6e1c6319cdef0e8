"""Who the console takes a person for: links and cookies to the second, the header of a proxy, and what `up` prints."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from consumer.cli import console, console_process
from consumer.console import sign_in
from consumer.console.base import Base, base_of
from consumer.console.door import Door, Signer, SignInLink, is_name
from consumer.console.person import NOBODY, Visitor
from consumer.settings.door import UserHeader, user_header
from consumer.web.listen import listen
from tests.support.console import SECRET
from tests.support.settings import load

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TEN_MINUTES, TWELVE_HOURS = timedelta(minutes=10), timedelta(hours=12)
HERE = base_of(None, 8003, frozenset())
KIM = SignInLink("one", "kim", "operator", 0)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_a_link_says_the_person_the_role_and_its_end() -> None:
    clock = Clock()
    signer = Signer(SECRET, HERE, clock)
    first, second = (signer.read_link(signer.link("kim", "viewer")) for _ in range(2))

    assert first
    assert second
    assert (first.name, first.role, first.until) == ("kim", "viewer", int((NOW + TEN_MINUTES).timestamp()))
    assert first.id != second.id
    assert signer.read_link("x") is None
    assert [signer.is_over(int((NOW + n * SECOND).timestamp())) for n in (-1, 0, 1)] == [True, True, False]


@pytest.mark.parametrize(
    ("age", "is_good"), [(timedelta(0), True), (TWELVE_HOURS - SECOND, True), (TWELVE_HOURS, False)]
)
def test_a_cookie_ends_after_twelve_hours_to_the_second(age: timedelta, is_good: bool) -> None:
    clock = Clock()
    signer = Signer(SECRET, HERE, clock)
    cookie = signer.cookie(KIM)
    clock.now += age

    assert signer.read_cookie(cookie) == (Visitor("kim", "operator", NOW + TWELVE_HOURS) if is_good else NOBODY)


@pytest.mark.parametrize(
    ("url", "port"), [("http://127.0.0.1:8003/x", 8003), (None, 8004), ("https://127.0.0.1:8003", 8003)]
)
def test_what_is_signed_at_one_address_counts_at_no_other(url: str | None, port: int) -> None:
    here, there = (Signer(SECRET, base, Clock()) for base in (HERE, base_of(url, port, frozenset())))

    assert here.read_cookie(here.cookie(KIM)).name == "kim"
    assert there.read_cookie(here.cookie(KIM)) == NOBODY
    assert there.read_link(here.link("kim", "viewer")) is None
    assert here.read_link(here.cookie(KIM)) is None


def request(headers: Sequence[tuple[str, str]] = (), client: tuple[str, int] | None = ("127.0.0.1", 1)) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "client": client})


def door(header: UserHeader | None = None, base: Base = HERE) -> Door:
    return Door(Signer(SECRET, base, Clock()), base, header)


@pytest.mark.parametrize(
    ("names", "client", "person"),
    [
        (["kim"], ("127.0.0.1", 1), Visitor("kim", "operator")),
        (["ada"], ("127.0.0.1", 1), Visitor("ada", "viewer")),
        (["kim", "ada"], ("127.0.0.1", 1), NOBODY),
        ([], ("127.0.0.1", 1), NOBODY),
        (["k" * 65], ("127.0.0.1", 1), NOBODY),
        (["kim"], ("10.0.0.7", 1), NOBODY),
        (["kim"], None, NOBODY),
    ],
)
def test_a_header_names_the_person_where_one_trusted_proxy_sends_one_name(
    names: list[str], client: tuple[str, int] | None, person: Visitor
) -> None:
    header = user_header("X-User operators=kim")

    assert door(header).visitor(request([("x-user", name) for name in names], client)) == person
    assert door().visitor(request([("x-user", name) for name in names], client)) == NOBODY


def test_without_a_name_in_the_header_the_cookie_tells() -> None:
    one = door(user_header("X-User"))
    cookie = f"console-8003={one.signer.cookie(KIM)}"

    assert one.visitor(request([("cookie", cookie)])) == Visitor("kim", "operator", NOW + TWELVE_HOURS)
    assert one.visitor(request([("cookie", cookie), ("x-user", "ada")])) == Visitor("ada", "viewer")


@pytest.mark.parametrize(
    ("url", "name", "marks"),
    [
        (None, "console-8003", {"Path=/"}),
        ("http://localhost:9000/ops", "console-8003", {"Path=/ops"}),
        ("https://ops.example.com", "__Host-console", {"Path=/", "Secure"}),
        ("https://ops.example.com/x", "__Secure-console", {"Path=/x", "Secure"}),
    ],
)
def test_a_cookie_is_set_and_taken_under_the_name_of_its_address(url: str | None, name: str, marks: set[str]) -> None:
    one, into, out = door(base=base_of(url, 8003, frozenset())), Response(), Response()
    one.let_in(into, KIM)
    one.let_out(out)

    first, *rest = into.headers["set-cookie"].split("; ")
    assert first.startswith(f"{name}=")
    assert one.signer.read_cookie(first.partition("=")[2].strip('"')).name == "kim"
    assert set(rest) == {"HttpOnly", "SameSite=strict", "Max-Age=43200", *marks}
    taken, *rest = out.headers["set-cookie"].split("; ")
    assert taken in {f'{name}=""', f"{name}="}
    assert {"Max-Age=0", *marks} <= set(rest)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("k", True), ("k" * 64, True), ("k" * 65, False), ("", False), (" k", False), ("k ", False), ("a\nb", False)],
)
def test_a_name_has_one_to_sixty_four_printable_characters(text: str, is_one: bool) -> None:
    assert is_name(text) is is_one


def test_a_refusal_is_recorded_once_a_minute_of_each_person_at_each_address(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.5]
    monkeypatch.setattr(sign_in, "time", SimpleNamespace(monotonic=lambda: now[0]))
    shared = SimpleNamespace(refusals={})

    def is_new(name: str, path: str) -> bool:
        visit: Any = SimpleNamespace(console=shared, person=Visitor(name, "viewer"))
        return sign_in._is_new(visit, path)

    found = []
    for at, name, path in ((0, "kim", "/a"), (0, "kim", "/a"), (0, "lee", "/a"), (0, "kim", "/b"), (59.9, "kim", "/a"),
                           (60, "kim", "/a"), (119, "kim", "/a"), (120, "kim", "/a")):  # fmt: skip
        now[0] = 0.5 + at
        found.append(is_new(name, path))

    assert found == [True, False, True, True, False, True, False, True]


@pytest.mark.parametrize(
    ("url", "port", "base"),
    [
        (None, 8003, ("http://127.0.0.1:8003", "", False)),
        ("http://localhost:80/x", 8003, ("http://localhost", "/x", False)),
        ("https://ops.example.com:443", 8003, ("https://ops.example.com", "", True)),
        ("https://ops.example.com:80/a/b", 8003, ("https://ops.example.com:80", "/a/b", True)),
        ("https://[fd00::1]", 8003, ("https://[fd00::1]", "", True)),
    ],
)
def test_the_origin_is_as_browsers_write_it(url: str | None, port: int, base: tuple[str, str, bool]) -> None:
    found = base_of(url, port, frozenset({"system"}))

    assert (found.origin, found.path, found.is_secure) == base
    assert (found.url(), found.url("/x"), found.port) == (f"{base[1]}/", f"{base[1]}/x", port)


@pytest.mark.parametrize(
    ("settings", "port"),
    [({}, 8003), ({"CONSOLE_PORT": "0"}, 0), ({"CONSOLE_PORT": "9000"}, 9000), ({"CONSOLE_PORT": "off"}, None)],
)
def test_the_port_is_ours_unless_it_is_set_or_off(settings: dict[str, str], port: int | None) -> None:
    assert console.port(load(settings)) == port


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, None),
        ({"CONSOLE_HOST": "::1"}, None),
        ({"CONSOLE_URL": "http://localhost:9000"}, None),
        ({"CONSOLE_URL": "http://[::1]:9000"}, None),
        ({"CONSOLE_URL": "https://ops.example.com"}, None),
        ({"CONSOLE_HOST": "0.0.0.0", "CONSOLE_URL": "https://ops.example.com"}, None),
        ({"CONSOLE_HOST": "0.0.0.0", "CONSOLE_URL": "http://localhost:9000"}, "CONSOLE_HOST is 0.0.0.0"),
        ({"CONSOLE_HOST": "0.0.0.0"}, "CONSOLE_HOST is 0.0.0.0"),
        ({"CONSOLE_URL": "http://ops.example.com"}, "CONSOLE_URL must begin with https://"),
    ],
)
def test_other_machines_reach_the_console_by_https_alone(settings: dict[str, str], problem: str | None) -> None:
    found = console.problems(load(settings))

    assert len(found) == (problem is not None)
    assert all(each.startswith(problem or "") for each in found)


@pytest.mark.parametrize("terminal", [None, "stdout", "stderr"])
@pytest.mark.parametrize("url", [None, "https://ops.example.com/x"])
def test_a_link_is_printed_where_somebody_sits_or_nobody_else_comes(
    monkeypatch: pytest.MonkeyPatch, terminal: str | None, url: str | None
) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda name=name: name == terminal)
    settings = load({"CONSOLE_SECRET": SECRET, **({"CONSOLE_URL": url} if url else {})})
    with listen("127.0.0.1", 0, "CONSOLE_PORT")[0] as listener:
        port = listener.getsockname()[1]
        found = console.first_link(settings, [listener]) or ""

    if url and not terminal:
        assert found == f"{url} (`consumer console link --as NAME --role operator` makes a link)"
        return
    link, _, rest = found.partition(" ")
    origin, _, token = link.partition("/open/")
    assert (origin, rest) == (url or f"http://127.0.0.1:{port}", "(once, within 10 minutes)")
    read = Signer(SECRET, base_of(url, port, frozenset()), console_process._now).read_link(token)
    assert read
    assert read.role == "operator"


def test_without_sockets_there_is_no_link_and_off_opens_none() -> None:
    assert console.first_link(load({"CONSOLE_SECRET": SECRET}), []) is None
    assert console.listen_beside(load({"CONSOLE_PORT": "off"})) == []


def test_each_setting_is_shown_as_it_is_or_of_a_secret_only_whether_it_is_set() -> None:
    environment = {
        "CONSOLE_SECRET": SECRET,
        "MAX_ATTEMPTS": "7",
        "CONSOLE_TRUST_USER_HEADER": "X-User",
        "ROLE_KEY": "r",
    }
    shown = console_process._shown(load({**environment, "ROLE_KEY": "r"}))

    assert (shown["CONSOLE_SECRET"], shown["STACK_SECRET_SERVER_KEY"]) == ("set", "not set")
    assert (shown["MAX_ATTEMPTS"], shown["ROLE_KEY"], shown["CONSOLE_URL"]) == ("7", "r", "not set")
    assert (shown["CONSOLE_TRUST_USER_HEADER"], shown["NOTIFY_URL"]) == ("x-user", "not set")
    assert console_process._shown(load({}))["CONSOLE_TRUST_USER_HEADER"] == "not set"
    assert console_process._shown(load({"NOTIFY_URL": "https://x.example"}))["NOTIFY_URL"] == "set"
