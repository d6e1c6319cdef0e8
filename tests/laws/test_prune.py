"""The law of retention: what a prune leaves tells all that the whole log told."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.postgres.connections import operator_access
from consumer.settings.settings import ShapingSettings
from tests.laws.arrivals import WORKER, arrive
from tests.laws.histories import HISTORIES, History, histories
from tests.support import model
from tests.support.databases import change, empty, rows
from tests.support.kept import kept
from tests.support.outbox import pruned, put, rebuild_everything, settle

pytestmark = [pytest.mark.slow, pytest.mark.seconds_max(300 + 2 * HISTORIES)]
EXAMPLES = settings(
    max_examples=HISTORIES * 3 // 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
OPERATOR = operator_access("consumer")
STORED = "SELECT source, message_id FROM consumer.outbox ORDER BY seq"
# Of each step of a history: the pages of the prune after it, 0 for none.
PRUNES = st.lists(st.sampled_from([0, 0, 1, 2, 3, 500]), min_size=1, max_size=8)


@EXAMPLES
@given(history=histories(), sizes=PRUNES)
async def test_pruned_at_any_moment_and_repeated_late_a_rebuild_makes_the_rows_of_the_whole_history(
    database_url: str, history: History, sizes: Sequence[int]
) -> None:
    empty(database_url)
    upcoming = list(sizes)
    async with kept(database_url, OPERATOR) as operator, kept(database_url, WORKER) as conn:

        async def prune() -> None:
            upcoming.append(size := upcoming.pop(0))
            if size:
                await pruned(operator, size)

        await arrive(database_url, history, prune)
        await pruned(operator)
        expected = model.fold(history.deliveries, history.projection)
        assert model.state(database_url) == expected
        left = rows(database_url, STORED)

        for delivery in history.deliveries:
            await put(conn, [delivery])
        await settle(conn, 1)
        assert rows(database_url, STORED) == left
        await rebuild_everything(conn)

    assert model.state(database_url) == expected
    assert rows(database_url, STORED) == left


@EXAMPLES
@given(history=histories(), chosen=st.sets(st.integers(0, 13)), size=st.integers(1, 4))
async def test_what_was_discarded_before_supersedes_nothing(
    database_url: str, history: History, chosen: set[int], size: int
) -> None:
    soft = ShapingSettings(default_company_id=history.projection.default_company_id)
    history = replace(history, projection=soft)
    discarded = [delivery for place, delivery in enumerate(history.deliveries) if place in chosen]
    empty(database_url)
    await arrive(database_url, history)
    for delivery in discarded:
        change(
            database_url,
            "UPDATE consumer.outcomes SET outcome = 'discarded' FROM consumer.outbox AS o WHERE outcomes.seq = o.seq "
            f"AND o.source = '{delivery.source}' AND o.message_id = '{delivery.message_id}'",
        )

    async with kept(database_url, OPERATOR) as operator, kept(database_url, WORKER) as conn:
        await pruned(operator, size)
        for delivery in history.deliveries:
            await put(conn, [delivery])
        await settle(conn, 1)
        await rebuild_everything(conn)

    expected = model.fold([delivery for delivery in history.deliveries if delivery not in discarded], soft)
    # The audit records what came, discarded or not.
    assert replace(model.state(database_url), sign_ins=expected.sign_ins) == expected
    stored = {(row["source"], row["message_id"]) for row in rows(database_url, STORED)}
    assert {(delivery.source, delivery.message_id) for delivery in discarded} <= stored
