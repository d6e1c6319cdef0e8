"""Following deliveries: each change once, in whatever order transactions commit."""

import signal
import subprocess
import sys
from datetime import timedelta
from uuid import UUID, uuid4

import orjson
import pytest

from consumer.lookup import following
from consumer.lookup.following import CHANGES_MAX, OVERLAP, Follower
from consumer.lookup.listing import ListFilter
from consumer.outbox import storage
from consumer.postgres import session
from consumer.postgres.connections import Connection, connect, operator_access, receiver_access, transaction
from tests.support import cli
from tests.support.databases import change
from tests.support.factories import user_updated
from tests.support.lookups import canary, shown_canaries
from tests.support.outbox import arrive, set_aside, work
from tests.support.processes import PATIENCE_SECONDS, environment

ACCESS = operator_access("consumer")


async def changes(conn: Connection, follower: Follower) -> list[tuple[str, str]]:
    async with transaction(conn, ACCESS):
        found = await follower.changes(conn)
    return [(each.message_id, each.outcome or each.state) for each in found]


async def from_now(conn: Connection, wanted: ListFilter | None = None) -> Follower:
    async with transaction(conn, ACCESS):
        return Follower(wanted or ListFilter(), await session.now(conn))


async def test_a_lower_number_that_commits_after_a_higher_one_is_seen(emptied: str) -> None:
    slow, quick = user_updated()._replace(message_id="slow"), user_updated()._replace(message_id="quick")
    access = receiver_access("consumer")
    async with await connect(emptied, ACCESS) as conn, await connect(emptied, access) as other:
        follower = await from_now(conn)
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
        follower = await from_now(conn)
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
        follower = await from_now(conn)
        await arrive(emptied, user_updated(user_id, display_name="Grace", primary_email="grace@example.com"))
        await work(emptied)
        async with transaction(conn, ACCESS):
            [found] = await follower.changes(conn)

    assert found.changed_fields == ["email", "full_name"]


async def test_only_what_matches_is_told(emptied: str) -> None:
    user_id = uuid4()
    async with await connect(emptied, ACCESS) as conn:
        follower = await from_now(conn, ListFilter(user_ids=[user_id], event_type="user.*", states=["pending"]))
        await arrive(emptied, user_updated(), user_updated(user_id)._replace(message_id="own"))

        assert await changes(conn, follower) == [("own", "pending")]
        await work(emptied)
        assert await changes(conn, follower) == []


BURST = """
    WITH stored AS (
        INSERT INTO consumer.outbox (source, message_id, event_type, occurred_at, received_at, body)
        SELECT 'stack', 'burst' || n, 'user.updated', at, at, ''
        FROM generate_series(1, {0}) AS n, LATERAL (SELECT now() - interval '{1} seconds' / {0} * ({0} - n)) AS t (at)
        RETURNING seq, received_at
    )
    INSERT INTO consumer.outcomes (seq, outcome, at) SELECT seq, 'applied', received_at FROM stored
"""


async def looked(conn: Connection, follower: Follower) -> list[tuple[str, str]]:
    """Return the changes of one look: what follows at once belongs to it."""
    found = await changes(conn, follower)
    while follower.is_behind:
        found += await changes(conn, follower)
    return found


@pytest.mark.parametrize("seconds", [0, 14, 3600], ids=["in one transaction", "within the overlap", "over an hour"])
async def test_of_a_burst_of_any_size_each_change_is_told_once(emptied: str, seconds: int) -> None:
    size = 24_000
    change(emptied, BURST.format(size, seconds))
    async with await connect(emptied, ACCESS) as conn:
        async with transaction(conn, ACCESS):
            follower = Follower(ListFilter(), await session.now(conn) - timedelta(hours=2))
        found = await looked(conn, follower)
        await arrive(emptied, user_updated()._replace(message_id="late"))
        again = await looked(conn, follower)

    assert size > 2 * CHANGES_MAX
    assert len(found) == size
    assert dict(found) == {f"burst{n}": "applied" for n in range(1, size + 1)}
    assert again == [("late", "pending")]


