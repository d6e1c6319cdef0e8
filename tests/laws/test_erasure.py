"""The laws of erasure: whatever came before and comes after, nothing of the person is left, and a rebuild agrees."""

from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.events import personal
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.operations import erase
from consumer.postgres.connections import Connection, operator_access
from consumer.worker.batch import BatchRunner, drain
from tests.laws.arrivals import WORKER
from tests.laws.histories import HISTORIES, History, histories
from tests.laws.test_function_of_the_set import written
from tests.support.acting import action
from tests.support.databases import empty, record, rows
from tests.support.kept import kept
from tests.support.outbox import put, rebuild_everything

pytestmark = [pytest.mark.slow, pytest.mark.seconds_max(300 + 2 * HISTORIES)]
OPERATOR = operator_access("consumer")


async def apply_all(conn: Connection, batch_size: int) -> None:
    await drain(conn, BatchRunner(WORKER, Metrics(EVENT_TYPES), attempts_max=12, batch_size=batch_size))


@settings(max_examples=HISTORIES * 3 // 10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), late=st.integers(0, 13))
async def test_an_erased_user_is_gone_and_a_rebuild_makes_the_same_rows(
    database_url: str, history: History, late: int
) -> None:
    empty(database_url)
    await record(database_url, history.projection)
    users = [delivery.user_id for delivery in history.deliveries if delivery.user_id]
    user_id = users[0] if users else UUID(int=0)
    size = history.batch_sizes[0]

    async with kept(database_url, WORKER) as conn, kept(database_url, OPERATOR) as operator:
        await put(conn, history.deliveries[late:])
        await apply_all(conn, size)
        erasure = await erase.prepare(operator, OPERATOR, user_id)
        await erase.store(operator, OPERATOR, user_id, action("erase"))
        await apply_all(conn, size)
        async for _ in erase.erase_bodies(operator, OPERATOR, erasure, is_kept=True):
            pass
        await put(conn, history.deliveries[:late])
        await apply_all(conn, size)
        before = written(database_url)
        await rebuild_everything(conn)

    assert written(database_url) == before
    stored = rows(database_url, f"SELECT body, reduced FROM consumer.outbox WHERE user_id = '{user_id}'")
    assert stored
    for row in stored:
        assert row["reduced"] is None
        assert personal.erased(row["body"], user_id) == row["body"]
        assert orjson.loads(row["body"])["data"].keys() <= {"id", "user_id", "team_id"}
    assert not rows(database_url, f"SELECT FROM identity.profiles WHERE user_id = '{user_id}'")
    assert not rows(database_url, f"SELECT FROM identity.company_members WHERE user_id = '{user_id}'")
    assert not rows(
        database_url,
        f"SELECT FROM identity.profile_audit WHERE user_id = '{user_id}' AND (edited_by IS NOT NULL "
        "OR previous_values ? 'full_name' OR new_values ? 'full_name')",
    )
