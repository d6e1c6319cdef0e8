"""What the page of an action says: what was chosen, in words, and what came of it."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from consumer.console.actions import ActionInBackground
from consumer.console.conditions import VALUES_MAX, conditions
from consumer.console.results import Sentence, sentences
from tests.support.cli import arrive, work
from tests.support.confirming import confirm, finished
from tests.support.console import Desk
from tests.support.console_pages import links, words
from tests.support.databases import change, rows
from tests.support.dead import three_dead
from tests.support.factories import membership, team_event, user_deleted, user_updated
from tests.support.outbox import seqs

pytest_plugins = ["tests.support.console"]

__all__ = ["three_dead"]

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ADA, BOB, TEAM = (UUID(int=n) for n in (1, 2, 77))
DIES_AGAIN = """
WITH taken AS (DELETE FROM consumer.pending RETURNING seq)
INSERT INTO consumer.failures (seq, state, attempts, error_code, error)
SELECT seq, 'dead', 1, '23505', 'a unique index' FROM taken
"""


@pytest.fixture
def team(emptied: str) -> str:
    """Two users and their team."""
    arrive(emptied, team_event("created", TEAM), user_updated(ADA), user_updated(BOB), membership("created", TEAM, BOB))
    work(emptied)
    return emptied


def test_a_retry_says_that_workers_apply_what_it_has_put_back_and_leads_to_what_is_dead(
    desk: Desk, three_dead: str
) -> None:
    answer = confirm(desk, "/dead/retry")
    finished(three_dead, answer)
    page = desk.get(answer.headers["location"])

    said = "2 put back to pending; workers apply them. What is dead now. 1 still unusable, so dead."
    assert said in words(page.text)
    assert "/dead" in links(page.text)
    assert "Changed" not in words(page.text)
    assert said in words(desk.get("/recovery").text)
    assert re.search(r" 2 put back –", words(desk.get("/actions").text))


def test_of_deliveries_chosen_by_number_the_page_says_how_many_are_dead_now(desk: Desk, three_dead: str) -> None:
    number = seqs(three_dead)["first"]
    answer = confirm(desk, f"/dead/retry?seq={number}")
    finished(three_dead, answer)
    before = words(desk.get(answer.headers["location"]).text)
    change(three_dead, DIES_AGAIN)
    after = words(desk.get(answer.headers["location"]).text)

    assert "Of the 1 chosen 0 are dead now." in before
    assert "Of the 1 chosen 1 is dead now." in after


def test_a_rebuild_says_that_workers_make_anew_what_it_has_queued(desk: Desk, team: str) -> None:
    answer = confirm(desk, f"/recovery/rebuild?user={ADA}")
    finished(team, answer)
    page = desk.get(answer.headers["location"])

    assert "1 queued; workers make it anew. What waits." in words(page.text)
    assert "/recovery" in links(page.text)
    assert "Changed" not in words(page.text)


def test_a_check_says_what_a_rebuild_would_change_and_leads_there(desk: Desk, team: str) -> None:
    change(team, f"UPDATE identity.profiles SET full_name = 'wrong' WHERE user_id = '{BOB}'")
    answer = confirm(desk, f"/recovery/check?team={TEAM}")
    finished(team, answer)
    page, viewers = (desk.as_(role).get(answer.headers["location"]).text for role in ("operator", "viewer"))

    said = f"1 user and 1 company compared. A rebuild would change 1 profile. The first is {BOB}."
    assert said in words(page)
    assert {f"/users/{BOB}", f"/recovery/rebuild?team={TEAM}"} <= set(links(page))
    assert said in words(viewers)
    assert f"/recovery/rebuild?team={TEAM}" not in links(viewers)
    assert "Changed" not in words(page)


def test_the_first_that_a_check_names_may_be_a_company(desk: Desk, team: str) -> None:
    change(team, "UPDATE identity.companies SET name = 'wrong'")
    answer = confirm(desk, "/recovery/check")
    finished(team, answer)
    page = desk.get(answer.headers["location"]).text

    assert "2 users and 1 company compared. A rebuild would change 1 company. The first is" in words(page)
    assert f"/companies/{TEAM}" in links(page)
    assert "/recovery/rebuild" in links(page)


def test_a_check_that_finds_nothing_says_so(desk: Desk, team: str) -> None:
    answer = confirm(desk, "/recovery/check")
    finished(team, answer)

    assert "A rebuild would change nothing." in words(desk.get(answer.headers["location"]).text)


def test_a_check_that_goes_on_says_so_far_and_names_what_can_not_be_made_anew() -> None:
    result = {"users": 1200, "companies": 0, "differing": {"profile": 2, "sign_ins": 1, "refused": 3}}

    assert sentences(result, is_finished=False) == [
        Sentence(
            "1,200 users and 0 companies compared so far. A rebuild would change 2 profiles, the sign-ins of 1 user. "
            "3 can't be made anew: their rows are refused."
        )
    ]


def test_what_was_chosen_is_said_in_the_words_of_the_page_that_asked(desk: Desk, three_dead: str) -> None:
    asked = desk.get("/dead/retry?error=23514&source=stack").text
    answer = confirm(desk, "/dead/retry?error=23514&source=stack")
    finished(three_dead, answer)

    assert "error 23514" in words(asked)
    for path in (answer.headers["location"], "/actions", "/recovery"):
        said = words(desk.get(path).text)
        assert re.search(r"source Stack · state dead · error 23514 · until \d\d:\d\d:\d\d ", said), path
        assert "states=" not in said


def test_chosen_numbers_lead_to_their_deliveries_and_many_are_cut_short(desk: Desk, three_dead: str) -> None:
    number = seqs(three_dead)["first"]
    answer = confirm(desk, f"/dead/retry?seq={number}")
    finished(three_dead, answer)
    [many] = conditions({"seqs": list(range(VALUES_MAX + 2))})

    assert f"/deliveries/{number}" in links(desk.get(answer.headers["location"]).text)
    assert (many.label, len(many.values), many.rest) == ("delivery", VALUES_MAX, 2)


def test_of_a_deleted_user_the_page_says_when_instead_of_a_confirmation(desk: Desk, team: str) -> None:
    arrive(team, user_deleted(ADA))
    work(team)
    page = words(desk.get(f"/users/{ADA}").text)

    assert re.search(r"Is it in step with Stack\? in step Stack deleted this user at [^.]*\d\d:\d\d:\d\d\.", page)
    assert "confirmed" not in page


def test_of_a_deleted_user_something_may_wait(desk: Desk, team: str) -> None:
    arrive(team, user_deleted(ADA))
    work(team)
    arrive(team, user_updated(ADA))

    assert "in step with Stack? 1 waiting Stack deleted this user at" in words(desk.get(f"/users/{ADA}").text)


def test_the_record_of_actions_goes_on_where_a_page_ended(desk: Desk, emptied: str) -> None:
    made = "timestamptz '2026-11-30 12:00:00.123456+00' - (n / 50) * interval '1 microsecond'"
    change(
        emptied,
        "INSERT INTO consumer.actions (id, at, actor, via, role, action) "
        f"SELECT gen_random_uuid(), {made}, 'kim', 'cli', 'operator', 'prune' FROM generate_series(1, 101) AS n",
    )
    wanted = rows(emptied, "SELECT id::text FROM consumer.actions ORDER BY at DESC, id DESC")

    found: list[str] = []
    sizes: list[int] = []
    path = "/actions"
    while path:
        page = links(desk.get(path).text)
        listed = list(dict.fromkeys(each for each in page if re.fullmatch(r"/actions/[0-9a-f-]{36}", each)))
        found, sizes = [*found, *listed], [*sizes, len(listed)]
        path = next((each for each in page if each.startswith("/actions?before=")), "")

    assert (found, sizes) == ([f"/actions/{row['id']}" for row in wanted], [50, 50, 1])


@pytest.mark.parametrize("before", ["x", "1", f"_{ADA}", f"x_{ADA}", f"1e99_{ADA}", "1_x", f"inf_{ADA}"])
def test_a_place_that_no_page_of_actions_has_is_not_found(desk: Desk, before: str) -> None:
    assert desk.get(f"/actions?before={before}").status == 404


def action(name: str, result: dict[str, object] | None, **values: object) -> ActionInBackground:
    made = ActionInBackground(ADA, NOW, "kim", "console", "operator", name, {}, 9, 4, None, NOW, NOW, result, None)
    return replace(made, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action", "done"),
    [
        (action("retry", {"put_back": 1, "to_rebuild": 2, "still_unusable": 3}), 6),
        (action("discard", {"discarded": 4, "left_out": 1, "users_to_refresh": 9}), 5),
        (action("rebuild", {"queued": 7}), 7),
        (action("check", {"users": 2, "companies": 1, "differing": {}}), 3),
        (action("refresh", {"is_found": True}), 4),
        (action("export", None), 4),
    ],
    ids=lambda value: value.action if isinstance(value, ActionInBackground) else "",
)
def test_what_an_action_has_been_through_is_counted_changed_or_not(action: ActionInBackground, done: int) -> None:
    assert action.done == done


@pytest.mark.parametrize(
    ("action", "left_out"),
    [
        (action("discard", {"left_out": 2}), 5),
        (action("discard", {"left_out": 7}), 7),
        (action("discard", {}, seen_count=None), 0),
        (action("discard", {"left_out": 2}, finished_at=None), 0),
        (action("discard", {"left_out": 2}, error="x"), 0),
        (action("retry", {"left_out": 2}), 0),
    ],
    ids=["done since", "held", "not counted", "not finished", "failed", "a retry"],
)
def test_a_discard_says_how_many_it_left(action: ActionInBackground, left_out: int) -> None:
    assert action.left_out == left_out


@pytest.mark.parametrize(
    ("seen_count", "total"), [(8, 8), (7, 7), (6, None), (None, None), (50_000, 50_000), (50_001, None)]
)
def test_how_many_there_are_is_said_where_all_were_counted(seen_count: int | None, total: int | None) -> None:
    assert action("rebuild", {"queued": 7}, seen_count=seen_count).total == total


def test_what_no_sentence_tells_of_a_result_stands_by_its_name_unless_it_is_empty() -> None:
    result = {
        "put_back": 1,
        "differing": {},
        "is_found": True,
        "zero": 0,
        "none": None,
        "empty": {},
        "errors": {"a": 1},
    }

    assert action("refresh", result).rest == {"is_found": True, "zero": 0, "errors": {"a": 1}}
    assert action("refresh", None).rest == {}


def test_a_result_that_counts_nothing_leaves_what_was_affected() -> None:
    results: list[dict[str, object] | None] = [None, {}, {"put_back": 0}, {"put_back": 1}]

    assert [action("retry", result).done for result in results] == [4, 4, 4, 1]


@pytest.mark.parametrize(("finished_at", "compared"), [(NOW, "compared."), (None, "compared so far.")])
def test_an_action_that_goes_on_says_so_far(finished_at: datetime | None, compared: str) -> None:
    [said] = action("check", {"differing": {}}, finished_at=finished_at).sentences

    assert said.text == f"0 users and 0 companies {compared} A rebuild would change nothing."
    assert action("check", None).sentences == []
