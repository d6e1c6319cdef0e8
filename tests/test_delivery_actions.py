"""A delivery that failed and was cured: what is said of its attempts, and what people did with it."""

import re

import psycopg
import pytest

from consumer.lookup.one_delivery import ACTIONS_MAX
from consumer.postgres.queries import query
from tests.support.cli import arrive, call, facts, work
from tests.support.confirming import confirm, finished
from tests.support.console import running
from tests.support.console_pages import links, words
from tests.support.databases import change, rows
from tests.support.factories import edited, user_updated
from tests.support.lookups import printed
from tests.support.outbox import set_aside
from tests.support.plans import nodes, rows_read

NOT_KEPT = "failed ones are not kept once it is done: the log has delivery_retried and delivery_buried"


@pytest.fixture
def dead(emptied: str) -> str:
    """Two dead deliveries, of which the first shares its message id with an edit that waits."""
    first, second = user_updated()._replace(message_id="first"), user_updated()._replace(message_id="second")
    arrive(emptied, first, second)
    set_aside(emptied, [first, second])
    assert first.user_id
    arrive(emptied, edited(first.user_id, role_type="owner")._replace(message_id="first"))
    return emptied


def named_by(url: str, name: str) -> list[tuple[str, str, list[str]]]:
    """Return the source and the state of each delivery with this id, and the actions that named it."""
    found = facts(url, "deliveries", "show", name)["deliveries"]
    return [(each["source"], each["state"], [action["action"] for action in each["actions"]]) for each in found]


def test_a_cured_delivery_names_who_retried_it_and_says_that_attempts_are_not_kept(dead: str) -> None:
    failed = printed(call(dead, "deliveries", "show", "second"))
    facts(dead, "dead", "retry", "second")
    work(dead)

    text = printed(call(dead, "deliveries", "show", "second"))
    [found] = facts(dead, "deliveries", "show", "second")["deliveries"]

    assert re.search("^attempts +3$", failed, re.MULTILINE)
    assert re.search(f"^attempts +{NOT_KEPT}$", text, re.MULTILINE)
    assert "What people did with it" in text
    [action] = found["actions"]
    assert (action["action"], action["reason"], found["has_more_actions"]) == ("retry", None, False)
    assert action["actor"] in text


def test_only_actions_that_named_the_delivery_are_shown(dead: str) -> None:
    facts(dead, "dead", "discard", "first", "--reason", "a test")
    facts(dead, "dead", "retry", "--all")

    assert named_by(dead, "second") == [("stack", "pending", [])]
    assert named_by(dead, "first") == [("stack", "done", ["discard"]), ("app", "pending", ["discard"])]


def test_an_action_of_one_source_is_not_shown_of_another(dead: str) -> None:
    change(
        dead,
        "INSERT INTO consumer.actions (id, actor, via, role, action, filter) SELECT gen_random_uuid(), 'kim', 'cli', "
        "'operator', named.action, named.filter::jsonb FROM (VALUES "
        """('replay', '{"message_ids": ["first"], "source": "app"}'), ('reveal', '{"message_ids": ["first"]}')"""
        ") AS named (action, filter)",
    )

    assert named_by(dead, "first") == [("stack", "dead", []), ("app", "pending", ["replay"])]


def test_the_console_shows_what_people_did_with_a_delivery(dead: str) -> None:
    [row] = rows(dead, "SELECT seq FROM consumer.outbox WHERE message_id = 'second'")
    with running(dead) as console:
        desk = console.as_("operator")
        finished(dead, confirm(desk, f"/dead/retry?seq={row['seq']}", reason="mended by ada@example.com"))
        work(dead)
        page = desk.get(f"/deliveries/{row['seq']}")

    [action] = rows(dead, "SELECT id FROM consumer.actions WHERE action = 'retry'")
    assert f"/actions/{action['id']}" in links(page.text)
    assert f"Attempts {NOT_KEPT}" in words(page.text)
    assert ("•••••@example.com" in page.text, "ada@example.com" in page.text) == (True, False)


def test_of_many_actions_the_newest_are_shown_and_the_newest_thousand_read(dead: str) -> None:
    change(
        dead,
        "INSERT INTO consumer.actions (id, at, actor, via, role, action, filter) SELECT gen_random_uuid(), "
        "now() - n * interval '1 s', n::text, 'cli', 'operator', 'retry', '{\"message_ids\": [\"second\"]}' "
        "FROM generate_series(1, 3000) AS n",
    )
    values = {"seq": 1, "message_id": "second", "source": "stack", "size": 1_001}

    [found] = facts(dead, "deliveries", "show", "second")["deliveries"]
    with psycopg.connect(dead) as conn:
        conn.execute("ANALYZE consumer.actions")
        [(plan,)] = conn.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query("one_delivery/actions"), values).fetchall()

    assert [each["actor"] for each in found["actions"]] == [str(n) for n in range(1, ACTIONS_MAX + 1)]
    assert found["has_more_actions"]
    assert max(map(rows_read, nodes(plan[0]["Plan"]))) == 1_000
