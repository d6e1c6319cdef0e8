"""What becomes of signatures that fit no secret in the course of hours: what is found, and what is told of it."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import psycopg
import pytest

from consumer.postgres.connections import connect, operator_access, transaction
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
        now() - m.ago * interval '5 minutes' + interval '1 second', '00000000-0000-4000-8000-000000000001', 'h', 1, 'x',
        0, jsonb_build_object('deliveries_refused:no_match', m.unmatched, 'deliveries_received:stored', m.accepted)
    FROM unnest(%s::integer[], %s::integer[], %s::integer[]) AS m (ago, unmatched, accepted)
"""
HEALTHY, WRONG, CURED = (360, 0, 5), (720, 60, 0), (180, 0, 5)


async def observed(url: str, course: Course) -> list[tuple[str, str]]:
    """Return of each part of a course the gravities that are found one after another, or ``-``, and what is told."""
    reports = [
        (unmatched * LOOK_MINUTES, accepted * LOOK_MINUTES)
        for minutes, unmatched, accepted in course
        for _ in range(minutes // LOOK_MINUTES)
    ]
    story, access = Story(), operator_access("consumer")
    parts: list[tuple[str, str]] = []
    now = 0
    with psycopg.connect(url, autocommit=True) as receiver:
        async with await connect(url, access) as conn:
            for minutes, _, _ in course:
                found: list[str] = []
                told: list[str] = []
                for _ in range(minutes // LOOK_MINUTES):
                    now += 1
                    kept = reports[max(now - REPORTS_KEPT, 0) : now]
                    receiver.execute("DELETE FROM consumer.reports")
                    receiver.execute(REPORT, ([*range(len(kept), 0, -1)], *map(list, zip(*kept, strict=True))))
                    async with transaction(conn, access):
                        signatures = await _signatures(conn)
                    seen = findings(Observation(NOW, signatures=signatures))
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
            [WELL, ("warning failing", "opened worse"), OVER],
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
            [(360, 0, 20), (300, 4, 20), (180, 0, 20)],
            [WELL, ("warning", "opened"), OVER],
            id="a proxy changes some bodies",
        ),
    ],
)
async def test_a_wrong_secret_is_told_once_and_is_not_over_before_its_cure(
    emptied: str, course: Course, parts: list[tuple[str, str]]
) -> None:
    assert await observed(emptied, course) == parts


@pytest.mark.parametrize(
    "course",
    [
        pytest.param([(720, 2, 5)], id="since the installation"),
        pytest.param([HEALTHY, (5, 1, 5), (5, 0, 5), (20, 0, 5)], id="five at once"),
    ],
)
async def test_a_stranger_beside_healthy_deliveries_is_no_finding(emptied: str, course: Course) -> None:
    assert await observed(emptied, course) == [WELL] * len(course)


async def test_a_stranger_beside_rare_deliveries_is_told_once_and_does_not_fail(emptied: str) -> None:
    rare: Course = [(5, 2, 0), (5, 2, 1)] * 72

    before, began, *later = await observed(emptied, [(5, 0, 1), *rare])

    assert (before, began) == (WELL, ("warning", "opened"))
    assert set(later) == {("warning", "")}
