"""Actions on deliveries at the console: a page asks, a form orders, and what the page showed is done.

All of it without JavaScript.
"""

from typing import Any

import pytest

from consumer.console import bulk
from consumer.console import confirm as confirm_page
from consumer.console.confirm import NUMBER_MIN
from consumer.console.sign_in import REFUSAL_SECONDS
from tests.support.cli import arrive, work
from tests.support.confirming import confirm, finished, order
from tests.support.console import Desk, Page
from tests.support.databases import change, rows
from tests.support.dead import dead_at_the_door, three_dead
from tests.support.factories import user_updated
from tests.support.outbox import seqs, set_aside

pytest_plugins = ["tests.support.console"]

__all__ = ["three_dead"]

RETRY = "/dead/retry"
ASKING = [each.page.path for each in bulk.BULKS if each.page.asks_reason]


def states(url: str) -> dict[str, str]:
    found = rows(url, "SELECT message_id, coalesce(outcome, state) AS state FROM consumer.deliveries")
    return {row["message_id"]: row["state"] for row in found}


def actions(url: str) -> list[dict[str, Any]]:
    return rows(url, "SELECT * FROM consumer.actions")


def many_dead(url: str, number: int) -> None:
    arrive(url, *(dead_at_the_door(f"dead-{n}") for n in range(number)))


def refused(page: Page, status: int, sentence: str) -> None:
    assert (page.status, sentence in page.text) == (status, True), page.text


def test_a_retry_of_all_dead_puts_the_usable_ones_back(desk: Desk, three_dead: str) -> None:
    done = finished(three_dead, confirm(desk, RETRY))

    assert states(three_dead) == {"first": "pending", "second": "pending", "broken": "dead"}
    assert done["result"] == {"put_back": 2, "still_unusable": 1}
    assert (done["actor"], done["via"], done["role"], done["action"]) == ("kim", "console", "operator", "retry")
    assert (done["seen_count"], done["affected"], done["reason"]) == (3, 2, None)


def test_the_page_counts_before_anything_is_done(desk: Desk, three_dead: str) -> None:
    page = desk.get(RETRY)

    assert "Retry 3 dead deliveries?" in page.text
    assert page.text.count("<td>user.updated</td>") == 1
    assert actions(three_dead) == []


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        ("?seq={first}", {"second", "broken"}),
        ("?seq={first}&seq={second}", {"broken"}),
        ("?error=23514", {"broken"}),
        ("?error=23514&type=user.updated", {"broken"}),
        ("?type=user.*", {"broken"}),
        ("?type=team.*", {"first", "second", "broken"}),
        ("?source=app", {"first", "second", "broken"}),
        ("?until=1h", {"first", "second", "broken"}),
    ],
)
def test_only_what_the_address_chooses_is_retried(desk: Desk, three_dead: str, chosen: str, kept: set[str]) -> None:
    path = RETRY + chosen.format(**seqs(three_dead))
    if len(kept) == 3:
        assert "Nothing matches" in desk.get(path).text
    else:
        finished(three_dead, confirm(desk, path))

    assert {message_id for message_id, state in states(three_dead).items() if state == "dead"} == kept


def test_of_a_page_of_dead_letters_the_selected_ones_are_retried(desk: Desk, three_dead: str) -> None:
    page = desk.get("/dead?by=each")
    finished(three_dead, confirm(desk, f"{RETRY}?selected=1&seq={seqs(three_dead)['first']}"))

    assert page.text.count('form="selected" name="seq"') == 3
    assert desk.as_("viewer").get("/dead?by=each").text.count('form="selected"') == 0
    assert states(three_dead) == {"first": "pending", "second": "dead", "broken": "dead"}


def test_a_discard_of_dead_ones_keeps_the_person_and_the_reason(desk: Desk, three_dead: str) -> None:
    done = finished(three_dead, confirm(desk, "/dead/discard?error=bad_shape", reason="sent by a test"))

    assert states(three_dead)["broken"] == "discarded"
    [kept] = rows(three_dead, "SELECT excluded_by, reason FROM consumer.exclusions")
    assert (kept["excluded_by"], kept["reason"].startswith("sent by a test (was dead: bad_shape")) == ("kim", True)
    assert (done["action"], done["affected"], done["reason"]) == ("discard", 1, "sent by a test")


