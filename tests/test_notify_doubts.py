"""What is told where it may be wrong: nothing can be recorded, a process starts, the database is a copy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from consumer import logs
from consumer.process.notify import LASTING_TIME
from consumer.verdict.observation import QueueState
from consumer.verdict.processes import RESTART_TIME
from tests.support.databases import schema_change
from tests.support.notifying import DEAD, HOUR, MINUTE, SECOND, STALLED, WELL, beats, started
from tests.support.observations import process as reported
from tests.support.told import Listener

COPY = replace(STALLED, copy_reason="another server")
REFUSE = """
    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{}'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON consumer.reports FOR EACH ROW EXECUTE FUNCTION public.refuse();
"""


@contextmanager
def refusing(url: str, sqlstate: str) -> Iterator[None]:
    """Let the database take no more reports, as with a full disk, while all can be read."""
    with schema_change(url, REFUSE.format(sqlstate), "DROP FUNCTION public.refuse CASCADE"):
        yield


@pytest.mark.usefixtures("told_at_once")
@pytest.mark.parametrize("sqlstate", ["53100", "25006"])
async def test_a_database_that_records_nothing_mutes_nothing(
    emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture, sqlstate: str
) -> None:
    process = await started(emptied, listener)
    await process.look(DEAD)
    both = replace(STALLED, queue=replace(STALLED.queue, dead=12))

    with refusing(emptied, sqlstate):
        await process.look(both, HOUR)
        await process.look(both, MINUTE)
        assert listener.said()[1:] == [("finding.opened", "stalled")]
    await process.look(both, MINUTE)
    other = await started(emptied, listener)
    await other.look(both, 2 * HOUR)
    await other.look(WELL, HOUR)

    assert listener.said() == [
        ("finding.opened", "dead"),
        ("finding.opened", "stalled"),
        ("finding.closed", "dead"),
        ("finding.closed", "stalled"),
    ]
    assert caplog.messages.count(logs.NOTIFY_FAILED) == 1


async def test_a_finding_is_told_once_it_lasts(emptied: str, listener: Listener) -> None:
    process = await started(emptied, listener)

    await process.look(DEAD)
    await process.look(WELL, LASTING_TIME - SECOND)
    await process.look(DEAD, SECOND)
    await process.look(psycopg.OperationalError(), SECOND)
    await process.look(DEAD, LASTING_TIME)
    await process.look(DEAD, LASTING_TIME - SECOND)
    assert listener.said() == []
    await process.look(DEAD, SECOND)

    assert listener.said() == [("finding.opened", "dead")]
    assert timedelta(seconds=20) == LASTING_TIME


async def test_a_receiver_that_was_stopped_is_told_once_no_restart_is_likely_and_that_lasts(
    emptied: str, listener: Listener
) -> None:
    process = await started(emptied, listener)
    stopped = replace(WELL, processes=[reported("receiver", last_at=WELL.at, next_at=None)])

    await process.look(stopped)
    await process.look(stopped, RESTART_TIME)
    await process.look(stopped, SECOND)
    await process.look(stopped, LASTING_TIME - SECOND)
    assert listener.said() == []
    await process.look(stopped, SECOND)

    assert listener.said() == [("finding.opened", "no_receiver")]
    assert timedelta(seconds=20) == RESTART_TIME


async def test_a_process_that_starts_knows_that_a_finding_is_not_over(emptied: str, listener: Listener) -> None:
    first = await started(emptied, listener)
    await first.look(DEAD)
    await first.look(DEAD, LASTING_TIME)
    second = await started(emptied, listener)

    await second.look(DEAD, 2 * HOUR)
    await second.look(replace(WELL, queue=QueueState(dead=12)), HOUR)

    assert listener.said() == [("finding.opened", "dead")]


async def test_a_copy_tells_only_that_it_is_one(emptied: str, listener: Listener) -> None:
    original = await started(emptied, listener)
    await original.look(DEAD)
    await original.look(DEAD, LASTING_TIME)
    copy = await started(emptied, listener)
    before = beats(listener)

    await copy.look(replace(COPY, queue=QueueState()), HOUR)
    await copy.look(COPY, HOUR)
    assert (listener.said()[1:], beats(listener)) == ([("finding.opened", "copy")], before)
    await copy.look(DEAD, HOUR)

    assert listener.said()[2:] == [("finding.closed", "copy")]
    assert beats(listener) == before + 1
