"""The parts of a worker's turn: the tally of failures, and what comes before and after a batch."""

import logging
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import CheckViolation, LockNotAvailable, UniqueViolation

from consumer.errors import NewerRelease, StatementRefused, WorkerPaused
from consumer.outbox import queue, rebuild_queue
from consumer.outbox.queue import Claimed
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres.locks import LockHolder
from consumer.worker import batch as batch_module
from consumer.worker.batch import BatchRunner, drain
from consumer.worker.lock_log import LockLog, _fields
from consumer.worker.newer_release import set_unknown_aside
from consumer.worker.tally import BatchTally, subject_of
from tests.support.application import calls
from tests.support.application import worker as following
from tests.support.batch import failed_before, named, picky
from tests.support.databases import change, rows
from tests.support.effects import ACCESS as WORKER
from tests.support.factories import membership, team_event, user_updated
from tests.support.kept import kept
from tests.support.outbox import put, seqs
from tests.support.still_clock import Clock
from tests.support.worker import ACCESS, run_once, stored, worker

TEAM = UUID(int=9)


def claimed(number: int, user: int | None = None, *, has_failed: bool = False) -> Claimed:
    user_id = None if user is None else UUID(int=user)
    return Claimed(number, "stack", f"m{number}", "user.updated", user_id, None, has_failed)


def test_the_subject_is_the_user_or_else_the_delivery() -> None:
    assert (subject_of(claimed(7, 3)), subject_of(claimed(7))) == (UUID(int=3), 7)


def count(tally: BatchTally, items: list[Claimed], error: Exception, *, nothing_passed: bool = False) -> None:
    for each in items:
        tally.count(each, error, nothing_passed=nothing_passed)


def test_half_of_twenty_subjects_that_fail_alike_pause_the_worker() -> None:
    items = [claimed(n, n if n % 2 else None) for n in range(1, 21)]
    error = UniqueViolation()
    tally = BatchTally([*items, *(claimed(n, n, has_failed=True) for n in range(21, 60))])
    count(tally, items[:9], error)
    # Again, and others, which do not count.
    count(tally, items[:9], error)
    count(tally, [claimed(30, 30, has_failed=True)], error)
    count(tally, items[10:], StatementRefused(error))
    count(tally, items[10:19], CheckViolation())

    with pytest.raises(WorkerPaused, match=r"^10 of 20 failed alike: UniqueViolation$") as raised:
        count(tally, [items[9]], error)
    assert raised.value.__cause__ is error
    assert tally.overrun is None


def test_of_nineteen_subjects_all_may_fail() -> None:
    items = [claimed(n, n) for n in range(1, 20)]
    tally = BatchTally([*items, claimed(30, 1)])

    count(tally, items, UniqueViolation())

    assert tally.overrun is None


@pytest.mark.parametrize("has_failed", [False, True])
def test_ten_locked_subjects_overrun_and_raise_only_if_nothing_passed(*, has_failed: bool) -> None:
    items = [claimed(n, n, has_failed=has_failed) for n in range(1, 31)]
    locked = LockNotAvailable()
    tally = BatchTally(items)
    count(tally, items[:9], locked, nothing_passed=True)
    count(tally, items[:1], locked, nothing_passed=True)
    before = tally.overrun

    count(tally, items[9:10], locked)
    assert (before, tally.overrun) == (None, locked)
    with pytest.raises(LockNotAvailable):
        count(tally, items[20:21], locked, nothing_passed=True)


async def in_turns(url: str, subject: BatchRunner, turns: int) -> list[tuple[int, bool, bool]]:
    """Run some turns; return of each how many deliveries it had, and whether it re-homed and made rows anew."""
    done = [await run_once(url, subject) for _ in range(turns)]
    return [(len(each), each.rehomed is not None, each.rebuilt is not None) for each in done]


