"""The queue of what is made anew: who waits, who is next, and whom a company or a user concerns."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from consumer.effects import anew
from consumer.operations.rebuild import Subjects, compare_page
from consumer.outbox import rebuild_queue
from consumer.outbox.rebuild_queue import Depth, Stage, Waiting
from consumer.postgres.connections import connect, operator_access, transaction, worker_access
from tests.support.databases import change, rows
from tests.support.effects import applied
from tests.support.factories import team_event, user_updated
from tests.support.kept import kept
from tests.support.outbox import rebuild_everything

ACCESS, OPERATOR = worker_access("consumer"), operator_access("consumer")
ADA, BOB, EVE, OTHER, CREW = (UUID(int=n) for n in (1, 2, 3, 4, 9))
OUTBOX = (
    "INSERT INTO consumer.outbox (source, message_id, event_type, {columns}, occurred_at, body) "
    "VALUES ('stack', 'm', 'x', {values}, now(), '')"
)
MIRROR = "INSERT INTO identity.stack_user_profiles (stack_user_id, {columns}) VALUES ('{user}', {values})"
PROFILE = (
    "INSERT INTO identity.profiles (user_id, company_id, full_name, role_type, department) "
    "VALUES ('{user}', {crew}, 'Ada', 'x', 'x')"
)
COMPANY = "INSERT INTO identity.companies (id, name) VALUES ('{crew}', 'Crew');"
MEMBER = COMPANY + "INSERT INTO identity.company_members (company_id, user_id) VALUES ('{crew}', '{user}')"
MEMBERSHIP = "INSERT INTO consumer.memberships VALUES ('{user}', '{crew}', now(), '', '', NULL, true)"
EDIT = "INSERT INTO consumer.edits VALUES ('{user}', '{field}', '{crew}', '1', 1)"
PERMISSION = "INSERT INTO consumer.team_permissions VALUES ('{user}', '{crew}', 'a', '1', true)"
# By place: a statement that puts the user there, in a company.
PLACES = {
    "membership": MEMBERSHIP,
    "member": MEMBER,
    "edit": EDIT.replace("{field}", "company_id"),
    "metadata": COMPANY + MIRROR.format(columns="source_company_id", values="'{crew}'", user="{user}"),
    "home": COMPANY + MIRROR.format(columns="company_id", values="'{crew}'", user="{user}"),
    "profile": COMPANY + PROFILE.replace("{crew}, ", "'{crew}', "),
    "delivery": OUTBOX.format(columns="user_id, team_id", values="'{user}', '{crew}'"),
}


def put(url: str, statement: str, user: UUID = ADA, crew: UUID = CREW) -> None:
    change(url, statement.replace("{user}", str(user)).replace("{crew}", str(crew)))


def waits(url: str, *waiting: tuple[Stage, UUID, int, int]) -> None:
    """Queue by stage and id: how often it failed, and in how many minutes it is due."""
    for stage, one, attempts, minutes in waiting:
        due_at = f"now() + interval '{minutes} min'"
        error = f"'failed {attempts}'" if attempts else "NULL"
        change(url, f"INSERT INTO consumer.rebuild VALUES ({stage:d}, '{one}', {attempts}, {due_at}, {error})")


def queued(url: str) -> list[tuple[object, ...]]:
    found = rows(
        url, "SELECT stage, id, attempts, error, due_at <= now() AS is_due FROM consumer.rebuild ORDER BY 1, 2"
    )
    return [tuple(row.values()) for row in found]


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_whoever_a_company_concerns_in_one_place_is_found(emptied: str, place: str) -> None:
    put(emptied, place)

    async with kept(emptied, OPERATOR) as conn:
        assert await rebuild_queue.users_of(conn, [CREW]) == [ADA]
        assert await rebuild_queue.users_of(conn, [uuid4()]) == []


@pytest.mark.parametrize("field", ["department", "role_type"])
async def test_an_edit_of_another_field_concerns_no_company(emptied: str, field: str) -> None:
    put(emptied, EDIT.replace("{field}", field))

    async with kept(emptied, OPERATOR) as conn:
        assert await rebuild_queue.users_of(conn, [CREW]) == []


@pytest.mark.parametrize(
    "statement",
    [*PLACES.values(), EDIT.replace("{field}", "department"), PERMISSION],
    ids=[*PLACES, "field", "permission"],
)
async def test_a_user_that_one_place_names_is_among_all_once(emptied: str, statement: str) -> None:
    for user, crew in ((BOB, uuid4()), (ADA, CREW)):
        put(emptied, statement.replace("'m'", f"'{user}'"), user, crew)

    async with kept(emptied, OPERATOR) as conn:
        assert await rebuild_queue.next_ids(conn, Stage.USER, None) == [ADA, BOB]
        assert await rebuild_queue.next_ids(conn, Stage.USER, ADA) == [BOB]
        assert await rebuild_queue.next_ids(conn, Stage.USER, BOB) == []


@pytest.mark.parametrize("statement", [COMPANY, OUTBOX.format(columns="team_id", values="'{crew}'")])
@pytest.mark.parametrize("stage", [Stage.COMPANY, Stage.NAMED_BY_USERS])
async def test_a_company_that_a_row_or_a_delivery_names_is_among_all(
    emptied: str, statement: str, stage: Stage
) -> None:
    put(emptied, statement)

    async with kept(emptied, OPERATOR) as conn:
        assert await rebuild_queue.next_ids(conn, stage, None) == [CREW]
        assert await rebuild_queue.next_ids(conn, stage, CREW) == []


@pytest.mark.parametrize(("version", "is_implied"), [("", True), ("1", True), ("", False)])
async def test_only_a_company_without_an_event_of_its_own_is_named_by_who_selected_it(
    emptied: str, version: str, *, is_implied: bool
) -> None:
    change(emptied, f"INSERT INTO identity.companies (id, name, version) VALUES ('{CREW}', 'Crew', '{version}')")
    put(emptied, MEMBERSHIP.replace("true", str(is_implied)))

    async with kept(emptied, OPERATOR) as conn:
        named = await rebuild_queue.named_by(conn, [ADA])

    assert named == ([CREW] if is_implied and not version else [])


async def test_who_is_queued_again_is_due_at_once_and_has_not_failed(emptied: str) -> None:
    waits(emptied, (Stage.COMPANY, CREW, 3, 60), (Stage.USER, ADA, 3, 60))

    async with kept(emptied, ACCESS) as conn:
        await rebuild_queue.put_users(conn, [ADA, BOB, ADA])
        await rebuild_queue.put_companies(conn, [CREW], Stage.COMPANY, Stage.NAMED_BY_USERS)

    assert queued(emptied) == [
        (1, CREW, 0, None, True),
        (2, ADA, 0, None, True),
        (2, BOB, 0, None, True),
        (3, CREW, 0, None, True),
    ]


async def test_only_living_users_that_were_forgotten_are_queued_as_revived(emptied: str) -> None:
    for user, values in ((ADA, "NULL, true"), (BOB, "NULL, false"), (EVE, "now(), true"), (OTHER, "NULL, true")):
        put(emptied, MIRROR.format(columns="deleted_at, is_forgotten", values=values, user="{user}"), user)

    async with kept(emptied, ACCESS) as conn:
        await rebuild_queue.put_revived(conn, [ADA, BOB, EVE])

    assert queued(emptied) == [(2, ADA, 0, None, True)]


@pytest.mark.parametrize(
    ("waiting", "stage"),
    [
        ([], None),
        ([(Stage.USER, ADA, 0, 0), (Stage.NAMED_BY_USERS, CREW, 0, 0)], Stage.USER),
        ([(Stage.COMPANY, CREW, 2, 60), (Stage.USER, ADA, 0, 0)], Stage.USER),
        ([(Stage.COMPANY, CREW, 2, -1), (Stage.USER, ADA, 0, 0)], Stage.COMPANY),
        ([(Stage.COMPANY, CREW, 0, 60), (Stage.USER, ADA, 0, 0)], Stage.COMPANY),
        ([(Stage.COMPANY, CREW, 2, 60)], None),
    ],
)
async def test_a_stage_waits_for_the_one_before_but_for_nothing_that_failed_and_is_not_due(
    emptied: str, waiting: Iterable[tuple[Stage, UUID, int, int]], stage: Stage | None
) -> None:
    waits(emptied, *waiting)

    async with kept(emptied, ACCESS) as conn:
        assert await rebuild_queue.first_stage(conn) == stage


async def test_the_due_of_one_stage_are_claimed_by_id(emptied: str) -> None:
    waits(emptied, (Stage.USER, BOB, 2, -1), (Stage.USER, ADA, 0, 0), (Stage.USER, EVE, 1, 60))
    waits(emptied, (Stage.COMPANY, CREW, 0, 0))

    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        assert await rebuild_queue.claim(conn, Stage.USER) == [Waiting(ADA, 0), Waiting(BOB, 2)]


async def test_what_another_worker_holds_is_not_waited_for(emptied: str) -> None:
    waits(emptied, (Stage.USER, ADA, 0, 0), (Stage.USER, BOB, 0, 0))

    async with kept(emptied, ACCESS) as conn, await connect(emptied, ACCESS) as other, transaction(other, ACCESS):
        assert await rebuild_queue.lock(other, Stage.USER, [ADA]) == [Waiting(ADA, 0)]
        async with transaction(conn, ACCESS), asyncio.timeout(5):
            assert await rebuild_queue.lock(conn, Stage.USER, [ADA, BOB]) == [Waiting(BOB, 0)]
            assert await rebuild_queue.claim(conn, Stage.USER) == [Waiting(BOB, 0)]


async def test_the_depth_tells_what_failed_and_is_not_due_apart(emptied: str) -> None:
    waits(emptied, (Stage.USER, ADA, 2, 60), (Stage.USER, BOB, 1, -1), (Stage.NAMED_BY_USERS, CREW, 0, 0))

    async with kept(emptied, ACCESS) as conn:
        assert await rebuild_queue.depth(conn) == [Depth(2, 2, 1, "failed 2"), Depth(3, 1, 0, None)]
        assert await rebuild_queue.waiting(conn) == {"company": 0, "user": 2, "named_by_users": 1}


async def test_what_fails_again_has_its_last_reason_and_one_attempt_more(emptied: str) -> None:
    waits(emptied, (Stage.USER, ADA, 2, -1))

    async with kept(emptied, ACCESS) as conn:
        await rebuild_queue.postpone(conn, Stage.USER, Waiting(ADA, 2), timedelta(hours=1), "again")

    assert queued(emptied) == [(2, ADA, 3, "again", False)]


@pytest.mark.parametrize(("most", "fitting"), [(1, 1), (2, 1), (4, 1), (5, 2), (6, 3)])
async def test_a_page_ends_before_the_user_whose_deliveries_exceed_it(
    emptied: str, monkeypatch: pytest.MonkeyPatch, most: int, fitting: int
) -> None:
    monkeypatch.setattr(rebuild_queue, "DELIVERIES_MAX", most)
    for number, user in enumerate([BOB, BOB, ADA, ADA, ADA, EVE]):
        put(emptied, OUTBOX.format(columns="user_id", values="'{user}'").replace("'m'", f"'{number}'"), user)

    async with kept(emptied, OPERATOR) as conn:
        assert await rebuild_queue.fitting(conn, [BOB, ADA, EVE]) == fitting


async def test_a_company_is_compared_without_what_the_application_sets(emptied: str) -> None:
    put(emptied, COMPANY)
    async with kept(emptied, OPERATOR) as conn:
        before = await anew._company_digests(conn, [CREW])
        change(emptied, "UPDATE identity.companies SET settings = '{\"a\": 1}', updated_at = now()")
        after = await anew._company_digests(conn, [CREW])

    assert before == after


async def test_a_comparison_goes_on_behind_the_last_that_was_compared(emptied: str) -> None:
    subjects = Subjects([EVE, ADA, BOB])
    async with kept(emptied, ACCESS) as conn:
        assert (await compare_page(conn, ACCESS, (Stage.USER, None), subjects))[0] == [ADA, BOB, EVE]
        assert (await compare_page(conn, ACCESS, (Stage.USER, ADA), subjects))[0] == [BOB, EVE]
        assert (await compare_page(conn, ACCESS, (Stage.USER, EVE), subjects))[0] == []


@pytest.mark.parametrize(
    ("damage", "more"), [("identity.stack_user_profiles SET source_role", 1), ("identity.profiles SET role_type", 0)]
)
async def test_a_mirror_row_that_is_mended_has_one_version_more_and_was_not_heard_of(
    emptied: str, damage: str, more: int
) -> None:
    await applied(emptied, user_updated(ADA))
    counters = "SELECT sync_version, last_synced_at FROM identity.stack_user_profiles"
    [before] = rows(emptied, counters)
    change(emptied, f"UPDATE {damage} = 'wrong'")

    async with kept(emptied, ACCESS) as conn:
        await rebuild_everything(conn)

    assert rows(emptied, counters) == [{**before, "sync_version": before["sync_version"] + more}]
    assert rows(emptied, "SELECT role_type FROM identity.profiles") == [{"role_type": "member"}]


async def test_a_company_that_was_lost_queues_its_users_under_its_latest_event(emptied: str) -> None:
    await applied(emptied, team_event("created", CREW), team_event("updated", CREW))
    change(emptied, "DELETE FROM identity.companies")

    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        differing = await anew.make_anew(conn, Stage.COMPANY, [CREW], is_kept=True)

    assert differing == {CREW: ["company"]}
    latest = rows(emptied, "SELECT max(seq) AS seq FROM consumer.outbox")
    assert rows(emptied, "SELECT company_id, seq FROM consumer.rehome") == [{"company_id": CREW, **latest[0]}]
