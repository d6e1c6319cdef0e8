"""The pages of one delivery, one user and one company."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from consumer.console import companies
from consumer.outbox.storage import Delivery
from tests.support.console_pages import Told, links, told, words
from tests.support.databases import change


@pytest.fixture(scope="module")
def world(database_url: str) -> Iterator[Told]:
    with told(database_url) as world:
        yield world


def seen(world: Told, path: str) -> str:
    return words(world.desk.as_("viewer").get(path).text)


def day_and_time(stored: Delivery) -> str:
    return f"{stored.occurred_at:%d %b, %H:%M:%S}"


def test_a_delivery_shows_its_way_and_what_it_changed(world: Told) -> None:
    page = seen(world, f"/deliveries/{world.seq(world.overtaken)}")

    assert "user.updated applied About z•••••@example.com of Northwind, received" in page
    assert f"Occurred {day_and_time(world.overtaken)} at Stack Received" in page
    assert "full_name none Z••• B•••" in page
    assert "email none z•••••@example.com" in page
    assert "In a terminal: consumer deliveries show" in page


def test_a_delivery_shows_what_did_not_follow_and_why(world: Told) -> None:
    old = seen(world, f"/deliveries/{world.seq(world.overtaken)}")
    new = seen(world, f"/deliveries/{world.seq(world.snapshot)}")

    assert f"everything – – the snapshot of {world.snapshot.occurred_at:%Y-%m-%d %H:%M:%SZ} is newer." in old
    assert "role_type member owner your backend set it on" in new


def test_a_delivery_shows_what_a_replay_would_do_and_what_lies_around_it(world: Told) -> None:
    page = world.desk.as_("viewer").get(f"/deliveries/{world.seq(world.edit)}")

    assert "The rows of its user would be made anew from all stored deliveries" in words(page.text)
    assert f"/deliveries/{world.seq(world.snapshot)}" in links(page.text)
    assert f"/deliveries?user={world.user_id}" in links(page.text)


def test_a_body_is_shown_with_its_persons_masked(world: Told) -> None:
    page = seen(world, f"/deliveries/{world.seq(world.snapshot)}")

    assert "&#34;display_name&#34;: &#34;Z••• C•••&#34;" in page
    assert "&#34;primary_email&#34;: &#34;z•••••@example.com&#34;" in page
    assert f"&#34;id&#34;: &#34;{world.user_id}&#34;" in page


def test_a_dead_delivery_shows_why_it_died_and_leads_an_operator_to_the_cure(world: Told) -> None:
    seq = world.seq(world.unusable)
    viewer, operator = (world.desk.as_(who).get(f"/deliveries/{seq}") for who in ("viewer", "operator"))

    assert "Not usable" in words(viewer.text)
    assert "bad_shape $.data.id: Required field is missing" in words(viewer.text)
    assert "It is no JSON object" not in words(viewer.text)
    assert {f"/dead/retry?seq={seq}", f"/dead/discard?seq={seq}"} <= set(links(operator.text))
    assert not [each for each in links(viewer.text) if "/dead/" in each or "reveal" in each]
    assert viewer.text.count('aria-disabled="true"') == 3


def test_a_retrying_delivery_says_when_it_is_tried_again(world: Told) -> None:
    page = seen(world, f"/deliveries/{world.seq(world.retrying)}")

    assert "Refused" in page
    assert "23503, attempt 3" in page
    assert "Next attempt" in page
    assert "It would be tried at once" in page


def test_a_delivery_that_is_not_stored_is_not_found(world: Told) -> None:
    statuses = [
        world.desk.as_("viewer").get(f"/deliveries/{name}").status for name in ("99999", "9" * 30, "msg_1", "-1")
    ]

    assert statuses == [404] * 4


def test_a_user_shows_who_set_each_field(world: Told) -> None:
    page = seen(world, f"/users/{world.user_id}")

    assert "Z••• C••• active z•••••@example.com, verified · owner in General at Northwind" in page
    assert f"role_type owner app profile.edited {day_and_time(world.edit)}; else member" in page
    assert "department General the default" in page
    assert "company_id Northwind oldest active membership" in page


def test_a_user_shows_what_happened_and_the_sign_ins_of_a_day_in_one_line(world: Told) -> None:
    page = world.desk.as_("viewer").get(f"/users/{world.user_id}")
    today = datetime.now(UTC)

    assert f"{today:%A}, {today.day} {today:%B %Y}" in words(page.text)
    assert page.text.count("sign-ins and sign-outs") == 1
    assert "2 sign-ins and sign-outs" in words(page.text)
    assert "profile.edited from Your backend" in words(page.text)
    assert "role_type member owner" in words(page.text)
    assert f"/deliveries/{world.seq(world.snapshot)}" in links(page.text)


def test_a_user_shows_teams_and_whether_it_is_in_step(world: Told) -> None:
    page = seen(world, f"/users/{world.user_id}")

    assert re.search(r"Northwind home 22 Nov, 12:\d\d:\d\d none", page)
    assert "Is it in step with Stack? confirmed" in page
    assert "the newest of 2 taken. No delivery about this user waits." in page


def test_a_user_shows_the_last_sign_in_and_sign_out(world: Told) -> None:
    times = r"Last signed in 22 Nov, 12:\d\d:\d\d, last signed out 22 Nov, 12:\d\d:\d\d\."

    assert re.search(times, seen(world, f"/users/{world.user_id}"))


def test_a_user_page_leads_an_operator_on_and_shows_the_commands_to_copy(world: Told) -> None:
    page = world.desk.as_("operator").get(f"/users/{world.user_id}")
    user = world.user_id

    wanted = {
        f"/users/{user}/reveal",
        f"/users/{user}/refresh",
        f"/deliveries/replay?user={user}",
        f"/recovery/rebuild?user={user}",
    }
    assert wanted <= set(links(page.text))
    assert f"consumer export {user} consumer erase {user} --dry-run" in words(page.text)


def test_the_timeline_of_a_user_has_pages(world: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.console.users.TIMELINE_SIZE", 2)

    page = world.desk.as_("viewer").get(f"/users/{world.user_id}")
    older = next(each for each in links(page.text) if "?before=" in each)

    assert "from Your backend" not in words(page.text)
    assert "from Your backend" in seen(world, older)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [("dead", "1 dead"), ("pending", "1 waiting"), ("retrying", "1 waiting")],
)
def test_a_user_about_whom_something_waits_is_not_in_step(world: Told, state: str, sentence: str) -> None:
    user_id = {"dead": world.dead[0], "pending": world.pending, "retrying": world.retrying}[state].user_id

    assert f"Is it in step with Stack? {sentence}" in seen(world, f"/users/{user_id}")


def test_a_user_of_whom_nothing_was_ever_stored_is_not_found(world: Told) -> None:
    page = world.desk.as_("viewer").get("/users/6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")

    assert (page.status, "No delivery about this user was ever stored." in words(page.text)) == (404, True)


def test_a_company_shows_its_members_and_its_deliveries(world: Told) -> None:
    page = world.desk.as_("operator").get(f"/companies/{world.team_id}")

    assert "Northwind active" in words(page.text)
    assert "Members 2 active ones Guests 0" in words(page.text)
    assert "Z••• C••• z•••••@example.com owner here" in words(page.text)
    assert "team.created" in words(page.text)
    assert f"/recovery/rebuild?team={world.team_id}" in links(page.text)


def test_the_members_of_a_company_have_pages(world: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companies, "MEMBERS_SIZE", 1)
    viewer = world.desk.as_("viewer")

    first = viewer.get(f"/companies/{world.team_id}")
    more = next(each for each in links(first.text) if "?after=" in each)
    second = viewer.get(more)

    members = [{each for each in links(page.text) if each.startswith("/users/")} for page in (first, second)]
    assert f"/users/{world.user_id}" in members[0] | members[1]
    assert not any("?after=" in each for each in links(second.text))
    assert viewer.get(f"/companies/{world.team_id}?after=x").status == 400


def test_a_company_that_has_no_rows_yet_shows_its_deliveries(world: Told) -> None:
    team_id = "0b7d5e9a-9d3b-4a57-8c21-6f1c2f0e4f10"
    change(world.url, f"UPDATE consumer.outbox SET team_id = '{team_id}' WHERE seq = {world.seq(world.pending)}")

    page = seen(world, f"/companies/{team_id}")

    assert "Team 0b7d5e9a not applied yet" in page
    assert "user.updated" in page
