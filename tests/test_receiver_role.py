"""What the receiver's role can store: verified deliveries, dead ones of its own, and nothing that moves another's."""

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from consumer.outbox import storage
from consumer.postgres.connections import connect, receiver_access, transaction
from tests.support.databases import change, rows
from tests.support.effects import profile
from tests.support.factories import NOON, user_updated
from tests.support.outbox import arrive, replayed, set_aside, states, work
from tests.support.worker import run_once, worker

USER_ID = UUID(int=7)
ROW = {"source": "stack", "message_id": "m", "verified_by": "0123abcd", "occurred_at": NOON, "body": b"{}"}
MARK_DEAD = "INSERT INTO consumer.failures (seq, state, attempts, error_code, error) VALUES (%s, 'dead', 0, 'x', 'x')"


@pytest.fixture
def receiver(emptied: str) -> Iterator[psycopg.Connection]:
    """A connection that works as the receiver's role."""
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute("SET ROLE consumer_receiver")
        yield conn


def insert(conn: psycopg.Connection, **columns: object) -> int:
    """Store a row of the outbox, and return its number."""
    row = ROW | columns
    places = ", ".join(f"%({name})s" for name in row)
    into = f"INSERT INTO consumer.outbox ({', '.join(row)}) OVERRIDING SYSTEM VALUE"
    [seq] = conn.execute(f"{into} VALUES ({places}) RETURNING seq".encode(), row).fetchone() or ()
    return int(seq)


def seqs(url: str) -> list[int]:
    return [row["seq"] for row in rows(url, "SELECT seq FROM consumer.outbox ORDER BY seq")]


@pytest.mark.parametrize("source", ["stack", "app"])
def test_it_stores_and_queues_what_a_secret_verified(emptied: str, receiver: psycopg.Connection, source: str) -> None:
    seq = insert(receiver, source=source)
    receiver.execute("INSERT INTO consumer.pending (seq) VALUES (%s)", [seq])

    assert states(emptied) == {"m": "pending"}


@pytest.mark.parametrize(
    "columns",
    [
        *({"source": source} for source in ("backfill", "reconcile", "operator")),
        *({"source": source, "verified_by": None} for source in ("stack", "app", "backfill", "reconcile", "operator")),
        {"seq": 1},
        {"received_at": NOON},
    ],
    ids=str,
)
def test_it_stores_nothing_else(emptied: str, receiver: psycopg.Connection, columns: dict[str, object]) -> None:
    with pytest.raises(InsufficientPrivilege):
        insert(receiver, **columns)

    assert seqs(emptied) == []


