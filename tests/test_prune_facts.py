"""Which deliveries a prune keeps: each case has one that only a single rule keeps."""

from collections.abc import Callable, Mapping
from uuid import UUID, uuid4

import orjson
import pytest

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, operator_access, worker_access
from tests.laws.test_function_of_the_set import written
from tests.support.databases import change, rows
from tests.support.factories import (
    delivery,
    edited,
    membership,
    permission,
    snapshot,
    team,
    team_event,
    user_deleted,
    user_updated,
)
from tests.support.outbox import arrive, pruned, rebuild_everything, set_aside, states, work

USER, TEAM, OTHER_TEAM = UUID(int=1), UUID(int=2), UUID(int=3)
LATE, EARLY = 1_795_330_900_000, 1_795_330_800_000
REMOVED, KEPT = False, True


def of(source: str, told: Delivery, kind: str = "users") -> Delivery:
    """The same from another source; *kind* is what the API was asked for."""
    run = UUID(int=0)
    message_id = f"{run}:{kind}:{told.message_id}" if source in {"backfill", "reconcile"} else told.message_id
    return told._replace(source=source, message_id=message_id, verified_by=None if source == "backfill" else "0123abcd")


def selecting(team_id: UUID) -> Delivery:
    return user_updated(USER, selected_team=team(team_id))


def signed(verb: str, **data: object) -> Delivery:
    return delivery(f"user.signed_{verb}", USER, "app", **data)


