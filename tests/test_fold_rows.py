"""Folds of several users and companies at once: each pair for itself, written in the order of the keys."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from consumer.effects import users
from consumer.postgres.connections import transaction
from tests.support.batches import crew, fact, gone, in_batches, one, user
from tests.support.databases import rows
from tests.support.kept import kept
from tests.support.outbox import put
from tests.support.queries import ACCESS, ran, turned_over, written_down, written_keys
from tests.test_anew_rows import JUNE, company, fill, mirror
from tests.test_stored import store

USERS = [UUID(int=0xA0 + n) for n in range(6)]
COMPANIES = [UUID(int=0xC0 + n) for n in range(6)]
MIXED = [4, 0, 5, 2, 1, 3]
ADA, BOB, EVE = USERS[:3]
CREW, TEAM, CLUB = COMPANIES[:3]


def at(second: int) -> datetime:
    return JUNE + timedelta(seconds=second)


def told(url: str, event_type: str, second: int, data: dict[str, object] | None = None, **values: Any) -> int:
    body = json.dumps({"data": data or {}})
    return store(url, event_type, at=at(second), body=body, outcome=None, **{"user_id": None, **values})


def table(url: str, name: str, columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows(url, f"SELECT {columns} FROM {name} ORDER BY {columns}")]


async def test_joins_of_several_users_and_companies_are_folded_pair_by_pair(emptied: str) -> None:
    def join(verb: str, second: int, user_id: UUID, company_id: UUID) -> int:
        return told(emptied, f"team_membership.{verb}", second, user_id=user_id, team_id=company_id)

    first = [join("created", 5, one, CREW) for one in (BOB, ADA)]
    await ran(emptied, "members/fold", seqs=first, selecting=[], selected=[])
    other = told(emptied, "user.updated", 7, user_id=BOB)
    seqs = [
        join("created", 3, ADA, CREW),
        join("created", 4, ADA, CREW),
        join("created", 9, ADA, TEAM),
        join("deleted", 2, BOB, CREW),
        join("deleted", 1, BOB, CREW),
        join("created", 5, EVE, CREW),
        other,
    ]

    with written_down(emptied, "consumer.memberships", "NEW.user_id, NEW.company_id"):
        [(applied, stale, user_ids)] = await ran(emptied, "members/fold", seqs=seqs, selecting=[other], selected=[CLUB])
        order = written_keys(emptied)

    assert sorted(applied) == sorted([seqs[0], seqs[2], seqs[3], seqs[5], other])
    assert sorted(stale) == [seqs[1], seqs[4]]
    assert user_ids == [ADA, BOB, EVE]
    columns = "user_id, company_id, joined_at, removed_at, is_implied"
    assert table(emptied, "consumer.memberships", columns) == [
        (ADA, CREW, at(3), None, False),
        (ADA, TEAM, at(9), None, False),
        (BOB, CREW, at(5), at(2), False),
        (BOB, CLUB, at(7), None, True),
        (EVE, CREW, at(5), None, False),
    ]
    pairs = [(ADA, CREW), (ADA, TEAM), (BOB, CREW), (BOB, CLUB), (EVE, CREW)]
    # A row that exists is tried to be inserted, and then updated.
    assert list(dict.fromkeys(order)) == [f"{one} {where}" for one, where in pairs]


async def test_permissions_are_folded_by_user_company_and_name(emptied: str) -> None:
    def may(verb: str, second: int, user_id: UUID, company_id: UUID, name: str) -> int:
        event_type = f"team_permission.{verb}"
        return told(emptied, event_type, second, {"id": name}, user_id=user_id, team_id=company_id)

    first = [may("created", 5, BOB, CREW, "a"), may("created", 5, ADA, TEAM, "b")]
    first.append(may("created", 5, EVE, TEAM, "b"))
    other = may("created", 9, ADA, CLUB, "never folded")
    await ran(emptied, "members/fold_permissions", seqs=first)
    seqs = [
        may("deleted", 1, ADA, CREW, "a"),
        may("created", 2, ADA, CREW, "a"),
        may("deleted", 3, ADA, TEAM, "a"),
        may("created", 4, ADA, CREW, "b"),
        may("deleted", 4, BOB, CREW, "a"),
        may("deleted", 6, ADA, TEAM, "b"),
        may("created", 6, BOB, TEAM, "a"),
        may("deleted", 4, EVE, TEAM, "b"),
    ]

    with written_down(emptied, "consumer.team_permissions", "NEW.user_id, NEW.company_id, NEW.permission_id"):
        [(applied, stale, user_ids)] = await ran(emptied, "members/fold_permissions", seqs=seqs)
        order = written_keys(emptied)

    assert (sorted(applied), sorted(stale)) == ([seqs[n] for n in (1, 2, 3, 5, 6)], [seqs[n] for n in (0, 4, 7)])
    assert user_ids == [ADA, BOB]
    found = table(emptied, "consumer.team_permissions", "user_id, company_id, permission_id, is_present")
    assert found == [
        (ADA, CREW, "a", True),
        (ADA, CREW, "b", True),
        (ADA, TEAM, "a", False),
        (ADA, TEAM, "b", False),
        (BOB, CREW, "a", True),
        (BOB, TEAM, "a", True),
        (EVE, TEAM, "b", True),
    ]
    assert list(dict.fromkeys(order)) == [f"{one} {where} {name}" for one, where, name, _ in found]
    assert other not in {*applied, *stale}


async def test_edits_are_folded_by_user_and_field(emptied: str) -> None:
    def edit(second: int, user_id: UUID, **fields: str | None) -> int:
        return told(emptied, "profile.edited", second, {"id": "x", **fields}, user_id=user_id, source="app")

    fill(
        emptied,
        mirror(ADA),
        mirror(BOB, is_forgotten="TRUE"),
        mirror(EVE, is_forgotten="TRUE", is_removed="TRUE"),
        mirror(USERS[3], is_removed="TRUE"),
    )
    edit(99, ADA, role_type="never folded")
    await ran(emptied, "edits/fold", seqs=[edit(5, ADA, role_type="a"), edit(5, USERS[3], role_type="a")])
    whole = {"company_id": str(CREW).upper(), "department": "D", "role_type": "R"}
    seqs = [
        edit(6, USERS[3], role_type="b"),
        edit(4, ADA, role_type="older"),
        edit(7, ADA, department="new"),
        edit(6, ADA, department="beaten", company_id=str(TEAM).upper()),
        edit(1, BOB, **whole),
        edit(2, EVE, **whole),
        edit(3, ADA, department="beaten too"),
        edit(5, ADA),
    ]

    with written_down(emptied, "consumer.edits", "NEW.user_id, NEW.field"):
        [(applied, stale)] = await ran(emptied, "edits/fold", seqs=seqs)
        order = written_keys(emptied)

    assert (sorted(applied), sorted(stale)) == ([seqs[n] for n in (0, 2, 3, 4)], [seqs[1], seqs[6]])
    found = table(emptied, "consumer.edits", "user_id, field, value, seq")
    assert found[1:] == [
        (ADA, "department", "new", seqs[2]),
        (ADA, "role_type", "a", found[2][3]),
        (BOB, "department", "D", seqs[4]),
        (BOB, "role_type", "R", seqs[4]),
        (USERS[3], "role_type", "b", seqs[0]),
    ]
    assert found[0] == (ADA, "company_id", str(TEAM), seqs[3])
    assert list(dict.fromkeys(order)) == [f"{one} {field}" for one, field, *_ in found]


async def test_companies_are_written_and_queued_in_their_order(emptied: str) -> None:
    fill(emptied, *(company(COMPANIES[n]) for n in MIXED[:3]), mirror(ADA, source_company_id=f"'{COMPANIES[1]}'"))
    seqs = [told(emptied, "team.deleted", 9 - n, team_id=COMPANIES[n]) for n in MIXED]
    turned_over(emptied)

    with written_down(emptied, "identity.companies", "NEW.id"):
        [(applied, stale)] = await ran(emptied, "companies/fold", seqs=seqs, selecting=[], selected=[])
        order = written_keys(emptied)

    assert (sorted(applied), stale) == (seqs, [])
    assert list(dict.fromkeys(order)) == [str(each) for each in COMPANIES]
    queue = rows(emptied, "SELECT company_id, seq FROM consumer.rehome ORDER BY id")
    by_company = dict(zip((COMPANIES[n] for n in MIXED), seqs, strict=True))
    queued = [COMPANIES[n] for n in (0, 1, 4, 5)]
    assert [tuple(row.values()) for row in queue] == [(each, by_company[each]) for each in queued]


def shown(second: float, *, is_team: bool) -> Any:
    return crew("updated", second) if is_team else user(second)


def missed(second: float, *, is_team: bool) -> Any:
    return crew("deleted", second, source="reconcile") if is_team else gone(second, source="reconcile")


@pytest.mark.parametrize(
    ("batches", "missing", "seen", "deleted"),
    [
        (["m3 m5"], 5, 1, 5),
        (["m5 m3"], 5, 1, 5),
        (["m3", "m5"], 5, 1, 5),
        (["m5", "m3"], 5, 1, 5),
        (["m3", "s6 s4"], 3, 6, None),
        (["m3", "s4 s6"], 3, 6, None),
        (["m3", "s6", "s4"], 3, 6, None),
        (["s6", "m3"], 3, 6, None),
        (["s6 s4", "m5"], 5, 6, None),
        (["m3", "s6", "m9", "s4"], 9, 6, 9),
        (["m9", "s6", "m3"], 9, 6, 9),
        (["m3 s4 m5 s2"], 5, 4, 5),
    ],
)
@pytest.mark.parametrize("is_team", [True, False])
async def test_the_latest_sight_and_the_latest_miss_decide(
    emptied: str, is_team: bool, batches: list[str], missing: int, seen: int, deleted: int | None
) -> None:
    make = {"m": missed, "s": shown}
    told = [[make[each[0]](float(each[1:]), is_team=is_team) for each in batch.split()] for batch in batches]

    await in_batches(emptied, [shown(1, is_team=is_team)], *told)

    name = "identity.companies" if is_team else "identity.stack_user_profiles"
    found = one(emptied, name, "missing_at, seen_at, deleted_at")
    base = shown(0, is_team=is_team).occurred_at
    assert found == tuple(None if each is None else base + timedelta(seconds=each) for each in (missing, seen, deleted))


@pytest.mark.parametrize(
    ("batch", "outcomes"),
    [
        ("m3 m5", ["unchanged", "applied"]),
        ("m5 m3", ["applied", "unchanged"]),
        ("m5 m5", ["applied", "unchanged"]),
    ],
)
async def test_of_several_misses_of_a_team_the_latest_counts(emptied: str, batch: str, outcomes: list[str]) -> None:
    told = [missed(float(each[1:]), is_team=True) for each in batch.split()]

    assert (await in_batches(emptied, [crew("created", 1)], told))[1] == outcomes
    counted = told[outcomes.index("applied")].message_id
    [row] = rows(emptied, "SELECT o.message_id FROM consumer.rehome AS r INNER JOIN consumer.outbox AS o USING (seq)")
    assert row == {"message_id": counted}


@pytest.mark.parametrize("most", [1, 2, 3, 100])
async def test_any_number_of_deliveries_is_folded_in_parts_with_one_result(
    emptied: str, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(users, "FOLD_MAX", most)
    team = {"id": str(CREW), "display_name": "Crew", "profile_image_url": None}
    batch = [user(1, ADA, selected_team=team), user(2, BOB), gone(3, EVE)]
    erased = fact("user.erased", 4, {"id": str(USERS[3])}, user_id=USERS[3], source="operator")
    async with kept(emptied, ACCESS) as conn:
        for each in (*batch, erased):
            await put(conn, [each])
        seqs = [row["seq"] for row in rows(emptied, "SELECT seq FROM consumer.outbox ORDER BY seq")]
        async with transaction(conn, ACCESS):
            found = await users.mirror(conn, seqs)

    assert [list(each) for each in found] == [
        [ADA, BOB, EVE, USERS[3]],
        [ADA, BOB, EVE, USERS[3]],
        [EVE, USERS[3]],
        [],
        [],
        [seqs[0]],
        [CREW],
    ]
