"""The poll of recent activity against the fake, in this process."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.operations import activity
from consumer.operations.activity import PAGES_MAX
from consumer.operations.imports import PutCounts
from consumer.postgres.connections import connect
from tests.support.backfills import ACCESS, named, now_is_now
from tests.support.databases import rows
from tests.support.fake_stack import FakeStack
from tests.support.fake_stack.serving import PROJECT_ID
from tests.support.stack_api import stack_api

LAG = timedelta(seconds=40)


async def polled(url: str, fake: FakeStack, project_id: str = PROJECT_ID) -> PutCounts | None:
    async with await connect(url, ACCESS) as conn, stack_api(fake) as api:
        return await activity.poll(conn, ACCESS, api, project_id)


def small_pages(monkeypatch: pytest.MonkeyPatch, users: int = 2, pages: int = PAGES_MAX) -> None:
    monkeypatch.setattr("consumer.stack_api.client.ACTIVE_USERS_LIMIT", users)
    monkeypatch.setattr("consumer.operations.activity.PAGES_MAX", pages)


def place(url: str) -> dict[str, Any]:
    [found] = rows(url, "SELECT mark_millis, cursor, newest_millis FROM consumer.activity")
    return found


def stored(url: str) -> list[str]:
    return [str(row["user_id"]) for row in rows(url, "SELECT user_id FROM consumer.outbox ORDER BY seq")]


def be_active(fake: FakeStack, *user_ids: str, seconds: float = 1, **fields: object) -> None:
    """Let users be active one after the other, so many seconds after the one before."""
    for user_id in user_ids:
        fake.project.now += timedelta(seconds=seconds)
        fake.project.be_active(user_id, **fields)


def day_ago(fake: FakeStack, number: int) -> list[str]:
    """Sign users up a day ago, and let it be now."""
    fake.project.now = datetime.now(UTC) - timedelta(days=1)
    user_ids = named(fake, number)
    now_is_now(fake)
    return user_ids
