"""Where one is: the title of each page of the console, and the page on the side that it belongs to."""

import re
from collections.abc import Iterator
from uuid import UUID

import pytest

from tests.support.console import Page, running
from tests.support.console_pages import Told, told, words
from tests.support.databases import change

# Ids are part of the names of tests, which must be the same in each process.
ACTION, RUN, NOBODY = (UUID(int=0xACED << 64 | n) for n in range(3))
RECORDED = f"""
    INSERT INTO consumer.actions (id, at, actor, via, role, action) VALUES ('{ACTION}', now(), 'kim', 'cli', 'operator',
    'prune');
    INSERT INTO consumer.runs (id, kind, project_id, stage, users, stored, unusable, calls, begun_at)
    VALUES ('{RUN}', 'reconcile', 'p', 'users', 0, 0, 0, 0, now())
"""


@pytest.fixture(scope="module")
def world(database_url: str) -> Iterator[Told]:
    with told(database_url) as world:
        change(world.url, RECORDED)
        yield world


def place(page: Page) -> tuple[int, list[str], list[str]]:
    """Return the status, the title, and what is marked on the side as the page that is open."""
    title = re.findall("<title>(.*) · Users console</title>", page.text)
    side = page.text.partition('<nav class="side"')[2].partition("</nav>")[0]
    return page.status, title, re.findall(r'<a href="([^"]*)" aria-current="page">', side)


@pytest.mark.parametrize(
    ("path", "title", "side"),
    [
        ("/", "Overview", ["/"]),
        ("/?range=3h", "Overview", ["/"]),
        ("/deliveries", "Deliveries", ["/deliveries"]),
        ("/deliveries?outcome=stale", "Deliveries", ["/deliveries"]),
        ("/dead", "Dead letters", ["/dead"]),
        ("/dead?by=each", "Dead letters", ["/dead"]),
        ("/users", "Users", ["/users"]),
        ("/companies", "Companies", ["/companies"]),
        ("/find", "Find", []),
        ("/recovery", "Recovery", ["/recovery"]),
        (f"/recovery/{RUN}", "Reconcile", ["/recovery"]),
        ("/actions", "Actions", ["/actions"]),
        (f"/actions/{ACTION}", "Action", ["/actions"]),
        ("/system", "System", ["/system"]),
        ("/system/test", "A test delivery", ["/system"]),
        ("/dead/retry", "Retry 4 dead deliveries?", ["/dead"]),
        ("/dead/discard?error=bad_shape", "Discard 1 dead delivery?", ["/dead"]),
        ("/deliveries/replay?error=none", "Nothing matches", ["/deliveries"]),
        ("/recovery/check", "Check 9 users and companies?", ["/recovery"]),
        (f"/users/{NOBODY}/refresh", "Refresh a user", ["/users"]),
        (f"/users/{NOBODY}/reveal", "Reveal personal data", []),
        ("/login", "Sign in", []),
        ("/nowhere", "Not found", []),
    ],
)
def test_a_page_has_its_title_and_marks_its_place_on_the_side(
    world: Told, path: str, title: str, side: list[str]
) -> None:
    status = 404 if path == "/nowhere" else 200
    # A page that is not there is answered as to nobody, without a side.
    assert place(world.desk.as_("operator").get(path)) == (status, [title], side)


def test_the_page_of_one_subject_belongs_to_the_page_of_all(world: Told) -> None:
    viewer = world.desk.as_("viewer")

    assert place(viewer.get(f"/users/{world.user_id}")) == (200, ["User"], ["/users"])
    assert place(viewer.get(f"/companies/{world.team_id}")) == (200, ["Company"], ["/companies"])
    found = viewer.get(f"/deliveries/{world.seq(world.snapshot)}")
    assert place(found) == (200, ["user.updated"], ["/deliveries"])


def test_a_delivery_without_a_type_is_titled_unreadable(world: Told) -> None:
    seq = world.seq(world.unusable)
    change(world.url, f"UPDATE consumer.outbox SET event_type = NULL WHERE seq = {seq}")

    assert place(world.desk.as_("viewer").get(f"/deliveries/{seq}")) == (200, ["Unreadable delivery"], ["/deliveries"])


def test_what_a_person_may_not_do_says_whose_action_it_is(world: Told) -> None:
    refused = world.desk.as_("viewer").get("/dead/retry")
    door = world.desk.as_("nobody")

    assert place(refused) == (403, ["An operator&#39;s action"], [])
    assert place(door.post("/dead/retry")) == (401, ["Sign in"], [])
    assert place(door.get("/", sec_fetch_site="cross-site")) == (200, ["One moment"], [])
    assert place(door.get("/", sec_fetch_site="same-site")) == (200, ["One moment"], [])
    assert door.get("/", sec_fetch_site="same-origin").headers["location"] == "/login"
    assert door.get("/").headers["location"] == "/login"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/dead/retry", "Each is checked again by this release. Usable ones are put back to pending"),
        ("/dead/discard", "Neither a replay nor a repeat by the sender brings them back"),
        (
            "/deliveries/replay",
            "where nothing differs nothing is written. Of dead ones: each is checked again by this release. Usable "
            "ones are put back to pending, and workers apply them; the others stay dead, with the reason found today. "
            "It is safe to repeat: what a newer delivery has overtaken ends as stale. Discarded ones are never "
            "replayed. ",
        ),
        ("/deliveries/discard", "Erasures are left out. Neither a replay nor a repeat by the sender brings them back"),
    ],
)
def test_a_page_that_asks_says_what_its_action_does_and_that_it_goes_on(world: Told, path: str, sentence: str) -> None:
    said = words(world.desk.as_("operator").get(path).text)

    assert sentence in said
    assert "It goes on in the background, also after a restart. Live deliveries go first." in said


def test_the_charts_of_the_overview_say_over_which_time_they_go(world: Told) -> None:
    viewer = world.desk.as_("viewer")
    marked, shown = [], []
    for path in ("/", "/?range=15m", "/?range=3h"):
        text = viewer.get(path).text
        marked.append(re.findall(r'<a href="([^"]*)" aria-current="true">', text))
        shown.append((set(re.findall(r"over (15 min|3 h); the table", text)), re.findall(r"\?page=([a-z-]+)", text)))

    assert marked == [["/"] * 2, ["/"] * 2, ["/?range=3h"] * 2]
    assert shown == [({"15 min"}, ["overview"]), ({"15 min"}, ["overview"]), ({"3 h"}, ["overview-hours"])]


def test_while_the_database_is_away_the_overview_is_shown_without_the_charts_of_hours() -> None:
    with running("postgresql://nobody@127.0.0.1:1/none") as desk:
        page = desk.as_("viewer").get("/?range=3h")

    assert (page.status, "The database is away" in words(page.text)) == (200, True)
    assert "No process has reported in this time." in words(page.text)


def test_the_icon_is_where_a_browser_looks_for_it_and_other_files_are_not_found(world: Told) -> None:
    desk = world.desk
    icon = desk.get("/favicon.ico")
    [named] = re.findall(r'<link rel="icon" href="([^"]*)"', desk.get("/login").text)

    assert (icon.status, icon.headers["content-type"]) == (200, "image/svg+xml")
    assert icon.text == desk.get(named).text
    version = named.split("/")[2]
    assert desk.get(f"/static/{version}/console.css").headers["content-type"].startswith("text/css")
    assert [desk.get(f"/static/{path}").status for path in (f"{version}/VENDOR.md", "0123/console.css")] == [404] * 2
