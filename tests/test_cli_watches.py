"""The commands that go on until they are stopped: what they begin, wait for, log, and leave behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from consumer import logs
from consumer.cli import maintain, recover, work
from consumer.errors import ConsumerError, WrongRelease
from consumer.metrics import Metrics
from consumer.operations import maintenance
from consumer.operations.maintenance import Job, JobReport
from consumer.operations.recover import OVERLAP, RecoveredPage
from consumer.settings.settings import Settings
from tests.support.loops import Clock
from tests.support.worker import worker
from tests.test_cli_loops import NOBODY, Answers
from tests.test_printed_runs import delivery
from tests.test_printed_runs import page as recovered_page

NOW = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
NEVER = asyncio.Event


@pytest.mark.parametrize(
    ("is_stopped", "logged"), [(False, [(logs.WORKER_DRAINED, 5)]), (True, [])], ids=["to the end", "stopped"]
)
async def test_a_drain_logs_how_many_it_applied_unless_it_was_stopped(
    emptied: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_stopped: bool,
    logged: list[tuple[str, int]],
) -> None:
    stop = asyncio.Event()

    async def drain(_: object, runner: object) -> int:
        assert runner is batches
        if is_stopped:
            stop.set()
            await asyncio.sleep(9)
        return 5

    monkeypatch.setattr(work, "not_ready_reason", Answers(None))
    monkeypatch.setattr(work, "drain", drain)
    batches = worker()
    with caplog.at_level("INFO", "consumer"):
        await work._drain(Settings(), emptied, batches, stop)

    assert [(each.getMessage(), vars(each)["deliveries"]) for each in caplog.records] == logged


async def test_a_drain_that_may_not_work_applies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = Answers("it is too old")
    monkeypatch.setattr(work, "not_ready_reason", ready)

    with pytest.raises(ConsumerError, match=r"^Nothing was applied: it is too old\.$"):
        await work._drain(Settings(), "url", worker(), NEVER())
    assert ready.calls == [("url", worker().access, Settings().shaping, ("applies", True))]


class Loop:
    """A worker's loop that ends when it is stopped, or at once with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.stopped = error, asyncio.Event()

    def stop(self) -> None:
        self.stopped.set()

    async def run(self) -> None:
        if self.error:
            raise self.error
        await self.stopped.wait()


async def test_a_worker_runs_until_it_is_stopped_or_may_not_work_any_more(caplog: pytest.LogCaptureFixture) -> None:
    stop, loop, old, broken = asyncio.Event(), Loop(), Loop(WrongRelease("too old")), Loop(ValueError())
    given: list[Any] = [loop, old, broken]

    with caplog.at_level("INFO", "consumer"):
        applying = asyncio.create_task(work._apply_until_stopped(given[0], stop))
        for _ in range(9):
            await asyncio.sleep(0)
        assert not loop.stopped.is_set()
        stop.set()
        assert await asyncio.wait_for(applying, 9) is None
        assert await work._apply_until_stopped(given[1], NEVER()) == "too old"
        with pytest.raises(ValueError, match=r"^$"):
            await work._apply_until_stopped(given[2], NEVER())

    assert loop.stopped.is_set()
    assert not old.stopped.is_set()
    assert caplog.messages == [logs.WORKER_STARTED, logs.WORKER_STOPPED] * 3


class Readiness:
    """It is ready at once; it keeps for what it was asked."""

    made: list["Readiness"]

    def __init__(self, outage: Any, *, applies: bool) -> None:
        self.outage, self.applies, self.waits = outage, applies, 0
        self.reason: str | None = "not yet"
        Readiness.made.append(self)

    @property
    def answer(self) -> str | None:
        return self.reason

    async def wait(self, *_: object) -> None:
        self.waits += 1
        self.before, self.reason = self.reason, None


@asynccontextmanager
async def nothing(*_: object) -> AsyncIterator[None]:
    yield


