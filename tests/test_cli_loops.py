"""The loops of commands that run to an end: what they wait for, how long, and what they tell meanwhile."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import click
import pytest

from consumer.cli import erase, follow, rebuild, reconcile, recover, run_progress
from consumer.cli.rebuild import Rebuilt
from consumer.errors import ConsumerError
from consumer.operations import erase as erasing
from consumer.operations import reconcile as reconciling
from consumer.operations.erase import Report
from consumer.operations.reconcile import Reconciled
from consumer.operations.recover import Recovery
from consumer.operations.runs import BegunRun
from consumer.outbox import deliveries, rebuild_queue
from consumer.outbox.rebuild_queue import Depth, Stage
from consumer.postgres import session
from consumer.postgres.connections import operator_access, worker_access
from consumer.settings.settings import Settings
from consumer.worker.rebuild import RebuiltPage
from tests.support.kept import kept
from tests.support.loops import Bar, Clock
from tests.test_printed_runs import delivery, made_run
from tests.test_printed_runs import page as recovered_page

NOW = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
OPERATOR, WORKER = operator_access("consumer"), worker_access("consumer")
ONE = UUID(int=1)
# A connection, or whatever else nobody uses.
NOBODY: Any = None


class Answers:
    """Gives one answer after the other, and raises those that are errors; it keeps the calls."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[Any, ...]] = []

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls.append((*arguments, *named.items()))
        found = self.answers.pop(0)
        if isinstance(found, BaseException):
            raise found
        return found


def page(done: int, stage: Stage = Stage.USER, **differing: int) -> RebuiltPage:
    return RebuiltPage(stage, done, Counter(differing))


def depths(*each: tuple[int, int, str | None]) -> list[Depth]:
    return [Depth(n, *values) for n, values in enumerate(each, 1)]


async def test_a_rebuild_takes_pages_until_only_what_failed_waits(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, bar = Clock(monkeypatch, rebuild), Bar()
    pages = Answers(page(2, profile=1), page(3, Stage.COMPANY, company=2), None, page(4, profile=1), None, None)
    waiting = Answers(
        depths((5, 0, None), (2, 0, None)),
        depths((1, 1, "first"), (3, 0, None)),
        depths((1, 1, None), (2, 1, "second")),
        depths((1, 1, None), (2, 2, "second"), (0, 0, "third")),
    )
    monkeypatch.setattr(rebuild, "Progress", bar)
    monkeypatch.setattr(rebuild, "rebuild_page", pages)
    monkeypatch.setattr(rebuild_queue, "depth", waiting)

    async with kept(emptied, WORKER) as conn:
        found = await rebuild._drain(conn, WORKER, b"statement")

    assert found == Rebuilt(6, 3, Counter(profile=2, company=2), 3, "second")
    assert clock.slept == [0.2, 0.2]
    assert {call[2:] for call in pages.calls} == {(("projection_sql", b"statement"),)}
    assert bar.is_passing
    # It is counted at once, where no page is left, and each ten seconds.
    assert bar.told == [
        {"task": "", "total": None},
        {"completed": 2},
        {"total": 9, "completed": 2},
        {"completed": 5},
        {"total": 9, "completed": 5},
        {"completed": 9},
        {"total": 12, "completed": 9},
        {"total": 12, "completed": 9},
    ]


async def test_what_waits_is_counted_again_after_ten_seconds(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, rebuild)
    ticks = [0.0, 9.9, 0.1, 0.0]
    counted: list[float] = []

    async def take(*_: object, **__: object) -> RebuiltPage | None:
        if not ticks:
            return None
        clock.now += ticks.pop(0)
        return page(1)

    async def count(_: object) -> list[Depth]:
        counted.append(clock.now)
        return depths((0, 0, None))

    monkeypatch.setattr(rebuild, "rebuild_page", take)
    monkeypatch.setattr(rebuild_queue, "depth", count)
    async with kept(emptied, WORKER) as conn:
        assert await rebuild._drain(conn, WORKER, None) == Rebuilt(users=4)

    assert counted == [1000.0, 1010.0, 1010.0]
    assert clock.slept == []


def test_a_page_counts_for_users_or_for_companies() -> None:
    rebuilt = Rebuilt()
    for stage in Stage:
        rebuilt.add(page(int(stage), stage, x=1))

    assert (rebuilt.users, rebuilt.companies, rebuilt.done, rebuilt.differing) == (2, 4, 6, Counter(x=3))


async def test_a_reconciliation_waits_until_stack_may_be_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch, reconcile)
    first, second, third = (replace(made_run(), users=n) for n in range(3))
    later = Reconciled(second, [], [], NOW + timedelta(seconds=90))
    past = Reconciled(third, [], [], NOW - timedelta(seconds=1))
    end = Reconciled(third, [], [], None)
    followed, report = Answers(second, third, third), Answers(later, past, end)
    monkeypatch.setattr(run_progress, "followed", followed)
    monkeypatch.setattr(reconciling, "report", report)
    monkeypatch.setattr(reconciling, "reconcile", lambda *given: given[3:])

    found = await reconcile._followed(NOBODY, NOBODY, NOBODY, BegunRun(first, is_resumed=False), NOBODY)

    assert found == end
    assert clock.slept == [(later.due_at or NOW).timestamp() - later.run.now.timestamp(), 0.0]
    assert [call[0][0] for call in followed.calls] == [first, second, third]
    assert [call[2] for call in report.calls] == [second, third, third]
    text = "Stack is asked again at 14:33:38Z; after a stop the same command goes on."
    assert text in " ".join(capsys.readouterr().err.split())


