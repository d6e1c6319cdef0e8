"""Which stored deliveries rows are made anew of, or read again, and in which order they come."""

from typing import Any
from uuid import UUID

import pytest

from consumer.effects import reread, stored
from consumer.postgres import queries
from consumer.postgres.connections import Connection, transaction
from tests.support.databases import change, rows
from tests.support.factories import user_updated
from tests.support.kept import kept
from tests.support.outbox import arrive, work
from tests.support.queries import ACCESS, ran, turned_over, unordered
from tests.test_anew_rows import fill, joined
from tests.test_stored import store

ADA, BOB, EVE = (UUID(int=0xA0 + n) for n in range(3))
CREW, TEAM, CLUB = (UUID(int=0xC0 + n) for n in range(3))


def choice(company_id: UUID) -> str:
    """Return the body of a user that has selected a team."""
    return f'{{"data": {{"selected_team": {{"id": "{company_id}"}}}}}}'


def reduce(url: str, *seqs: int) -> None:
    change(url, f"UPDATE consumer.outbox SET reduced = '\\x7b7d' WHERE seq = ANY('{{{', '.join(map(str, seqs))}}}')")


async def test_of_a_company_the_reduced_deliveries_that_are_done_are_read_again(emptied: str) -> None:
    team = {"user_id": None, "team_id": CREW}
    first, whole = (store(emptied, "team.updated", **team) for _ in range(2))  # type: ignore[arg-type]
    off = [store(emptied, "team.updated", **team, outcome=each) for each in ("discarded", None)]  # type: ignore[arg-type]
    other = store(emptied, "team.updated", user_id=None, team_id=TEAM)
    of_ada, of_bob, of_eve = (store(emptied, "user.updated", user_id=one) for one in (ADA, BOB, EVE))
    off += [store(emptied, "user.updated", user_id=ADA, outcome=each) for each in ("discarded", None)]
    store(emptied, "user.updated", user_id=ADA)
    second = store(emptied, "team.updated", **team)  # type: ignore[arg-type]
    again = store(emptied, "user.updated", user_id=ADA)
    reduce(emptied, second, first, *off, other, again, of_ada, of_bob, of_eve)
    fill(emptied, joined(ADA, CREW), joined(BOB, CREW, is_implied=False), joined(EVE, TEAM))
    turned_over(emptied)

    found = [
        await ran(emptied, "reread/of_companies", company_ids=[CREW], is_named_by_users=each) for each in (False, True)
    ]

    assert found == [[(first,), (second,)], [(of_ada,), (again,)]]
    assert whole not in {seq for each in found for (seq,) in each}


async def test_only_the_given_deliveries_with_a_reduced_body_are_read_in_their_order(emptied: str) -> None:
    first, second, whole, other = (store(emptied, "user.updated", source=one) for one in ("app", *["stack"] * 3))
    reduce(emptied, second, first, other)
    turned_over(emptied)

    found = await ran(emptied, "reread/reduced", seqs=[second, whole, first])

    body = rows(emptied, f"SELECT body FROM consumer.outbox WHERE seq = {first}")[0]["body"]
    assert found == [(first, "app", body, b"{}"), (second, "stack", body, b"{}")]


def prune_before(url: str, *seqs: int) -> None:
    """Let each of these deliveries be the repeat of a removed one."""
    known = ", ".join(map(str, seqs))
    change(
        url,
        "INSERT INTO consumer.pruned (key) SELECT consumer.message_key(source, message_id) FROM consumer.outbox "
        f"WHERE seq IN ({known})",
    )


async def test_what_repeats_a_removed_delivery_is_no_fact_if_it_is_stale(emptied: str) -> None:
    team: dict[str, Any] = {"user_id": None, "team_id": CREW}
    user: dict[str, Any] = {"user_id": ADA, "body": choice(CREW)}
    told = [("team.updated", team), ("user.updated", user)]
    stale, fresh, other = (
        [store(emptied, kind, **values, outcome=outcome) for kind, values in told]
        for outcome in ("stale", "applied", "stale")
    )
    prune_before(emptied, *stale, *fresh)
    fill(emptied, joined(ADA, CREW))
    turned_over(emptied)

    async with unordered(emptied) as conn:
        events, named = await stored.company_events(conn, [CREW])
        [group] = await stored.deliveries(conn, [ADA])
        selecting = await stored.selecting(conn, [CREW])

    assert ([each.seq for each in events], named) == ([fresh[0], other[0]], {CREW})
    assert group.seqs == [fresh[1], other[1]]
    assert [each.seq for each in selecting] == [fresh[1], other[1]]


