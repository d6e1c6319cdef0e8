"""prune/users and prune/teams on deliveries made by hand: who tells a fact best, and what else keeps a delivery."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from consumer.postgres.connections import operator_access
from consumer.postgres.queries import query
from tests.support.databases import change, rows
from tests.support.queries import turned_over, unordered
from tests.test_stored import JANUARY

OPERATOR = operator_access("consumer")
ADA, TEAM, OTHER = UUID(int=0xA0), UUID(int=0xC0), UUID(int=0xC1)
SNAPSHOT: dict[str, Any] = {"primary_email": None}
ANONYMOUS = {**SNAPSHOT, "is_anonymous": True}
K, R = True, False


@dataclass(frozen=True)
class Told:
    """A delivery that is kept or removed: its type, its second, and what else is told."""

    is_kept: bool
    event_type: str
    second: float
    data: dict[str, Any] = field(default_factory=dict)
    source: str = "stack"
    team: UUID | None = None
    answers: str = "users"


def millis(second: float) -> int:
    return int((JANUARY + timedelta(seconds=second)).timestamp() * 1000)


def selecting(team: UUID, **more: Any) -> dict[str, Any]:
    return {**SNAPSHOT, "selected_team": {"id": str(team)}, **more}


def signed(is_kept: bool, verb: str, second: float, **data: Any) -> Told:
    return Told(is_kept, f"user.signed_{verb}", second, data, "app")


def user(is_kept: bool, second: float, data: dict[str, Any] | None = None, source: str = "stack", **more: Any) -> Told:
    return Told(is_kept, "user.updated", second, SNAPSHOT if data is None else data, source, **more)


def gone(is_kept: bool, second: float, source: str = "stack") -> Told:
    return Told(is_kept, "user.deleted", second, source=source)


def member(is_kept: bool, verb: str, second: float, team: UUID = TEAM) -> Told:
    return Told(is_kept, f"team_membership.{verb}", second, team=team)


def may(is_kept: bool, verb: str, second: float, name: str, team: UUID = TEAM) -> Told:
    return Told(is_kept, f"team_permission.{verb}", second, {"id": name}, team=team)


def edit(is_kept: bool, second: float, **data: Any) -> Told:
    return Told(is_kept, "profile.edited", second, data, "app")


def crew(is_kept: bool, verb: str, second: float, source: str = "stack", answers: str = "teams") -> Told:
    return Told(is_kept, f"team.{verb}", second, source=source, team=TEAM, answers=answers)


USERS: dict[str, list[Told]] = {
    "the newest snapshot, and of those who are known, of either rank": [
        user(K, 5, ANONYMOUS),
        user(K, 4),
        user(R, 3, {**SNAPSHOT, "is_anonymous": False}),
        signed(K, "in", 9),
        signed(K, "out", 9),
        signed(K, "in", 2, **SNAPSHOT),
        signed(R, "out", 1, **SNAPSHOT),
    ],
    "a first snapshot is one too": [
        Told(K, "user.created", 5, SNAPSHOT),
        Told(R, "user.created", 4, SNAPSHOT),
    ],
    "the latest activity": [
        user(K, 1, {**SNAPSHOT, "last_active_at_millis": millis(900)}),
        user(R, 2, {**SNAPSHOT, "last_active_at_millis": millis(800)}),
        user(K, 3),
        signed(K, "in", 4, last_active_at_millis=millis(950)),
    ],
    "the latest sign-in and the latest sign-out": [
        signed(K, "in", 1, signed_in_at_millis=millis(100)),
        signed(R, "in", 2),
        signed(R, "in", 3, signed_in_at_millis=millis(50)),
        signed(K, "out", 1, signed_out_at_millis=millis(200)),
        signed(R, "out", 2),
        signed(R, "out", 99, signed_in_at_millis=millis(300)),
    ],
    "the latest sign-in without a time of its own": [
        signed(K, "in", 200),
        signed(R, "in", 1, signed_in_at_millis=millis(199)),
        signed(K, "out", 200),
        signed(R, "out", 1, signed_out_at_millis=millis(199)),
    ],
    "the oldest deletion, and the latest that reconcile found": [
        user(K, 1),
        gone(K, 3),
        gone(R, 4, "backfill"),
        gone(R, 5, "reconcile"),
        gone(K, 9, "reconcile"),
        user(K, 20, source="reconcile"),
    ],
    "the newest webhook that shows the user alive": [
        user(K, 5),
        user(R, 4),
        user(R, 8, source="reconcile"),
        user(K, 9, source="backfill", answers="user"),
        member(K, "created", 20),
    ],
    "the newest answer that shows the user alive": [
        user(R, 5),
        user(K, 6, source="reconcile", answers="user"),
        user(K, 9, source="backfill"),
    ],
    "the first join, the last one and the last removal": [
        member(K, "created", 1),
        member(R, "created", 2),
        member(K, "created", 3),
        member(R, "deleted", 1),
        member(K, "deleted", 2),
        member(K, "created", 5, OTHER),
        member(R, "created", 6, OTHER),
        member(K, "created", 8, OTHER),
        member(K, "deleted", 9, OTHER),
        may(K, "created", 20, "p"),
    ],
    "a selected team": [
        user(K, 1, selecting(TEAM)),
        user(R, 3, selecting(TEAM)),
        user(K, 5, selecting(TEAM)),
        user(K, 4, selecting(OTHER)),
        member(K, "created", 2),
        user(K, 10),
        signed(R, "in", 0, **selecting(TEAM)),
        signed(K, "in", 30, **SNAPSHOT),
    ],
    "a join before a selection": [
        member(K, "created", 1),
        member(K, "created", 9),
        user(R, 2, selecting(TEAM)),
        user(K, 3, selecting(TEAM)),
    ],
    "the newest edit of each field and of none": [
        edit(K, 1, department="a"),
        edit(R, 2, role_type="b", company_id="c"),
        edit(K, 3, company_id=None),
        edit(K, 4, role_type="b"),
        edit(R, 5),
        edit(K, 6),
        user(K, 50, {**SNAPSHOT, "role_type": 1, "department": 1, "company_id": 1}),
        signed(K, "out", 60),
    ],
    "the newest event of each permission in each team": [
        may(R, "deleted", 1, "a"),
        may(K, "created", 2, "a"),
        may(K, "deleted", 1, "b"),
        may(K, "created", 1, "a", OTHER),
        member(K, "deleted", 30),
    ],
}
TEAMS: dict[str, list[Told]] = {
    "the newest event": [
        crew(K, "updated", 5, "backfill"),
        crew(R, "updated", 4, "backfill"),
        crew(R, "created", 3, "backfill"),
        crew(K, "deleted", 9),
    ],
    "the oldest deletion, and the latest that reconcile found": [
        crew(K, "created", 1),
        crew(K, "deleted", 3),
        crew(R, "deleted", 4, "backfill"),
        crew(R, "deleted", 5, "reconcile"),
        crew(K, "deleted", 9, "reconcile"),
        crew(K, "updated", 20, "reconcile"),
    ],
    "the newest webhook that shows it alive": [
        crew(K, "updated", 5),
        crew(R, "updated", 4),
        crew(R, "updated", 8, "reconcile"),
        crew(K, "updated", 9, "backfill", "team"),
        crew(K, "deleted", 20),
    ],
    "the newest answer that shows it alive": [
        crew(R, "updated", 5),
        crew(K, "updated", 6, "reconcile", "team"),
        crew(K, "updated", 9, "backfill"),
    ],
}
CASES = [
    *(pytest.param("users", told, id=name) for name, told in USERS.items()),
    *(pytest.param("teams", told, id=f"of a team: {name}") for name, told in TEAMS.items()),
]


def tell(url: str, told: Told, user_id: UUID | None) -> int:
    """Store a delivery, applied; return its number."""
    user_text, team = (f"'{one}'" if one else "NULL" for one in (user_id, told.team))
    message_id = f"'run:{told.answers}:' || gen_random_uuid()"
    body = json.dumps({"data": told.data})
    change(
        url,
        "WITH stored AS (INSERT INTO consumer.outbox "
        "(source, message_id, event_type, user_id, team_id, occurred_at, received_at, body) "
        f"VALUES ('{told.source}', {message_id}, '{told.event_type}', {user_text}, {team}, "
        f"'{JANUARY + timedelta(seconds=told.second)}', '{JANUARY}', '{body}') RETURNING seq) "
        "INSERT INTO consumer.outcomes (seq, outcome) SELECT seq, 'applied' FROM stored",
    )
    [row] = rows(url, "SELECT max(seq) AS seq FROM consumer.outbox")
    return int(row["seq"])


async def asked(url: str, name: str, **values: object) -> list[tuple[Any, ...]]:
    """Run a query of a prune as an operator does; return its rows."""
    async with unordered(url, OPERATOR) as conn:
        return await (await conn.execute(query(f"prune/{name}"), values, binary=True)).fetchall()


async def page_of(url: str, subject: str, **values: object) -> tuple[Any, ...]:
    """Return what may be removed of a page, with the types, the last id, and whether it is cut."""
    given = {"until": JANUARY + timedelta(microseconds=1), "after_id": None, "page_size": 100, "removed_max": 100}
    [found] = await asked(url, subject, **{**given, **values})
    return found


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize(("subject", "told"), CASES)
async def test_what_tells_a_fact_best_is_kept(emptied: str, subject: str, told: list[Told], is_reversed: bool) -> None:
    order = told[::-1] if is_reversed else told
    seqs = {tell(emptied, each, ADA if subject == "users" else None): each for each in order}
    turned_over(emptied)

    page = await page_of(emptied, subject)

    removed = {seq: each for seq, each in seqs.items() if not each.is_kept}
    assert page == (
        sorted(removed),
        [removed[seq].event_type for seq in sorted(removed)],
        ADA if subject == "users" else TEAM,
        False,
    )