def runner(*are_idle: bool) -> Any:
    return SimpleNamespace(run_once=Answers(*(SimpleNamespace(is_idle=each) for each in are_idle)))


async def test_an_erasure_is_applied_until_it_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, erase)
    batches = runner(False, True, False, True)

    await erase._apply(NOBODY, batches, Answers(False, False, False, True))

    assert (len(batches.run_once.calls), clock.slept) == (4, [erase.PAUSE.total_seconds()])


async def test_an_erasure_that_is_not_applied_in_time_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, erase)
    pauses = round(erase.WAIT / erase.PAUSE)
    batches = runner(*[True] * (pauses + 1))

    with pytest.raises(ConsumerError) as raised:
        await erase._apply(NOBODY, batches, Answers(*[False] * (pauses + 1)))

    assert str(raised.value) == (
        "The erasure is stored, but not applied in time: `consumer status` may say why. "
        "Call `consumer erase` again to finish it."
    )
    assert sum(clock.slept) == pytest.approx(erase.WAIT.total_seconds())


async def test_the_last_report_of_an_erasure_is_the_one(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = [Report(shared_emails=n) for n in range(3)]

    async def bodies(*_: object, is_kept: bool) -> AsyncIterator[Report]:
        for each in reports if is_kept else ():
            yield each

    monkeypatch.setattr(erasing, "erase_bodies", bodies)

    assert await erase._last(NOBODY, OPERATOR, NOBODY, is_kept=True) is reports[2]
    assert await erase._last(NOBODY, OPERATOR, NOBODY, is_kept=False) == Report()


async def test_a_user_of_whom_nothing_is_held_and_told_is_a_mistake(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kept(emptied, OPERATOR) as conn:
        for held, told in ((Counter(a=1), False), (Counter(a=0), True)):
            monkeypatch.setattr(erasing, "held", Answers(held))
            monkeypatch.setattr(deliveries, "has_user", Answers(told))
            assert await erase._require_held(conn, OPERATOR, ONE) == held
        monkeypatch.setattr(erasing, "held", Answers(Counter(a=0)))
        monkeypatch.setattr(deliveries, "has_user", Answers(False))
        with pytest.raises(ConsumerError, match=r"^Nothing is held about this user: the id may be mistyped\.$"):
            await erase._require_held(conn, OPERATOR, ONE)


@pytest.mark.parametrize("is_since", [False, True])
async def test_followed_deliveries_are_printed_until_the_end_without_a_pause_while_there_are_more(
    emptied: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_since: bool
) -> None:
    stop, lines = asyncio.Event(), list[str]()
    begun, since = list[datetime](), NOW if is_since else None
    looks = [(["a", "b"], True), ([], True), (["c"], False), (["d"], False)]
    waits: list[float] = []

    class Follower:
        is_behind = False

        def __init__(self, wanted: Any, since: datetime) -> None:
            begun.append(since)

        async def changes(self, _: object) -> Sequence[str]:
            found, self.is_behind = looks.pop(0)
            if not looks:
                stop.set()
            return found

    async def wait_for(waiting: Any, seconds: float) -> None:
        waits.append(seconds)
        waiting.close()
        if not stop.is_set():
            raise TimeoutError

    monkeypatch.setattr(follow, "Follower", Follower)
    monkeypatch.setattr(follow, "chosen", Answers(SimpleNamespace(since=since)))
    monkeypatch.setattr(follow, "asyncio", SimpleNamespace(wait_for=wait_for))
    line: Any = lines.append

    await follow._followed(Settings(), emptied, NOBODY, line, stop)

    assert (lines, waits) == (["a", "b", "c", "d"], [1.0, 1.0])
    assert begun == [NOW] if is_since else abs(begun[0] - datetime.now(UTC)) < timedelta(minutes=1)
    assert capsys.readouterr().err == "Following deliveries, until Ctrl-C. Times are in UTC.\n"


async def test_a_recovery_goes_back_in_time_page_by_page(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bar = Bar()
    monkeypatch.setattr(recover, "Progress", bar)
    since = NOW - timedelta(seconds=100)
    first = recovered_page([delivery("a", "x.y"), delivery("b", None, "bad")], [delivery("c", "x.y")], lost=1)
    pages = [first._replace(oldest=NOW - timedelta(seconds=40)), first._replace(oldest=None, new=[], lost=[])]
    pages.append(first._replace(oldest=since - timedelta(seconds=9), new=[], known=[], lost=[]))
    monkeypatch.setattr(session, "now", Answers(NOW))
    asked: list[datetime] = []

    async def walk(_: object, __: object, at: datetime) -> AsyncIterator[Any]:
        asked.append(at)
        for each in pages:
            yield each

    recovery: Any = SimpleNamespace(access=OPERATOR, pages=walk)
    async with kept(emptied, OPERATOR) as conn:
        opened: Any = SimpleNamespace(conn=conn, svix=None)
        found = await recover._recovered(recovery, timedelta(seconds=100), opened)

    assert asked == [since]
    assert (bar.is_passing, bar.made["disable"]) == (True, True)
    assert (found.new, found.known) == (Counter({"x.y": 1, "": 1}), Counter({"x.y": 2}))
    assert (found.since, found.unusable, found.lost, found.lost_ids) == (since, 1, 1, ["lost_0"])
    at = [f"back to {each:%Y-%m-%d %H:%M}Z" for each in (NOW - timedelta(seconds=40), since, since)]
    assert bar.told == [
        {"task": "back to", "total": 100.0, "done": ""},
        {"description": at[0], "completed": 40.0, "done": "2 new, 1 known"},
        {"description": at[1], "completed": 100.0, "done": "2 new, 2 known"},
        {"description": at[2], "completed": 100.0, "done": "2 new, 2 known"},
    ]


async def test_a_recovery_begins_now_at_the_latest(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recovery = Recovery(OPERATOR, "p", timedelta())
    async with kept(emptied, OPERATOR) as conn:
        monkeypatch.setattr(session, "now", Answers(NOW, NOW))
        now, counts = await recover._begun(recovery, conn, NOW)
        with pytest.raises(click.UsageError, match=r"^--since lies in the future\.$"):
            await recover._begun(recovery, conn, NOW + timedelta(microseconds=1))

    assert (now, counts.since, counts.lost_ids) == (NOW, NOW, [])
