"""When a source is quiet: by what the quietest of the last four weeks brought in the hours of its silence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.cli.sources import expectations
from consumer.postgres.connections import connect, operator_access, transaction
from consumer.settings.settings import Settings, read
from consumer.verdict.observe import _quietest
from tests.support.cli import arrive, examined, facts
from tests.support.databases import change, rows
from tests.support.factories import user_updated

WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
SILENCE_CODES = {"quiet", "source_silent"}


def now(url: str) -> datetime:
    [row] = rows(url, "SELECT now() AS now")
    assert isinstance(row["now"], datetime)
    return row["now"].astimezone(UTC)


def brought(url: str, hour: datetime, count: int, source: str = "stack") -> None:
    hour = hour.replace(minute=0, second=0, microsecond=0)
    change(url, f"INSERT INTO consumer.hours (source, hour, n) VALUES ('{source}', '{hour}', {count})")


async def quietest(url: str, since: datetime) -> dict[str, float]:
    access = operator_access("consumer")
    async with await connect(url, access) as conn, transaction(conn, access):
        return await _quietest(conn, {"stack": since})


def fill(url: str, per_hour: list[int]) -> None:
    """Let every hour of the last four weeks bring so many, the last week first; and the hours before them one each."""
    weeks = ", ".join(map(str, per_hour))
    change(
        url,
        "INSERT INTO consumer.hours (source, hour, n) SELECT 'stack', date_trunc('hour', now(), 'UTC') - h * interval "
        f"'1 hour', coalesce((ARRAY[{weeks}])[(h + 84) / 168], 1) FROM generate_series(84, 1000) AS h",
    )


async def test_the_quietest_week_counts(emptied: str) -> None:
    fill(emptied, [60, 30, 10, 50])

    found = await quietest(emptied, now(emptied) - 3 * HOUR)

    assert found["stack"] == pytest.approx(30, abs=0.1)


async def test_of_an_hour_the_share_of_the_silence_counts(emptied: str) -> None:
    fill(emptied, [60, 60, 60, 60])

    found = await quietest(emptied, now(emptied) - timedelta(minutes=6))

    assert found["stack"] == pytest.approx(6, abs=0.1)


async def test_a_week_that_brought_nothing_then_makes_nobody_quiet(emptied: str) -> None:
    fill(emptied, [60, 60, 60, 60])
    since = now(emptied) - 3 * HOUR
    then = since - 2 * WEEK
    change(emptied, f"DELETE FROM consumer.hours WHERE hour BETWEEN '{then - HOUR}' AND '{then + 4 * HOUR}'")

    assert await quietest(emptied, since) == {"stack": 0}


@pytest.mark.parametrize(("hours", "has_history"), [(-1, False), (0, True)])
async def test_four_weeks_before_the_silence_make_a_history(emptied: str, hours: int, has_history: bool) -> None:
    since = now(emptied).replace(minute=0, second=0, microsecond=0) - HOUR
    brought(emptied, since - 4 * WEEK - hours * HOUR, 1)

    assert ("stack" in await quietest(emptied, since)) == has_history


async def test_another_source_s_history_is_none(emptied: str) -> None:
    since = now(emptied) - HOUR
    brought(emptied, since - 5 * WEEK, 1, source="app")

    assert await quietest(emptied, since) == {}


def silences(url: str, **settings: str) -> dict[str, Any]:
    status = facts(url, "status", **settings)
    return {each["code"]: each["sentence"] for each in status["findings"] if each["code"] in SILENCE_CODES}


@pytest.fixture
def silent(emptied: str) -> str:
    """Stack sent its last delivery 25 hours ago."""
    arrive(emptied, user_updated())
    change(emptied, "UPDATE consumer.outbox SET received_at = now() - interval '25 hours'")
    return emptied


def test_with_a_history_the_history_decides_and_before_it_silence_hours(silent: str) -> None:
    before, longer = silences(silent), silences(silent, SILENCE_HOURS="26")
    fill(silent, [2, 2, 2, 2])
    busy, still = silences(silent), silences(silent, SILENCE_HOURS="26")
    change(silent, "UPDATE consumer.hours SET n = 1 WHERE hour > now() - interval '10 days'")
    change(silent, "DELETE FROM consumer.hours WHERE hour > now() - interval '8 days' AND extract(hour FROM hour) > 2")
    rare = silences(silent)

    assert (list(before), longer) == (["source_silent"], {})
    assert (list(busy), list(still), rare) == (["quiet"], ["quiet"], {})
    assert "the quietest of four weeks brought 50" in busy["quiet"]


@pytest.mark.parametrize("has_history", [True, False])
def test_silence_hours_0_mutes_every_silence(silent: str, has_history: bool) -> None:
    if has_history:
        fill(silent, [9, 9, 9, 9])

    assert silences(silent, SILENCE_HOURS="0") == {}
    assert examined(silent, SILENCE_HOURS="0")[1]["stack's last delivery"]["state"] == "ok"


def test_the_expectations_are_those_of_the_settings() -> None:
    base = {"DATABASE_URL": "dbname=x", "STACK_WEBHOOK_SECRETS": "whsec_TBLusB12Fygrrm8tfpKzVtU3qV40Nelq"}
    wanted = expectations(read({**base, "RETENTION_DAYS": "7", "SILENCE_HOURS": "5"})[0])

    assert (list(wanted.sources), list(wanted.jobs), wanted.silence_max) == (["stack"], ["hours", "prune"], 5 * HOUR)
    assert expectations(read({**base, "SILENCE_HOURS": "0"})[0]).silence_max is None
    # The disk of another's server is not ours to look at.
    assert wanted.disk_free_bytes is None
    assert Settings().silence_hours == 24
