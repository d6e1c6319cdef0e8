"""The list of deliveries: each filter in the address, pages by key, and what it says when there is nothing to list."""

from collections.abc import Iterator

import pytest

from consumer.console import deliveries as page_of_deliveries
from consumer.console.filters import FIELDS
from consumer.lookup import listing
from tests.support.console_pages import Told, links, listed, told, words
from tests.support.databases import rows


@pytest.fixture(scope="module")
def world(database_url: str) -> Iterator[Told]:
    with told(database_url) as world:
        yield world


def stored(url: str, condition: str = "TRUE") -> list[int]:
    """Return the numbers of the deliveries of which a condition holds, the newest first."""
    found = rows(url, f"SELECT seq FROM consumer.deliveries WHERE {condition} ORDER BY seq DESC")
    return [row["seq"] for row in found]


def test_the_list_shows_the_newest_first_with_how_each_ended(world: Told) -> None:
    page = world.desk.as_("viewer").get("/deliveries")
    seen = words(page.text)

    assert listed(page.text) == stored(world.url)
    assert f"user.updated {str(world.dead[2].user_id)[:8]} dead 23505" in seen
    assert "team_membership.created z•••••@example.com applied" in seen
    assert "team.created Northwind applied" in seen
    assert "retrying 3 23503" in seen


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("state=pending", "state = 'pending'"),
        ("state=retrying", "state = 'retrying'"),
        ("state=dead", "state = 'dead'"),
        ("state=done", "state = 'done'"),
        ("type=user.updated", "event_type = 'user.updated'"),
        ("type=team*", "event_type LIKE 'team%'"),
        ("type=user_updated", "FALSE"),
        ("outcome=applied", "outcome = 'applied'"),
        ("source=app", "source = 'app'"),
        ("user={user}", "user_id = '{user}'"),
        ("team={team}", "team_id = '{team}'"),
        ("error=23505", "error_code = '23505'"),
        ("verified_by=0123abcd", "seq IN (SELECT seq FROM consumer.outbox WHERE verified_by = '0123abcd')"),
        ("verified_by=ffffffff", "FALSE"),
        ("since=1h", "TRUE"),
        ("since=2099-01-01", "FALSE"),
        ("until=2099-01-01T00:00:00Z", "TRUE"),
        ("until=1h", "FALSE"),
        ("state=dead&type=user.updated&error=bad_shape", "error_code = 'bad_shape'"),
        ("state=&type=&source=app&since=", "source = 'app'"),
    ],
)
def test_a_filter_in_the_address_lists_what_matches(world: Told, query: str, condition: str) -> None:
    about = {"user": world.user_id, "team": world.team_id}

    page = world.desk.as_("viewer").get(f"/deliveries?{query.format(**about)}")

    assert page.status == 200
    assert listed(page.text) == stored(world.url, condition.format(**about))


def test_each_condition_can_be_taken_away(world: Told) -> None:
    page = world.desk.as_("viewer").get("/deliveries?state=dead&error=23505&since=1h")

    assert "state is dead" in words(page.text)
    assert {"/deliveries?error=23505&since=1h", "/deliveries?state=dead&since=1h", "/deliveries"} <= set(
        links(page.text)
    )


def test_the_form_keeps_the_conditions_that_it_has_no_field_for(world: Told) -> None:
    page = world.desk.as_("viewer").get(f"/deliveries?user={world.user_id}&error=23505&verified_by=0123abcd&until=1h")

    for name in ("user", "error", "verified_by", "until"):
        assert f'<input type="hidden" name="{name}"' in page.text
    assert set(FIELDS) >= {"user", "error", "verified_by", "until"}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("state=gone", "The field state is one of pending, retrying, dead, done."),
        ("source=nobody", "The field source is one of"),
        ("outcome=good", "The field outcome is one of"),
        ("user=1", "The field user is an id, a UUID."),
        ("team=x", "The field team is an id, a UUID."),
        ("since=yesterday", "how long ago (90s, 15m, 2h, 3d, 1w)"),
        ("until=99999999d", "how long ago (90s, 15m, 2h, 3d, 1w)"),
        (f"type={'x' * 257}", "The field type is too long."),
        ("stat=dead", "There is no filter stat. There are state, type,"),
        ("state=dead&verified-by=0ddba11e", "There is no filter verified-by. There are"),
        ("before=x", "holds something that no page of the console has"),
        ("before=9999999999999999999", "holds something that no page of the console has"),
    ],
)
def test_a_filter_that_cannot_be_used_says_why(world: Told, query: str, sentence: str) -> None:
    page = world.desk.as_("viewer").get(f"/deliveries?{query}")

    assert (page.status, sentence in words(page.text)) == (400, True)


def test_an_id_leads_to_the_list_or_the_delivery_that_it_names(world: Told) -> None:
    viewer = world.desk.as_("viewer")

    found = {
        name: viewer.get(f"/deliveries?about={name}&state=dead").headers.get("location")
        for name in (str(world.user_id), str(world.team_id), world.edit.message_id, "msg_none")
    }

    assert found == {
        str(world.user_id): f"/deliveries?state=dead&user={world.user_id}",
        str(world.team_id): f"/deliveries?state=dead&team={world.team_id}",
        world.edit.message_id: f"/deliveries/{world.seq(world.edit)}",
        "msg_none": None,
    }


def test_pages_by_key_show_each_delivery_once(world: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_deliveries, "PAGE_SIZE", 4)
    viewer, path, seen = world.desk.as_("viewer"), "/deliveries?source=stack", []

    while path:
        page = viewer.get(path)
        seen.append(listed(page.text))
        path = next((each for each in links(page.text) if "before=" in each), "")

    assert [each for numbers in seen for each in numbers] == stored(world.url, "source = 'stack'")
    assert {len(numbers) for numbers in seen[:-1]} == {4}
    assert "Nothing older matches." in words(page.text)
    assert "To the newest" in words(page.text)


def test_a_search_that_ends_early_says_how_far_it_looked_back(world: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LOOK_MAX", 3)
    viewer = world.desk.as_("viewer")

    page = viewer.get("/deliveries?outcome=stale")
    further = next(each for each in links(page.text) if "before=" in each)

    assert "Nothing matches" in words(page.text)
    assert "No delivery matches of those received since" in words(page.text)
    assert "outcome=stale&before=" in further
    assert viewer.get(further).status == 200


def test_a_filter_that_nothing_matches_offers_to_clear_it(world: Told) -> None:
    page = world.desk.as_("viewer").get("/deliveries?error=none")

    assert "No stored delivery matches." in words(page.text)
    assert "/deliveries" in links(page.text)
