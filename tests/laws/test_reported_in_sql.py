"""The promise holds for what the application reports by the functions in SQL, among all that its senders tell."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from consumer.outbox.storage import Delivery
from tests.laws.arrivals import arrive
from tests.laws.histories import AN_EDIT, HISTORIES, MOMENTS, USERS, History, erases_nobody, histories
from tests.support import model
from tests.support.databases import empty, record
from tests.support.outbox import work

pytestmark = pytest.mark.seconds_max(300 + 2 * HISTORIES)


class Report(NamedTuple):
    """A call of one of the three functions, with its arguments beside the user."""

    function: str
    user_id: UUID
    arguments: Sequence[object]


REPORTS = st.builds(
    Report,
    st.sampled_from(["sign_in", "sign_out"]),
    st.sampled_from(USERS),
    st.tuples(st.none() | st.sampled_from(MOMENTS), st.none() | st.sampled_from(["session_a", "session_Z"])),
) | st.builds(Report, st.just("edit_profile"), st.sampled_from(USERS), AN_EDIT.map(lambda edit: (Jsonb(edit),)))


@pytest.mark.slow
@settings(max_examples=HISTORIES // 2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=histories().filter(erases_nobody),
    before=st.lists(REPORTS, max_size=4),
    after=st.lists(REPORTS, min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
)
async def test_reports_in_sql_and_signed_events_end_in_the_state_of_the_model_in_any_order(
    database_url: str, history: History, before: Sequence[Report], after: Sequence[Report], order: Random
) -> None:
    empty(database_url)
    await record(database_url, history.projection)
    report(database_url, before)
    await work(database_url)
    await arrive(database_url, history)
    report(database_url, after)
    await work(database_url)
    known = stored(database_url)
    first = model.state(database_url)

    empty(database_url)
    arrivals = [*range(len(known)), *range(0, len(known), 2)]
    order.shuffle(arrivals)
    await arrive(database_url, replace(history, deliveries=known, arrivals=arrivals, late=None))

    assert first == model.fold(known, history.projection) == model.state(database_url)


def report(url: str, reports: Sequence[Report]) -> None:
    """Make the calls as the application's role, all in one transaction."""
    with psycopg.connect(url) as conn:
        conn.execute("SET LOCAL ROLE consumer_app")
        for function, user_id, arguments in reports:
            places = ", %s" * len(arguments)
            conn.execute(f"SELECT identity.{function}(%s{places})".encode(), [user_id, *arguments])


def stored(url: str) -> list[Delivery]:
    """Return what is in the log, except what `record` stores."""
    statement = """
        SELECT source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body, reduced
        FROM consumer.outbox
        WHERE message_id NOT LIKE 'company.declared:%'
        ORDER BY seq
    """
    with psycopg.connect(url, row_factory=args_row(Delivery)) as conn:
        return conn.execute(statement).fetchall()
