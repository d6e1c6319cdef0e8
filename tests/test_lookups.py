"""What the console's pages call too: every lookup runs under the viewer's role, and shows nobody."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from psycopg import errors as postgres

from consumer.lookup import audit, listing, one_company, one_delivery, one_user, origins, revealed
from consumer.lookup.following import Follower
from consumer.lookup.listing import ChangePlace, ListFilter
from consumer.outbox import deliveries
from consumer.postgres import session
from consumer.postgres.connections import Connection, connect, operator_access, transaction, viewer_access
from tests.support.databases import change
from tests.support.factories import NOON, membership, permission, team_event, user_deleted
from tests.support.lookups import EMAIL, NAME, canary, shown_canaries
from tests.support.outbox import arrive, work

HOUR = timedelta(hours=1)
ONE, OTHER = uuid4(), uuid4()
VIEWER, OPERATOR = viewer_access("consumer"), operator_access("consumer")


@pytest.fixture
async def viewer(emptied: str) -> AsyncIterator[Connection]:
    """A viewer's transaction."""
    async with await connect(emptied, VIEWER) as conn, transaction(conn, VIEWER):
        yield conn


async def in_a_team(url: str, name: str = "Crew") -> tuple[UUID, UUID, str]:
    """Store a canary who is the only member of a team; return user, team and message id."""
    first, team_id = canary(), uuid4()
    assert first.user_id
    await arrive(url, team_event("created", team_id, display_name=name), first)
    await arrive(url, membership("created", team_id, first.user_id))
    await arrive(url, permission("created", team_id, first.user_id, "$read_members"))
    await work(url)
    return first.user_id, team_id, first.message_id


async def test_a_viewer_may_run_every_lookup_and_sees_nobody(emptied: str, viewer: Connection) -> None:
    user_id, team_id, message_id = await in_a_team(emptied, NAME)

    [delivery] = await one_delivery.find(viewer, message_id)
    user, edits = await one_user.find(viewer, user_id), await one_user.edits(viewer, user_id)
    memberships, changes = await one_user.memberships(viewer, user_id), await one_user.field_changes(viewer, user_id)
    found = (
        await listing.page(viewer, ListFilter(event_type="user.*", since=delivery.received_at), size=50),
        await Follower(ListFilter(), delivery.received_at).changes(viewer),
        await deliveries.errors(viewer, ["dead"], limit=10),
        await audit.of_delivery(viewer, delivery.seq, size=20),
        await one_delivery.body(viewer, delivery.seq),
        await one_delivery.neighbours(viewer, delivery),
        await one_user.by_email(viewer, EMAIL),
        await one_user.timeline(viewer, user_id, size=20),
        await one_user.counts(viewer, user_id),
        await one_company.find(viewer, team_id),
        await one_company.members(viewer, team_id, size=20),
        origins.origins(user, edits, memberships, changes),
    )

    assert all(found[:2])
    assert found[6] == [user_id]
    assert shown_canaries(repr((delivery, user, edits, memberships, changes, found))) == []


@pytest.mark.parametrize("name", ["profile", "body", "audit", "company_names"])
async def test_a_viewer_may_not_run_what_reveals(emptied: str, viewer: Connection, name: str) -> None:
    user_id, team_id, message_id = await in_a_team(emptied)
    [delivery] = await one_delivery.find(viewer, message_id)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "profile": lambda: revealed.profile(viewer, user_id),
        "body": lambda: revealed.body(viewer, delivery.seq),
        "audit": lambda: revealed.audit(viewer, [(user_id, 1)]),
        "company_names": lambda: revealed.company_names(viewer, [team_id]),
    }

    with pytest.raises(postgres.InsufficientPrivilege):
        async with viewer.transaction():
            await calls[name]()


