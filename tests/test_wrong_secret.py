"""What becomes of signatures that fit no secret in the course of hours: what is found, and what is told of it."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import psycopg
import pytest

from consumer.postgres.connections import Connection, connect, operator_access, transaction
from consumer.verdict.finding import Finding
from consumer.verdict.findings import findings
from consumer.verdict.observation import Observation
from consumer.verdict.observe import _signatures
from tests.test_notifications import NOW, Story

# Minutes, and in each of them: signatures that fit no secret, and deliveries that are accepted.
Course = Sequence[tuple[int, int, int]]
# There is a report, and then a look, after so many minutes; the reports of six hours are kept.
LOOK_MINUTES = 5
REPORTS_KEPT = 72
REPORT = """
    INSERT INTO consumer.reports (at, process_id, host, pid, release, clock_skew_seconds, counters)
    SELECT
        now() - m.ago, '00000000-0000-4000-8000-000000000001', 'h', 1, 'x', 0,
        jsonb_build_object('deliveries_refused:no_match', m.unmatched, 'deliveries_received:stored', m.accepted)
    FROM unnest(%s::interval[], %s::integer[], %s::integer[]) AS m (ago, unmatched, accepted)
"""
HEALTHY, WRONG, CURED = (360, 0, 5), (720, 60, 0), (180, 0, 5)


async def found_after(
    conn: Connection, receiver: psycopg.Connection, reports: Sequence[tuple[timedelta, int, int]]
) -> Sequence[Finding]:
    """Return what is found when these reports are kept: how old, signatures that fit no secret, what is accepted."""
    with receiver.transaction():
        receiver.execute("DELETE FROM consumer.reports")
        receiver.execute(REPORT, [*map(list, zip(*reports, strict=True))])
    async with transaction(conn, operator_access("consumer")):
        return findings(Observation(NOW, signatures=await _signatures(conn)))


async def observed(url: str, course: Course) -> list[tuple[str, str]]:
    """Return of each part of a course the gravities that are found one after another, or ``-``, and what is told."""
    reports = [
        (unmatched * LOOK_MINUTES, accepted * LOOK_MINUTES)
        for minutes, unmatched, accepted in course
        for _ in range(minutes // LOOK_MINUTES)
    ]
    story = Story()
    parts: list[tuple[str, str]] = []
    now = 0
    with psycopg.connect(url, autocommit=True) as receiver:
        async with await connect(url, operator_access("consumer")) as conn:
            for minutes, _, _ in course:
                found: list[str] = []
                told: list[str] = []
                for _ in range(minutes // LOOK_MINUTES):
                    now += 1
                    kept = enumerate(reversed(reports[max(now - REPORTS_KEPT, 0) : now]))
                    aged = [(timedelta(minutes=ago * LOOK_MINUTES, seconds=1), *counts) for ago, counts in kept]
                    seen = await found_after(conn, receiver, aged)
                    found.append(seen[0].gravity if seen else "-")
                    told.extend(kind for kind, _ in story.look(*seen, after=timedelta(minutes=LOOK_MINUTES)))
                parts.append((" ".join(gravity for gravity, _ in groupby(found)), " ".join(told)))
    return parts


WELL, OVER = ("-", ""), ("warning -", "closed")


@pytest.mark.parametrize(
    ("course", "parts"),
    [
        pytest.param([WRONG, CURED], [("failing", "opened"), OVER], id="since the installation"),
        pytest.param(
            [HEALTHY, WRONG, CURED], [WELL, ("warning failing", "opened worse"), OVER], id="after six healthy hours"
        ),
        pytest.param(
            [(360, 2, 5), (720, 62, 0), (180, 2, 5)],
            [("warning", "opened"), ("warning failing", "worse worse"), ("warning", "")],
            id="beside a stranger",
        ),
        pytest.param(
            [HEALTHY, (30, 1, 0), (60, 0, 0), (240, 1, 0), (60, 0, 0), CURED],
            [
                WELL,
                ("- warning failing", "opened worse"),
                ("failing", ""),
                ("failing", ""),
                ("failing", ""),
                ("-", "closed"),
            ],
            id="of a sender that pauses",
        ),
        pytest.param([HEALTHY, (720, 60, 5), CURED], [WELL, ("warning", "opened"), OVER], id="of one of two senders"),
        pytest.param(
            [(360, 0, 20), (720, 4, 20), (180, 0, 20)],
            [WELL, ("warning", "opened"), OVER],
            id="a proxy changes some bodies",
        ),
        pytest.param(
            [(360, 0, 20), (780, 19, 20), (180, 0, 20)],
            [WELL, ("warning", "opened"), OVER],
            id="of one of two senders that send alike",
        ),
        pytest.param([(780, 19, 20)], [("warning", "opened")], id="beside another since the installation"),
    ],
)
async def test_a_wrong_secret_is_told_once_and_is_not_over_before_its_cure(
    emptied: str, course: Course, parts: list[tuple[str, str]]
) -> None:
    assert await observed(emptied, course) == parts


async def test_a_few_signatures_of_a_stranger_beside_healthy_deliveries_are_no_finding(emptied: str) -> None:
    assert await observed(emptied, [HEALTHY, (5, 1, 5), (5, 0, 5), (20, 0, 5)]) == [WELL] * 4


@pytest.mark.parametrize(
    "course",
    [
        pytest.param([(5, 2, 5)] * 156, id="more than a few"),
        # Of three reports one has five: by turns five and ten within 15 minutes.
        pytest.param([(5, 1, 5), (10, 0, 5)] * 52, id="about as many as are a finding"),
        pytest.param([(5, 2, 0), (5, 2, 1)] * 78, id="beside rare deliveries"),
    ],
)
async def test_a_stranger_who_tries_for_half_a_day_is_told_once_and_does_not_fail(emptied: str, course: Course) -> None:
    healthy, *parts = await observed(emptied, [(60, 0, 5), *course])

    assert healthy == WELL
    assert [told for _, told in parts if told] == ["opened"]
    assert {found for found, _ in parts[2:]} == {"warning"}


async def test_a_burst_fails_at_every_moment_until_a_delivery_is_accepted(emptied: str) -> None:
    # Six reports, 10 s apart; a look every 10 s from the 12th minute to the 32nd.
    gravities: list[str] = []

    with psycopg.connect(emptied, autocommit=True) as receiver:
        async with await connect(emptied, operator_access("consumer")) as conn:
            for moment in range(72, 192):
                burst = [(timedelta(seconds=10 * (moment + each) + 1), 2, 0) for each in range(6)]
                found = await found_after(conn, receiver, burst)
                gravities.append(found[0].gravity if found else "-")

    assert {*gravities} == {"failing"}
