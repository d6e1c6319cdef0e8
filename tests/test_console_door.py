"""The console's doors: who gets in, how often and for how long, and who does not."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from consumer.console.door import COOKIE_TIME, LINK_TIME, SignInLink
from tests.support.confirming import heading
from tests.support.console import SECRET, Desk, cookie_name, running
from tests.support.databases import rows
from tests.support.settings import load

# Consoles of one address take each other's links.
URL = "https://ops.example.com"


@pytest.fixture
def desk(emptied: str) -> Iterator[Desk]:
    with running(emptied) as desk:
        yield desk


def token(desk: Desk, name: str = "kim", role: str = "viewer", at: datetime | None = None) -> str:
    signer = desk.signer(SECRET, lambda: at or datetime.now(UTC))
    return signer.link(name, role)  # type: ignore[arg-type]


def test_a_link_asks_first_and_signs_in_as_the_person_it_names(desk: Desk, emptied: str) -> None:
    link = token(desk, "Kim Lee", "operator")

    asked = desk.get(f"/open/{link}")
    again = desk.get(f"/open/{link}")
    opened = desk.post("/open", {"token": link})
    page = Desk(desk.port, desk.settings, opened.cookie).get("/system")

    assert (asked.status, again.status, "Sign in as Kim Lee?" in asked.text) == (200, 200, True)
    assert (opened.status, opened.headers["location"], page.status) == (303, "/", 200)
    assert "Kim Lee · operator" in page.text
    recorded = rows(emptied, "SELECT actor, via, role, action FROM consumer.actions")
    assert recorded == [{"actor": "Kim Lee", "via": "console", "role": "operator", "action": "sign_in"}]


def test_a_cookie_keeps_from_scripts_and_other_sites_for_twelve_hours(desk: Desk) -> None:
    cookie = desk.post("/open", {"token": token(desk)}).headers["set-cookie"]

    assert cookie.startswith(f"console-{desk.port}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


def test_a_link_opens_once_also_at_another_console_and_after_a_restart(emptied: str) -> None:
    with running(emptied, CONSOLE_URL=URL) as desk:
        link = token(desk)
        first = desk.post("/open", {"token": link})
        second = desk.post("/open", {"token": link})
    with running(emptied, CONSOLE_URL=URL) as other:
        third = other.post("/open", {"token": link})

    assert (first.status, second.status, third.status) == (303, 403, 403)
    assert {heading(second), heading(third)} == {"This link was used already"}
    assert "consumer console link --as kim --role viewer" in second.text
    assert "set-cookie" not in second.headers
    assert "set-cookie" not in third.headers


def test_a_link_is_good_for_ten_minutes(desk: Desk) -> None:
    early = token(desk, at=datetime.now(UTC) - LINK_TIME + timedelta(seconds=30))
    late = token(desk, at=datetime.now(UTC) - LINK_TIME - timedelta(seconds=1))

    assert timedelta(minutes=10) == LINK_TIME
    assert [desk.get(f"/open/{link}").status for link in (early, late)] == [200, 403]
    assert [desk.post("/open", {"token": link}).status for link in (early, late)] == [303, 403]


def test_a_link_whose_time_is_over_says_so_with_the_command_that_makes_another(desk: Desk) -> None:
    link = token(desk, "Kim Lee", "operator", datetime.now(UTC) - LINK_TIME)
    asked, opened = desk.get(f"/open/{link}"), desk.post("/open", {"token": link})

    assert (heading(asked), heading(opened)) == ("This link has expired", "This link has expired")
    assert "consumer console link --as 'Kim Lee' --role operator" in html.unescape(opened.text)


@pytest.mark.parametrize("is_over", [False, True], ids=["fresh", "expired"])
def test_a_link_that_this_console_did_not_sign_learns_no_more_than_that(desk: Desk, is_over: bool) -> None:
    at = datetime.now(UTC) - LINK_TIME if is_over else datetime.now(UTC)
    foreign = desk.signer(SECRET[::-1], lambda: at).link("kim", "operator")
    for page in (desk.get(f"/open/{foreign}"), desk.post("/open", {"token": foreign}), desk.get("/open/x")):
        assert (page.status, heading(page)) == (403, "This console did not make this link")
        assert "consumer console link --as NAME --role viewer" in page.text


def test_while_the_database_is_away_a_stranger_reads_when_to_sign_in() -> None:
    with running("postgresql://nobody@127.0.0.1:1/none") as desk:
        page = desk.post("/open", {"token": token(desk)})

    assert page.status == 503
    assert "Nobody can sign in until it is back. A link that was not used is good for 10 minutes" in page.text
    assert "You stay signed in" not in page.text


def test_a_cookie_is_good_for_twelve_hours(desk: Desk) -> None:
    def status(age: timedelta) -> int:
        signer = desk.signer(SECRET, lambda: datetime.now(UTC) - age)
        value = signer.cookie(SignInLink("", "kim", "viewer", 0))
        return Desk(desk.port, desk.settings, f"{cookie_name(desk)}={value}").get("/system").status

    assert timedelta(hours=12) == COOKIE_TIME
    assert [status(COOKIE_TIME - timedelta(minutes=1)), status(COOKIE_TIME + timedelta(seconds=1))] == [200, 303]


@pytest.mark.parametrize("forge", ["other secret", "a link for a cookie", "changed", "empty", "another's name"])
def test_a_cookie_that_the_secret_did_not_sign_is_nobody_s(desk: Desk, forge: str) -> None:
    good = desk.signer().cookie(SignInLink("", "kim", "viewer", 0))
    value = {
        "other secret": desk.signer(SECRET[::-1]).cookie(SignInLink("", "kim", "viewer", 0)),
        "a link for a cookie": token(desk),
        "changed": good[:-2] + ("AA" if good[-2:] != "AA" else "BB"),
        "empty": "",
        "another's name": good,
    }[forge]
    name = "console" if forge == "another's name" else cookie_name(desk)

    assert Desk(desk.port, desk.settings, f"{name}={value}").get("/system").status == 303


def test_a_cookie_is_no_link(desk: Desk) -> None:
    cookie = desk.signer().cookie(SignInLink("", "kim", "operator", 0))

    assert desk.post("/open", {"token": cookie}).status == 403


def test_signing_out_takes_the_cookie(desk: Desk) -> None:
    out = desk.as_("viewer").post("/leave")

    assert (out.status, out.headers["location"]) == (303, "/login")
    assert re.search(r'=""; .*Max-Age=0', out.headers["set-cookie"])


def test_a_stream_of_nobody_says_that_the_session_has_ended(desk: Desk) -> None:
    answer = desk.get("/live")

    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.text == "event: ended\ndata: ended\n\n"


def test_a_visitor_from_another_site_comes_back_with_the_cookie_by_itself(desk: Desk) -> None:
    """A browser keeps a Strict cookie back when it follows a link in a chat; the page that it gets asks again."""
    linked = desk.get("/system?x=1", sec_fetch_site="cross-site")
    direct = desk.get("/system", sec_fetch_site="none")

    assert (linked.status, '<meta http-equiv="refresh" content="0">' in linked.text) == (200, True)
    assert (direct.status, direct.headers["location"]) == (303, "/login")


def test_a_link_or_cookie_of_another_installation_with_the_same_secret_is_nobody_s(desk: Desk) -> None:
    other = Desk(desk.port, load({"CONSOLE_URL": "https://ops.example.com/other"}))
    cookie = other.signer().cookie(SignInLink("", "kim", "operator", 0))

    assert desk.get(f"/open/{token(other)}").status == 403
    assert Desk(desk.port, desk.settings, f"{cookie_name(desk)}={cookie}").get("/system").status == 303
