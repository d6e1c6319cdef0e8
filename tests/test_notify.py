"""Findings are told once and by real requests: over restarts, and by several processes at once."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from consumer.process.notification_states import REFRESH_TIME
from consumer.verdict.observation import QueueState
from tests.support import polling
from tests.support.databases import change, rows
from tests.support.notifying import DEAD, HOUR, MINUTE, SECOND, WELL, Telling, started
from tests.support.told import SHORT, Listener

pytestmark = pytest.mark.usefixtures("told_at_once")

WRITTEN = "SELECT findings FROM consumer.reports WHERE findings IS NOT NULL ORDER BY at"
OPEN_TRANSACTIONS = """
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
"""


async def test_a_finding_is_told_when_it_opens_gets_worse_and_closes(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)

    await process.look(WELL)
    await process.look(DEAD, HOUR)
    await process.look(DEAD, HOUR)
    await process.look(replace(WELL, queue=QueueState(dead=120)), HOUR)
    await process.look(WELL, HOUR)
    await process.look(WELL, HOUR)

    assert listener.said() == [("finding.opened", "dead"), ("finding.worse", "dead"), ("finding.closed", "dead")]


async def test_what_was_told_is_known_after_a_restart(emptied: str, listener: Listener) -> None:
    await (await started(emptied, listener)).look(DEAD)
    second = await started(emptied, listener)
    await second.look(DEAD, HOUR)
    third = await started(emptied, listener)

    await third.look(WELL, 2 * HOUR)

    assert listener.said() == [("finding.opened", "dead"), ("finding.closed", "dead")]
    assert [len(row["findings"]["told"]) for row in rows(emptied, WRITTEN)] == [1, 1, 1, 1]


async def test_of_processes_at_once_one_tells(emptied: str, listener: Listener) -> None:
    processes = [await started(emptied, listener) for _ in range(4)]

    await asyncio.gather(*(process.look(DEAD) for process in processes))
    await asyncio.gather(*(process.look(DEAD, SECOND) for process in processes))

    assert listener.said() == [("finding.opened", "dead")]
    numbers = [row["findings"]["number"] for row in rows(emptied, WRITTEN)]
    assert sorted(numbers) == [1, 2]


async def test_no_transaction_is_open_while_it_sends(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener, SHORT)
    listener.behaviours = [200, "hang", 200]

    looking = asyncio.create_task(process.look(DEAD))
    await polling.until(listener.said)
    during = rows(emptied, OPEN_TRANSACTIONS)
    await looking

    assert during == []
    assert len(listener.said()) == 2


async def test_what_a_killed_process_was_sending_is_told_by_another_with_the_same_id(
    emptied: str, listener: Listener
) -> None:
    killed, other = await started(emptied, listener), await started(emptied, listener)
    listener.behaviours = [200, "hang"]
    looking = asyncio.create_task(killed.look(DEAD))
    await polling.until(listener.said)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)

    await other.look(DEAD, MINUTE - SECOND)
    assert len(listener.said()) == 1
    await other.look(DEAD, SECOND)

    assert listener.said() == [("finding.opened", "dead")] * 2
    assert len({each.headers["webhook-id"] for each in listener.heard if each.method == "POST"}) == 1


async def test_a_process_that_has_not_reported_tells_nothing(emptied: str, listener: Listener) -> None:
    """Nothing could be recorded, and it would be told again and again."""
    await Telling(emptied, listener, uuid4()).look(DEAD)

    assert listener.said() == []


async def test_what_was_told_is_written_anew_before_its_report_is_removed(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    await process.look(DEAD)
    assert len(rows(emptied, WRITTEN)) == 2
    await process.look(DEAD, SECOND)
    assert len(rows(emptied, WRITTEN)) == 2

    change(emptied, f"UPDATE consumer.reports SET at = at - interval '{REFRESH_TIME.total_seconds()} s'")
    await process.look(DEAD, SECOND)

    *_, before, after = [row["findings"] for row in rows(emptied, WRITTEN)]
    assert (after["told"], after["number"]) == (before["told"], before["number"] + 1)
    assert 10 * MINUTE == REFRESH_TIME


async def test_what_another_release_wrote_in_its_own_way_counts_as_nothing(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)
    await process.look(DEAD)
    change(
        emptied,
        """UPDATE consumer.reports SET findings = '{"number": 9, "told": [{"new": 1}]}' WHERE findings IS NOT NULL""",
    )

    await process.look(DEAD, HOUR)
    await process.look(DEAD, HOUR)

    assert listener.said() == [("finding.opened", "dead")] * 2


async def test_nothing_is_written_while_there_is_nothing_to_tell(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)

    await process.look(WELL)

    assert rows(emptied, WRITTEN) == []


@pytest.mark.parametrize("role", ["receiver", "worker"])
def test_no_other_process_can_mute_what_is_told(emptied: str, role: str) -> None:
    values = "gen_random_uuid(), 'maintenance', 'h', 1, '0', 0, '{\"number\": 9, \"told\": []}'"
    columns = "process_id, duty, host, pid, release, clock_skew_seconds, findings"
    with psycopg.connect(emptied) as conn:
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(f"INSERT INTO consumer.reports ({columns}) VALUES ({values})")
