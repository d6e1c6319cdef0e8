"""Following deliveries: each change once, in whatever order transactions commit."""

import signal
import subprocess
import sys
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest

from consumer.lookup.following import OVERLAP, Follower
from consumer.lookup.listing import ListFilter
from consumer.outbox import storage
from consumer.postgres import session
from consumer.postgres.connections import Connection, connect, operator_access, receiver_access, transaction
from tests.support import cli
from tests.support.factories import user_updated
from tests.support.lookups import canary, shown_canaries
from tests.support.outbox import arrive, set_aside, work
from tests.support.processes import PATIENCE_SECONDS, environment

ACCESS = operator_access("consumer")


async def changes(conn: Connection, follower: Follower) -> list[tuple[str, str]]:
    async with transaction(conn, ACCESS):
        found = await follower.changes(conn)
    return [(each.message_id, each.outcome or each.state) for each in found]


async def following(conn: Connection, wanted: ListFilter | None = None) -> Follower:
    async with transaction(conn, ACCESS):
        return Follower(wanted or ListFilter(), await session.now(conn))


async def test_a_lower_number_that_commits_after_a_higher_one_is_seen(emptied: str) -> None:
    slow, quick = user_updated()._replace(message_id="slow"), user_updated()._replace(message_id="quick")
    access = receiver_access("consumer")
    async with await connect(emptied, ACCESS) as conn, await connect(emptied, access) as other:
        follower = await following(conn)
        async with transaction(other, access):
            await storage.put(other, [slow])
            await arrive(emptied, quick)
            first = await changes(conn, follower)
            second = await changes(conn, follower)
        third = await changes(conn, follower)

    assert (first, second, third) == ([("quick", "pending")], [], [("slow", "pending")])


async def test_each_change_of_a_delivery_is_told_once(emptied: str) -> None:
    failing, fine = user_updated()._replace(message_id="failing"), user_updated()._replace(message_id="fine")
    async with await connect(emptied, ACCESS) as conn:
        follower = await following(conn)
        await arrive(emptied, failing, fine)
        stored = await changes(conn, follower)
        set_aside(emptied, [failing], state="retrying")
        await work(emptied)
        done = await changes(conn, follower)
        again = await changes(conn, follower)

    assert sorted(stored) == [("failing", "pending"), ("fine", "pending")]
    assert sorted(done) == [("failing", "retrying"), ("fine", "applied")]
    assert again == []


async def test_what_it_changed_is_told_by_field(emptied: str) -> None:
    user_id = uuid4()
    await arrive(emptied, user_updated(user_id))
    await work(emptied)
    async with await connect(emptied, ACCESS) as conn:
        follower = await following(conn)
        await arrive(emptied, user_updated(user_id, display_name="Grace", primary_email="grace@example.com"))
        await work(emptied)
        async with transaction(conn, ACCESS):
            [found] = await follower.changes(conn)

    assert found.changed_fields == ["email", "full_name"]


async def test_only_what_matches_is_told(emptied: str) -> None:
    user_id = uuid4()
    async with await connect(emptied, ACCESS) as conn:
        follower = await following(conn, ListFilter(user_ids=[user_id], event_type="user.*", states=["pending"]))
        await arrive(emptied, user_updated(), user_updated(user_id)._replace(message_id="own"))

        assert await changes(conn, follower) == [("own", "pending")]
        await work(emptied)
        assert await changes(conn, follower) == []


def test_it_looks_back_further_than_a_transaction_lasts() -> None:
    assert timedelta(seconds=15) == OVERLAP > 4 * receiver_access("consumer").statement_timeout


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["text", "json"])
def test_the_command_prints_a_line_for_each_change_until_it_is_stopped(emptied: str, arguments: list[str]) -> None:
    cli.arrive(emptied, canary()._replace(message_id="before"))
    cli.work(emptied)
    command = [sys.executable, "-m", "consumer", "deliveries", "--follow", "--since", "1h", *arguments]
    settings = environment({"DATABASE_URL": emptied, "STACK_WEBHOOK_SECRETS": cli.SECRET})
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()
        cli.arrive(emptied, canary()._replace(message_id="after"))
        second = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0
    assert "until Ctrl-C" in told
    assert shown_canaries(first + second + rest) == []
    if arguments:
        assert [orjson.loads(line)["message_id"] for line in (first, second)] == ["before", "after"]
    else:
        assert all(len(line) <= 81 for line in (first, second))
        assert "applied" in first
        assert "avatar_" in first
        assert "pending" in second


@pytest.mark.parametrize("arguments", [["--before", "5"], ["--until", "1h"]])
def test_following_excludes_what_ends_a_list(emptied: str, arguments: list[str]) -> None:
    assert cli.call(emptied, "deliveries", "--follow", *arguments).exit_code == 2
