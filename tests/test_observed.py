"""Each value of an observation is the one that was read or expected, and what an older database lacks is left out."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from consumer.verdict.findings import findings
from consumer.verdict.observation import QueueState, Signatures
from consumer.verdict.observe import Expectations
from tests.support.databases import change, rows
from tests.support.factories import user_updated
from tests.support.fence import LATER, OWN, TOO_OLD, ahead
from tests.support.outbox import arrive
from tests.support.strangers import stranger
from tests.test_observe import report, seen, signatures_reported

DAY = timedelta(days=1)
LAST = "migration_id = (SELECT max(migration_id) FROM consumer._yoyo_migration)"


@contextmanager
def behind(url: str) -> Iterator[str]:
    """Let the newest migration be missing for the duration; its tables are there."""
    [applied] = rows(url, f"SELECT * FROM consumer._yoyo_migration WHERE {LAST}")
    change(url, f"DELETE FROM consumer._yoyo_migration WHERE {LAST}")
    try:
        yield str(applied["migration_id"])
    finally:
        with psycopg.connect(url) as conn:
            columns = ", ".join(applied)
            places = ", ".join(["%s"] * len(applied))
            statement = f"INSERT INTO consumer._yoyo_migration ({columns}) VALUES ({places})"
            conn.execute(statement.encode(), list(applied.values()))


@pytest.mark.parametrize(
    "expected",
    [
        Expectations(),
        Expectations(["app"], ["prune", "activity"], DAY, 7),
        Expectations(["stack", "app"], [], timedelta(0), 0),
    ],
    ids=["nothing", "all", "none"],
)
async def test_what_is_expected_is_part_of_what_is_seen(emptied: str, expected: Expectations) -> None:
    found = await seen(emptied, expected=expected)

    assert (found.expected, found.jobs) == (set(expected.sources), expected.jobs)
    assert (found.silence_max, found.disk_free_bytes) == (expected.silence_max, expected.disk_free_bytes)


async def test_of_an_empty_database_nothing_is_found(emptied: str) -> None:
    found = await seen(emptied, expected=Expectations())

    assert (found.queue, found.signatures, list(found.processes)) == (QueueState(), Signatures(), [])
    assert (found.last_received, found.histories, found.last_runs) == ({}, {}, {})
    assert (found.worker_sessions, list(found.lock_holders), found.copy_reason) == (0, [], None)
    assert (list(found.missing_migrations), list(found.newer_migrations), found.too_old_reason) == ([], [], None)
    assert (found.away_reason, found.since_disk_full) == (None, None)


async def test_the_time_is_the_database_s(emptied: str) -> None:
    [before] = rows(emptied, "SELECT clock_timestamp() AS at")
    found = await seen(emptied)
    [after] = rows(emptied, "SELECT clock_timestamp() AS at")

    assert before["at"] < found.at < after["at"]


async def test_who_holds_a_lock_of_ours_is_seen_with_it(emptied: str) -> None:
    with stranger(emptied) as conn:
        conn.execute("SELECT pg_advisory_lock(hashtext('consumer.maintenance'), hashtext('told'))")
        pid = conn.info.backend_pid
        found = await seen(emptied)

    assert [(each.pid, each.locks) for each in found.lock_holders] == [(pid, "a lock of maintenance")]


@pytest.mark.parametrize(("oldest_release", "reason"), [(OWN, None), (9999, TOO_OLD)], ids=["works on", "is too old"])
async def test_a_newer_database_says_whether_this_release_may_work_on_it(
    emptied: str, oldest_release: int, reason: str | None
) -> None:
    with ahead(emptied, oldest_release):
        found = await seen(emptied)

    assert (list(found.newer_migrations), list(found.missing_migrations)) == ([LATER], [])
    assert found.too_old_reason == reason


@pytest.mark.parametrize("role", ["operator", "worker"])
async def test_while_a_migration_is_missing_what_it_adds_is_left_out(emptied: str, role: str) -> None:
    await arrive(emptied, user_updated())
    report(emptied, "1 second", duty="receiver")
    signatures_reported(emptied, "2 seconds", 8)
    change(emptied, "UPDATE consumer.reports SET sources = '{app}'")
    expected = Expectations(["stack"], ["prune"])

    with behind(emptied) as migration_id:
        found = await seen(emptied, role, expected)
    whole = await seen(emptied, role, expected)

    assert (list(found.missing_migrations), list(found.newer_migrations)) == ([migration_id], [])
    assert (list(found.processes), found.signatures, found.expected) == ([], Signatures(), {"stack"})
    assert (found.histories, found.last_runs, found.copy_reason) == ({}, {}, None)
    assert (found.queue.has_pending, set(found.last_received)) == (True, {"stack"})
    assert "migration_pending" in {each.code for each in findings(found)}
    assert (len(whole.processes), whole.signatures, whole.expected) == (
        1,
        Signatures(unmatched=8, since_accepted=8),
        {"stack", "app"},
    )
    assert list(whole.missing_migrations) == []


async def test_only_a_worker_s_session_counts_as_one(emptied: str) -> None:
    report(emptied, "1 second")

    found = await seen(emptied)

    assert ([each.duty for each in found.processes], found.worker_sessions) == (["worker"], 0)


async def test_two_who_look_at_once_see_the_same(emptied: str) -> None:
    report(emptied, "5 seconds", 1)
    report(emptied, "3 seconds", 2, "receiver")

    one, other = await asyncio.gather(seen(emptied), seen(emptied, "worker"))

    assert {each.process_id for each in one.processes} == {each.process_id for each in other.processes}
    assert len(one.processes) == 2
