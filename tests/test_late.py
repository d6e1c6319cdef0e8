"""What arrives about an erased user is discarded, and leaves none of the user's data, however it arrives."""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect
from tests.support.cli import arrive, work
from tests.support.databases import rows, waits_for_locks
from tests.support.erasing import Life, bodies, left
from tests.support.factories import delivery, edited, membership, user_deleted, user_updated
from tests.support.outbox import set_aside
from tests.support.polling import until
from tests.support.worker import drain_all, make_due, stored, worker


@pytest.fixture
def erased(emptied: str) -> Life:
    """A person who is erased."""
    life = Life()
    arrive(emptied, *life.told())
    work(emptied)
    life.erased(emptied)
    return life


def erasure(life: Life) -> Delivery:
    erasure = delivery("user.erased", life.user_id, "operator")
    return erasure._replace(verified_by=None, message_id=f"erase:{life.user_id}")


def outcomes(url: str, *deliveries: Delivery) -> list[object]:
    found = {row["message_id"]: row["outcome"] for row in rows(url, "SELECT * FROM consumer.deliveries")}
    return [found[each.message_id] for each in deliveries]


def test_a_late_body_is_reduced_in_the_batch_that_discards_it(emptied: str, erased: Life) -> None:
    late = [
        erased.whole(),
        delivery("user.signed_in", erased.user_id, "app", primary_email="canary@example.com", display_name="x"),
        edited(erased.user_id, role_type="x", reason="canary-remark"),
        delivery("user.deleted", erased.user_id, teams=[]),
        delivery("user.of_a_type_to_come", erased.user_id, avatar="https://canary.example/me.png"),
    ]
    living = user_updated()
    arrive(emptied, *late, living)

    work(emptied)

    assert outcomes(emptied, *late, living) == [*["discarded"] * 5, "applied"]
    assert left(emptied) == []
    assert [body["data"] for body in bodies(emptied, erased.user_id)[-5:]] == [{"id": str(erased.user_id)}] * 5
    assert not rows(emptied, f"SELECT FROM identity.profiles WHERE user_id = '{erased.user_id}'")


def test_a_late_body_of_ids_alone_is_applied(emptied: str, erased: Life) -> None:
    late = [user_deleted(erased.user_id), membership("created", uuid4(), erased.user_id)]
    arrive(emptied, *late)

    work(emptied)

    assert "discarded" not in outcomes(emptied, *late)
    assert not rows(emptied, f"SELECT FROM identity.company_members WHERE user_id = '{erased.user_id}'")


def test_a_late_body_that_is_no_json_is_emptied(emptied: str, erased: Life) -> None:
    broken = erased.whole()._replace(body=b"{ canary@example.com", event_type="of.a.type.to.come")
    arrive(emptied, broken)

    work(emptied)

    assert outcomes(emptied, broken) == ["discarded"]
    assert left(emptied) == []


def test_a_failed_delivery_that_is_tried_again_is_late(emptied: str) -> None:
    life = Life()
    failed = life.whole()
    arrive(emptied, failed)
    set_aside(emptied, [failed], "retrying")
    make_due(emptied)
    arrive(emptied, erasure(life))

    work(emptied)

    assert outcomes(emptied, failed) == ["discarded"]
    assert left(emptied) == []


@pytest.mark.parametrize("is_first", [False, True])
def test_what_comes_in_the_batch_of_the_erasure_is_late(emptied: str, *, is_first: bool) -> None:
    life = Life()
    both = [life.whole(), erasure(life)]
    arrive(emptied, *(reversed(both) if is_first else both))

    work(emptied)

    assert outcomes(emptied, *both) == ["discarded", "applied"]
    assert left(emptied) == []


async def test_a_user_who_is_erased_while_a_batch_waits_for_the_lock_is_noticed(emptied: str) -> None:
    life = Life()
    late, living = life.whole(), user_updated()
    await stored(emptied, [user_updated(life.user_id)])
    await drain_all(emptied, worker())
    await stored(emptied, [late, living])
    with psycopg.connect(emptied) as other:
        # What another worker's erasure does to the mirror, before its commit.
        other.execute(
            "INSERT INTO consumer.outbox (source, message_id, event_type, occurred_at, body) "
            f"VALUES ('operator', 'erase:{life.user_id}', 'user.erased', now(), '{{}}')"
        )
        other.execute(
            "UPDATE identity.stack_user_profiles SET is_erased = TRUE, deletion_at = now(), deleted_at = now() "
            "WHERE stack_user_id = %s",
            [life.user_id],
        )
        async with AsyncExitStack() as stack:
            conn = await stack.enter_async_context(await connect(emptied, worker().access))
            batch = asyncio.create_task(worker().run_once(conn))
            await until(lambda: waits_for_locks(emptied))
            other.commit()
            done = await batch

    assert sorted(done.outcomes.values()) == ["applied", "discarded"]
    assert outcomes(emptied, late, living) == ["discarded", "applied"]
    assert not [value for value in left(emptied) if value in str(bodies(emptied, life.user_id))]


def test_only_bodies_about_erased_users_can_be_reduced(emptied: str, erased: Life) -> None:
    [row] = rows(emptied, f"SELECT seq FROM consumer.outbox WHERE user_id = '{erased.stranger_id}' LIMIT 1")
    with psycopg.connect(emptied) as conn:
        conn.execute("SET LOCAL ROLE consumer_worker")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only 0 of 1"):
            conn.execute("SELECT consumer.reduce_late(%s, %s)", [[row["seq"]], [b"{}"]])


@pytest.mark.parametrize("role", ["operator", "app", "receiver", "tenant"])
def test_nobody_but_the_worker_reduces_late_bodies(role: str, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT consumer.reduce_late('{}', '{}')")
