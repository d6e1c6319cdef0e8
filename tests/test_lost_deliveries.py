"""Deliveries that no effect can finish are set aside, each by its number, and the others are applied."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.errors import WorkerPaused
from consumer.events.registry import EVENT_TYPES, Fact
from consumer.logs import DELIVERY_RETRIED
from consumer.settings.settings import ShapingSettings
from tests.support.databases import empty, record, rows, schema_change
from tests.support.factories import NOON, snapshot, user_updated
from tests.support.outbox import replayed, work
from tests.support.worker import deliveries, drain_all, make_due, run_once, stored, worker

SUBJECTS = {"user_id": UUID(int=7), "team_id": UUID(int=77)}
STORE = """
    WITH stored AS (
        INSERT INTO consumer.outbox
        (source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body)
        VALUES (%s, %s, %s, %s, %s, %s, '0123abcd', %s) RETURNING seq
    )
    INSERT INTO consumer.pending (seq) SELECT seq FROM stored
"""
LACKING = [
    (name, missing)
    for name, known in EVENT_TYPES.items()
    if known.fact not in {Fact.NOTHING, Fact.OWN} and known.sources & {"stack", "app"}
    for missing, key in (("user_id", known.user), ("team_id", known.team))
    if key
]


def forge(url: str, event_type: str, body: bytes, source: str | None = None, **subjects: UUID | None) -> str:
    """Store and queue a row of the receiver's role that no check has seen; return its message id."""
    known, message_id = SUBJECTS | subjects, str(uuid4())
    sender = source or ("stack" if "stack" in EVENT_TYPES[event_type].sources else "app")
    with psycopg.connect(url) as conn:
        conn.execute("SET ROLE consumer_receiver")
        values = (sender, message_id, event_type, known["user_id"], known["team_id"], NOON, body)
        conn.execute(STORE, values)
    return message_id


@contextmanager
def losing(url: str, condition: str) -> Iterator[None]:
    """Let the outcomes of some deliveries get lost, as a bug in an effect would."""
    change = f"""
        CREATE FUNCTION public.lose() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RETURN CASE WHEN {condition} THEN NULL ELSE NEW END; END $$;
        CREATE TRIGGER lose BEFORE INSERT ON consumer.outcomes FOR EACH ROW EXECUTE FUNCTION public.lose();
    """
    with schema_change(url, change, "DROP FUNCTION public.lose CASCADE"):
        yield


@pytest.mark.parametrize(("event_type", "missing"), LACKING)
async def test_a_row_without_the_user_or_team_of_its_type_is_dead_and_the_others_are_applied(
    emptied: str, event_type: str, missing: str
) -> None:
    forge(emptied, event_type, orjson.dumps({"type": event_type, "data": {}}), **{missing: None})
    await stored(emptied, [user_updated()])

    await drain_all(emptied, worker())

    assert deliveries(emptied) == [("dead", None, 1, "no_subject"), ("done", "applied", 0, None)]


async def test_any_number_of_rows_without_a_user_keeps_nobody_waiting(emptied: str) -> None:
    for _ in range(30):
        forge(emptied, "user.updated", b"{}", user_id=None)
    await stored(emptied, [user_updated()])

    await drain_all(emptied, worker())

    assert deliveries(emptied, "state") == [*[("dead",)] * 30, ("done",)]


async def test_a_dead_row_without_a_user_is_applied_once_this_release_reads_one(emptied: str) -> None:
    """As after a release that read no user in such a body."""
    user_id = uuid4()
    body = orjson.dumps({"type": "user.updated", "data": {"id": str(user_id), **snapshot()}})
    forge(emptied, "user.updated", body, user_id=None)
    await work(emptied)

    await replayed(emptied)
    await work(emptied)

    assert rows(emptied, "SELECT user_id FROM identity.profiles") == [{"user_id": user_id}]


