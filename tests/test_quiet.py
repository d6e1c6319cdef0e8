"""When a source is quiet: by what the quietest of the last four weeks brought in the hours of its silence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.cli.sources import expectations
from consumer.postgres.connections import connect, operator_access, transaction
from consumer.settings.settings import Settings, read
from consumer.verdict.findings import findings
from consumer.verdict.observation import Observation, SourceHistory
from consumer.verdict.observe import _histories
from tests.support.cli import arrive, examined, facts
from tests.support.databases import change, rows
from tests.support.factories import user_updated

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
MONDAY_AT_10 = 10
HOUR = timedelta(hours=1)
SILENCE_CODES = {"quiet", "source_silent"}


def now(url: str) -> datetime:
    [row] = rows(url, "SELECT now() AS now")
    assert isinstance(row["now"], datetime)
    return row["now"].astimezone(UTC)


def brought(url: str, hour: datetime, count: int, source: str = "stack") -> None:
    hour = hour.replace(minute=0, second=0, microsecond=0)
    change(url, f"INSERT INTO consumer.hours (source, hour, n) VALUES ('{source}', '{hour}', {count})")


async def histories(url: str, since: datetime, *others: str) -> dict[str, SourceHistory]:
    access = operator_access("consumer")
    async with await connect(url, access) as conn, transaction(conn, access):
        return await _histories(conn, dict.fromkeys(("stack", *others), since))


async def quietest(url: str, since: datetime) -> float:
    return (await histories(url, since))["stack"].quietest


async def code(url: str, since: datetime) -> str | None:
    """Return the code of the finding about Stack's silence since then, if there is one."""
    known = await histories(url, since)
    seen = Observation(now(url), expected=["stack"], last_received={"stack": since}, histories=known)
    return next((each.code for each in findings(seen)), None)


def rare(url: str, since: datetime, a_day: int) -> None:
    """Let one delivery come so many times a day for 90 days, the last one at *since*."""
    change(
        url,
        "INSERT INTO consumer.hours (source, hour, n) SELECT 'stack', date_trunc('hour', at, 'UTC'), 1 FROM "
        f"generate_series('{since}'::timestamptz - interval '90 days', '{since}', interval '1 day' / {a_day}) AS at",
    )


def office_hours(url: str, phase: int) -> datetime:
    """Let 60 deliveries come in each hour from 8 to 18 on five days a week; return when the last one came.

    Now is so many hours after the midnight that begins a Monday.
    """
    busy = [ago for ago in range(90 * 24) if (phase - ago) % 168 < 120 and 8 <= (phase - ago) % 24 < 18]
    hour = now(url).replace(minute=0, second=0, microsecond=0)
    change(url, "DELETE FROM consumer.hours")
    change(
        url,
        "INSERT INTO consumer.hours (source, hour, n) "
        f"SELECT 'stack', '{hour}'::timestamptz - ago * interval '1 hour', 60 FROM unnest(ARRAY{busy}) AS ago",
    )
    return min(hour - busy[0] * HOUR + timedelta(minutes=59), now(url))


def fill(url: str, per_hour: list[int]) -> None:
    """Let every hour of the last four weeks bring so many, the last week first; and the hours before them one each."""
    weeks = ", ".join(map(str, per_hour))
    change(
        url,
        "INSERT INTO consumer.hours (source, hour, n) SELECT 'stack', date_trunc('hour', now(), 'UTC') - h * interval "
        f"'1 hour', coalesce((ARRAY[{weeks}])[(h + 84) / 168], 1) FROM generate_series(84, 1000) AS h",
    )


@pytest.mark.parametrize("per_hour", [[10, 60, 30, 50], [60, 30, 10, 50], [60, 30, 50, 10]])
async def test_the_quietest_week_counts(emptied: str, per_hour: list[int]) -> None:
    fill(emptied, per_hour)

    found = await quietest(emptied, now(emptied) - 3 * HOUR)

    assert found == pytest.approx(30, abs=0.1)


async def test_of_an_hour_the_share_of_the_silence_counts(emptied: str) -> None:
    fill(emptied, [60, 60, 60, 60])

    found = await quietest(emptied, now(emptied) - timedelta(minutes=6))

    assert found == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize("nothing", [5 * HOUR, WEEK], ids=["in these hours", "at all"])
