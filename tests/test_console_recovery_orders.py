"""The orders on the console's page of recovery: what was ordered, how far it is, and what it came to."""

import re
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.confirming import confirm, finished
from tests.support.console import Desk, running
from tests.support.console_pages import links, words
from tests.support.databases import change
from tests.support.dead import three_dead

__all__ = ["three_dead"]

ORDER = """
WITH ordered AS (
    INSERT INTO consumer.actions (id, at, actor, via, role, action, filter, seen_count, affected, reason)
    VALUES (%(id)s, now(), 'kim', 'console', 'operator', %(action)s, %(filter)s, %(seen)s, %(affected)s, %(reason)s)
)
INSERT INTO consumer.background (id, begun_at, finished_at, result, error)
VALUES (
    %(id)s, now() - make_interval(mins => %(begun)s), now() - make_interval(mins => %(finished)s), %(result)s, %(error)s
)
"""
VALUES = {
    "action": "retry",
    "filter": '{"error_code": "23505"}',
    "seen": 7,
    "affected": 0,
    "reason": None,
    "begun": 1,
    "finished": None,
    "result": "{}",
    "error": None,
}
OLDER = re.compile(r'href="(/recovery\?before=[^"#]+)#orders"')


@pytest.fixture
def desk(emptied: str) -> Iterator[Desk]:
    """A console in which nobody goes on with what is ordered: it knows none of these actions."""
    with running(emptied) as desk:
        yield desk.as_("viewer")


def ordered(url: str, **values: object) -> UUID:
    """Store an order; *begun* and *finished* are minutes ago."""
    order_id = uuid4()
    with psycopg.connect(url) as conn:
        conn.execute(ORDER, {**VALUES, "action": "unknown", **values, "id": order_id})
    return order_id


def shown(text: str) -> list[str]:
    """Return the ids of the orders on a page."""
    section = text[text.index('id="orders"') :]
    return re.findall(r'<td class="a"><a href="/actions/([^"]+)">', section[: section.index("</section>")])


def read(text: str) -> str:
    """Return what a person reads of the orders."""
    begin = text.index('<section class="panel" id="orders"')
    return words(f"<main>{text[begin : text.index('</section>', begin)]}</main>").strip()


def test_where_nobody_has_ordered_anything_the_page_says_so(desk: Desk) -> None:
    assert "Nobody has ordered anything yet." in words(desk.get("/recovery").text)


def test_what_is_not_finished_comes_first_then_what_finished_last(desk: Desk, emptied: str) -> None:
    early = ordered(emptied, begun=30, finished=20)
    late = ordered(emptied, begun=40, finished=10)
    old, new = ordered(emptied, begun=50), ordered(emptied, begun=5)

    assert shown(desk.get("/recovery").text) == [str(each) for each in (new, old, late, early)]


def test_an_order_says_what_was_chosen_by_which_person_why_and_what_came_of_it(desk: Desk, three_dead: str) -> None:
    operator = desk.as_("operator", "lee")
    answer = confirm(operator, "/dead/discard?error=23514", reason="ticket 7")
    finished(three_dead, answer)

    page = desk.get("/recovery")

    order = read(page.text)
    assert "Discard lee" in order
    assert "error 23514" in order
    assert "2 of 2 done discarded 2" in order
    assert order.endswith("ticket 7")
    assert answer.headers["location"] in links(page.text)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"affected": 200, "result": '{"put_back": 150, "to_rebuild": 50}', "seen": 500}, "200 of 500 going on"),
        ({"affected": 5, "result": '{"put_back": 5, "still_unusable": 2}', "finished": 1}, "7 of 7 done"),
        ({"result": '{"users": 30, "companies": 10, "differing": {}}', "seen": 100}, "40 of 100 going on"),
        ({"affected": 7, "result": '{"discarded": 7, "users_to_refresh": 4}', "finished": 1}, "7 of 7 done"),
        (
            {"affected": 9, "result": '{"queued": 9}', "finished": 1},
            "9 done 9 queued; workers make them anew.",
        ),
        ({"affected": 9, "result": '{"queued": 9}', "seen": 100_001}, "9 going on"),
        ({"affected": 1, "result": '{"is_found": true}', "seen": 1, "finished": 1}, "1 of 1 done is found yes"),
        ({"affected": 0, "seen": None}, "0 going on"),
    ],
    ids=["put back", "unusable", "check", "discard", "more than seen", "or more", "refresh", "nobody counted"],
)
def test_an_order_tells_how_far_it_is_of_what_was_counted(
    desk: Desk, emptied: str, values: dict[str, object], expected: str
) -> None:
    ordered(emptied, **values)

    assert expected in read(desk.get("/recovery").text)


@pytest.mark.parametrize(("minutes", "state"), [(1, "ended early"), (None, "going on")])
def test_an_order_says_what_stopped_it(desk: Desk, emptied: str, minutes: int | None, state: str) -> None:
    ordered(emptied, finished=minutes, error="Stack's API refuses the key.", result='{"queued": 2}')

    assert f"2 of 7 {state} Stack&#39;s API refuses the key." in read(desk.get("/recovery").text)


def test_older_orders_follow_page_by_page_and_none_is_missing(desk: Desk, emptied: str) -> None:
    newest_first = [str(ordered(emptied, begun=100, finished=minutes)) for minutes in range(41)]
    pages, path = [], "/recovery"

    while path:
        text = desk.get(path).text
        pages.append(shown(text))
        path = next(iter(OLDER.findall(text)), "")

    assert [len(page) for page in pages] == [20, 20, 1]
    assert [each for page in pages for each in page] == newest_first


def test_an_order_that_has_finished_since_leads_on_to_the_orders_before_it(desk: Desk, emptied: str) -> None:
    before = [str(ordered(emptied, begun=100, finished=minutes)) for minutes in (10, 20)]
    last = ordered(emptied)
    change(emptied, f"UPDATE consumer.background SET finished_at = now() WHERE id = '{last}'")

    assert shown(desk.get(f"/recovery?before={last}").text) == before


def test_orders_that_finished_at_once_are_all_shown(desk: Desk, emptied: str) -> None:
    """As where one transaction of the server's time ends several."""
    ids = {str(ordered(emptied, begun=100, finished=10)) for _ in range(22)}
    change(emptied, "UPDATE consumer.background SET begun_at = now(), finished_at = now()")
    first = desk.get("/recovery").text
    second = desk.get(OLDER.findall(first)[0]).text

    assert {*shown(first), *shown(second)} == ids


def test_an_address_that_names_no_order_shows_none(desk: Desk, emptied: str) -> None:
    ordered(emptied)

    assert desk.get("/recovery?before=x").status == 404
    assert "No order is older." in read(desk.get(f"/recovery?before={uuid4()}").text)


@pytest.mark.parametrize("path", ["/recovery", "/actions", "/actions/{id}"])
def test_an_address_in_a_filter_or_a_reason_is_masked(desk: Desk, emptied: str, path: str) -> None:
    chosen = '{"message_ids": ["zoe@example.com", "a\\"zoe@x.org", "\\nzoe@y.org"], "error_code": "23505"}'
    order_id = ordered(emptied, filter=chosen, reason="for zoe@example.com, who wrote")

    text = desk.get(path.format(id=order_id)).text

    assert "zoe" not in text
    assert "for •••••@example.com, who wrote" in text
    assert "error <code>23505</code>" in text
