"""Where somebody is at home, how a company that is made or deleted moves its users, and what the audit says of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, transaction, worker_access
from consumer.settings.settings import ShapingSettings
from consumer.worker import rehome
from tests.support import model
from tests.support.databases import apply_next, put, record, rehome_next, rows, schema_change
from tests.support.factories import membership, team, team_event, user_updated
from tests.test_effects import applied, profile
from tests.test_worker import deliveries, run_once, stored, worker

ACCESS = worker_access("consumer")
MOVES = """
SELECT operation, company_id, previous_values ->> 'company_id' AS before, new_values ->> 'company_id' AS after
FROM identity.profile_audit ORDER BY id
"""


def home(url: str, user_id: UUID) -> object:
    mirrored = rows(url, f"SELECT company_id FROM identity.stack_user_profiles WHERE stack_user_id = '{user_id}'")
    assert mirrored == [profile(url, user_id, "company_id")]
    return mirrored[0]["company_id"]


def rehomed(url: str, page_size: int = 500) -> int:
    """Re-home until nobody waits; return the number of pages."""

    async def drain() -> int:
        pages = 0
        async with await connect(url, ACCESS) as conn:
            while await rehome_next(conn, page_size):
                pages += 1
        return pages

    return asyncio.run(drain())


def placed_in(team_id: UUID | str, user_id: UUID | None = None) -> Delivery:
    return user_updated(user_id, server_metadata={"company_id": str(team_id)})


def test_home_is_the_active_membership_with_the_oldest_first_join(emptied: str) -> None:
    first, second, user_id = uuid4(), uuid4(), uuid4()
    joins = [membership("created", team_id, user_id) for team_id in (first, second)]

    applied(emptied, user_updated(user_id), *reversed(joins))
    oldest = home(emptied, user_id)
    applied(emptied, membership("deleted", first, user_id))

    assert (oldest, home(emptied, user_id)) == (first, second)


def test_a_selected_team_alone_moves_nobody(emptied: str) -> None:
    first, second, user_id = uuid4(), uuid4(), uuid4()

    for team_id in (first, second):
        applied(emptied, user_updated(user_id, selected_team=team(team_id)))

    assert home(emptied, user_id) == first


def test_metadata_places_a_user_while_it_names_an_active_company(emptied: str) -> None:
    named, joined, user_id = uuid4(), uuid4(), uuid4()
    applied(emptied, team_event("created", named), membership("created", joined, user_id))
    homes = []

    for metadata in ({"company_id": str(named).upper()}, {"company_id": str(uuid4())}, {"company_id": named.hex}, None):
        applied(emptied, user_updated(user_id, server_metadata=metadata))
        homes.append(home(emptied, user_id))

    assert homes == [named, joined, joined, joined]


def test_who_is_no_longer_placed_by_metadata_goes_back(emptied: str) -> None:
    named, user_id = uuid4(), uuid4()
    applied(emptied, team_event("created", named), placed_in(named, user_id))

    applied(emptied, user_updated(user_id))

    assert home(emptied, user_id) is None


def test_a_company_that_metadata_named_before_it_was_made_takes_its_users_in(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    applied(emptied, placed_in(team_id, user_id))

    applied(emptied, team_event("created", team_id))

    assert home(emptied, user_id) is None
    assert rows(emptied, "SELECT pending FROM consumer.queue_stats") == [{"pending": 1}]
    assert rehomed(emptied) == 1
    assert home(emptied, user_id) == team_id
    assert rows(emptied, "SELECT pending FROM consumer.queue_stats") == [{"pending": 0}]


def test_a_deleted_company_sends_its_users_to_the_next_one(emptied: str) -> None:
    default, team_id = uuid4(), uuid4()
    asyncio.run(record(emptied, ShapingSettings(default_company_id=default)))
    users = [uuid4() for _ in range(5)]
    told = [event for user_id in users for event in (user_updated(user_id), membership("created", team_id, user_id))]
    deleted = team_event("deleted", team_id)
    applied(emptied, *told, deleted)

    pages = rehomed(emptied, page_size=2)

    assert pages == 3
    assert {home(emptied, user_id) for user_id in users} == {default}
    assert rows(emptied, "SELECT DISTINCT removed_at FROM identity.company_members") == [
        {"removed_at": deleted.occurred_at}
    ]
    everything = [*told, deleted]
    assert model.state(emptied) == model.fold(everything, ShapingSettings(default_company_id=default))


def test_the_default_company_can_be_deleted_too(emptied: str) -> None:
    default, user_id = uuid4(), uuid4()
    asyncio.run(record(emptied, ShapingSettings(default_company_id=default)))
    applied(emptied, user_updated(user_id), team_event("deleted", default))

    rehomed(emptied)
    applied(emptied, late := user_updated())

    assert late.user_id
    assert (home(emptied, user_id), home(emptied, late.user_id)) == (None, None)


def test_a_move_leaves_a_row_under_either_company_and_none_names_both(emptied: str) -> None:
    first, second, user_id = uuid4(), uuid4(), uuid4()
    applied(emptied, team_event("created", second), membership("created", first, user_id), user_updated(user_id))

    applied(emptied, placed_in(second, user_id))

    assert [tuple(row.values()) for row in rows(emptied, MOVES)] == [
        ("created", first, None, str(first)),
        ("company_changed", first, str(first), None),
        ("updated", second, None, str(second)),
    ]


def test_from_none_and_to_none_is_one_row_each_in_the_name_of_what_did_it(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    joined, deleted = membership("created", team_id, user_id), team_event("deleted", team_id)
    applied(emptied, user_updated(user_id), joined, deleted)

    rehomed(emptied)

    assert [tuple(row.values()) for row in rows(emptied, MOVES)] == [
        ("created", None, None, None),
        ("updated", team_id, None, str(team_id)),
        ("updated", team_id, str(team_id), None),
    ]
    named = rows(emptied, "SELECT message_id FROM identity.profile_audit ORDER BY id")
    assert [row["message_id"] for row in named[1:]] == [joined.message_id, deleted.message_id]


def test_a_worker_rehomes_between_batches_and_is_not_idle_before(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    stored(emptied, [user_updated(user_id), membership("created", team_id, user_id)])
    run_once(emptied, worker())
    stored(emptied, [team_event("deleted", team_id)])

    turns = [run_once(emptied, worker()) for _ in range(2)]

    assert [turn.is_idle for turn in turns] == [False, True]
    assert home(emptied, user_id) is None


@contextmanager
def held(url: str, *user_ids: UUID) -> Iterator[None]:
    """Hold users as a foreign transaction would."""
    with psycopg.connect(url) as foreign:
        held_ids = [list(user_ids)]
        foreign.execute("SELECT FROM identity.stack_user_profiles WHERE stack_user_id = ANY(%s) FOR UPDATE", held_ids)
        yield


def test_a_user_whom_somebody_locks_waits_and_the_others_are_rehomed(emptied: str) -> None:
    team_id, users = uuid4(), [uuid4() for _ in range(4)]
    told = [event for user_id in users for event in (user_updated(user_id), membership("created", team_id, user_id))]
    stored(emptied, told)
    run_once(emptied, worker())
    stored(emptied, [team_event("deleted", team_id)])

    with held(emptied, users[1]):
        turn = run_once(emptied, worker()).rehomed

    assert turn
    assert [user_id for user_id, _ in turn.postponed] == [users[1]]
    assert [home(emptied, user_id) for user_id in users] == [None, team_id, None, None]
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE consumer.rehome SET due_at = now()")
    run_once(emptied, worker())
    assert home(emptied, users[1]) is None


def test_where_everybody_is_locked_all_wait_and_no_delivery_does(emptied: str) -> None:
    team_id, users = uuid4(), [uuid4() for _ in range(rehome.POSTPONED_MAX + 2)]
    stored(emptied, [membership("created", team_id, user_id) for user_id in users])
    run_once(emptied, worker())
    stored(emptied, [team_event("deleted", team_id)])

    with held(emptied, *users):
        turn = run_once(emptied, worker()).rehomed

    assert turn
    assert turn.is_overrun
    assert [state for state, *_ in deliveries(emptied)] == ["done"] * (len(users) + 1)
    assert rows(emptied, "SELECT attempts FROM consumer.rehome") == [{"attempts": 1}]


def test_an_application_that_refuses_every_move_keeps_no_delivery_waiting(emptied: str) -> None:
    team_id, users = uuid4(), [uuid4() for _ in range(rehome.POSTPONED_MAX + 5)]
    told = [event for user_id in users for event in (user_updated(user_id), membership("created", team_id, user_id))]
    stored(emptied, told)
    run_once(emptied, worker())
    required = "ALTER TABLE identity.profiles ADD CONSTRAINT at_home CHECK (company_id IS NOT NULL) NOT VALID"

    with schema_change(emptied, required, "ALTER TABLE identity.profiles DROP CONSTRAINT at_home"):
        stored(emptied, [team_event("deleted", team_id)])
        refused = run_once(emptied, worker())
        stored(emptied, [team_event("created", uuid4())])
        other = run_once(emptied, worker())
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE consumer.rehome SET due_at = now()")

    assert [len(turn.outcomes) for turn in (refused, other)] == [1, 1]
    assert rehomed(emptied) == 1
    assert {home(emptied, user_id) for user_id in users} == {None}


async def held_apart(url: str, first: Delivery, second: Delivery) -> bool:
    """Apply both at once, and return whether the second waited for the first.

    Either transaction has done its work when the other begins, and commits only when the other waits or is done.
    """
    async with await connect(url, ACCESS) as one, await connect(url, ACCESS) as other:
        await put(one, [first])
        async with transaction(one, ACCESS):
            await apply_next(one, 10)
            await put(other, [second])
            following = asyncio.create_task(apply_next(other, 10))
            is_waiting = not (await asyncio.wait({following}, timeout=0.3))[0]
        await following
        return is_waiting


@pytest.mark.parametrize("is_join_first", [True, False])
def test_who_joins_while_the_company_is_being_deleted_is_not_left_in_it(emptied: str, is_join_first: bool) -> None:
    team_id, user_id = uuid4(), uuid4()
    applied(emptied, team_event("created", team_id), user_updated(user_id))
    join, deletion = membership("created", team_id, user_id), team_event("deleted", team_id)
    first, second = (join, deletion) if is_join_first else (deletion, join)

    assert asyncio.run(held_apart(emptied, first, second)), (
        "nothing kept the second transaction from deciding by what it could not see"
    )
    rehomed(emptied)
    assert home(emptied, user_id) is None