@pytest.mark.parametrize("source", ["backfill", "operator", "stack"])
async def test_its_own_queries_store_nothing_unverified(emptied: str, source: str) -> None:
    access, forged = receiver_access("consumer"), user_updated()._replace(source=source, verified_by=None)
    async with await connect(emptied, access) as conn:
        with pytest.raises(InsufficientPrivilege):
            async with transaction(conn, access):
                await storage.put(conn, [forged])
        with pytest.raises(InsufficientPrivilege):
            async with transaction(conn, access):
                await storage.put_dead(conn, forged._replace(error_code="x", error="x"))

    assert seqs(emptied) == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO consumer.pending (seq, has_failed) VALUES (1, TRUE)",
        "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) "
        "VALUES (1, 'retrying', 0, now(), 'x', 'x')",
        "INSERT INTO consumer.outcomes (seq, outcome) VALUES (1, 'applied')",
        "INSERT INTO consumer.exclusions VALUES (1, 'x', 'y')",
        "UPDATE consumer.outbox SET body = ''",
        "DELETE FROM consumer.outbox",
        "DELETE FROM consumer.pending",
        "SELECT seq FROM consumer.pending",
        "SELECT body FROM consumer.outbox",
        "SELECT identity.sign_in(gen_random_uuid())",
        "SELECT nextval('consumer.outbox_seq_seq')",
    ],
)
def test_it_moves_no_row(receiver: psycopg.Connection, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        receiver.execute(statement.encode())


@pytest.mark.parametrize("other", ["pending", "done", "discarded", "absent", "its own of another transaction"])
async def test_it_marks_only_a_delivery_of_its_own_transaction_as_dead(
    emptied: str, receiver: psycopg.Connection, other: str
) -> None:
    await arrive(emptied, user_updated())
    if other != "pending":
        await work(emptied)
    if other == "discarded":
        change(emptied, "UPDATE consumer.outcomes SET outcome = 'discarded'")
    [seq] = [insert(receiver)] if other.startswith("its own") else seqs(emptied)

    with pytest.raises(InsufficientPrivilege):
        receiver.execute(MARK_DEAD, [seq + 1_000 if other == "absent" else seq])
    with receiver.transaction():
        own = insert(receiver, message_id="own")
        with receiver.transaction():
            receiver.execute(MARK_DEAD, [own])

    assert rows(emptied, "SELECT seq FROM consumer.failures") == [{"seq": own}]


@pytest.mark.parametrize("state", ["done", "discarded", "dead", "retrying", "absent"])
async def test_a_forged_place_in_the_queue_changes_nothing(
    emptied: str, receiver: psycopg.Connection, state: str
) -> None:
    await arrive(emptied, known := user_updated(USER_ID, display_name="Known"))
    await work(emptied)
    await arrive(emptied, other := user_updated(USER_ID, display_name="Later"))
    if state in {"dead", "retrying"}:
        set_aside(emptied, [other], state)
    elif state == "absent":
        change(emptied, "DELETE FROM consumer.pending")
    else:
        await work(emptied)
        change(emptied, f"UPDATE consumer.outcomes SET outcome = '{state.replace('done', 'applied')}'")
        change(emptied, "UPDATE identity.profiles SET full_name = 'Known'")
    before = rows(emptied, "SELECT * FROM consumer.deliveries ORDER BY seq")
    seq = seqs(emptied)[-1]

    receiver.execute("INSERT INTO consumer.pending (seq) VALUES (%s)", [seq + 1_000 if state == "absent" else seq])
    await arrive(emptied, fresh := user_updated())
    await work(emptied)

    assert rows(emptied, f"SELECT * FROM consumer.deliveries WHERE seq <= {seq} ORDER BY seq") == before
    assert rows(emptied, "SELECT seq FROM consumer.pending") == []
    assert profile(emptied, USER_ID, "full_name") == {"full_name": "Known"}
    assert states(emptied)[fresh.message_id] == states(emptied)[known.message_id] == "done"


async def test_a_retry_that_is_queued_once_more_is_applied_once(emptied: str, receiver: psycopg.Connection) -> None:
    await arrive(emptied, late := user_updated(USER_ID, display_name="Later"))
    set_aside(emptied, [late], "retrying")
    change(emptied, "UPDATE consumer.failures SET next_attempt_at = now()")

    receiver.execute("INSERT INTO consumer.pending (seq) VALUES (%s)", seqs(emptied))
    await arrive(emptied, *(user_updated() for _ in range(4)))
    batch = await run_once(emptied, worker())

    assert len(batch.outcomes) == len(seqs(emptied)) == 5
    assert profile(emptied, USER_ID, "full_name") == {"full_name": "Later"}


async def test_what_it_stores_queued_and_dead_at_once_stays_dead(emptied: str, receiver: psycopg.Connection) -> None:
    with receiver.transaction():
        seq = insert(receiver, event_type="user.updated", user_id=USER_ID)
        receiver.execute(MARK_DEAD, [seq])
        receiver.execute("INSERT INTO consumer.pending (seq) VALUES (%s)", [seq])
    await arrive(emptied, other := user_updated())

    await work(emptied)

    found = rows(emptied, "SELECT message_id, state FROM consumer.deliveries ORDER BY seq")
    assert [tuple(row.values()) for row in found] == [("m", "dead"), (other.message_id, "done")]


async def test_a_replay_is_applied_although_its_receiver_did_not_queue_it(emptied: str) -> None:
    await arrive(emptied, user_updated(USER_ID))
    await work(emptied)
    change(emptied, "DELETE FROM identity.profiles; DELETE FROM identity.stack_user_profiles")

    await replayed(emptied)
    await work(emptied)

    assert profile(emptied, USER_ID, "full_name") == {"full_name": "Ada"}


async def test_rows_of_a_restored_dump_are_applied(emptied: str) -> None:
    """Restored rows of the log and of the queue come from other transactions than those that stored them."""
    await arrive(emptied, delivered := user_updated(USER_ID))
    change(emptied, "CREATE TABLE public.queue AS SELECT * FROM consumer.pending; DELETE FROM consumer.pending")
    change(emptied, "INSERT INTO consumer.pending SELECT * FROM public.queue")
    change(emptied, "DROP TABLE public.queue")

    await work(emptied)

    assert states(emptied) == {delivered.message_id: "done"}