async def test_a_company_is_shown_with_its_members_and_guests(emptied: str) -> None:
    first_id, team_id, _ = await in_a_team(emptied)
    second = canary()
    guest_id = second.user_id or uuid4()
    other_id = uuid4()
    await arrive(emptied, team_event("created", other_id), second)
    await arrive(emptied, membership("created", other_id, guest_id))
    await arrive(emptied, membership("created", team_id, guest_id))
    gone_id = uuid4()
    await arrive(emptied, membership("created", team_id, gone_id), membership("deleted", team_id, gone_id))
    await arrive(emptied, membership("created", team_id, unknown_id := uuid4()))
    await work(emptied)
    change(emptied, f"INSERT INTO consumer.rebuild (stage, id) VALUES (1, '{other_id}')")
    async with await connect(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        found = await one_company.find(conn, team_id)
        members = await one_company.members(conn, team_id, size=1)
        more = await one_company.members(conn, team_id, size=5, after=members[0].user_id)

    assert found
    assert (found.name, found.members, found.guests, found.at_home, found.deleted_at) == ("Crew", 3, 1, 1, None)
    assert (found.is_rebuild_queued, found.is_rehome_queued) == (False, False)
    known = [(first_id, False, ["$read_members"], "Z••• C•••"), (guest_id, True, [], "Z••• C•••")]
    assert [(each.user_id, each.is_guest, each.permissions, each.full_name) for each in (*members, *more)] == sorted(
        [*known, (unknown_id, False, [], None)]
    )


async def test_a_user_is_found_with_its_times_and_its_place_in_the_queue(emptied: str, viewer: Connection) -> None:
    user_id, other_id = (each.user_id or uuid4() for each in (canary(), canary()))
    change(
        emptied,
        "INSERT INTO identity.stack_user_profiles (stack_user_id, last_active_at, last_sign_in_at, last_sign_out_at) "
        f"VALUES ('{user_id}', '{NOON}', '{NOON + HOUR}', '{NOON + 2 * HOUR}'); "
        f"INSERT INTO consumer.rebuild (stage, id) VALUES (2, '{user_id}')",
    )

    found, other = await one_user.find(viewer, user_id), await one_user.find(viewer, other_id)

    assert (found.last_active_at, found.last_sign_in_at, found.last_sign_out_at) == (NOON, NOON + HOUR, NOON + 2 * HOUR)
    assert (found.is_rebuild_queued, other.is_rebuild_queued) == (True, False)


async def test_memberships_are_the_active_ones_by_their_first_join_then_the_others(
    emptied: str, viewer: Connection
) -> None:
    user_id, teams = uuid4(), [UUID(int=n) for n in range(1, 5)]
    joined = {teams[3]: (1, "NULL"), teams[1]: (2, "NULL"), teams[2]: (2, "NULL"), teams[0]: (0, f"'{NOON}'")}
    for team_id, (hours, removed_at) in joined.items():
        change(
            emptied,
            f"INSERT INTO identity.companies (id) VALUES ('{team_id}'); "
            "INSERT INTO identity.company_members (company_id, user_id, joined_at, removed_at) "
            f"VALUES ('{team_id}', '{user_id}', '{NOON + hours * HOUR}', {removed_at})",
        )

    assert [each.company_id for each in await one_user.memberships(viewer, user_id)] == list(joined)


async def test_the_name_of_a_company_with_one_member_is_masked_until_it_is_revealed(emptied: str) -> None:
    user_id, team_id, _ = await in_a_team(emptied, NAME)
    async with await connect(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        masked = await one_company.find(conn, team_id)
        shown = await one_company.find(conn, team_id, masked=False)
        [of_user] = await one_user.memberships(conn, user_id, masked=False)

    assert masked
    assert shown
    assert (masked.name, shown.name, of_user.company_name) == ("Z••• C•••", NAME, NAME)


async def test_an_unknown_company_is_none_masked_or_not(emptied: str) -> None:
    async with await connect(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        assert await one_company.find(conn, uuid4()) is None
        assert await one_company.find(conn, uuid4(), masked=False) is None


async def test_of_a_deleted_user_the_values_that_are_kept_are_shown(emptied: str) -> None:
    user_id, _, _ = await in_a_team(emptied)
    await arrive(emptied, user_deleted(user_id))
    await work(emptied)
    async with await connect(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        user = await one_user.find(conn, user_id)
        plain = await one_user.find(conn, user_id, masked=False)
        now = await session.now(conn)

    assert user.deleted_at
    assert user.deleted_at < now
    assert plain == dataclasses.replace(
        user, full_name=NAME, email=EMAIL, avatar_url="https://img.example.com/canary", company_name=None
    )


def test_a_lookup_reads_so_many_rows_at_most() -> None:
    assert (listing.LOOK_MAX, listing.FEW_MAX, listing.ABOUT_MAX, listing.CHOSEN_MAX) == (20_000, 10_000, 5_000, 1_000)
    assert (one_user.SAME_EMAIL_MAX, one_user.MEMBERSHIPS_MAX, one_user.CHANGES_MAX) == (20, 100, 200)
    assert (one_user.AUDIT_ROWS_MAX, one_user.WAITING_MAX) == (10_000, 10_000)
    assert (one_delivery.NEIGHBOURS, one_delivery.WINDOW, one_company.COUNTED_MAX) == (3, 10_000, 10_000)


@pytest.mark.parametrize(
    ("wanted", "is_narrow", "is_few"),
    [
        (ListFilter(), False, False),
        (ListFilter(since=NOON, until=NOON), False, False),
        (ListFilter(states=["dead", "pending", "retrying"]), True, True),
        (ListFilter(states=["dead", "done"]), True, False),
        (ListFilter(event_type="user.*"), True, False),
        (ListFilter(user_ids=[]), True, False),
        (ListFilter(team_id=UUID(int=1)), True, False),
        (ListFilter(source="app"), True, False),
        (ListFilter(outcome="stale"), True, False),
        (ListFilter(error_code="23505"), True, False),
        (ListFilter(verified_by="0a1b2c3d"), True, False),
    ],
)
def test_a_search_that_may_find_less_than_it_looks_at_is_limited(
    wanted: ListFilter, is_narrow: bool, is_few: bool
) -> None:
    assert (wanted.is_narrow, wanted.is_few) == (is_narrow, is_few)


@pytest.mark.parametrize(
    ("event_type", "pattern"),
    [("user.*", "user.%"), ("*", "%"), ("a_b%c\\*", "a\\_b\\%c\\\\%"), ("a*b", "a*b"), (None, None)],
)
def test_only_a_star_at_the_end_of_a_type_stands_for_anything(event_type: str | None, pattern: str | None) -> None:
    assert ListFilter(event_type=event_type).values()["type_pattern"] == pattern


@pytest.mark.parametrize(
    "wanted",
    [
        ListFilter(states=["done"]),
        ListFilter(event_type="user.*"),
        ListFilter(team_id=ONE),
        ListFilter(source="stack"),
        ListFilter(outcome="stale"),
        ListFilter(error_code="40P01"),
        ListFilter(verified_by="0a1b2c3d"),
    ],
)
async def test_each_condition_chooses_alike_in_every_list(emptied: str, viewer: Connection, wanted: ListFilter) -> None:
    columns = "source, message_id, event_type, user_id, team_id, occurred_at, verified_by, body"
    change(
        emptied,
        f"INSERT INTO consumer.outbox ({columns}) VALUES "
        f"('stack', 'a', 'user.updated', '{ONE}', '{ONE}', now(), '0a1b2c3d', ''), "
        f"('app', 'b', 'order.placed', '{OTHER}', '{OTHER}', now(), 'ffffffff', ''), "
        f"('app', 'c', 'order.placed', '{OTHER}', '{OTHER}', now(), 'ffffffff', ''); "
        "INSERT INTO consumer.outcomes (seq, outcome) SELECT seq, 'stale' FROM consumer.outbox WHERE message_id = 'a'; "
        "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error, source, event_type) "
        "SELECT seq, state, 1, CASE state WHEN 'retrying' THEN now() END, code, '', source, event_type FROM "
        "consumer.outbox JOIN (VALUES ('b', 'dead', '23505'), ('c', 'retrying', '40P01')) AS v (id, state, code) "
        "ON message_id = v.id",
    )
    now = await session.now(viewer)
    of_both = dataclasses.replace(wanted, user_ids=[ONE, OTHER])

    found = [
        await listing.recent(viewer, wanted, ChangePlace(now - HOUR), now + HOUR, size=9),
        (await listing.page(viewer, wanted, size=9)).deliveries,
        (await listing.page(viewer, of_both, size=9)).deliveries,
    ]

    chosen = "c" if wanted.error_code else "a"
    assert [[each.message_id for each in listed] for listed in found] == [[chosen]] * 3
