"""Delays and ages by value: chance is handed in, and the database's clock tells how long."""

from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import psycopg
import pytest

from consumer.operations import prune
from consumer.operations.prune import prune_audit
from consumer.postgres.connections import connect, operator_access
from consumer.worker import batch
from consumer.worker.batch import retry_delay
from tests.support.cli import facts
from tests.support.databases import rows, schema_change
from tests.support.effects import applied
from tests.support.factories import team_event, user_updated
from tests.support.outbox import arrive
from tests.support.tenants import join
from tests.support.worker import LOCK, run_once, worker

ACCESS = operator_access("consumer")
HOUR = timedelta(hours=1)
DELAYS = "SELECT state, attempts, next_attempt_at - failed_at AS delay FROM consumer.failures"
REFUSED = "ALTER TABLE identity.profiles ADD CONSTRAINT late UNIQUE (role_type)"
ALLOWED = "ALTER TABLE identity.profiles DROP CONSTRAINT late"


@pytest.fixture(params=["shortest", "longest"])
def luck(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Draw the least or the most of whatever is left to chance; return by which of the two a delay is multiplied."""
    chosen = 0 if request.param == "shortest" else 1
    monkeypatch.setattr(batch, "random", SimpleNamespace(uniform=lambda *bounds: bounds[chosen]))
    return chosen


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(0, 1), (1, 2), (2, 4), (5, 32), (11, 2_048), (12, 3_600), (13, 3_600), (1_023, 3_600), (10**6, 3_600)],
)
def test_a_retry_waits_up_to_two_to_the_attempts_seconds_and_an_hour_at_most(
    attempts: int, seconds: int, luck: int
) -> None:
    assert retry_delay(attempts) == timedelta(seconds=luck * seconds)


# Failures before, and what the next one makes of it with as many attempts as there are by default.
@pytest.mark.parametrize(
    ("attempts", "state", "seconds"),
    [(0, "retrying", 2), (4, "retrying", 32), (10, "retrying", 2_048), (11, "dead", None)],
)
async def test_a_failure_is_due_after_its_delay_in_the_database_and_dead_at_the_last(
    attempts: int, state: str, seconds: int | None, luck: int, emptied: str
) -> None:
    await arrive(emptied, user_updated())
    await run_once(emptied, worker())
    await arrive(emptied, user_updated())
    with psycopg.connect(emptied) as conn:
        conn.execute(
            "WITH failed AS (DELETE FROM consumer.pending RETURNING seq) INSERT INTO consumer.failures "
            "(seq, state, attempts, next_attempt_at, error_code, error) "
            "SELECT seq, 'retrying', %s, now(), '23505', 'UniqueViolation' FROM failed",
            [attempts],
        )

    with schema_change(emptied, REFUSED, ALLOWED):
        await run_once(emptied, worker())

    delay = None if seconds is None else timedelta(seconds=luck * seconds)
    assert rows(emptied, DELAYS) == [{"state": state, "attempts": attempts + 1, "delay": delay}]


async def test_a_row_that_somebody_locks_is_tried_again_within_five_seconds_uncounted(luck: int, emptied: str) -> None:
    user_id = uuid4()
    await arrive(emptied, user_updated(user_id))
    await run_once(emptied, worker())
    await arrive(emptied, user_updated(user_id), user_updated())

    with psycopg.connect(emptied) as holder:
        holder.execute(LOCK, [[user_id]])
        await run_once(emptied, worker())

    assert rows(emptied, DELAYS) == [{"state": "retrying", "attempts": 0, "delay": timedelta(seconds=luck * 5)}]


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 2), (3, 16), (11, 3_600)])
async def test_a_user_who_cannot_be_re_homed_waits_as_long_as_a_delivery(
    attempts: int, seconds: int, luck: int, emptied: str
) -> None:
    company_id, user_id = uuid4(), uuid4()
    await join(emptied, company_id, user_id)
    # Applied without a re-homing, so that the attempts can be set.
    await applied(emptied, team_event("deleted", company_id))
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE consumer.rehome SET attempts = %s", [attempts])

    with psycopg.connect(emptied) as holder:
        holder.execute(LOCK, [[user_id]])
        [before] = rows(emptied, "SELECT now()")
        await run_once(emptied, worker())
        [after] = rows(emptied, "SELECT now()")

    [task] = rows(emptied, "SELECT attempts, due_at FROM consumer.rehome")
    assert task["attempts"] == attempts + 1
    assert before["now"] < task["due_at"] - timedelta(seconds=luck * seconds) < after["now"]


def aged(url: str, *hours: float) -> None:
    """Leave audit rows of these ages and no others."""
    with psycopg.connect(url) as conn:
        conn.execute("DELETE FROM identity.profile_audit")
        for age in hours:
            conn.execute(
                "INSERT INTO identity.profile_audit (at, user_id, operation, source, message_id, seq) "
                "VALUES (now() - %s, gen_random_uuid(), 'created', 'stack', 'msg_1', 1)",
                [age * HOUR],
            )


@pytest.mark.parametrize("days", [1, 30, 365])
def test_the_audit_is_kept_for_days(days: int, emptied: str) -> None:
    aged(emptied, days * 24 + 0.1, days * 24 - 0.1)

    assert facts(emptied, "prune", AUDIT_RETENTION_DAYS=str(days))["audit_rows_removed"] == 1

    [row] = rows(emptied, "SELECT now() - at AS age FROM identity.profile_audit")
    assert row["age"] < days * 24 * HOUR


async def steps(url: str, kept: timedelta) -> list[int]:
    async with await connect(url, ACCESS) as conn:
        return [removed async for removed in prune_audit(conn, ACCESS, kept)]


async def test_a_slice_of_the_audit_is_an_hour(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "FEW_ROWS", 0)
    aged(emptied, 9.5, 9.4, 8.6, 8.4, 6.4, 4.1, 3.9)

    # From 9.5 hours ago to 8.5, 7.5, 6.5, 5.5, 4.5, and at last to 4.
    assert (await steps(emptied, 4 * HOUR)) == [3, 1, 0, 1, 0, 1]


async def test_a_slice_of_the_audit_with_few_rows_is_followed_by_one_twice_as_long(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "FEW_ROWS", 3)
    aged(emptied, 19.9, 19.8, 18.8, 18.7, 18.6, 16.8, 16.7, 15.7, 15.6, 15.5, 14.8, 14.7, 4.1)

    # From 19.9 hours ago to 18.9, 16.9, by the hour again to 15.9, 13.9, by the hour again to 12.9, 10.9, 6.9, and 4.
    assert (await steps(emptied, 4 * HOUR)) == [2, 3, 2, 5, 0, 0, 0, 1]


async def test_years_without_an_audit_row_take_a_slice_a_day(emptied: str) -> None:
    aged(emptied, 1000 * 24, 5)

    assert 1000 <= len(await steps(emptied, 4 * HOUR)) <= 1010