CASES: Mapping[str, list[tuple[bool, Delivery]]] = {
    "the newest snapshot": [
        (REMOVED, user_updated(USER)),
        (KEPT, user_updated(USER)),
        (KEPT, of("backfill", user_updated(USER, is_anonymous=True))),
    ],
    "the newest snapshot of the application": [
        (REMOVED, signed("in", **snapshot())),
        (KEPT, signed("in", **snapshot(display_name="Newer"))),
        (KEPT, signed("in")),
        (KEPT, user_updated(USER)),
    ],
    "a snapshot that was not anonymous": [
        (REMOVED, user_updated(USER)),
        (KEPT, user_updated(USER)),
        (REMOVED, user_updated(USER, is_anonymous=True)),
        (KEPT, user_updated(USER, is_anonymous=True)),
    ],
    "the latest activity": [
        (KEPT, user_updated(USER, last_active_at_millis=LATE)),
        (REMOVED, user_updated(USER, last_active_at_millis=EARLY)),
        (KEPT, user_updated(USER, last_active_at_millis=EARLY)),
    ],
    "the latest activity, of which a bare sign-in tells nothing": [
        (KEPT, user_updated(USER, last_active_at_millis=EARLY + 1)),
        (KEPT, user_updated(USER, last_active_at_millis=EARLY)),
        (KEPT, signed("in", last_active_at_millis=LATE)),
    ],
    "the latest sign-in": [
        (KEPT, signed("in", signed_in_at_millis=LATE)),
        (REMOVED, signed("in", signed_in_at_millis=EARLY)),
    ],
    "the latest sign-out": [
        (KEPT, signed("out", signed_out_at_millis=LATE)),
        (REMOVED, signed("out", signed_out_at_millis=EARLY)),
    ],
    "the oldest deletion": [
        (KEPT, user_deleted(USER)),
        (REMOVED, user_deleted(USER)),
        (REMOVED, of("backfill", user_deleted(USER))),
    ],
    "the latest deletion that reconcile found": [
        (REMOVED, of("reconcile", user_deleted(USER))),
        (KEPT, of("reconcile", user_deleted(USER))),
        (KEPT, user_deleted(USER)),
    ],
    "the newest webhook that shows the user alive": [
        (REMOVED, user_updated(USER)),
        (KEPT, user_updated(USER)),
        (REMOVED, of("reconcile", user_updated(USER))),
        (KEPT, of("backfill", user_updated(USER))),
    ],
    "the newest answer that shows the user alive": [
        (REMOVED, user_updated(USER)),
        (KEPT, of("reconcile", user_updated(USER), "user")),
        (KEPT, of("backfill", user_updated(USER))),
    ],
    "the first join and the last": [
        (KEPT, membership("created", TEAM, USER)),
        (REMOVED, membership("created", TEAM, USER)),
        (KEPT, membership("created", TEAM, USER)),
        (KEPT, membership("created", OTHER_TEAM, USER)),
    ],
    "an implied first join": [
        (KEPT, selecting(TEAM)),
        (REMOVED, selecting(TEAM)),
        (KEPT, selecting(TEAM)),
        (KEPT, selecting(OTHER_TEAM)),
        (KEPT, user_updated(USER)),
    ],
    "an implied join that is not the first": [
        (KEPT, membership("created", TEAM, USER)),
        (REMOVED, selecting(TEAM)),
        (KEPT, selecting(TEAM)),
        (KEPT, user_updated(USER)),
    ],
    "an implied first join, which the application never tells": [
        (REMOVED, signed("in", **snapshot(selected_team=team(TEAM)))),
        (KEPT, selecting(TEAM)),
        (KEPT, selecting(TEAM)),
        (KEPT, user_updated(USER)),
        (KEPT, signed("in", **snapshot())),
    ],
    "the last removal": [
        (KEPT, membership("created", TEAM, USER)),
        (REMOVED, membership("deleted", TEAM, USER)),
        (KEPT, membership("deleted", TEAM, USER)),
    ],
    "the newest edit of each field, a withdrawal too": [
        (KEPT, edited(USER, department="R&D")),
        (REMOVED, edited(USER, role_type="owner", company_id=str(TEAM))),
        (KEPT, edited(USER, company_id=None)),
        (KEPT, edited(USER, role_type="admin")),
    ],
    "an edit of nothing, which alone shows the user": [
        (REMOVED, edited(USER)),
        (KEPT, edited(USER)),
    ],
    "the newest of each permission, a withdrawal too": [
        (REMOVED, permission("created", TEAM, USER, "a")),
        (KEPT, permission("deleted", TEAM, USER, "a")),
        (KEPT, permission("created", TEAM, USER, "b")),
        (KEPT, permission("created", OTHER_TEAM, USER, "a")),
    ],
    "the newest event of a team": [
        (REMOVED, team_event("created", TEAM)),
        (KEPT, team_event("updated", TEAM)),
        (KEPT, of("backfill", team_event("updated", TEAM), "teams")),
    ],
    "the newest answer that shows a team alive": [
        (REMOVED, team_event("created", TEAM)),
        (KEPT, of("reconcile", team_event("updated", TEAM), "team")),
        (REMOVED, of("reconcile", team_event("updated", TEAM), "teams")),
        (KEPT, of("backfill", team_event("updated", TEAM), "teams")),
    ],
    "the oldest deletion of a team": [
        (KEPT, team_event("deleted", TEAM)),
        (REMOVED, team_event("deleted", TEAM)),
    ],
    "the latest deletion of a team that reconcile found": [
        (REMOVED, of("reconcile", team_event("deleted", TEAM))),
        (KEPT, of("reconcile", team_event("deleted", TEAM))),
        (KEPT, team_event("deleted", TEAM)),
    ],
    "erasures and what the operator declared": [
        # After the erasure they are late, so they are discarded.
        (KEPT, user_updated(USER)),
        (KEPT, user_updated(USER)),
        *(
            (KEPT, delivery("user.erased", USER)._replace(source="operator", verified_by=None, message_id=message_id))
            for message_id in (f"erase:{USER}", "erase:again")
        ),
        (
            KEPT,
            team_event("created", TEAM)._replace(
                source="operator",
                verified_by=None,
                event_type="company.declared",
                body=orjson.dumps({"type": "company.declared", "data": {"id": str(TEAM)}}),
            ),
        ),
    ],
    "what is ignored": [(KEPT, delivery("project_permission.created", USER, id="a")) for _ in range(2)],
}


