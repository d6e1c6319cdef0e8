"""Of which stored deliveries rows are made anew: what is done and not discarded, until an instant or at all."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from consumer.effects import stored
from tests.support.databases import change, rows
from tests.support.effects import ACCESS
from tests.support.kept import kept

ADA, BOB, CREW = UUID(int=0xADA), UUID(int=0xB), UUID(int=0xC)
BODY = f'{{"data": {{"selected_team": {{"id": "{str(CREW).upper()}"}}}}}}'
JANUARY, FEBRUARY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


def store(
    url: str,
    event_type: str,
    *,
    source: str = "stack",
    body: str = BODY,
    outcome: str | None = "applied",
    at: datetime = JANUARY,
    user_id: UUID | None = ADA,
    team_id: UUID | None = None,
) -> int:
    """Store a delivery, done with an outcome or pending; return its number."""
    user, team = (f"'{one}'" if one else "NULL" for one in (user_id, team_id))
    change(
        url,
        "INSERT INTO consumer.outbox "
        "(source, message_id, event_type, user_id, team_id, occurred_at, received_at, body) "
        f"VALUES ('{source}', gen_random_uuid()::text, '{event_type}', {user}, {team}, '{at}', '{at}', '{body}')",
    )
    [row] = rows(url, "SELECT max(seq) AS seq FROM consumer.outbox")
    if outcome:
        change(url, f"INSERT INTO consumer.outcomes (seq, outcome) VALUES ({row['seq']}, '{outcome}')")
    return int(row["seq"])


@pytest.mark.parametrize(
    ("event_type", "told", "is_implied", "until", "counts"),
    [
        ("user.created", {}, True, None, True),
        ("user.updated", {"outcome": "stale"}, True, None, True),
        ("user.signed_in", {}, True, None, True),
        ("user.signed_out", {}, True, None, True),
        ("user.updated", {"body": BODY.replace("C", "D")}, True, None, False),
        ("user.updated", {"source": "backfill"}, True, JANUARY, True),
        ("user.updated", {"at": FEBRUARY}, True, JANUARY, False),
        ("user.updated", {"source": "app"}, True, None, False),
        ("user.updated", {"outcome": "discarded"}, True, None, False),
        ("user.updated", {"outcome": None}, True, None, False),
        ("user.updated", {}, False, None, False),
        ("profile.edited", {}, True, None, False),
    ],
)
async def test_a_company_is_named_by_what_stack_said_of_its_users(
    emptied: str, event_type: str, told: dict[str, object], is_implied: bool, until: datetime | None, counts: bool
) -> None:
    change(emptied, f"INSERT INTO consumer.memberships VALUES ('{ADA}', '{CREW}', now(), '', '', NULL, {is_implied})")
    seq = store(emptied, event_type, **told)  # type: ignore[arg-type]  # A row of the table above.

    async with kept(emptied, ACCESS) as conn:
        found = await stored.selecting(conn, [CREW], until)

    assert found == ([(seq, CREW)] if counts else [])


async def test_a_company_is_made_of_its_events_and_the_newest_membership(emptied: str) -> None:
    created = store(emptied, "team.created", user_id=None, team_id=CREW)
    store(emptied, "team.updated", user_id=None, team_id=CREW, outcome="discarded")
    store(emptied, "team.updated", user_id=None, team_id=CREW, outcome=None)
    older = store(emptied, "team_membership.created", team_id=CREW)
    newest = store(emptied, "team_membership.deleted", team_id=CREW, at=FEBRUARY)
    declared = store(emptied, "company.declared", source="operator", user_id=None, team_id=CREW, at=FEBRUARY)
    store(emptied, "team_permission.created", team_id=CREW)

    async with kept(emptied, ACCESS) as conn:
        now = await stored.company_events(conn, [CREW])
        then = await stored.company_events(conn, [CREW], JANUARY)

    assert now == ([(created, CREW), (newest, CREW), (declared, CREW)], {CREW})
    assert then == ([(created, CREW), (older, CREW), (declared, CREW)], {CREW})


async def test_a_user_is_made_of_what_is_done_and_not_discarded(emptied: str) -> None:
    first = store(emptied, "user.updated")
    store(emptied, "user.updated", outcome="discarded")
    store(emptied, "user.updated", outcome=None)
    second = store(emptied, "user.updated", at=FEBRUARY, outcome="unchanged")
    change(emptied, f"UPDATE consumer.outbox SET reduced = '{{}}' WHERE seq = {second}")
    erased = store(emptied, "user.erased", source="operator", at=FEBRUARY)
    of_bob = store(emptied, "user.updated", user_id=BOB)

    async with kept(emptied, ACCESS) as conn:
        now = await stored.deliveries(conn, [ADA, BOB])
        then = await stored.deliveries(conn, [ADA], JANUARY)

    assert [(each.event_type, each.seqs, each.user_ids, each.reduced) for each in now] == [
        ("user.erased", [erased], [ADA], []),
        ("user.updated", [first, second, of_bob], [ADA, ADA, BOB], [second]),
    ]
    assert [(each.event_type, each.seqs) for each in then] == [("user.erased", [erased]), ("user.updated", [first])]