def test_applied_ones_are_discarded_and_count_again(desk: Desk, emptied: str) -> None:
    arrive(emptied, user_updated()._replace(message_id="one"))
    work(emptied)

    finished(emptied, confirm(desk, f"/deliveries/discard?seq={seqs(emptied)['one']}", reason="a mistake"))
    work(emptied)
    discarded = states(emptied)
    done = finished(emptied, confirm(desk, f"/deliveries/undiscard?seq={seqs(emptied)['one']}", reason="none at all"))
    work(emptied)

    assert (discarded, states(emptied)) == ({"one": "discarded"}, {"one": "applied"})
    assert (done["action"], done["affected"], done["result"]) == ("undiscard", 1, {"put_back": 1})
    [past] = rows(emptied, "SELECT taken_back_by, taken_back_reason FROM consumer.past_exclusions")
    assert past == {"taken_back_by": "kim", "taken_back_reason": "none at all"}


def test_a_replay_queues_the_users_of_applied_ones(desk: Desk, emptied: str) -> None:
    arrive(emptied, user_updated()._replace(message_id="one"))
    work(emptied)
    change(emptied, "UPDATE identity.profiles SET full_name = 'wrong'")

    done = finished(emptied, confirm(desk, "/deliveries/replay?since=1h"))
    work(emptied)

    assert (done["action"], done["affected"], done["result"]) == ("replay", 1, {"to_rebuild": 1})
    assert rows(emptied, "SELECT FROM identity.profiles WHERE full_name = 'wrong'") == []