async def test_a_turn_rehomes_and_makes_rows_anew_only_if_any_wait(emptied: str) -> None:
    user = user_updated()
    assert user.user_id
    await stored(emptied, [team_event("created", TEAM), user, membership("created", TEAM, user.user_id)])
    subject = worker()
    assert await in_turns(emptied, subject, 2) == [(3, False, False), (0, False, False)]
    change(emptied, f"INSERT INTO consumer.rebuild (stage, id) VALUES (2, '{user.user_id}')")
    assert (await in_turns(emptied, subject, 2))[0] == (0, False, True)

    await stored(emptied, [team_event("deleted", TEAM)])
    assert (await in_turns(emptied, subject, 1)) == [(1, True, False)]
    await stored(emptied, [user_updated()])
    async with kept(emptied, ACCESS) as conn:
        assert await drain(conn, subject) == 1
        assert await drain(conn, subject) == 0


async def test_the_applications_statement_follows_rows_that_are_made_anew(application: str) -> None:
    user = user_updated(display_name="Ada")
    await stored(application, [user])
    await run_once(application, following())
    change(application, f"UPDATE identity.profiles SET full_name = 'Eve' WHERE user_id = '{user.user_id}'")
    change(application, f"INSERT INTO consumer.rebuild (stage, id) VALUES (2, '{user.user_id}')")

    batch = await run_once(application, following())

    assert batch.rebuilt
    assert (batch.rebuilt.stage, batch.rebuilt.done) == (Stage.USER, 1)
    assert calls(application) == [[user.user_id]] * 2


async def test_a_row_that_cannot_be_made_anew_is_a_line_of_the_log(
    emptied: str, caplog: pytest.LogCaptureFixture
) -> None:
    [user] = named("23505:late")
    await stored(emptied, [user])
    change(emptied, f"INSERT INTO consumer.rebuild (stage, id) VALUES (2, '{user.user_id}')")
    change(emptied, "INSERT INTO consumer.outcomes (seq, outcome) SELECT seq, 'applied' FROM consumer.pending")
    change(emptied, "DELETE FROM consumer.pending")

    with picky(emptied), caplog.at_level(logging.WARNING, "consumer"):
        await run_once(emptied, worker())

    [line] = caplog.records
    told = {name: vars(line)[name] for name in ("subject_id", "error_code", "error")}
    assert line.getMessage() == "rebuild_postponed"
    assert (told["subject_id"], told["error_code"], "late" in str(told["error"])) == (user.user_id, "23505", True)


async def test_a_worker_that_was_idle_begins_with_the_first_number(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_module, "time", Clock())
    subject = worker(batch_size=2)
    await run_once(emptied, subject)
    put_numbers(emptied, 1, 2, 3)

    assert sorted((await run_once(emptied, subject)).outcomes) == [1, 2]


async def test_a_batch_of_retries_alone_leaves_the_first_number_to_the_next(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_module, "time", Clock())
    subject = worker(batch_size=1)
    await failed_before(emptied, [user_updated()], 1)
    retried = await run_once(emptied, subject)
    put_numbers(emptied, 1, 2)

    assert len(retried.outcomes) == 1
    assert sorted((await run_once(emptied, subject)).outcomes) == [1]


def put_numbers(url: str, *numbers: int) -> None:
    """Queue deliveries of a type without an effect that have these numbers."""
    change(
        url,
        "INSERT INTO consumer.outbox (seq, source, message_id, event_type, occurred_at, body) OVERRIDING SYSTEM VALUE "
        f"SELECT n, 'stack', 'n' || n, 'x.y', now(), '{{}}' FROM unnest(ARRAY{list(numbers)}) AS n; "
        f"INSERT INTO consumer.pending (seq) SELECT unnest(ARRAY{list(numbers)})",
    )


