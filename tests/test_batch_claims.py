"""A batch's claims, its size, and the metrics and lines of one batch to the last digit."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace

import psycopg
import pytest

from consumer import logs
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.worker import batch as batch_module
from consumer.worker.batch import Batch, BatchRunner
from consumer.worker.rehome import PageResult
from tests.support.batch import CONSTRAINT, POISON, failed_before, named, picky, seqs, value
from tests.support.databases import rows
from tests.support.factories import user_updated
from tests.support.still_clock import Clock
from tests.support.worker import ACCESS, run_once, stored, worker

MOMENT = 2.0**-10


async def updates(url: str, count: int) -> None:
    await stored(url, [user_updated() for _ in range(count)])


async def sizes(url: str, subject: BatchRunner, count: int) -> list[int]:
    return [len(await run_once(url, subject)) for _ in range(count)]


async def claims(url: str, subject: BatchRunner) -> list[int]:
    """Run one batch; return the places of its deliveries in the order of arrival."""
    arrived = seqs(url)
    return [arrived.index(seq) for seq in sorted((await run_once(url, subject)).outcomes)]


@pytest.mark.parametrize(
    ("seconds", "third"), [(1 - MOMENT, [5, 6]), (1, [0, 5])], ids=["within a second", "after a second"]
)
async def test_a_late_delivery_is_applied_after_a_second_although_every_batch_is_full(
    emptied: str, monkeypatch: pytest.MonkeyPatch, seconds: float, third: Sequence[int]
) -> None:
    clock = Clock()
    monkeypatch.setattr(batch_module, "time", clock)
    subject = worker(batch_size=2)
    await updates(emptied, 12)

    with psycopg.connect(emptied) as late:
        late.execute("SELECT FROM consumer.pending ORDER BY seq LIMIT 1 FOR UPDATE")
        assert await claims(emptied, subject) == [1, 2]
    assert await claims(emptied, subject) == [3, 4]
    clock.now = seconds

    assert await claims(emptied, subject) == third


async def test_each_rescan_starts_another_second(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(batch_module, "time", clock)
    subject = worker(batch_size=1)
    await updates(emptied, 12)

    async def held_back(at: float, *, then: float) -> list[int]:
        """Return what is applied at two moments, of which the first finds the oldest delivery locked."""
        clock.now = at
        with psycopg.connect(emptied) as late:
            late.execute("SELECT FROM consumer.pending ORDER BY seq LIMIT 1 FOR UPDATE")
            first = await claims(emptied, subject)
        clock.now = then
        return first + await claims(emptied, subject)

    assert await held_back(0, then=1) == [1, 0]
    assert await held_back(1.5, then=2 - MOMENT) == [3, 4]
    assert await claims(emptied, subject) == [5]
    clock.now = 2
    assert await claims(emptied, subject) == [2]


async def test_a_short_batch_starts_from_the_first_again(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "time", Clock())
    subject = worker(batch_size=2)
    await updates(emptied, 4)

    with psycopg.connect(emptied) as late:
        late.execute("SELECT FROM consumer.pending ORDER BY seq LIMIT 1 FOR UPDATE")
        assert await claims(emptied, subject) == [1, 2]
        # The rest is one, and the locked one is skipped again.
        assert await claims(emptied, subject) == [3]
    await updates(emptied, 2)

    assert await claims(emptied, subject) == [0, 4]


@pytest.mark.parametrize(
    ("batch_size", "due", "retries", "new"),
    [(4, 10, 2, 2), (5, 10, 3, 2), (6, 2, 2, 4), (6, 0, 0, 6)],
    ids=["even", "odd", "few are due", "none is due"],
)
async def test_retries_get_at_most_half_of_a_batch_and_news_the_rest(
    emptied: str, batch_size: int, due: int, retries: int, new: int
) -> None:
    await failed_before(emptied, [user_updated() for _ in range(due)], 1)
    await updates(emptied, 10)

    found = await claims(emptied, worker(batch_size=batch_size))

    assert (len([place for place in found if place < due]), len([place for place in found if place >= due])) == (
        retries,
        new,
    )


async def test_a_full_batch_is_a_thousand_deliveries(emptied: str) -> None:
    await updates(emptied, 1_001)

    subject = BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12)

    assert await sizes(emptied, subject, 2) == [1_000, 1]


async def test_a_halved_batch_doubles_with_each_batch_up_to_its_size(emptied: str) -> None:
    subject = worker(batch_size=8)
    await updates(emptied, 40)

    first = await sizes(emptied, subject, 1)
    subject.halve_batch()
    subject.halve_batch()

    assert first + await sizes(emptied, subject, 4) == [8, 2, 4, 8, 8]


async def test_a_batch_is_halved_from_what_it_claimed_to_one_at_least(emptied: str) -> None:
    subject = worker(batch_size=1_000)
    await updates(emptied, 6)
    await run_once(emptied, subject)
    await updates(emptied, 10)

    subject.halve_batch()
    halved = await sizes(emptied, subject, 1)
    for _ in range(5):
        subject.halve_batch()

    assert halved + await sizes(emptied, subject, 4) == [3, 1, 2, 4, 0]


async def test_an_idle_worker_on_a_silent_connection_halves_its_batch_and_no_more(emptied: str) -> None:
    subject = worker(batch_size=8)
    await run_once(emptied, subject)
    subject.halve_batch()
    await updates(emptied, 8)

    assert await sizes(emptied, subject, 2) == [4, 4]


async def test_retries_are_part_of_what_a_batch_claimed(emptied: str) -> None:
    subject = worker(batch_size=8)
    await failed_before(emptied, [user_updated() for _ in range(8)], 1)
    assert await sizes(emptied, subject, 1) == [4]
    await updates(emptied, 8)

    subject.halve_batch()

    assert await sizes(emptied, subject, 1) == [2]


async def test_an_empty_batch_doubles_nothing_and_is_not_observed(emptied: str) -> None:
    subject = worker(batch_size=8)
    await updates(emptied, 8)
    await run_once(emptied, subject)
    subject.halve_batch()

    assert await sizes(emptied, subject, 1) == [0]
    assert value(subject, "batch_deliveries_count") == 1
    await updates(emptied, 8)
    assert await sizes(emptied, subject, 1) == [4]


def test_a_turn_that_only_re_homed_users_is_not_idle() -> None:
    assert Batch().is_idle
    assert not Batch(rehomed=PageResult(0, [], is_overrun=False)).is_idle


async def test_the_metrics_and_the_lines_of_one_batch(
    emptied: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ticks = iter([10.0, 12.5])
    monkeypatch.setattr(batch_module, "time", SimpleNamespace(monotonic=lambda: 0.0, perf_counter=lambda: next(ticks)))
    subject = worker(attempts_max=12)
    deliveries = named("Ada", "Grace", "Joan", CONSTRAINT, f"{POISON}:strict")
    await failed_before(emptied, deliveries[2:4], 4)
    await stored(emptied, [*deliveries[:2], deliveries[4]])
    by_id = {row["message_id"]: row["seq"] for row in rows(emptied, "SELECT message_id, seq FROM consumer.outbox")}

    with picky(emptied), caplog.at_level(logging.INFO, "consumer"):
        await run_once(emptied, subject)

    names = ("apply_seconds_sum", "apply_seconds_count", "batch_deliveries_sum", "batch_deliveries_count")
    assert [value(subject, name) for name in names] == [2.5, 1, 5, 1]
    assert value(subject, "deliveries_applied_total", event_type="user.updated", outcome="applied") == 3
    assert value(subject, "deliveries_applied_total", event_type="user.updated", outcome="stale") == 0
    assert [value(subject, f"deliveries_{name}_total") for name in ("retried", "buried")] == [1, 1]
    applied, *others = caplog.records
    assert applied.getMessage() == logs.DELIVERY_APPLIED
    assert sorted(vars(applied)["outcomes"]) == [
        (d.message_id, "user.updated", d.user_id, "applied", attempt)
        for d, attempt in zip(deliveries[:3], (1, 1, 5), strict=True)
    ]
    failed = [(d.message_id, d.user_id) for d in deliveries[3:]]
    assert [(vars(r)["message_id"], vars(r)["user_id"]) for r in others] == failed
    fields = ("seq", "type", "attempt", "error_code", "error")
    assert [(r.getMessage(), r.levelname, *(vars(r)[name] for name in fields)) for r in others] == [
        ("delivery_retried", "WARNING", by_id[deliveries[3].message_id], "user.updated", 5, "23505", "UniqueViolation"),
        (
            "delivery_buried",
            "ERROR",
            by_id[deliveries[4].message_id],
            "user.updated",
            1,
            "22012",
            "DivisionByZero strict",
        ),
    ]


async def test_retries_and_dead_deliveries_are_counted_apart(emptied: str) -> None:
    subject = worker()
    await stored(emptied, named(CONSTRAINT, CONSTRAINT, POISON))

    with picky(emptied):
        await run_once(emptied, subject)

    assert [value(subject, f"deliveries_{name}_total") for name in ("retried", "buried")] == [2, 1]


async def test_outcomes_are_counted_by_type(emptied: str) -> None:
    subject = worker()
    newer, older = user_updated(), user_updated()
    older = older._replace(user_id=newer.user_id, occurred_at=newer.occurred_at - timedelta(days=1))
    await stored(emptied, [newer])
    await run_once(emptied, subject)
    await stored(emptied, [older, user_updated()])

    await run_once(emptied, subject)

    counts = {
        outcome: value(subject, "deliveries_applied_total", event_type="user.updated", outcome=outcome)
        for outcome in ("applied", "stale", "unchanged", "ignored")
    }
    assert counts == {"applied": 2, "stale": 1, "unchanged": 0, "ignored": 0}
    assert [value(subject, f"batch_deliveries_{name}") for name in ("count", "sum")] == [2, 3]