async def test_a_look_at_more_than_it_can_read_at_once_tells_the_earliest_first(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "CHANGES_MAX", 7)
    change(emptied, BURST.format(50, 5000))
    async with await connect(emptied, ACCESS) as conn:
        async with transaction(conn, ACCESS):
            follower = Follower(ListFilter(), await session.now(conn) - timedelta(hours=2))
        found = await looked(conn, follower)

    assert found == [(f"burst{n}", "applied") for n in range(1, 51)]


async def test_a_time_in_which_nothing_happened_takes_few_calls(emptied: str) -> None:
    async with await connect(emptied, ACCESS) as conn:
        async with transaction(conn, ACCESS):
            follower = Follower(ListFilter(), await session.now(conn) - timedelta(days=7))
        for _ in range(16):
            await changes(conn, follower)

    assert not follower.is_behind


async def test_calls_in_a_burst_after_a_quiet_week_look_at_little_more_than_they_return(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sorts all that it looks at: here ten changes are those of 36 seconds."""
    monkeypatch.setattr(following, "CHANGES_MAX", 10)
    change(emptied, BURST.format(1_000, 3600))
    looked_at = []
    async with await connect(emptied, ACCESS) as conn:
        async with transaction(conn, ACCESS):
            follower = Follower(ListFilter(), await session.now(conn) - timedelta(days=7))
        await changes(conn, follower)
        while follower.is_behind:
            looked_at.append(follower._time)
            await changes(conn, follower)

    assert max(looked_at) > timedelta(days=2)
    assert max(looked_at[-50:]) <= timedelta(seconds=80)


async def test_changes_of_one_instant_take_any_number_of_calls(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Halved again and again, a time would become none."""
    monkeypatch.setattr(following, "CHANGES_MAX", 1)
    change(emptied, BURST.format(40, 0))
    async with await connect(emptied, ACCESS) as conn:
        async with transaction(conn, ACCESS):
            follower = Follower(ListFilter(), await session.now(conn) - timedelta(seconds=10))
        found = await looked(conn, follower)

    assert found == [(f"burst{n}", "applied") for n in range(1, 41)]


async def test_it_remembers_only_what_it_might_find_again(emptied: str) -> None:
    change(emptied, BURST.format(24_000, 3600))
    async with await connect(emptied, ACCESS) as conn:
        async with transaction(conn, ACCESS):
            follower = Follower(ListFilter(), await session.now(conn) - timedelta(hours=2))
        await looked(conn, follower)

    # Those of about fifteen seconds of the hour.
    assert 50 < len(follower._returned) < 300


async def test_one_that_cannot_keep_up_begins_again_where_all_is_settled(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would remember ever more, and never see what was committed late."""
    monkeypatch.setattr(following, "CHANGES_MAX", 7)
    change(emptied, BURST.format(20, 14))
    async with await connect(emptied, ACCESS) as conn:
        async with transaction(conn, ACCESS):
            follower = Follower(ListFilter(), await session.now(conn) - timedelta(seconds=14))
        first = await changes(conn, follower)
        await arrive(emptied, user_updated()._replace(message_id="late"))
        change(
            emptied,
            "UPDATE consumer.outbox SET received_at = now() - interval '13 seconds' WHERE message_id = 'late'",
        )
        monkeypatch.setattr(following, "OVERLAP", timedelta(0))
        rest = await looked(conn, follower)

    assert (len(first), len(rest)) == (7, 14)
    assert ("late", "pending") in rest


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
        assert "applied" in first
        assert "avatar_url" in first
        assert UUID(first.split()[3])
        assert "pending" in second


@pytest.mark.parametrize("arguments", [["--before", "5"], ["--until", "1h"]])
def test_following_excludes_what_ends_a_list(emptied: str, arguments: list[str]) -> None:
    assert cli.call(emptied, "deliveries", "--follow", *arguments).exit_code == 2