async def test_each_full_batch_leaves_the_second_of_the_rescan_as_it_is(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(batch_module, "time", clock)
    subject = worker(batch_size=1)
    await stored(emptied, [user_updated() for _ in range(4)])
    numbers = sorted(seqs(emptied).values())
    found: list[int] = []
    with psycopg.connect(emptied) as late:
        late.execute("SELECT FROM consumer.pending ORDER BY seq LIMIT 1 FOR UPDATE")
        for clock.now in (0.0, 0.6):
            found += (await run_once(emptied, subject)).outcomes
    clock.now = 1.0

    assert [*found, *(await run_once(emptied, subject)).outcomes] == [numbers[1], numbers[2], numbers[0]]


async def test_a_short_batch_that_begins_again_starts_another_second(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(batch_module, "time", clock)
    subject = worker(batch_size=2)
    found: list[list[int]] = []

    async def turn(at: float, *, is_first_locked: bool) -> None:
        clock.now = at
        with psycopg.connect(emptied) as late:
            if is_first_locked:
                late.execute("SELECT FROM consumer.pending ORDER BY seq LIMIT 1 FOR UPDATE")
            found.append(sorted((await run_once(emptied, subject)).outcomes))

    put_numbers(emptied, 1, 2, 3, 4)
    await turn(0, is_first_locked=True)
    await turn(0.5, is_first_locked=False)
    put_numbers(emptied, 5, 6, 7, 8, 9)
    await turn(0.6, is_first_locked=True)
    await turn(1, is_first_locked=False)
    await turn(1.5, is_first_locked=False)

    assert found == [[2, 3], [1, 4], [6, 7], [8, 9], [5]]


async def test_what_is_unknown_waits_for_a_newer_release_and_the_rest_is_returned(emptied: str) -> None:
    known, unknown = user_updated(), user_updated()._replace(event_type="user.sneezed")
    async with kept(emptied, WORKER) as conn:
        await put(conn, [known, unknown])
        async with conn.transaction():
            taken = await queue.claim(conn, after_seq=0, batch_size=9)
            found, aside = await set_unknown_aside(conn, taken)

    assert [each.message_id for each in found] == [known.message_id]
    assert [(each.message_id, type(error)) for each, error in aside] == [(unknown.message_id, NewerRelease)]
    assert [row["attempts"] for row in rows(emptied, "SELECT attempts FROM consumer.failures")] == [0]


async def test_a_log_of_locks_reads_them_only_after_a_lock_and_forgets_them_without(emptied: str) -> None:
    logged = LockLog()
    logged._logged = {(1, None, "a row")}
    async with kept(emptied, WORKER) as conn:
        await logged.write(conn, [UniqueViolation(), LockNotAvailable()])
        assert logged._logged == set()
        logged._logged = {(1, None, "a row")}
        await logged.write(conn, [UniqueViolation()])
    assert logged._logged == set()


async def test_a_page_of_users_is_as_many_as_their_deliveries_allow(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_queue, "DELIVERIES_MAX", 3)
    users = named("A", "B", "C")
    await stored(emptied, [*users, *(user_updated(users[0].user_id) for _ in range(1))])
    ids = [each.user_id for each in users if each.user_id]
    async with kept(emptied, WORKER) as conn, conn.transaction():
        await conn.execute("SET LOCAL ROLE consumer_worker")
        found = [await rebuild_queue.fitting(conn, ids[start:]) for start in range(3)]
        monkeypatch.setattr(rebuild_queue, "DELIVERIES_MAX", 1)
        found.append(await rebuild_queue.fitting(conn, ids))

    assert found == [2, 2, 1, 1]


@pytest.mark.parametrize(("seconds", "told"), [(None, None), (3.20051, 3.201)])
def test_the_holder_of_a_lock_is_told_field_by_field(seconds: float | None, told: float | None) -> None:
    holder = LockHolder(7, "x", "shop", "psql", "a row", 1.0, seconds, is_hidden=False)

    assert _fields(holder) == {
        "locks": "a row",
        "pid": 7,
        "prepared_transaction": "x",
        "login": "shop",
        "application": "psql",
        "seconds": told,
    }