async def test_what_a_batch_loses_is_named_by_its_number_and_the_others_are_applied(
    emptied: str, caplog: pytest.LogCaptureFixture
) -> None:
    await stored(emptied, [user_updated() for _ in range(9)])
    lost = [row["seq"] for row in rows(emptied, "SELECT seq FROM consumer.pending ORDER BY seq")][3:5]

    with losing(emptied, f"NEW.seq IN ({lost[0]}, {lost[1]})"), caplog.at_level(logging.WARNING):
        await run_once(emptied, worker())

    set_aside = rows(emptied, "SELECT seq, error_code FROM consumer.failures WHERE state = 'retrying' ORDER BY seq")
    assert set_aside == [{"seq": seq, "error_code": "lost"} for seq in lost]
    named = [vars(record)["seq"] for record in caplog.records if record.message == DELIVERY_RETRIED]
    assert sorted(named) == lost
    assert len(rows(emptied, "SELECT seq FROM consumer.outcomes")) == 7
    assert len(rows(emptied, "SELECT user_id FROM identity.profiles")) == 7


async def test_a_lost_delivery_is_dead_after_the_last_attempt_and_can_be_retried(emptied: str) -> None:
    await stored(emptied, [user_updated()])
    with losing(emptied, "TRUE"):
        for _ in range(2):
            await run_once(emptied, worker(attempts_max=2))
            make_due(emptied)

    assert deliveries(emptied) == [("dead", None, 2, "lost")]
    await replayed(emptied)
    await work(emptied)
    assert deliveries(emptied) == [("done", "applied", 0, None)]


async def test_a_release_that_loses_half_of_a_batch_stops_and_sets_nothing_aside(emptied: str) -> None:
    await stored(emptied, [user_updated() for _ in range(20)])

    with losing(emptied, "NEW.seq % 2 = 0"), pytest.raises(WorkerPaused):
        await run_once(emptied, worker())

    assert deliveries(emptied, "state") == [("pending",)] * 20


PIECES: st.SearchStrategy[object] = st.sampled_from(
    [
        None,
        True,
        7,
        -1.5,
        "",
        "x",
        "infinity",
        "NaN",
        1e300,
        [],
        [None],
        {},
        {"id": None},
        {"id": "x"},
        str(UUID(int=9)),
    ]
)
FIELDS = ["id", "user_id", "team_id", "display_name", "primary_email", "primary_email_verified", "server_metadata"]
FIELDS += ["selected_team", "is_anonymous", "signed_in_at_millis", "last_active_at_millis", "role_type", "company_id"]
BODIES = (
    st.dictionaries(st.sampled_from(FIELDS), PIECES).map(lambda data: orjson.dumps({"type": "x", "data": data}))
    | PIECES.map(lambda data: orjson.dumps({"data": data}))
    | st.sampled_from([b"", b"\xff", b"null", b"{", b'{"data": {"a": "\\u0000"}}', b"[" * 10_000 + b"]" * 10_000])
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    forged=st.lists(
        st.tuples(
            st.sampled_from(["x", *EVENT_TYPES]),
            BODIES,
            st.sampled_from(["stack", "app"]),
            st.sampled_from([None, UUID(int=7), UUID(int=8)]),
            st.sampled_from([None, UUID(int=77)]),
        ),
        min_size=1,
        max_size=8,
    )
)
async def test_no_row_that_the_receivers_role_can_store_stops_a_worker(
    database_url: str, forged: list[tuple[str, bytes, str, UUID | None, UUID | None]]
) -> None:
    empty(database_url)
    await record(database_url, ShapingSettings())
    for event_type, body, source, user_id, team_id in forged:
        forge(database_url, event_type, body, source, user_id=user_id, team_id=team_id)
    await stored(database_url, [user_updated(UUID(int=99))])

    await drain_all(database_url, worker())

    found = deliveries(database_url, "state")
    assert found[-1] == ("done",)
    assert {state for (state,) in found} <= {"done", "dead", "retrying"}
