"""The rows in which processes keep what was told: which one is read, and what a new one repeats."""

from uuid import UUID

from psycopg.rows import class_row, dict_row, scalar_row

from consumer.postgres.queries import rows
from consumer.process.notification_states import StoredStates
from tests.support.standing import HOUR, MINUTE, now, report, standing


async def test_what_was_told_last_is_that_with_the_greatest_number(emptied: str) -> None:
    async with standing(emptied) as conn:
        before = await rows(conn, class_row(StoredStates), "notification_states/newest")
        await report(conn, MINUTE)
        await report(conn, 2 * MINUTE, findings='{"number": 9, "told": []}')
        await report(conn, 3 * MINUTE, findings='{"number": 10, "told": []}')
        await report(conn, 4 * MINUTE, 2, findings='{"number": 8, "told": []}')
        after = await rows(conn, class_row(StoredStates), "notification_states/newest")

    assert (before, after) == ([], [StoredStates({"number": 10, "told": []}, 3 * MINUTE)])


async def test_what_is_told_is_another_report_of_the_process_as_its_last_one(emptied: str) -> None:
    last = {"duty": "maintenance", "host": "b", "pid": 7, "release": "2", "sources": ["app"], "paused_by": "x"}
    async with standing(emptied) as conn:
        await report(conn, HOUR, 1, host="a", pid=6)
        await report(conn, 2 * MINUTE, 1, **last, clock_skew_seconds=1.5, counters={"deliveries_retried": 3})
        await report(conn, MINUTE, 2, host="c")
        values = [{"process_id": UUID(int=each), "findings": '{"number": 1, "told": []}'} for each in (1, 3)]
        written = [await rows(conn, scalar_row, "notification_states/write", each) for each in values]
        statement = b"SELECT * FROM consumer.reports WHERE findings IS NOT NULL"
        [row] = await (await conn.cursor(row_factory=dict_row).execute(statement)).fetchall()
        at = await now(conn)

    assert written == [[UUID(int=1)], []]
    kept = {**last, "process_id": UUID(int=1), "clock_skew_seconds": 1.5, "next_at": None}
    assert row == {**kept, "at": at, "counters": {}, "histograms": {}, "findings": {"number": 1, "told": []}}
