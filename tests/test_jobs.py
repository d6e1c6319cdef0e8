"""The jobs of `consumer maintain`: which ones are on, how often each is due, and what each tells of its result."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.cli import jobs
from consumer.cli.prune import Pruned
from consumer.operations import activity
from consumer.operations.maintenance import RETRY, JobResult
from consumer.operations.reconcile import DriftCount, Reconciled
from consumer.postgres import origin
from consumer.postgres.connections import operator_access
from consumer.settings.settings import Settings
from consumer.stack_api.endpoint import EndpointFinding
from consumer.stack_api.rate import RateLimit
from consumer.verdict.upkeep import ENDPOINT_ALARMS
from tests.support.kept import kept
from tests.test_cli_loops import NOBODY, Answers
from tests.test_printed_runs import made_run

NOW = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
OPERATOR = operator_access("consumer")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEYED = Settings(stack_project_id="p", stack_secret_server_key="s", stack_super_secret_admin_key="a", retention_days=1)
LEFT = DriftCount("undeleted_user", 5, 2, 3)
REMARK = "Differences stay: `consumer reconcile` counts them, and --fix deletes here what Stack lacks."


def on(settings: Settings) -> dict[str, bool]:
    return {each.name: each.work is not None for each in jobs.jobs(settings)}


def test_a_job_is_on_by_its_settings_and_due_after_its_period() -> None:
    names = ["hours", "prune", "activity", "reconcile", "endpoint"]

    assert on(KEYED) == dict.fromkeys(names, True)
    assert on(Settings()) == {**dict.fromkeys(names, False), "hours": True}
    assert on(Settings(audit_retention_days=1))["prune"]
    assert on(replace(KEYED, stack_super_secret_admin_key=None)) == {**dict.fromkeys(names, True), "endpoint": False}
    periods = {each.name: each.period for each in jobs.jobs(Settings())}
    assert periods == {
        "hours": MINUTE,
        "prune": 23 * HOUR,
        "activity": MINUTE,
        "reconcile": 23 * HOUR,
        "endpoint": HOUR,
    }


async def test_a_prune_tells_the_last_count(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Pruned(1), Pruned(5, Counter(a=2, b=3))]

    async def pruned(*_: object) -> AsyncIterator[Pruned]:
        for each in found:
            yield each

    monkeypatch.setattr(jobs, "pruned", pruned)
    work = jobs._prune(Settings())

    assert await work(NOBODY, OPERATOR) == JobResult({"audit_rows_removed": 5, "deliveries_removed": 5})
    found.clear()
    assert await work(NOBODY, OPERATOR) == JobResult({"audit_rows_removed": 0, "deliveries_removed": 0})


@pytest.mark.parametrize(
    ("drift", "unusable", "due_in", "result"),
    [
        ([], 0, None, JobResult({"differences": 0, "repaired": 0, "unusable": 0})),
        (
            [LEFT, DriftCount("missing_user", 4, 4, 0)],
            0,
            None,
            JobResult({"differences": 9, "repaired": 6, "unusable": 0}, REMARK),
        ),
        ([], 2, None, JobResult({"differences": 0, "repaired": 0, "unusable": 2}, REMARK)),
        (
            [LEFT],
            0,
            5 * MINUTE,
            JobResult(
                {"differences": 5, "repaired": 2, "unusable": 0},
                "Stack is asked a second time about what it lacked.",
                5 * MINUTE,
            ),
        ),
    ],
)
def test_a_reconciliation_tells_what_differs_and_when_it_goes_on(
    drift: list[DriftCount], unusable: int, due_in: timedelta | None, result: JobResult
) -> None:
    run = made_run(unusable=unusable)

    found = jobs._reconciled(Reconciled(run, drift, [], None if due_in is None else run.now + due_in))

    assert found == result


ALARM = EndpointFinding("a", "it is off", "Turn it on.", is_alarm=True)
HINT = EndpointFinding("b", "its filter is odd", "Take it away.")


@pytest.mark.parametrize(
    ("url", "findings", "result"),
    [
        (None, [], JobResult({}, "No endpoint is recorded: `consumer connect` does it.")),
        ("u", [], JobResult({})),
        ("u", [HINT], JobResult({}, "Its filter is odd. Take it away.")),
        (
            "u",
            [HINT, ALARM, ALARM],
            JobResult(
                {ENDPOINT_ALARMS: 2},
                due_in=RETRY,
                error="Its filter is odd. Take it away. It is off. Turn it on. It is off. Turn it on.",
            ),
        ),
    ],
)
async def test_an_endpoint_fails_its_job_if_something_keeps_all_webhooks_out(
    emptied: str,
    monkeypatch: pytest.MonkeyPatch,
    url: str | None,
    findings: list[EndpointFinding],
    result: JobResult,
) -> None:
    refuse, asked = Answers(None), Answers(findings)
    monkeypatch.setattr(origin, "refuse_copy", refuse)
    monkeypatch.setattr(jobs, "endpoint_url", Answers(url))
    monkeypatch.setattr(jobs, "_endpoint_findings", asked)
    rate = RateLimit(1)

    async with kept(emptied, OPERATOR) as conn:
        assert await jobs._endpoint(KEYED, rate)(conn, OPERATOR) == result
        assert refuse.calls == [(conn, OPERATOR)]

    assert asked.calls == ([(KEYED, rate, url)] if url else [])


async def test_a_server_that_cannot_tell_who_was_active_is_asked_again_in_a_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Any] = []

    @asynccontextmanager
    async def acting(*given: object) -> AsyncIterator[str]:
        opened.append(given)
        yield "api"

    class Put:
        def _asdict(self) -> dict[str, int]:
            return {"stored": 3}

    poll, rate = Answers(None, Put()), RateLimit(1)
    monkeypatch.setattr(jobs, "acting_api", acting)
    monkeypatch.setattr(activity, "poll", poll)
    work = jobs._activity(KEYED, rate)

    found = [await work(NOBODY, OPERATOR) for _ in "12"]

    assert found == [JobResult({}, jobs.UNABLE, DAY), JobResult({"stored": 3})]
    assert opened == [(KEYED, NOBODY, OPERATOR, rate)] * 2
    assert poll.calls == [(NOBODY, OPERATOR, "api", "p")] * 2