async def remaining(url: str) -> set[str]:
    async with await connect(url, operator_access("consumer")) as conn:
        await pruned(conn)
    return set(states(url))


@pytest.mark.parametrize("told", CASES.values(), ids=CASES)
async def test_it_keeps(told: list[tuple[bool, Delivery]], emptied: str) -> None:
    # The last first: which came first does not matter.
    for _, one in reversed(told):
        await arrive(emptied, one)
    await work(emptied)
    before = written(emptied)

    assert await remaining(emptied) == {one.message_id for is_kept, one in told if is_kept}
    async with await connect(emptied, worker_access("consumer")) as conn:
        await rebuild_everything(conn)
    assert written(emptied) == before


async def pending(_: str, __: Delivery) -> None:
    """Leave it pending."""


async def ignored(url: str, newest: Delivery) -> None:
    await work(url)
    change(url, f"UPDATE consumer.outcomes SET outcome = 'ignored' {among(newest)}")


async def discarded(url: str, newest: Delivery) -> None:
    await work(url)
    change(url, f"UPDATE consumer.outcomes SET outcome = 'discarded' {among(newest)}")


async def dead(url: str, newest: Delivery) -> None:
    set_aside(url, [newest])


async def retrying(url: str, newest: Delivery) -> None:
    set_aside(url, [newest], state="retrying")


def among(told: Delivery) -> str:
    return f"WHERE seq IN (SELECT seq FROM consumer.outbox WHERE message_id = '{told.message_id}')"


@pytest.mark.parametrize("become", [pending, ignored, discarded, dead, retrying])
async def test_what_was_not_applied_supersedes_nothing_and_stays(become: object, emptied: str) -> None:
    user = uuid4()
    oldest, old, new = (user_updated(user) for _ in range(3))
    await arrive(emptied, oldest, old)
    await work(emptied)
    await arrive(emptied, new)

    assert callable(become)
    await become(emptied, new)

    assert await remaining(emptied) == {old.message_id, new.message_id}


@pytest.mark.parametrize(
    "make", [lambda: user_updated(USER), lambda: team_event("updated", TEAM)], ids=["user", "team"]
)
async def test_what_is_young_stays_and_supersedes_nothing(make: Callable[[], Delivery], emptied: str) -> None:
    """A state since then can be told only by the delivery that was the newest before it."""
    oldest, old, young = (make() for _ in range(3))
    await arrive(emptied, oldest, old, young)
    await work(emptied)
    change(emptied, f"UPDATE consumer.outbox SET received_at = now() + interval '1 hour' {among(young)}")

    assert await remaining(emptied) == {old.message_id, young.message_id}


async def test_the_newest_selected_team_of_all_users_stays(emptied: str) -> None:
    """The company has its name from it."""
    for number in range(4):
        user = uuid4()
        await arrive(emptied, user_updated(user, selected_team=team(TEAM, display_name=f"Crew {number}")))
        await arrive(emptied, user_updated(user), user_updated(user))
    await work(emptied)

    await remaining(emptied)
    change(emptied, "UPDATE identity.companies SET name = 'Eve'")
    async with await connect(emptied, worker_access("consumer")) as conn:
        await rebuild_everything(conn)

    assert rows(emptied, "SELECT name FROM identity.companies") == [{"name": "Crew 3"}]


@pytest.mark.parametrize(
    "make", [lambda: membership("deleted", TEAM, USER), lambda: team_event("updated", TEAM)], ids=["user", "team"]
)
async def test_a_company_waits_for_its_users_with_the_delivery_that_ended_it(
    make: Callable[[], Delivery], emptied: str
) -> None:
    first, second = (make() for _ in range(2))
    await arrive(emptied, first, second)
    await work(emptied)
    change(emptied, f"INSERT INTO consumer.rehome (company_id, seq) SELECT '{TEAM}', seq FROM consumer.outbox "
           f"{among(first)}")  # fmt: skip

    assert await remaining(emptied) == {first.message_id, second.message_id}
