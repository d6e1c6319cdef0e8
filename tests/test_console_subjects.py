"""Actions on users and companies at the console: rebuild, check, and a refresh from Stack."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.backfills import environment, held, long_ago, named, truth
from tests.support.cli import arrive, work
from tests.support.confirming import confirm, finished, order
from tests.support.console import Desk, running
from tests.support.console_pages import links
from tests.support.databases import change, rows, schema_change
from tests.support.factories import membership, team_event, user_updated
from tests.support.fake_stack import FakeStack
from tests.support.names import own

pytest_plugins = ["tests.support.console"]

ADA, BOB, TEAM = (UUID(int=n) for n in (1, 2, 77))


@pytest.fixture
def wrong(emptied: str) -> str:
    """Two users of a team, whose names somebody has changed by hand."""
    arrive(
        emptied,
        team_event("created", TEAM),
        user_updated(ADA, display_name="Ada"),
        user_updated(BOB, display_name="Bob"),
        membership("created", TEAM, BOB),
    )
    work(emptied)
    change(emptied, "UPDATE identity.profiles SET full_name = 'wrong'")
    return emptied


def names(url: str) -> list[str]:
    return [row["full_name"] for row in rows(url, "SELECT full_name FROM identity.profiles ORDER BY user_id")]


def acted(url: str) -> list[dict[str, Any]]:
    return rows(url, "SELECT action, filter, seen_count, affected FROM consumer.actions")


def test_a_rebuild_of_everybody_is_queued(desk: Desk, wrong: str) -> None:
    page = desk.get("/recovery/rebuild")
    done = finished(wrong, confirm(desk, "/recovery/rebuild"))
    work(wrong)

    assert "Rebuild 3 users and companies?" in page.text
    # The company waits in two stages, and counts once.
    assert (done["filter"], done["seen_count"], done["affected"], done["result"]) == ({}, 3, 3, {"queued": 3})
    assert names(wrong) == ["Ada", "Bob"]


@pytest.mark.parametrize("path", ["/recovery/rebuild", "/recovery/check"])
def test_everybody_is_counted_by_the_deliveries_where_the_rows_are_lost(desk: Desk, wrong: str, path: str) -> None:
    lost = ("stack_user_profiles", "profiles", "companies", "company_members")
    change(wrong, f"TRUNCATE {', '.join(f'identity.{name}' for name in lost)} CASCADE")

    page = desk.get(path)
    done = finished(wrong, confirm(desk, path))
    work(wrong)

    assert "3 users and companies?" in page.text
    assert done["seen_count"] == 3
    assert names(wrong) == (["Ada", "Bob"] if path == "/recovery/rebuild" else [])


def test_everybody_is_counted_up_to_a_most(desk: Desk, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.console.subjects.COUNT_MAX", 2)

    assert "Rebuild 2 or more users and companies?" in desk.get("/recovery/rebuild").text


def test_everybody_may_be_chosen_where_counting_them_takes_too_long(
    desk: Desk, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.console.subjects.COUNT_TIME", timedelta(milliseconds=200))
    with psycopg.connect(wrong) as holder:
        holder.execute("LOCK TABLE consumer.outbox IN ACCESS EXCLUSIVE MODE")
        page = desk.get("/recovery/rebuild")

    assert "Rebuild 1 or more users and companies?" in page.text
    assert finished(wrong, desk.post(*order(page)))["affected"] == 3


def test_a_rebuild_of_one_user_leaves_the_others(desk: Desk, wrong: str) -> None:
    done = finished(wrong, confirm(desk, f"/recovery/rebuild?user={ADA}"))
    work(wrong)

    assert (done["filter"], names(wrong)) == ({"user_id": str(ADA)}, ["Ada", "wrong"])


def test_a_rebuild_of_a_team_takes_its_users(desk: Desk, wrong: str) -> None:
    done = finished(wrong, confirm(desk, f"/recovery/rebuild?team={TEAM}"))
    work(wrong)

    assert (done["filter"], names(wrong)) == ({"team_id": str(TEAM)}, ["wrong", "Bob"])


@pytest.mark.parametrize(
    ("chosen", "names_after"),
    [
        ("since={between}", ["wrong", "Bob"]),
        ("verified_by=0ddba11e", ["Ada", "wrong"]),
        ("since={between}&verified_by=0ddba11e", ["wrong", "wrong"]),
        ("user={ada}&since={between}", ["Ada", "Bob"]),
    ],
)
def test_a_rebuild_by_deliveries_takes_the_users_of_these(
    desk: Desk, emptied: str, chosen: str, names_after: list[str]
) -> None:
    """One of Ada came first, under another secret; one of Bob came later."""
    arrive(emptied, user_updated(ADA, display_name="Ada")._replace(verified_by="0ddba11e"))
    change(emptied, "UPDATE consumer.outbox SET received_at = now() - interval '2 days'")
    arrive(emptied, user_updated(BOB, display_name="Bob"))
    work(emptied)
    change(emptied, "UPDATE identity.profiles SET full_name = 'wrong'")
    path = f"/recovery/rebuild?{chosen.format(between='1d', ada=ADA)}"
    if names_after == ["wrong", "wrong"]:
        assert desk.get(path).status == 422
    else:
        done = finished(emptied, confirm(desk, path))
        assert done["seen_count"] == done["affected"] == 2 - names_after.count("wrong")
        assert {"settled_until"} < done["filter"].keys()
    work(emptied)

    assert names(emptied) == names_after


def test_what_is_applied_after_the_page_was_made_is_not_chosen(desk: Desk, wrong: str) -> None:
    address, fields = order(desk.get("/recovery/check?since=1h"))
    arrive(wrong, user_updated(UUID(int=3)))
    work(wrong)

    assert finished(wrong, desk.post(address, fields))["result"]["users"] == 2


def test_a_form_can_not_choose_deliveries_of_the_future(desk: Desk, wrong: str) -> None:
    address, fields = order(desk.get("/recovery/check?since=2026-01-01T00:00:00"))

    done = finished(wrong, desk.post(address, {**fields, "seen_at": "2999-01-01T00:00:00+00:00"}))

    assert done["filter"]["settled_until"] < "2999"


def test_a_rebuild_leads_to_its_dry_run(desk: Desk, wrong: str) -> None:
    page = desk.get(f"/recovery/rebuild?user={ADA}&since=1h")
    [there] = [each for each in links(page.text) if each.startswith("/recovery/check")]

    assert "Check 3 users and companies?" in desk.get(there).text
    assert "/recovery/check" in links(desk.get("/recovery/rebuild").text)
    assert "Check first" not in desk.get("/recovery/check").text


@pytest.mark.parametrize(
    ("chosen", "result"),
    [
        ("", {"users": 2, "companies": 1, "differing": {"profile": 2}, "first": str(ADA)}),
        (f"?user={BOB}", {"users": 1, "companies": 0, "differing": {"profile": 1}, "first": str(BOB)}),
        ("?since=1h", {"users": 2, "companies": 1, "differing": {"profile": 2}, "first": str(ADA)}),
        (f"?team={TEAM}", {"users": 1, "companies": 1, "differing": {"profile": 1}, "first": str(BOB)}),
    ],
)
def test_a_check_counts_what_differs_and_changes_nothing(
    desk: Desk, wrong: str, chosen: str, result: dict[str, Any]
) -> None:
    answer = confirm(desk, f"/recovery/check{chosen}")
    done = finished(wrong, answer)
    page = desk.get(answer.headers["location"])

    assert (done["action"], done["affected"], done["result"]) == ("check", 0, result)
    assert names(wrong) == ["wrong", "wrong"]
    assert f"{result['differing']['profile']} profile" in page.text


def test_a_check_of_what_is_right_says_that_nothing_differs(desk: Desk, emptied: str) -> None:
    arrive(emptied, user_updated(ADA))
    work(emptied)

    assert finished(emptied, confirm(desk, "/recovery/check"))["result"] == {
        "users": 1,
        "companies": 0,
        "differing": {},
    }


def test_a_console_that_may_not_work_says_so(wrong: str) -> None:
    """Its login has the operator's role alone."""
    name = own("lone_operator")
    login = f"CREATE ROLE {name} LOGIN PASSWORD 'x'; GRANT consumer_operator TO {name}"
    with schema_change(wrong, login, f"DROP ROLE {name}"), running(f"{wrong} user={name} password=x") as desk:
        done = finished(wrong, confirm(desk.as_("operator"), "/recovery/check"))

    assert "may not act as consumer_worker" in done["error"]


