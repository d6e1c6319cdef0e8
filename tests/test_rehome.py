"""Where somebody is at home, how a company that is made or deleted moves its users, and what the audit says of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest

from consumer.postgres.connections import worker_access
from consumer.settings.settings import ShapingSettings
from consumer.worker import rehome
from tests.support import model
from tests.support.databases import record, rows, schema_change
from tests.support.effects import applied, held_apart, home, placed_in, rehomed
from tests.support.factories import membership, team, team_event, user_updated
from tests.support.worker import deliveries, run_once, stored, worker

ACCESS = worker_access("consumer")
MOVES = """
SELECT operation, company_id, previous_values ->> 'company_id' AS before, new_values ->> 'company_id' AS after
FROM identity.profile_audit ORDER BY id
"""


async def test_home_is_the_active_membership_with_the_oldest_first_join(emptied: str) -> None:
    first, second, user_id = uuid4(), uuid4(), uuid4()
    joins = [membership("created", team_id, user_id) for team_id in (first, second)]

    await applied(emptied, user_updated(user_id), *reversed(joins))
    oldest = home(emptied, user_id)
    await applied(emptied, membership("deleted", first, user_id))

    assert (oldest, home(emptied, user_id)) == (first, second)


async def test_a_selected_team_alone_moves_nobody(emptied: str) -> None:
    first, second, user_id = uuid4(), uuid4(), uuid4()

    for team_id in (first, second):
        await applied(emptied, user_updated(user_id, selected_team=team(team_id)))

    assert home(emptied, user_id) == first


async def test_metadata_places_a_user_while_it_names_an_active_company(emptied: str) -> None:
    named, joined, user_id = uuid4(), uuid4(), uuid4()
    await applied(emptied, team_event("created", named), membership("created", joined, user_id))
    homes = []

    for metadata in ({"company_id": str(named).upper()}, {"company_id": str(uuid4())}, {"company_id": named.hex}, None):
        await applied(emptied, user_updated(user_id, server_metadata=metadata))
        homes.append(home(emptied, user_id))

    assert homes == [named, joined, joined, joined]


async def test_who_is_no_longer_placed_by_metadata_goes_back(emptied: str) -> None:
    named, user_id = uuid4(), uuid4()
    await applied(emptied, team_event("created", named), placed_in(named, user_id))

    await applied(emptied, user_updated(user_id))

    assert home(emptied, user_id) is None


async def test_a_company_that_metadata_named_before_it_was_made_takes_its_users_in(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    await applied(emptied, placed_in(team_id, user_id))

    await applied(emptied, team_event("created", team_id))

    assert home(emptied, user_id) is None
    assert rows(emptied, "SELECT pending FROM consumer.queue_stats") == [{"pending": 1}]
    assert await rehomed(emptied) == 1
    assert home(emptied, user_id) == team_id
    assert rows(emptied, "SELECT pending FROM consumer.queue_stats") == [{"pending": 0}]


async def test_a_deleted_company_sends_its_users_to_the_next_one(emptied: str) -> None:
    default, team_id = uuid4(), uuid4()
    await record(emptied, ShapingSettings(default_company_id=default))
    users = [uuid4() for _ in range(5)]
    told = [event for user_id in users for event in (user_updated(user_id), membership("created", team_id, user_id))]
    deleted = team_event("deleted", team_id)
    await applied(emptied, *told, deleted)

    pages = await rehomed(emptied, page_size=2)

    assert pages == 3
    assert {home(emptied, user_id) for user_id in users} == {default}
    assert rows(emptied, "SELECT DISTINCT removed_at FROM identity.company_members") == [
        {"removed_at": deleted.occurred_at}
    ]
    everything = [*told, deleted]
    assert model.state(emptied) == model.fold(everything, ShapingSettings(default_company_id=default))


async def test_the_default_company_can_be_deleted_too(emptied: str) -> None:
    default, user_id = uuid4(), uuid4()
    await record(emptied, ShapingSettings(default_company_id=default))
    await applied(emptied, user_updated(user_id), team_event("deleted", default))

    await rehomed(emptied)
    await applied(emptied, late := user_updated())

    assert late.user_id
    assert (home(emptied, user_id), home(emptied, late.user_id)) == (None, None)


async def test_a_move_leaves_a_row_under_either_company_and_none_names_both(emptied: str) -> None:
    first, second, user_id = uuid4(), uuid4(), uuid4()
    await applied(emptied, team_event("created", second), membership("created", first, user_id), user_updated(user_id))

    await applied(emptied, placed_in(second, user_id))

    assert [tuple(row.values()) for row in rows(emptied, MOVES)] == [
        ("created", first, None, str(first)),
        ("company_changed", first, str(first), None),
        ("updated", second, None, str(second)),
    ]


async def test_from_none_and_to_none_is_one_row_each_in_the_name_of_what_did_it(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    joined, deleted = membership("created", team_id, user_id), team_event("deleted", team_id)
    await applied(emptied, user_updated(user_id), joined, deleted)

    await rehomed(emptied)

    assert [tuple(row.values()) for row in rows(emptied, MOVES)] == [
        ("created", None, None, None),
        ("updated", team_id, None, str(team_id)),
        ("updated", team_id, str(team_id), None),
    ]
    named = rows(emptied, "SELECT message_id FROM identity.profile_audit ORDER BY id")
    assert [row["message_id"] for row in named[1:]] == [joined.message_id, deleted.message_id]


async def test_a_worker_rehomes_between_batches_and_is_not_idle_before(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    await stored(emptied, [user_updated(user_id), membership("created", team_id, user_id)])
    await run_once(emptied, worker())
    await stored(emptied, [team_event("deleted", team_id)])

    turns = [await run_once(emptied, worker()) for _ in range(2)]

    assert [turn.is_idle for turn in turns] == [False, True]
    assert home(emptied, user_id) is None


@contextmanager
def held(url: str, *user_ids: UUID) -> Iterator[None]:
    """Hold users as a foreign transaction would."""
    with psycopg.connect(url) as foreign:
        held_ids = [list(user_ids)]
        foreign.execute("SELECT FROM identity.stack_user_profiles WHERE stack_user_id = ANY(%s) FOR UPDATE", held_ids)
        yield


async def test_a_user_whom_somebody_locks_waits_and_the_others_are_rehomed(emptied: str) -> None:
    team_id, users = uuid4(), [uuid4() for _ in range(4)]
    told = [event for user_id in users for event in (user_updated(user_id), membership("created", team_id, user_id))]
    await stored(emptied, told)
    await run_once(emptied, worker())
    await stored(emptied, [team_event("deleted", team_id)])

    with held(emptied, users[1]):
        turn = (await run_once(emptied, worker())).rehomed

    assert turn
    assert [user_id for user_id, _ in turn.postponed] == [users[1]]
    assert [home(emptied, user_id) for user_id in users] == [None, team_id, None, None]
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE consumer.rehome SET due_at = now()")
    await run_once(emptied, worker())
    assert home(emptied, users[1]) is None


async def test_where_everybody_is_locked_all_wait_and_no_delivery_does(emptied: str) -> None:
    team_id, users = uuid4(), [uuid4() for _ in range(rehome.POSTPONED_MAX + 2)]
    await stored(emptied, [membership("created", team_id, user_id) for user_id in users])
    await run_once(emptied, worker())
    await stored(emptied, [team_event("deleted", team_id)])

    with held(emptied, *users):
        turn = (await run_once(emptied, worker())).rehomed

    assert turn
    assert turn.is_overrun
    assert [state for state, *_ in deliveries(emptied)] == ["done"] * (len(users) + 1)
    assert rows(emptied, "SELECT attempts FROM consumer.rehome") == [{"attempts": 1}]


async def test_an_application_that_refuses_every_move_keeps_no_delivery_waiting(emptied: str) -> None:
    team_id, users = uuid4(), [uuid4() for _ in range(rehome.POSTPONED_MAX + 5)]
    told = [event for user_id in users for event in (user_updated(user_id), membership("created", team_id, user_id))]
    await stored(emptied, told)
    await run_once(emptied, worker())
    required = "ALTER TABLE identity.profiles ADD CONSTRAINT at_home CHECK (company_id IS NOT NULL) NOT VALID"

    with schema_change(emptied, required, "ALTER TABLE identity.profiles DROP CONSTRAINT at_home"):
        await stored(emptied, [team_event("deleted", team_id)])
        refused = await run_once(emptied, worker())
        await stored(emptied, [team_event("created", uuid4())])
        other = await run_once(emptied, worker())
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE consumer.rehome SET due_at = now()")

    assert [len(turn.outcomes) for turn in (refused, other)] == [1, 1]
    assert await rehomed(emptied) == 1
    assert {home(emptied, user_id) for user_id in users} == {None}


@pytest.mark.parametrize("is_join_first", [True, False])
async def test_who_joins_while_the_company_is_being_deleted_is_not_left_in_it(
    emptied: str, is_join_first: bool
) -> None:
    team_id, user_id = uuid4(), uuid4()
    await applied(emptied, team_event("created", team_id), user_updated(user_id))
    join, deletion = membership("created", team_id, user_id), team_event("deleted", team_id)
    first, second = (join, deletion) if is_join_first else (deletion, join)

    assert await held_apart(emptied, first, second), (
        "nothing kept the second transaction from deciding by what it could not see"
    )
    await rehomed(emptied)
    assert home(emptied, user_id) is None