async def test_the_deliveries_of_users_come_by_source_and_type_and_in_their_order(emptied: str) -> None:
    told = [
        store(emptied, event_type, source=source, user_id=user_id)
        for event_type, source, user_id in (
            ("user.updated", "stack", BOB),
            ("user.updated", "stack", ADA),
            ("user.created", "stack", ADA),
            ("user.updated", "backfill", ADA),
            ("user.updated", "stack", BOB),
            ("user.updated", "stack", EVE),
        )
    ]
    reduce(emptied, told[4], told[0])
    turned_over(emptied)

    async with unordered(emptied) as conn:
        found = await stored.deliveries(conn, [ADA, BOB])

    assert [(each.source, each.event_type, each.seqs, each.user_ids, each.reduced) for each in found] == [
        ("backfill", "user.updated", [told[3]], [ADA], []),
        ("stack", "user.created", [told[2]], [ADA], []),
        ("stack", "user.updated", [told[0], told[1], told[4]], [BOB, ADA, BOB], [told[0], told[4]]),
    ]


async def test_the_events_of_companies_come_by_company_and_number_and_each_has_one_membership(emptied: str) -> None:
    told = [
        store(emptied, event_type, user_id=user_id, team_id=company_id)
        for event_type, user_id, company_id in (
            ("team_membership.created", ADA, TEAM),
            ("team.created", None, TEAM),
            ("team_membership.deleted", BOB, TEAM),
            ("team_membership.created", BOB, CREW),
            ("team.deleted", None, CREW),
            ("team.updated", None, TEAM),
            ("team.created", None, CLUB),
        )
    ]
    foreign = store(emptied, "team.updated", source="app", user_id=None, team_id=CREW)
    turned_over(emptied)

    async with unordered(emptied) as conn:
        events, named = await stored.company_events(conn, [CREW, TEAM])

    in_order = [(3, CREW), (4, CREW), (1, TEAM), (2, TEAM), (5, TEAM)]
    assert events == [(told[number], company_id) for number, company_id in in_order]
    assert (named, foreign in {event.seq for event in events}) == ({TEAM}, False)


async def test_only_the_given_companies_are_named_by_their_users_choices(emptied: str) -> None:
    told = [store(emptied, "user.updated", user_id=ADA, body=choice(one)) for one in (CREW, TEAM)]
    fill(emptied, joined(ADA, CREW), joined(ADA, TEAM))

    async with unordered(emptied) as conn:
        assert await stored.selecting(conn, [CREW]) == [(told[0], CREW)]
        assert await stored.selecting(conn, [TEAM]) == [(told[1], TEAM)]
        assert await stored.selecting(conn, [TEAM, CREW]) == [(told[0], CREW), (told[1], TEAM)]


async def test_reduced_bodies_are_read_again_in_steps_and_written_where_they_differ(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reread, "READ_MAX", 2)
    told = [user_updated(ADA, display_name=str(number)) for number in range(7)]
    await arrive(emptied, *told)
    await work(emptied)
    seqs = [row["seq"] for row in rows(emptied, "SELECT seq FROM consumer.outbox ORDER BY seq")]
    reduce(emptied, *seqs[:6])
    unusable, asked = seqs[2], [seqs[n] for n in (5, 0, 6, 2, 3, 1)]
    change(emptied, f"UPDATE consumer.outbox SET body = '{{}}' WHERE seq = {unusable}")
    steps: list[object] = []

    async def read(conn: Connection, factory: Any, name: str, values: Any = None) -> Any:
        steps.append(values["seqs"])
        return await real(conn, factory, name, values)

    real = queries.rows
    monkeypatch.setattr(reread, "rows", read)
    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        await reread.reread(conn, asked)

    # This release reads a whole body; what it can't use stays, and so does what it was not asked for.
    left = {row["seq"]: row["reduced"] for row in rows(emptied, "SELECT seq, reduced FROM consumer.outbox")}
    assert left == dict.fromkeys(seqs) | {unusable: b"{}", seqs[4]: b"{}"}
    assert steps == [seqs[0:2], seqs[2:4], [seqs[5], seqs[6]]]