@pytest.mark.parametrize("path", ["/recovery/rebuild", "/recovery/check"])
def test_of_an_unknown_user_there_is_nothing_to_make_anew(desk: Desk, wrong: str, path: str) -> None:
    page = desk.get(f"{path}?user={uuid4()}")

    assert (page.status, "Nothing matches" in page.text) == (200, True)


def test_above_a_hundred_the_number_is_typed(desk: Desk, emptied: str) -> None:
    arrive(emptied, *(user_updated() for _ in range(101)))
    work(emptied)

    assert confirm(desk, "/recovery/rebuild", number="100").status == 422
    assert acted(emptied) == []
    assert finished(emptied, confirm(desk, "/recovery/rebuild", number="101"))["affected"] == 101


def test_a_form_sent_twice_is_done_once(desk: Desk, wrong: str) -> None:
    address, fields = order(desk.get(f"/recovery/rebuild?user={ADA}"))
    finished(wrong, desk.post(address, fields))
    finished(wrong, desk.post(address, fields))

    assert [(row["action"], row["affected"]) for row in acted(wrong)] == [("rebuild", 1)]


def test_a_refresh_brings_a_user_in(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    [user_id] = named(fake, 1)
    with running(emptied, **environment(fake)) as nobody:
        desk = nobody.as_("operator")
        page = desk.get(f"/users/{user_id}/refresh")
        answer = confirm(desk, f"/users/{user_id}/refresh")
        done = finished(emptied, answer)
    work(emptied)

    assert "Refresh 1 user?" in page.text
    assert (done["action"], done["filter"], done["affected"]) == ("refresh", {"user_id": user_id}, 1)
    assert (done["result"]["is_found"], done["result"]["error"]) == (True, None)
    assert held(emptied) == truth(fake)


def test_a_refresh_of_a_user_that_stack_does_not_have_stores_nothing(emptied: str, fake: FakeStack) -> None:
    with running(emptied, **environment(fake)) as desk:
        done = finished(emptied, confirm(desk.as_("operator"), f"/users/{uuid4()}/refresh"))

    assert (done["affected"], done["result"]) == (0, {"is_found": False})
    assert rows(emptied, "SELECT FROM consumer.outbox") == []


def test_a_refresh_without_a_key_says_which_settings_it_needs(desk: Desk, emptied: str) -> None:
    path = f"/users/{ADA}/refresh"
    asked = desk.get(path).text
    # As of a page that another console has shown.
    answer = desk.post(path, {"id": uuid4(), "seen_at": "2026-01-31T12:00:00+00:00", "seen_count": 1})
    done = finished(emptied, answer)
    page = desk.get(answer.headers["location"])

    assert "This console has no STACK_PROJECT_ID and no STACK_SECRET_SERVER_KEY" in asked
    assert 'disabled aria-disabled="true">Refresh 1<' in asked
    assert 'id="order"' not in asked
    assert done["error"].startswith("STACK_PROJECT_ID is not set; Stack")
    assert "It ended early: STACK_PROJECT_ID is not set" in page.text