async def test_a_worker_waits_again_for_its_release_and_tells_why_it_does_not_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Readiness.made = []
    stop, told = asyncio.Event(), list[Any]()
    probes: list[Callable[[], Any]] = []
    made: list[Any] = []

    @asynccontextmanager
    async def serve(_: object, probe: Callable[[], Any], *__: object) -> AsyncIterator[None]:
        probes.append(probe)
        yield

    class Made(Loop):
        def __init__(self, conninfo: str, runner: object, attempted: object, *, poll_max: timedelta) -> None:
            super().__init__()
            self.trouble, self.paused_by, self.turned_at = None, None, 1000.0
            made.append((self, poll_max))

    async def apply(loop: Any, _: object) -> str | None:
        loop = made[0][0]
        told.append(await probes[0]())
        for seconds in (20.0, 0.1):
            clock.now += seconds
            told.append(await probes[0]())
        loop.trouble = "trouble"
        told.append(await probes[0]())
        if len(told) > 4:
            stop.set()
        loop.trouble, loop.turned_at = None, clock.now
        return "too old"

    clock = Clock(monkeypatch, work)
    for name, stand_in in {"Readiness": Readiness, "Worker": Made, "reporting": nothing, "serve_ops": serve}.items():
        monkeypatch.setattr(work, name, stand_in)
    monkeypatch.setattr(work, "_apply_until_stopped", apply)
    await work._work(Settings(poll_max_seconds=5), Metrics({}), "host=x", worker(), stop)

    [readiness] = Readiness.made
    stalled = "the worker's loop does not turn: see its log"
    assert told == [None, None, stalled, "trouble"] * 2
    assert (readiness.applies, readiness.waits, readiness.before) == (True, 2, "too old")
    assert await probes[0]() == "too old"
    assert made[0][1] == timedelta(seconds=5)


def job(name: str, is_on: bool = True) -> Job:
    async def done(*_: object) -> Any:
        raise NotImplementedError

    return Job(name, timedelta(hours=1), "X", done if is_on else None)


async def test_a_job_is_run_again_after_the_pause_until_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, logged = Clock(monkeypatch, maintain), list[JobReport]()
    reports = [JobReport("prune", "done", None, None), JobReport("prune", "failed", None, None)]
    run = Answers(*reports, psycopg.OperationalError())
    monkeypatch.setattr(maintenance, "run", run)
    monkeypatch.setattr(maintain, "_log", logged.append)
    prune = job("prune")

    with pytest.raises(psycopg.OperationalError):
        await maintain._watch_job("url", NOBODY, prune)

    assert (logged, clock.slept) == (reports, [60.0, 60.0])
    assert run.calls == [("url", NOBODY, prune)] * 3


async def test_a_watch_runs_the_jobs_that_are_on_and_waits_out_what_ends_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Readiness.made = []
    stop, watched = asyncio.Event(), list[str]()
    errors: list[Exception] = [psycopg.OperationalError("gone"), WrongRelease("too old")]

    async def watch_job(conninfo: str, _: object, one: Job) -> None:
        watched.append(f"{conninfo} {one.name}")
        if one.name == "b":
            if errors:
                raise errors.pop(0)
            stop.set()
        await asyncio.sleep(9)

    for name, stand_in in {"Readiness": Readiness, "reporting": nothing, "notifying": nothing}.items():
        monkeypatch.setattr(maintain, name, stand_in)
    monkeypatch.setattr(maintain, "notifier", lambda *_: None)
    monkeypatch.setattr(maintain, "jobs", lambda _: [job("a"), job("off", is_on=False), job("b")])
    monkeypatch.setattr(maintain, "_watch_job", watch_job)
    befores: list[str | None] = []
    waited = Readiness.wait

    async def wait(self: Readiness, *given: object) -> None:
        befores.append(self.reason)
        await waited(self, *given)

    monkeypatch.setattr(Readiness, "wait", wait)
    with caplog.at_level("INFO", "consumer"):
        await asyncio.wait_for(maintain._watch(Settings(), "host=x", stop), 9)

    [readiness] = Readiness.made
    assert watched == ["host=x a", "host=x b"] * 3
    assert (readiness.applies, befores) == (True, ["not yet", readiness.outage.reason, "Too old."])
    assert logs.DATABASE_LOST in caplog.messages


async def test_a_followed_recovery_counts_and_shows_each_page_until_it_is_stopped(
    emptied: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [recovered_page([delivery("a", "x.y")], []), recovered_page([delivery("b", "x.y")], [])]
    asked: list[tuple[Any, ...]] = []

    async def follow(recovery: Any, _: object, since: datetime, told: object) -> AsyncIterator[RecoveredPage]:
        asked.append((recovery.project_id, since))
        for each in pages:
            yield each
        stop.set()
        await asyncio.sleep(9)

    settings = Settings(stack_project_id="p")
    monkeypatch.setattr(recover, "follow", follow)
    shown = []
    for is_json in (False, True):
        stop = asyncio.Event()
        counts = await asyncio.wait_for(recover._followed(settings, emptied, OVERLAP, is_json, stop), 9)
        shown.append(capsys.readouterr())
        assert (dict(counts.new), asked[-1]) == ({"x.y": 2}, ("p", counts.since))

    assert abs(datetime.now(UTC) - OVERLAP - counts.since) < timedelta(minutes=1)
    assert [line.split()[-1] for line in shown[0].out.splitlines()] == ["a", "b"]
    assert shown[1].out == ""
    assert {each.err for each in shown} == {"Following what Stack sends, until Ctrl-C.\n"}
