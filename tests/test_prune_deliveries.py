"""How deliveries are pruned: in pages, once, resumable, beside the intake, which knows what it has stored before."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors as postgres

from consumer.operations.prune import DeliveryPrune, prune_deliveries
from consumer.postgres import session
from consumer.postgres.connections import connect, operator_access, receiver_access, transaction, worker_access
from tests.support.cli import call, facts
from tests.support.databases import change, rows
from tests.support.factories import delivery, edited, team_event, user_updated
from tests.support.outbox import arrive, states, work

OPERATOR, WORKER, RECEIVER = operator_access("consumer"), worker_access("consumer"), receiver_access("consumer")
USER, TEAM = UUID(int=1), UUID(int=2)
AGED = "UPDATE consumer.outbox SET received_at = received_at - interval '31 days'"
BY_TYPE = Counter({"user.updated": 9, "team.updated": 4})


@pytest.fixture
async def log(emptied: str) -> str:
    """A month old: thirteen superseded deliveries of three users and a team, and five that stay."""
    users = [uuid4(), uuid4(), USER]
    told = [user_updated(user) for user in [*users, *users, *users, *(3 * [USER])]]
    await arrive(emptied, *told, team_event("created", TEAM), *(team_event("updated", TEAM) for _ in range(4)))
    await arrive(emptied, delivery("user.signed_in", USER, "app"))
    await work(emptied)
    change(emptied, f"{AGED}; UPDATE consumer.outbox SET event_type = 'team.updated' WHERE event_type = 'team.created'")
    return emptied


async def pages(url: str, size: int, *, is_dry_run: bool = False, ends_after: int = 99) -> list[Counter[str]]:
    async with await connect(url, OPERATOR) as conn:
        async with transaction(conn, OPERATOR):
            now = await session.now(conn)
        found: list[Counter[str]] = []
        async for page in prune_deliveries(conn, OPERATOR, DeliveryPrune(now, is_dry_run, size)):
            found.append(page)
            if len(found) == ends_after:
                break
        return found


def total(found: Sequence[Counter[str]]) -> Counter[str]:
    return sum(found, Counter())


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
async def test_pages_of_any_size_find_the_same_and_remove_no_more_than_that_at_once(size: int, log: str) -> None:
    found = await pages(log, size)

    assert total(found) == BY_TYPE
    assert max(page.total() for page in found) <= size
    assert len(states(log)) == 5
    assert await pages(log, size) == []


@pytest.mark.parametrize("size", [2, 3, 4, 5])
async def test_a_page_that_ends_within_a_second_team_leaves_it_to_the_next(size: int, emptied: str) -> None:
    await arrive(emptied, *(team_event("updated", one) for one in (TEAM, uuid4()) for _ in range(3)))
    await work(emptied)
    change(emptied, AGED)

    assert total(await pages(emptied, size)) == Counter({"team.updated": 4})


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_a_dry_run_counts_what_would_go_and_changes_nothing(size: int, log: str) -> None:
    before = states(log)

    assert total(await pages(log, size, is_dry_run=True)) == BY_TYPE
    assert states(log) == before
    assert rows(log, "SELECT pruned_until FROM consumer.settings") == [{"pruned_until": None}]


async def test_one_that_was_stopped_is_finished_by_the_next(log: str) -> None:
    first = await pages(log, 4, ends_after=1)

    assert total([*first, *await pages(log, 4)]) == BY_TYPE


async def test_two_at_once_remove_the_same_as_one(log: str) -> None:
    both = await asyncio.gather(pages(log, 2), pages(log, 3))

    assert sum(map(total, both), Counter()) == BY_TYPE


async def test_a_page_that_is_cut_off_removes_nothing(log: str) -> None:
    before = states(log)
    with psycopg.connect(log) as conn:
        conn.execute("SELECT consumer.begin_prune(now())")
        conn.execute("SELECT consumer.prune(ARRAY(SELECT seq FROM consumer.outcomes))")
        conn.rollback()

    assert states(log) == before
    assert rows(log, "SELECT FROM consumer.pruned") == []


async def test_the_database_remembers_until_when_it_was_pruned(log: str) -> None:
    with psycopg.connect(log, autocommit=True) as conn:
        for days in (30, 40, 20):
            conn.execute(f"SELECT consumer.begin_prune(now() - interval '{days} days')")

    [row] = rows(log, "SELECT now() - pruned_until AS age FROM consumer.settings")
    assert timedelta(days=20) <= row["age"] < timedelta(days=20, minutes=1)


@pytest.mark.parametrize("instant", ["NULL", "now() + interval '1 second'"])
def test_nothing_is_pruned_up_to_the_future(instant: str, emptied: str) -> None:
    with psycopg.connect(emptied) as conn, pytest.raises(postgres.InvalidParameterValue):
        conn.execute(f"SELECT consumer.begin_prune({instant})")


@pytest.mark.parametrize(
    "state",
    [
        "DELETE FROM consumer.outcomes",
        "UPDATE consumer.outcomes SET outcome = 'discarded'",
        "UPDATE consumer.outcomes SET outcome = 'ignored'",
        "UPDATE consumer.outbox SET received_at = now()",
        "UPDATE consumer.outbox SET event_type = 'user.erased'",
    ],
)
async def test_what_is_not_done_or_not_old_or_an_erasure_can_t_be_removed(state: str, log: str) -> None:
    change(log, state)
    with psycopg.connect(log) as conn:
        conn.execute("SET LOCAL ROLE consumer_operator")
        conn.execute("SELECT consumer.begin_prune(now() - interval '1 day')")
        with pytest.raises(postgres.InsufficientPrivilege, match="only 0 of 18 deliveries"):
            conn.execute("SELECT consumer.prune(ARRAY(SELECT seq FROM consumer.outbox))")


@pytest.mark.parametrize("role", ["worker", "receiver", "app", "tenant"])
@pytest.mark.parametrize("statement", ["SELECT consumer.prune('{1}')", "SELECT consumer.begin_prune(now())"])
def test_only_an_operator_prunes(role: str, statement: str, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        with pytest.raises(postgres.InsufficientPrivilege):
            conn.execute(statement)


def test_an_operator_removes_no_delivery_by_himself(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("SET LOCAL ROLE consumer_operator")
        with pytest.raises(postgres.InsufficientPrivilege):
            conn.execute("DELETE FROM consumer.outbox")


async def test_nobody_excludes_a_delivery_while_a_page_is_removed(log: str) -> None:
    """The one for which another is removed must not be excluded meanwhile."""
    excluded = "INSERT INTO consumer.exclusions (seq, excluded_by, reason) VALUES (1, 'x', 'y')"
    with psycopg.connect(log) as pruning, psycopg.connect(log) as excluding:
        pruning.execute("SELECT consumer.begin_prune(now())")
        excluding.execute("SET LOCAL lock_timeout = '50ms'")
        with pytest.raises(postgres.LockNotAvailable):
            excluding.execute(excluded)


async def test_what_another_transaction_holds_is_left(log: str) -> None:
    with psycopg.connect(log) as replaying:
        replaying.execute("SELECT FROM consumer.outcomes FOR UPDATE")

        assert await pages(log, 100) == []

    assert total(await pages(log, 100)) == BY_TYPE


async def test_re_homing_goes_on_without_the_delivery_that_began_it(emptied: str) -> None:
    await arrive(emptied, user_updated(USER), team_event("created", TEAM), edited(USER, company_id=str(TEAM)))
    await work(emptied)
    change(emptied, "UPDATE identity.stack_user_profiles SET company_id = NULL")
    change(emptied, f"UPDATE identity.profiles SET company_id = NULL; "
           f"INSERT INTO consumer.rehome (company_id, seq) VALUES ('{TEAM}', 0)")  # fmt: skip

    await work(emptied)

    assert rows(emptied, "SELECT company_id FROM identity.profiles") == [{"company_id": TEAM}]
    audited = "SELECT source, message_id, seq FROM identity.profile_audit ORDER BY id DESC LIMIT 1"
    assert rows(emptied, audited) == [{"source": "operator", "message_id": "rehome", "seq": 0}]


def test_the_command_keeps_the_log_for_as_many_days_as_it_is_told(log: str) -> None:
    change(log, "UPDATE identity.profile_audit SET at = at - interval '31 days'")
    settings = {"RETENTION_DAYS": "30", "AUDIT_RETENTION_DAYS": "30"}
    counts = {"user.updated": 9, "team.updated": 4}

    assert facts(log, "prune", RETENTION_DAYS="32") == {"audit_rows_removed": 0, "deliveries_removed": {}}
    assert facts(log, "prune", "--dry-run", **settings) == {"audit_rows_found": 4, "deliveries_found": counts}
    assert facts(log, "prune", **settings) == {"audit_rows_removed": 4, "deliveries_removed": counts}


def test_the_command_says_what_it_would_remove_and_what_it_removed(log: str) -> None:
    would, did, again = (call(log, "prune", *flags, RETENTION_DAYS="30").output for flags in (["--dry-run"], [], []))

    assert would.startswith("13 superseded deliveries older than 30 days would be removed.\n")
    assert would.replace("would be removed", "removed") == did
    assert [line.split() for line in did.splitlines() if "updated" in line] == [
        ["user.updated", "9"],
        ["team.updated", "4"],
    ]
    assert again == "0 superseded deliveries older than 30 days removed.\n"


def test_without_a_retention_the_log_is_kept_whole(log: str) -> None:
    assert facts(log, "prune", AUDIT_RETENTION_DAYS="1")["deliveries_removed"] == {}
    assert call(log, "prune").output.startswith("Nothing to do: neither RETENTION_DAYS nor AUDIT_RETENTION_DAYS is set")
    assert len(states(log)) == 18
