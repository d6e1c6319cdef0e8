"""What the quietest of four weeks brought, and the longest silence in them, to the second."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from consumer.postgres.connections import Connection
from consumer.verdict.observation import SourceHistory
from consumer.verdict.observe import _histories
from tests.support.standing import HOUR, MINUTE, MOMENT, NONE, now, standing

DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
# Before the silence began; each is an hour with deliveries and begins then, though no clock strikes.
Hours = Mapping[timedelta, int]
SILENCE = 90 * MINUTE


async def fill(conn: Connection, silence: timedelta, hours: Hours, source: str = "stack") -> None:
    for before, n in hours.items():
        statement = "INSERT INTO consumer.hours (source, hour, n) VALUES (%s, now() - %s, %s)"
        await conn.execute(statement, (source, silence + before, n))


async def history(url: str, hours: Hours, silence: timedelta = SILENCE) -> SourceHistory | None:
    async with standing(url) as conn:
        await fill(conn, silence, hours)
        return (await _histories(conn, {"stack": await now(conn) - silence})).get("stack")


def busy(*weeks: int) -> dict[timedelta, int]:
    """Let each of these weeks before the silence begin with many deliveries."""
    return {week * WEEK: 1_000 for week in weeks}


async def test_without_a_source_there_is_no_history(emptied: str) -> None:
    async with standing(emptied) as conn:
        assert await _histories(conn, {}) == {}


@pytest.mark.parametrize(("before", "is_known"), [(4 * WEEK - MOMENT, False), (4 * WEEK, True), (9 * WEEK, True)])
async def test_a_history_begins_four_weeks_before_the_silence(emptied: str, before: timedelta, is_known: bool) -> None:
    found = await history(emptied, {before: 1})

    assert (found is not None) == is_known


@pytest.mark.parametrize("week", [1, 2, 3, 4])
async def test_each_of_four_weeks_may_be_the_quietest_and_no_other(emptied: str, week: int) -> None:
    others = [each for each in range(1, 7) if each != week]

    found = await history(emptied, {**busy(*others), week * WEEK: 12})

    assert found
    assert found.quietest == 12


@pytest.mark.parametrize(
    ("after", "brought"),
    [
        pytest.param(-HOUR, 0, id="it ended when the silence began"),
        pytest.param(-45 * MINUTE, 15, id="a quarter lies in it"),
        pytest.param(NONE, 60, id="it began with it"),
        pytest.param(30 * MINUTE, 60, id="it ended with it"),
        pytest.param(50 * MINUTE, 40, id="two thirds lie in it"),
        pytest.param(90 * MINUTE, 0, id="it began at its end"),
        pytest.param(5 * HOUR, 0, id="it began later"),
    ],
)
async def test_of_an_hour_that_part_counts_that_lies_in_the_hours_of_the_silence(
    emptied: str, after: timedelta, brought: int
) -> None:
    found = await history(emptied, {**busy(1, 3, 4), 2 * WEEK - after: 60})

    assert found
    assert found.quietest == pytest.approx(brought)


async def test_the_hours_of_a_week_are_added(emptied: str) -> None:
    week = {WEEK - after: n for after, n in ((-30 * MINUTE, 10), (NONE, 3), (75 * MINUTE, 8), (3 * HOUR, 99))}

    found = await history(emptied, {**busy(2, 3, 4), **week})

    assert found
    assert found.quietest == pytest.approx(5 + 3 + 2)


@pytest.mark.parametrize(
    ("after", "brought"),
    [
        pytest.param(10 * HOUR, 120, id="both whole weeks of the silence cover it"),
        pytest.param(NONE, 180, id="and so does its third one"),
        pytest.param(60 * MINUTE, 120 + 30, id="of which half an hour"),
        pytest.param(-30 * MINUTE, 60 + 30, id="it began before the week"),
        pytest.param(WEEK - 30 * MINUTE, 60, id="it ends after the week"),
        pytest.param(WEEK, 0, id="it began after the week"),
    ],
)
async def test_a_week_counts_as_often_as_the_silence_covers_it(emptied: str, after: timedelta, brought: int) -> None:
    found = await history(emptied, {**busy(1, 3, 4), 2 * WEEK - after: 60}, 2 * WEEK + SILENCE)

    assert found
    assert found.quietest == pytest.approx(brought)


@pytest.mark.parametrize(
    ("silence", "brought"),
    [(WEEK - MOMENT, 60), (WEEK, 60), (WEEK + HOUR, 120), (2 * WEEK - MOMENT, 120), (2 * WEEK, 120)],
)
async def test_a_week_is_168_hours(emptied: str, silence: timedelta, brought: int) -> None:
    found = await history(emptied, {**busy(2, 3, 4), WEEK: 60}, silence)

    assert found
    assert found.quietest == pytest.approx(brought)


@pytest.mark.parametrize(
    ("before", "longest"),
    [
        pytest.param([28 * DAY], 28 * DAY, id="one hour"),
        pytest.param([9 * DAY, 28 * DAY, 18 * DAY], 10 * DAY + HOUR, id="between the first two"),
        pytest.param([20 * DAY, 9 * DAY, 28 * DAY], 11 * DAY + HOUR, id="between the last two"),
        pytest.param([28 * DAY, 20 * DAY, 12 * DAY], 12 * DAY, id="until the silence"),
        pytest.param([14 * DAY, 35 * DAY, 60 * DAY], 21 * DAY + HOUR, id="begun before the four weeks"),
        pytest.param([28 * DAY, 14 * DAY, NONE], 14 * DAY + HOUR, id="an hour that begins with the silence"),
        pytest.param([28 * DAY, NONE], 28 * DAY, id="such an hour ends none"),
    ],
)
async def test_the_longest_silence_is_between_two_hours_of_the_four_weeks(
    emptied: str, before: list[timedelta], longest: timedelta
) -> None:
    found = await history(emptied, dict.fromkeys(before, 1))

    assert found
    assert found.longest_silence == longest


async def test_each_source_has_a_history_and_a_silence_of_its_own(emptied: str) -> None:
    begins = [4 * WEEK, 3 * WEEK, 2 * WEEK, WEEK]
    async with standing(emptied) as conn:
        await fill(conn, SILENCE, dict.fromkeys(begins, 10), "stack")
        await fill(conn, DAY, {**dict.fromkeys(begins, 30), **{each - 3 * DAY: 1 for each in begins}}, "app")
        at = await now(conn)
        found = await _histories(conn, {"stack": at - SILENCE, "app": at - DAY, "operator": at - DAY})

    assert found == {
        "stack": SourceHistory(10.0, WEEK + HOUR),
        "app": SourceHistory(30.0, 4 * DAY + HOUR),
    }
