"""Recovery at the console: what is being made anew, runs over Stack's API, and earlier actions."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from tests.support.console import Desk, running
from tests.support.console_pages import links, words
from tests.support.databases import change

RUN = UUID("0b7d5e9a-9d3b-4a57-8c21-6f1c2f0e4f10")
RUNS = """
INSERT INTO consumer.runs (
    id, kind, project_id, stage, users, stored, unusable, calls, begun_at, finished_at, abandoned_at
)
VALUES (
    '{id}', '{kind}', 'p', 'users', 1200, 30, {unusable}, 12, now() - interval '2 min', {finished}, {abandoned}
)
"""
ACTION = """
INSERT INTO consumer.actions (id, at, actor, via, role, action, filter, seen_count, affected, reason)
VALUES (
    '{id}', now() - interval '100 s', 'kim', 'console', 'operator', '{action}',
    '{{"error_code": "23505"}}', 7, {n}, 'why'
)
"""


@pytest.fixture
def desk(emptied: str) -> Iterator[Desk]:
    with running(emptied) as desk:
        yield desk


def seen(desk: Desk, path: str = "/recovery") -> str:
    return words(desk.as_("viewer").get(path).text)


def run(url: str, kind: str, *, unusable: int = 0, finished: str = "NULL", abandoned: str = "NULL") -> UUID:
    run_id = uuid4()
    change(url, RUNS.format(id=run_id, kind=kind, unusable=unusable, finished=finished, abandoned=abandoned))
    return run_id


def waiting(url: str, stage: int, n: int) -> None:
    change(
        url, f"INSERT INTO consumer.rebuild (stage, id) SELECT {stage}, gen_random_uuid() FROM generate_series(1, {n})"
    )


def test_nothing_to_recover_is_said_plainly(desk: Desk) -> None:
    page = seen(desk)

    assert "No user and no company waits to be made anew." in page
    assert "No run was ever begun." in page
    assert "No action besides the orders has set anything right yet." in page


def test_a_queue_shows_what_waits_in_each_stage_and_what_failed(desk: Desk, emptied: str) -> None:
    waiting(emptied, 1, 2)
    waiting(emptied, 2, 1500)
    change(
        emptied,
        "UPDATE consumer.rebuild SET due_at = now() + interval '1 h', error = 'UniqueViolation app' WHERE stage = 1",
    )

    page = seen(desk)

    assert "1,502 wait" in page
    assert "companies 2 2 UniqueViolation app users 1,500 0 –" in page


def test_a_rebuild_shows_how_far_it_is_and_when_it_ends(desk: Desk, emptied: str) -> None:
    waiting(emptied, 2, 100)
    change(emptied, ACTION.format(id=uuid4(), action="rebuild", n=500))

    page = desk.as_("viewer").get("/recovery").text

    assert "100 wait, 400 are done about 25 s more, at 4.0 a second" in words(page)
    assert "80 percent done" in page


def test_a_company_in_two_stages_counts_once_for_how_far_a_rebuild_is(desk: Desk, emptied: str) -> None:
    waiting(emptied, 1, 30)
    waiting(emptied, 2, 50)
    waiting(emptied, 3, 40)
    change(emptied, ACTION.format(id=uuid4(), action="rebuild", n=100))

    assert "120 wait, 20 are done" in seen(desk)


def test_a_queue_that_another_action_has_filled_tells_no_rate(desk: Desk, emptied: str) -> None:
    waiting(emptied, 2, 100)
    change(emptied, ACTION.format(id=uuid4(), action="rebuild", n=50))

    page = seen(desk)

    assert "100 wait" in page
    assert "a second" not in page


def test_each_stage_of_a_long_queue_is_counted_up_to_a_most_of_its_own(
    desk: Desk, emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.console.recovery.LOOK_MAX", {1: 4, 2: 5, 3: 4})
    for stage, n in ((1, 4), (2, 9), (3, 2)):
        waiting(emptied, stage, n)

    page = seen(desk)

    assert "11+ wait" in page
    assert "companies 4+ 0 – users 5+ 0 – companies that users name 2 0 –" in page


@pytest.mark.parametrize(("n", "is_known"), [(4, True), (5, False)])
def test_a_queue_that_is_longer_than_is_counted_tells_neither_what_is_done_nor_a_rate(
    desk: Desk, emptied: str, monkeypatch: pytest.MonkeyPatch, n: int, is_known: bool
) -> None:
    """All that was ordered still waits: what is not counted is not done."""
    monkeypatch.setattr("consumer.console.recovery.LOOK_MAX", {1: 5, 2: 5, 3: 5})
    waiting(emptied, 2, n)
    change(emptied, ACTION.format(id=uuid4(), action="rebuild", n=50))

    page = desk.as_("viewer").get("/recovery").text

    assert ("are done" in page, "a second" in page, "percent done" in page) == (is_known,) * 3


def test_companies_whose_users_wait_for_a_home_show_how_far_they_are(desk: Desk, emptied: str) -> None:
    company_id = uuid4()
    change(emptied, f"INSERT INTO identity.companies (id, name, version) VALUES ('{company_id}', 'Northwind', '1')")
    change(
        emptied,
        "INSERT INTO consumer.rehome (company_id, next_user_id, seq) "
        f"VALUES ('{company_id}', '80000000-0000-0000-0000-000000000000', 1)",
    )

    page = desk.as_("viewer").get("/recovery")

    assert "N••• 50 % 0" in words(page.text)
    assert f"/companies/{company_id}" in links(page.text)


def test_runs_show_how_they_ended(desk: Desk, emptied: str) -> None:
    run(emptied, "backfill", unusable=3, finished="now()")
    run(emptied, "backfill", abandoned="now()")
    going = run(emptied, "reconcile")

    page = desk.as_("viewer").get("/recovery")

    for state in ("done, 3 unusable", "given up", "lists users"):
        assert state in words(page.text)
    assert f"/recovery/{going}" in links(page.text)


def test_a_run_shows_its_counts_and_what_differed(desk: Desk, emptied: str) -> None:
    run_id = run(emptied, "reconcile", finished="now()")
    change(emptied, f"INSERT INTO consumer.run_repairs VALUES ('{run_id}', 'missing_user', 4)")

    page = seen(desk, f"/recovery/{run_id}")

    assert "Reconcile repaired 4 Begun" in page
    assert "Users listed 1,200 10.0 a second" in page
    assert "missing user 4 0" in page


def test_a_run_that_is_not_known_is_not_found(desk: Desk) -> None:
    assert desk.as_("viewer").get(f"/recovery/{RUN}").status == 404


def test_earlier_actions_are_those_that_set_something_right(desk: Desk, emptied: str) -> None:
    retry = uuid4()
    change(emptied, ACTION.format(id=retry, action="retry", n=7))
    for action in ("reveal", "export", "sign_in", "refused"):
        change(emptied, ACTION.format(id=uuid4(), action=action, n=1))

    page = desk.as_("viewer").get("/recovery")

    assert "Retry kim error 23505 7 7 put back why" in words(page.text)
    assert [each for each in links(page.text) if each.startswith("/actions/")] == [f"/actions/{retry}"]


def test_an_order_stands_among_the_orders_alone(desk: Desk, emptied: str) -> None:
    retry = uuid4()
    change(emptied, ACTION.format(id=retry, action="retry", n=7))
    change(emptied, f"INSERT INTO consumer.background (id, finished_at) VALUES ('{retry}', now())")

    page = desk.as_("viewer").get("/recovery").text

    assert page.count(f'href="/actions/{retry}"') == 1
    assert "No action besides the orders has set anything right yet." in words(page)


def test_an_operator_is_led_to_the_actions(desk: Desk) -> None:
    found = [set(links(desk.as_(who).get("/recovery").text)) for who in ("operator", "viewer")]
    actions = {"/deliveries/replay", "/recovery/check", "/recovery/rebuild"}

    assert actions <= found[0]
    assert not actions & found[1]
