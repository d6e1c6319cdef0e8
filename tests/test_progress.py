"""What a terminal shows while a command goes on: how far it is, page by page."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from consumer.cli import run_progress
from consumer.operations.runs import Run

NOW = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
NOTHING: Any = {
    **dict.fromkeys(("cursor", "cursor_millis", "newest_millis", "listed_at", "abandoned_at", "finished_at")),
    **dict.fromkeys(("memberships", "permissions", "stored", "unusable", "calls", "restarts", "teams_left"), 0),
}
RUN = Run(
    **{**NOTHING, "id": UUID(int=1), "kind": "reconcile", "project_id": "p", "stage": "users", "users": 0, "teams": 0},
    begun_at=NOW,
    now=NOW,
)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 200 columns is sent."""
    sent = io.StringIO()
    made = Console(file=sent, force_terminal=True, width=200, color_system=None)
    monkeypatch.setattr(run_progress, "console", lambda **_: made)
    return sent


async def pages(*runs: Run) -> AsyncIterator[Run]:
    for run in runs:
        yield run


@pytest.mark.parametrize(
    ("last", "description"),
    [
        (replace(RUN, users=1_000, teams=3), "users"),
        (replace(RUN, stage="members", users=1_000, teams=3, teams_left=1), "members"),
        (replace(RUN, stage="members", users=1_000, teams=3, finished_at=NOW + timedelta(hours=1)), "suspects"),
    ],
    ids=["users", "members", "suspects"],
)
async def test_a_run_shows_its_stage_its_counts_and_its_rate(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch, last: Run, description: str
) -> None:
    ticks = iter([100.0, 102.0])
    monkeypatch.setattr(run_progress, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    api: Any = SimpleNamespace(requests=5_000)

    assert await run_progress.followed(pages(last), api, RUN) == last

    shown = terminal.getvalue()
    assert f"{description} " in shown
    assert "1,000 users, 3 teams; 5,000 calls, 2500.0/s" in shown


async def test_a_run_without_pages_is_as_it_was_and_shows_its_stage(terminal: io.StringIO) -> None:
    api: Any = SimpleNamespace(requests=0)

    assert await run_progress.followed(pages(), api, RUN) == RUN
    assert "users" in terminal.getvalue()
