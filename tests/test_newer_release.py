"""A type that this release does not know, while a newer release has migrated: it waits for a worker that knows it."""

import asyncio
import logging
from collections.abc import Mapping
from uuid import uuid4

import pytest

from consumer.events.registry import EVENT_TYPES, EventType
from consumer.operations.replay import replay
from consumer.outbox.deliveries import Selection
from consumer.postgres.connections import connect, operator_access
from tests.support.acting import action
from tests.support.batch import value
from tests.support.cli import examined
from tests.support.databases import change
from tests.support.factories import delivery, edited, user_updated
from tests.support.fence import ahead
from tests.support.worker import ACCESS, deliveries, drain_all, run_once, stored, worker

WAITING = ("retrying", None, 0, "newer_release")
IGNORED = ("done", "ignored", 0, None)


def knows(monkeypatch: pytest.MonkeyPatch, types: Mapping[str, EventType]) -> None:
    for module in ("effects.by_fact", "events.registry"):
        monkeypatch.setattr(f"consumer.{module}.EVENT_TYPES", types)


async def test_it_is_set_aside_uncounted_however_often_it_is_looked_at(emptied: str) -> None:
    await stored(emptied, [delivery("user.teleported", uuid4()), user_updated()])

    with ahead(emptied):
        done = [len(await run_once(emptied, worker(attempts_max=1))) for _ in range(3)]
        found = deliveries(emptied)

    assert done == [2, 0, 0]
    assert found == [WAITING, ("done", "applied", 0, None)]


async def test_it_is_ignored_once_no_newer_release_is_there(emptied: str) -> None:
    await stored(emptied, [delivery("user.teleported", uuid4())])
    with ahead(emptied):
        await drain_all(emptied, worker())

    assert await drain_all(emptied, worker()) == 1
    assert deliveries(emptied) == [IGNORED]


async def test_it_is_applied_as_soon_as_a_worker_knows_it(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    older = {name: kind for name, kind in EVENT_TYPES.items() if name != "user.updated"}
    await stored(emptied, [user_updated(), delivery("user.teleported", uuid4())])

    with ahead(emptied):
        with monkeypatch.context() as patch:
            knows(patch, older)
            await drain_all(emptied, worker())
            before = deliveries(emptied)
        batch = await run_once(emptied, worker())
        after = deliveries(emptied)

    assert before == [WAITING, WAITING]
    assert list(batch.outcomes.values()) == ["applied"]
    assert after == [("done", "applied", 0, None), WAITING]


async def test_a_source_that_may_send_the_type_since_then_is_waited_for_too(emptied: str) -> None:
    from_stack = edited(uuid4(), role_type="owner")._replace(source="stack")
    await stored(emptied, [from_stack])

    with ahead(emptied):
        await drain_all(emptied, worker())
        found = deliveries(emptied)

    assert found == [WAITING]


async def test_a_known_type_without_an_effect_is_ignored(emptied: str) -> None:
    await stored(emptied, [delivery("stack.test", uuid4())])

    with ahead(emptied):
        await drain_all(emptied, worker())
        found = deliveries(emptied)

    assert found == [IGNORED]


async def test_many_that_wait_hold_up_nothing_else(emptied: str) -> None:
    subject = worker(batch_size=4)
    await stored(emptied, [delivery("user.teleported", uuid4()) for _ in range(20)])

    with ahead(emptied):
        await drain_all(emptied, subject)
        await stored(emptied, [user_updated() for _ in range(4)])
        batch = await run_once(emptied, subject)

    assert len(batch.outcomes) == 4


async def test_the_attempts_of_a_newer_worker_stay_counted(emptied: str) -> None:
    await stored(emptied, [delivery("user.teleported", uuid4())])
    change(
        emptied,
        "WITH p AS (DELETE FROM consumer.pending RETURNING seq) "
        "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) "
        "SELECT seq, 'retrying', 3, now(), '23505', 'UniqueViolation' FROM p",
    )

    with ahead(emptied):
        await drain_all(emptied, worker(attempts_max=4))
        found = deliveries(emptied)

    assert found == [("retrying", None, 3, "newer_release")]


async def test_a_replay_by_hand_is_no_way_round(emptied: str) -> None:
    await stored(emptied, [delivery("user.teleported", uuid4())])

    with ahead(emptied):
        await drain_all(emptied, worker())
        async with await connect(emptied, ACCESS) as conn:
            pages = replay(conn, operator_access("consumer"), Selection(("retrying",)), action("replay"))
            [replayed] = [each async for each in pages]
        await drain_all(emptied, worker())
        found = deliveries(emptied)

    assert (replayed.queued, found) == (1, [WAITING])


async def test_it_is_a_line_of_the_log_and_a_retry_of_the_metrics(
    emptied: str, caplog: pytest.LogCaptureFixture
) -> None:
    subject = worker()
    await stored(emptied, [delivery("user.teleported", uuid4())])

    with ahead(emptied), caplog.at_level(logging.INFO, "consumer"):
        await drain_all(emptied, subject)

    [line] = [record for record in caplog.records if record.getMessage() == "delivery_retried"]
    error = "This release does not know the type; the release that has migrated the database may."
    assert (vars(line)["error_code"], vars(line)["error"]) == ("newer_release", error)
    assert value(subject, "deliveries_retried_total") == 1


async def test_the_doctor_names_what_waits(emptied: str) -> None:
    await stored(emptied, [delivery("user.teleported", uuid4())])

    with ahead(emptied):
        await drain_all(emptied, worker())
        _, checks = await asyncio.to_thread(examined, emptied)

    assert checks["retries"]["finding"].startswith("1 of newer_release, This release does not know the type")
