"""What the retention removes of the audit, and that nothing but age decides."""

from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from consumer.operations.prune import prune_audit
from consumer.postgres.connections import connect, operator_access
from tests.support.cli import call, facts
from tests.support.databases import rows
from tests.support.factories import delivery, user_updated
from tests.support.outbox import arrive, replay_everything, work

ACCESS = operator_access("consumer")
DAY = timedelta(days=1)
# Between the young and the old, and no whole number of steps from either.
KEPT = 15.5 * DAY
AUDITED = "SELECT operation, at < now() - interval '15 days' AS is_old FROM identity.profile_audit ORDER BY id"


@pytest.fixture
async def aged(emptied: str) -> str:
    """A database with a profile and a sign-in of a month ago, and another profile of today."""
    user = uuid4()
    await arrive(emptied, user_updated(user), delivery("user.signed_in", user))
    await work(emptied)
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute("UPDATE identity.profile_audit SET at = at - interval '30 days'")
        conn.execute("UPDATE consumer.outbox SET received_at = received_at - interval '30 days'")
    await arrive(emptied, user_updated())
    await work(emptied)
    return emptied


async def pruned(url: str, kept: timedelta, step: timedelta = DAY) -> list[int]:
    async with await connect(url, ACCESS) as conn:
        return [removed async for removed in prune_audit(conn, ACCESS, kept, step)]


def audited(url: str) -> list[tuple[object, object]]:
    return [(row["operation"], row["is_old"]) for row in rows(url, AUDITED)]


async def test_what_is_older_is_removed_and_what_is_younger_stays(aged: str) -> None:
    before = audited(aged)

    assert sum(await pruned(aged, KEPT)) == 2
    assert sorted(before) == [("created", False), ("created", True), ("signed_in", True)]
    assert audited(aged) == [("created", False)]


async def test_it_goes_in_bounded_steps_and_a_second_call_finds_nothing(aged: str) -> None:
    assert len(await pruned(aged, KEPT)) == 15
    assert await pruned(aged, KEPT) == [0]


async def test_one_that_was_stopped_is_finished_by_the_next(aged: str) -> None:
    async with await connect(aged, ACCESS) as conn:
        async for _ in prune_audit(conn, ACCESS, KEPT, DAY):
            break

    assert len(await pruned(aged, KEPT)) == 14
    assert audited(aged) == [("created", False)]


async def test_a_longer_retention_than_before_removes_nothing_and_takes_nothing_back(aged: str) -> None:
    await pruned(aged, KEPT)

    assert await pruned(aged, 25 * DAY) == [0]
    [row] = rows(aged, "SELECT now() - audited_since AS kept FROM consumer.settings")
    assert row["kept"] < 16 * DAY


async def test_a_replay_does_not_write_again_what_was_removed(aged: str) -> None:
    await pruned(aged, KEPT)

    await replay_everything(aged, batch_size=500)

    assert audited(aged) == [("created", False)]


async def test_an_empty_audit_is_pruned_without_a_word(emptied: str) -> None:
    assert await pruned(emptied, DAY) == [0]


@pytest.mark.parametrize(("before", "step"), [("NULL", "'1 hour'"), ("now()", "NULL")])
def test_a_slice_without_bounds_is_refused(aged: str, before: str, step: str) -> None:
    with psycopg.connect(aged) as conn, pytest.raises(psycopg.errors.InvalidParameterValue):
        conn.execute(f"SELECT identity.prune_audit({before}, {step})")


async def test_the_audit_never_begins_in_the_future(aged: str) -> None:
    with psycopg.connect(aged) as conn:
        conn.execute("SELECT identity.prune_audit(now() + interval '1 year', '10 years')")
    await arrive(aged, delivery("user.signed_in", uuid4()))
    await work(aged)

    assert ("signed_in", False) in audited(aged)


@pytest.mark.parametrize("role", ["worker", "operator", "app", "receiver", "tenant"])
def test_nobody_removes_from_the_audit_by_himself(role: str, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("DELETE FROM identity.profile_audit")


def test_the_command_keeps_for_as_many_days_as_it_is_told(aged: str) -> None:
    assert facts(aged, "prune", AUDIT_RETENTION_DAYS="29")["audit_rows_removed"] == 2
    assert call(aged, "prune", AUDIT_RETENTION_DAYS="29").output == "0 audit rows older than 29 days removed.\n"
    assert call(aged, "prune", AUDIT_RETENTION_DAYS="1").output.endswith(" older than 1 day removed.\n")


def test_without_a_retention_the_command_removes_nothing(aged: str) -> None:
    result = call(aged, "prune")

    assert result.exit_code == 0
    assert result.output.startswith("Nothing to do: neither RETENTION_DAYS nor AUDIT_RETENTION_DAYS is set")
    assert len(audited(aged)) == 3
