"""What the console's questions may take, what its charts read, and how it waits after a bug."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from consumer.cli import console_process
from consumer.console import sampler
from consumer.console.reported import QUARTER, chart
from consumer.console.sample import Sample
from consumer.console.sampler import Sampler, View, sampling
from consumer.metrics import DELIVERY_SECONDS
from consumer.outbox import deliveries
from tests.support.cli import arrive
from tests.support.confirming import confirm, heading
from tests.support.console import Desk
from tests.support.dead import three_dead
from tests.support.factories import user_updated
from tests.test_console_figures import NOW, ONE, read, report

pytest_plugins = ["tests.support.console"]

__all__ = ["three_dead"]

ADA = UUID(int=1)
MINUTES_AGO = timedelta(minutes=2)


def test_a_count_is_given_five_seconds_by_the_server(
    desk: Desk, three_dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, limits = deliveries.count, []

    async def counted(conn: Any, *arguments: Any, **named: Any) -> Any:
        limits.append((await (await conn.execute("SHOW statement_timeout")).fetchone())[0])
        return await count(conn, *arguments, **named)

    monkeypatch.setattr(deliveries, "count", counted)
    confirm(desk, "/dead/retry")
    desk.get("/recovery/rebuild?since=1h")

    assert limits == ["5s"] * 3


@pytest.mark.parametrize(("reason", "status"), [("", 400), ("x", 200), ("x" * 1000, 200), ("x" * 1001, 400)])
def test_a_reason_to_reveal_has_from_one_to_a_thousand_characters(
    desk: Desk, emptied: str, reason: str, status: int
) -> None:
    arrive(emptied, user_updated(ADA))

    page = desk.post(f"/users/{ADA}/reveal", {"reason": reason})

    assert page.status == status
    assert (heading(page) == "Reveal personal data?") == (status == 400)


def test_each_time_of_a_chart_is_the_bound_that_its_share_does_not_exceed(emptied: str) -> None:
    counts = [60, 36, 3, 1, *[0] * (len(DELIVERY_SECONDS) - 3)]
    report(emptied, ONE, MINUTES_AGO, {"deliveries_applied:a:applied": 1}, delivery_seconds=counts)
    report(emptied, ONE, 2 * MINUTES_AGO, {})

    empty, full = read(emptied, lambda conn: chart(conn, QUARTER))

    bounds = [1000 * seconds for seconds in DELIVERY_SECONDS[:3]]
    assert [full.p50_ms, full.p95_ms, full.p99_ms] == pytest.approx(bounds)
    assert (empty.p50_ms, empty.p95_ms, empty.p99_ms) == (None, None, None)


def test_the_console_takes_forms_of_16_kib_over_800_connections() -> None:
    assert (console_process.LIMITS.body_bytes, console_process.LIMITS.connections) == (16_384, 800)


async def test_after_a_bug_the_sampler_waits_as_long_as_between_two_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    waits, begun = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        begun.set()
        await waits.wait()

    async def ask(_: Sample | None) -> Sample:
        raise ZeroDivisionError

    def render(_: View) -> Mapping[str, bytes]:
        return {}

    monkeypatch.setattr(sampler, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    made = Sampler(ask, render, lambda: NOW)
    async with sampling(made):
        looking = asyncio.ensure_future(anext(made.frames("", None)))
        await asyncio.wait_for(begun.wait(), 10)
        looking.cancel()

    assert pauses == [2.0]
