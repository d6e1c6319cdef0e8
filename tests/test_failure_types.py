"""A failure knows the source and the type of its delivery, by every way that leads to one."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from consumer.outbox import queue
from consumer.outbox.queue import Claimed
from consumer.postgres import migrations
from consumer.postgres.connections import connect, transaction, worker_access
from consumer.postgres.queries import query
from tests.support.cli import arrive, call, facts
from tests.support.databases import change, migrator, rows, scratch_database
from tests.support.dead import dead_at_the_door
from tests.support.factories import edited, user_updated
from tests.support.outbox import arrive as put
from tests.support.outbox import set_aside
from tests.support.plans import nodes

WORKER = worker_access("consumer")


def failures(url: str) -> list[tuple[str | None, str | None]]:
    found = rows(url, "SELECT source, event_type FROM consumer.failures ORDER BY seq")
    return [(row["source"], row["event_type"]) for row in found]


@pytest.mark.parametrize("way", ["retry", "bury", "await_release"])
async def test_a_worker_sets_a_delivery_aside_with_both(emptied: str, way: str) -> None:
    await put(emptied, edited(uuid4(), role_type="owner"))
    async with await connect(emptied, WORKER) as conn, transaction(conn, WORKER):
        claimed: Sequence[Claimed] = await queue.claim(conn, after_seq=0, batch_size=1)
        if way == "retry":
            await queue.retry(conn, claimed[0], timedelta(hours=1), "23514", "CheckViolation")
        elif way == "bury":
            await queue.bury(conn, claimed[0], "23514", "CheckViolation")
        else:
            await queue.await_release(conn, claimed, "newer_release", "wait")

    assert failures(emptied) == [("app", "profile.edited")]


def test_one_that_is_dead_at_the_door_has_both(emptied: str) -> None:
    arrive(emptied, dead_at_the_door("typed"), dead_at_the_door("untyped", event_type=None))

    assert failures(emptied) == [("stack", "user.updated"), ("stack", None)]


def test_one_that_counts_again_and_is_unusable_has_both(emptied: str) -> None:
    arrive(emptied, dead_at_the_door("broken"))
    call(emptied, "dead", "discard", "broken", "--reason", "a test")
    call(emptied, "deliveries", "undiscard", "--message-id", "broken", "--reason", "a test")

    assert failures(emptied) == [("stack", "user.updated")]


def test_one_that_is_read_again_gets_the_type_that_is_read_today(emptied: str) -> None:
    arrive(emptied, dead_at_the_door("broken", event_type=None)._replace(user_id=None))

    call(emptied, "dead", "retry", "--all")

    assert failures(emptied) == [("stack", "user.updated")]


def test_of_a_failure_that_an_older_worker_wrote_the_outbox_is_asked(emptied: str) -> None:
    first = user_updated()
    arrive(emptied, first)
    set_aside(emptied, [first])

    [group] = facts(emptied, "dead", "list")["groups"]

    assert failures(emptied) == [(None, None)]
    assert group["event_type"] == "user.updated"
    assert facts(emptied, "dead", "list", "--type", "user.updated")["groups"] == [group]


def test_the_migration_fills_in_the_failures_that_are_there(server_url: str) -> None:
    with scratch_database(server_url, "filled") as url:
        migrations.apply(url, "consumer")
        arrive(url, dead_at_the_door("typed"), dead_at_the_door("untyped", event_type=None))
        with migrator(url) as backend, migrations._carried("consumer") as carried:
            backend.undo(next(one for one in carried if one.id == "0019.support_indexes"))
        with pytest.raises(psycopg.errors.UndefinedColumn):
            failures(url)

        migrations.apply(url, "consumer")

        assert failures(url) == [("stack", "user.updated"), ("stack", None)]


def test_errors_are_grouped_without_a_look_into_the_log(emptied: str) -> None:
    change(
        emptied,
        """
        INSERT INTO consumer.outbox (source, message_id, event_type, occurred_at, body)
        SELECT 'app', 'm' || n, 'user.updated', now(), 'x' FROM generate_series(1, 2000) AS n
        """,
    )
    change(
        emptied,
        """
        INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type)
        SELECT seq, 'dead', 0, 'bad_shape', 'x', source, event_type FROM consumer.outbox
        """,
    )
    with psycopg.connect(emptied) as conn:
        [(plan,)] = conn.execute(
            b"EXPLAIN (ANALYZE, FORMAT JSON) " + query("deliveries/errors"),
            {"states": ["dead"], "error_code": None, "event_type": None, "size": 100},
        ).fetchall()

    read = [(node["Relation Name"], node["Actual Loops"]) for node in nodes(plan[0]["Plan"]) if "Relation Name" in node]
    assert max(loops for name, loops in read if name == "outbox") == 1