def test_a_page_counts_so_far_and_takes_all(desk: Desk, emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert confirm_page.COUNT_MAX == 50_001
    for module in (bulk, confirm_page):
        monkeypatch.setattr(module, "COUNT_MAX", 2)
    arrive(emptied, *(user_updated() for _ in range(3)))
    work(emptied)

    assert "Replay 2 or more deliveries?" in desk.get("/deliveries/replay").text
    assert finished(emptied, confirm(desk, "/deliveries/replay"))["affected"] == 3


def test_a_discarded_one_is_never_replayed(desk: Desk, emptied: str) -> None:
    arrive(emptied, user_updated()._replace(message_id="one"))
    finished(emptied, confirm(desk, "/deliveries/discard", reason="a mistake"))

    assert "Nothing matches" in desk.get("/deliveries/replay").text


def test_what_dies_after_the_page_was_made_stays_dead(desk: Desk, three_dead: str) -> None:
    address, fields = order(desk.get(RETRY))
    later = user_updated()._replace(message_id="later")
    arrive(three_dead, later)
    set_aside(three_dead, [later])

    finished(three_dead, desk.post(address, fields))

    assert states(three_dead) == {"first": "pending", "second": "pending", "broken": "dead", "later": "dead"}


def test_what_arrives_after_the_page_was_made_is_not_discarded(desk: Desk, three_dead: str) -> None:
    address, fields = order(desk.get("/deliveries/discard"))
    arrive(three_dead, user_updated()._replace(message_id="later"))

    finished(three_dead, desk.post(address, {**fields, "reason": "all wrong"}))

    assert states(three_dead) == {
        "first": "discarded",
        "second": "discarded",
        "broken": "discarded",
        "later": "pending",
    }


def test_a_form_can_not_choose_what_comes_later(desk: Desk, three_dead: str) -> None:
    address, fields = order(desk.get(RETRY))

    done = finished(three_dead, desk.post(address, {**fields, "seen_at": "2999-01-01T00:00:00+00:00"}))

    assert done["filter"]["settled_until"] < "2999"


def test_a_count_that_has_grown_is_shown_anew(desk: Desk, three_dead: str) -> None:
    """A delivery that died before the page was made, and whose transaction was committed after it."""
    address, fields = order(desk.get(RETRY))
    late = user_updated()._replace(message_id="late")
    arrive(three_dead, late)
    set_aside(three_dead, [late])
    change(three_dead, "UPDATE consumer.failures SET failed_at = now() - interval '1 hour'")
    change(three_dead, "UPDATE consumer.outbox SET received_at = now() - interval '1 hour'")

    page = desk.post(address, fields)

    refused(page, 409, "4 match now; there were 3 when the page was made.")
    assert actions(three_dead) == []
    assert order(page)[1]["seen_count"] == ["4"]
    finished(three_dead, desk.post(address, order(page)[1]))


def test_above_a_hundred_the_number_is_typed(desk: Desk, emptied: str) -> None:
    many_dead(emptied, NUMBER_MIN)
    assert NUMBER_MIN == 100
    assert 'name="number"' not in desk.get(RETRY).text
    many_dead(emptied, NUMBER_MIN + 1)

    for typed in ("", "100", "1011", "-101", "1e2"):
        refused(confirm(desk, RETRY, number=typed), 422, "the number to type is 101")
    assert actions(emptied) == []
    finished(emptied, confirm(desk, RETRY, number="101"))


def test_the_number_may_be_typed_as_it_is_shown(desk: Desk, emptied: str) -> None:
    many_dead(emptied, 1001)

    finished(emptied, confirm(desk, RETRY, number="1,001"))


@pytest.mark.parametrize("path", ASKING)
@pytest.mark.parametrize("reason", ["", "   ", "x" * 1001], ids=["none", "blank", "long"])
def test_without_a_reason_nothing_is_discarded_or_taken_back(
    desk: Desk, three_dead: str, path: str, reason: str
) -> None:
    if path.endswith("undiscard"):
        finished(three_dead, confirm(desk, "/dead/discard", reason="a test"))
    before = states(three_dead)

    refused(confirm(desk, path, reason=reason), 422, "a reason has from 1 to 1,000 characters")

    assert states(three_dead) == before


def test_a_form_sent_twice_is_done_once(desk: Desk, three_dead: str) -> None:
    """Also when nothing matches any more, because it was done."""
    address, fields = order(desk.get(f"{RETRY}?seq={seqs(three_dead)['first']}"))

    first, second = desk.post(address, fields), desk.post(address, fields)
    finished(three_dead, first)
    third = desk.post(address, fields)

    assert {answer.headers["location"] for answer in (first, second, third)} == {first.headers["location"]}
    assert [row["affected"] for row in actions(three_dead)] == [1]


def test_a_form_with_the_id_of_another_action_orders_nothing(desk: Desk, three_dead: str) -> None:
    """What it did would stand in the name of somebody else."""
    desk.as_("viewer", "lee").post(RETRY)
    [others] = actions(three_dead)
    address, fields = order(desk.get(RETRY))

    answer = desk.post(address, {**fields, "id": str(others["id"])})

    assert (answer.status, rows(three_dead, "SELECT FROM consumer.background")) == (303, [])
    assert actions(three_dead) == [others]


def test_what_is_no_longer_there_is_said(desk: Desk, three_dead: str) -> None:
    address, fields = order(desk.get(RETRY))
    finished(three_dead, confirm(desk, "/dead/discard", reason="all wrong"))

    refused(desk.post(address, fields), 409, "Nothing matches any more")


@pytest.mark.parametrize("each", bulk.BULKS, ids=lambda each: each.page.path)
def test_a_condition_that_no_action_knows_is_refused(desk: Desk, three_dead: str, each: bulk.Bulk) -> None:
    """To leave it out would act on more than the list showed."""
    assert desk.get(f"{each.page.path}?email=a@example.com").status == 400
    assert desk.get(f"{each.page.path}?user=all").status == 400


@pytest.mark.parametrize("each", bulk.BULKS, ids=lambda each: each.page.path)
def test_a_viewer_s_form_and_one_of_another_site_do_nothing(desk: Desk, three_dead: str, each: bulk.Bulk) -> None:
    before = states(three_dead)
    fields = {"id": "6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10", "seen_at": "2999-01-01T00:00:00Z", "seen_count": "3"}

    viewer, again = (desk.as_("viewer", "lee").post(each.page.path, {**fields, "reason": "mine"}) for _ in range(2))
    foreign = desk.post(each.page.path, {**fields, "reason": "theirs"}, sec_fetch_site="cross-site")

    assert (viewer.status, again.status, foreign.status, states(three_dead)) == (403, 403, 403, before)
    assert REFUSAL_SECONDS == 60
    [recorded] = actions(three_dead)
    assert (recorded["actor"], recorded["role"], recorded["action"]) == ("lee", "viewer", "refused")
    assert recorded["filter"] == {"address": each.page.path}


@pytest.mark.parametrize(
    "wrong", [{"id": "1"}, {"seen_at": "now"}, {"seen_at": "2026-01-01T00:00:00"}, {"seen_count": "many"}], ids=str
)
def test_a_form_that_no_page_made_is_not_understood(desk: Desk, three_dead: str, wrong: dict[str, str]) -> None:
    address, fields = order(desk.get(RETRY))

    assert desk.post(address, {**fields, **wrong}).status == 400
    assert actions(three_dead) == []