async def test_a_week_that_brought_nothing_then_makes_nobody_quiet(emptied: str, nothing: timedelta) -> None:
    fill(emptied, [60, 60, 60, 60])
    since = now(emptied) - 3 * HOUR
    then = since - 2 * WEEK
    change(emptied, f"DELETE FROM consumer.hours WHERE hour BETWEEN '{then - HOUR}' AND '{then + nothing}'")

    assert await quietest(emptied, since) == 0


@pytest.mark.parametrize(("hours", "has_history"), [(-1, False), (0, True)])
async def test_four_weeks_before_the_silence_make_a_history(emptied: str, hours: int, has_history: bool) -> None:
    since = now(emptied).replace(minute=0, second=0, microsecond=0) - HOUR
    brought(emptied, since - 4 * WEEK - hours * HOUR, 1)

    assert ("stack" in await histories(emptied, since)) == has_history


async def test_another_source_s_history_is_none(emptied: str) -> None:
    since = now(emptied) - HOUR
    brought(emptied, since - 5 * WEEK, 1, source="app")

    assert await histories(emptied, since) == {}


async def test_a_long_silence_is_compared_with_the_weeks_before_it_as_often_as_it_covers_them(emptied: str) -> None:
    since = now(emptied) - 17 * DAY
    hourly = (
        f"generate_series(date_trunc('hour', '{since}'::timestamptz, 'UTC') - interval '60 days', '{since}', '1 hour')"
    )
    change(emptied, f"INSERT INTO consumer.hours (source, hour, n) SELECT 'stack', hour, 1 FROM {hourly} AS hour")

    assert await quietest(emptied, since) == pytest.approx(17 * 24, abs=3)


@pytest.mark.parametrize(
    ("days_ago", "longest"),
    [
        pytest.param([40, 30, 23, 21], 21 * DAY, id="until the last delivery"),
        pytest.param([30, 23, 21, 9], 12 * DAY + HOUR, id="between two hours"),
        pytest.param([90, 40, 20, 10], 20 * DAY + HOUR, id="begun before the four weeks"),
    ],
)
async def test_the_longest_silence_of_four_weeks_is_known_by_its_hours(
    emptied: str, days_ago: list[int], longest: timedelta
) -> None:
    since = now(emptied).replace(minute=0, second=0, microsecond=0) - HOUR
    for days in days_ago:
        brought(emptied, since - days * DAY, 1)
    for days in range(1, 91):
        brought(emptied, since - days * DAY, 1, source="app")

    found = await histories(emptied, since, "app")

    assert (found["stack"].longest_silence, found["app"].longest_silence) == (longest, DAY + HOUR)


@pytest.mark.parametrize("days", [2, 8, 15, 30])
@pytest.mark.parametrize("a_day", [1, 2])
async def test_a_silence_of_a_rare_source_is_found_after_90_days_too(emptied: str, a_day: int, days: int) -> None:
    since = now(emptied) - days * DAY
    rare(emptied, since, a_day)

    assert await code(emptied, since) == ("quiet" if days * a_day > 20 else "source_silent")


async def test_a_source_may_be_silent_for_as_long_as_in_the_four_weeks_before(emptied: str) -> None:
    since = now(emptied) - timedelta(hours=24, minutes=59)
    rare(emptied, since, a_day=1)

    assert await code(emptied, since) is None


async def test_nights_and_weekends_of_a_busy_source_are_no_finding_and_a_silence_in_its_hours_is(emptied: str) -> None:
    alarmed = [phase for phase in range(0, 168, 3) if await code(emptied, office_hours(emptied, phase))]
    office_hours(emptied, MONDAY_AT_10)
    after_a_weekend = await code(emptied, now(emptied) - timedelta(hours=64))
    office_hours(emptied, MONDAY_AT_10 + 48)
    on_wednesday = await code(emptied, now(emptied) - timedelta(minutes=21))

    assert (alarmed, after_a_weekend, on_wednesday) == ([], "quiet", "quiet")


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
