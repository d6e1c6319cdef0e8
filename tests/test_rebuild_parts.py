"""The parts of a rebuild: who is queued for which stage, whom a choice concerns, and what a comparison tells."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from uuid import UUID

import psycopg
import pytest

from consumer.effects import anew
from consumer.effects.anew import Differing
from consumer.errors import WrongRelease
from consumer.operations import rebuild
from consumer.operations.rebuild import Drift, Subjects
from consumer.outbox import rebuild_queue
from consumer.outbox.deliveries import SelectedDelivery, Selection
from consumer.outbox.rebuild_queue import Stage
from consumer.postgres.connections import Connection, operator_access, transaction, worker_access
from tests.support.acting import action
from tests.support.databases import change, rows
from tests.support.fence import ahead
from tests.support.kept import kept
from tests.test_anew_rows import company
from tests.test_stored import store

OPERATOR, WORKER = operator_access("consumer"), worker_access("consumer")
ADA, BOB, EVE, MAX = (UUID(int=0xA0 + n) for n in range(4))
CREW, TEAM, CLUB = (UUID(int=0xC0 + n) for n in range(3))


@pytest.fixture
async def conn(emptied: str) -> AsyncIterator[Connection]:
    async with kept(emptied, OPERATOR) as conn:
        yield conn


def queued(url: str) -> set[tuple[int, UUID]]:
    return {(row["stage"], row["id"]) for row in rows(url, "SELECT stage, id FROM consumer.rebuild")}


def woken(listener: psycopg.Connection) -> bool:
    """Tell whether workers were woken since the last look."""
    return bool(list(listener.notifies(timeout=10, stop_after=1)))


@pytest.fixture
def listener(emptied: str) -> psycopg.Connection:
    listening = psycopg.connect(emptied, autocommit=True)
    listening.execute("LISTEN consumer_wake")
    return listening


async def test_users_and_companies_are_queued_for_their_stages_and_workers_are_woken(
    emptied: str, conn: Connection, listener: psycopg.Connection
) -> None:
    with listener:
        count = await rebuild.queue(conn, OPERATOR, Subjects([ADA, BOB], [CREW, TEAM]), action("rebuild"))
        is_woken = woken(listener)

    companies = {(stage, one) for stage in (1, 3) for one in (CREW, TEAM)}
    assert (count, queued(emptied), is_woken) == (4, {(2, ADA), (2, BOB)} | companies, True)
    assert rows(emptied, "SELECT action, affected FROM consumer.actions") == [{"action": "rebuild", "affected": 4}]


@pytest.mark.parametrize(
    ("stage", "expected", "count"),
    [
        (Stage.USER, {(2, ADA), (2, BOB)}, 2),
        (Stage.COMPANY, {(1, ADA), (1, BOB)}, 2),
        (Stage.NAMED_BY_USERS, {(3, ADA), (3, BOB)}, 0),
    ],
)
async def test_a_stage_is_queued_alone_and_a_company_counts_in_its_first_one(
    emptied: str,
    conn: Connection,
    listener: psycopg.Connection,
    stage: Stage,
    expected: set[tuple[int, UUID]],
    count: int,
) -> None:
    with listener:
        async with transaction(conn, OPERATOR):
            found = await rebuild.put_stage(conn, stage, [ADA, BOB])
        is_woken = woken(listener)

    assert (found, queued(emptied), is_woken) == (count, expected, True)


async def test_everybody_is_queued_page_by_page_and_counted_once(
    emptied: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_queue, "IDS_MAX", 2)
    for one in (ADA, BOB, EVE):
        store(emptied, "user.updated", user_id=one)
    for one in (CREW, TEAM, CLUB):
        store(emptied, "team.updated", user_id=None, team_id=one)

    found = [count async for count in rebuild.queue_all(conn, OPERATOR, action("rebuild"))]

    assert found == [2, 1, 2, 1, 0, 0]
    companies = {(stage, one) for stage in (1, 3) for one in (CREW, TEAM, CLUB)}
    assert queued(emptied) == {(2, one) for one in (ADA, BOB, EVE)} | companies
    assert rows(emptied, "SELECT affected FROM consumer.actions") == [{"affected": 6}]


async def test_a_release_that_is_too_old_queues_nobody_and_compares_nothing(emptied: str, conn: Connection) -> None:
    store(emptied, "user.updated", user_id=ADA)
    with ahead(emptied, 9999):
        with pytest.raises(WrongRelease):
            await rebuild.queue(conn, OPERATOR, Subjects([ADA]), action("rebuild"))
        with pytest.raises(WrongRelease):
            [count async for count in rebuild.queue_all(conn, OPERATOR, action("rebuild"))]
        async with kept(emptied, WORKER) as working:
            with pytest.raises(WrongRelease):
                await rebuild.differing(working, WORKER, Stage.USER, [ADA])

    assert queued(emptied) == set()


async def test_who_is_named_by_neither_a_delivery_nor_a_row_is_unknown(emptied: str, conn: Connection) -> None:
    store(emptied, "user.updated", user_id=BOB)
    store(emptied, "team.updated", user_id=None, team_id=TEAM)

    named = Subjects([ADA, BOB, EVE, UUID(int=0)], [CREW, TEAM, CLUB])
    assert await rebuild.unknown(conn, OPERATOR, named) == [ADA, EVE, UUID(int=0), CREW, CLUB]


def joins(url: str, *pairs: tuple[UUID, UUID]) -> None:
    for user_id, company_id in pairs:
        change(url, f"INSERT INTO consumer.memberships VALUES ('{user_id}', '{company_id}', now(), '', '', NULL, TRUE)")


async def test_a_choice_is_the_named_with_the_users_of_the_companies_and_the_companies_of_the_users(
    emptied: str, conn: Connection
) -> None:
    joins(emptied, (ADA, CREW), (BOB, TEAM))
    # Nothing but its users names the team.
    change(emptied, company(TEAM))
    seq = store(emptied, "team_membership.created", user_id=EVE, team_id=CLUB)

    plain = await rebuild.with_users_of(conn, OPERATOR, Subjects([BOB], [CREW]))
    named = await rebuild.with_companies_named_by(conn, OPERATOR, Subjects([BOB, ADA, BOB], [CREW, CREW]))
    chosen = await rebuild.chosen(conn, OPERATOR, Subjects([BOB], [CREW]), None)
    applied = await rebuild.chosen(conn, OPERATOR, Subjects([BOB], [CREW]), Selection(rebuild.APPLIED, seqs=[seq]))

    assert plain == Subjects([BOB, ADA], [CREW])
    assert named == Subjects([BOB, ADA], [CREW, TEAM])
    assert chosen == Subjects([BOB, ADA], [CREW, TEAM])
    assert applied == Subjects([BOB, ADA, EVE], [CREW, CLUB, TEAM])


@pytest.mark.parametrize(
    ("event_type", "rehomes"),
    [
        ("team.created", True),
        ("team.deleted", True),
        ("company.declared", True),
        ("team.updated", False),
        ("team_membership.created", False),
    ],
)
async def test_what_begins_or_ends_a_company_concerns_its_users_too(
    emptied: str, conn: Connection, event_type: str, rehomes: bool
) -> None:
    joins(emptied, (ADA, CREW), (BOB, TEAM))
    store(emptied, event_type, user_id=EVE, team_id=CREW)
    store(emptied, "user.updated", user_id=MAX)

    found = await rebuild.concerned(conn, OPERATOR, Selection(rebuild.APPLIED))

    assert set(found.user_ids) == {EVE, MAX, *([ADA] if rehomes else [])}
    assert list(found.company_ids) == [CREW]


async def test_the_subjects_of_deliveries_are_queued_with_the_companies_that_they_name(
    emptied: str, conn: Connection
) -> None:
    async def queue(*found: SelectedDelivery) -> set[tuple[int, UUID]]:
        change(emptied, "DELETE FROM consumer.rebuild")
        async with transaction(conn, OPERATOR):
            await rebuild.queue_concerned(conn, found)
        return queued(emptied)

    # Nothing but its users names the team.
    change(emptied, company(TEAM))
    joins(emptied, (BOB, TEAM))

    assert await queue() == set()
    assert await queue(SelectedDelivery(1, "done", user_id=ADA)) == {(2, ADA)}
    assert await queue(SelectedDelivery(1, "done", team_id=CREW)) == {(1, CREW), (3, CREW)}
    assert await queue(SelectedDelivery(1, "done", user_id=BOB)) == {(2, BOB), (1, TEAM), (3, TEAM)}


def test_a_drift_counts_users_companies_and_kinds_and_keeps_the_first_that_differs() -> None:
    drift = Drift()
    assert (drift.users, drift.companies, drift.differing, drift.first) == (0, 0, Counter(), None)

    drift.add(Stage.COMPANY, [CREW, TEAM], {})
    drift.add(Stage.COMPANY, [CLUB], {})
    drift.add(Stage.USER, [EVE, BOB, ADA], {BOB: ["profile", "mirror"], ADA: ["profile"]})
    drift.add(Stage.USER, [MAX], {MAX: ["members"]})
    drift.add(Stage.NAMED_BY_USERS, [CREW, TEAM], {CREW: ["company"]})

    assert (drift.users, drift.companies) == (4, 3)
    assert drift.differing == Counter({"profile": 2, "mirror": 1, "members": 1, "company": 1})
    assert drift.first == (ADA, ["profile"])


async def test_pages_are_as_workers_take_them_and_in_the_order_of_the_ids(
    emptied: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_queue, "USERS_MAX", 3)
    monkeypatch.setattr(rebuild_queue, "COMPANIES_MAX", 2)
    monkeypatch.setattr(rebuild_queue, "DELIVERIES_MAX", 2)
    monkeypatch.setattr(rebuild_queue, "IDS_MAX", 3)
    for one in (ADA, ADA, BOB, EVE):
        store(emptied, "user.updated", user_id=one)
    for one in (CREW, TEAM, CLUB):
        store(emptied, "team.updated", user_id=None, team_id=one)
    subjects = Subjects([MAX, EVE, BOB, ADA], [CLUB, TEAM, CREW])

    async def sizes(stage: Stage, subjects: Subjects | None) -> list[list[UUID]]:
        return [page async for page in rebuild.pages(conn, OPERATOR, stage, subjects)]

    assert await sizes(Stage.USER, subjects) == [[ADA], [BOB, EVE, MAX]]
    assert await sizes(Stage.COMPANY, subjects) == [[CREW, TEAM], [CLUB]]
    assert await sizes(Stage.NAMED_BY_USERS, subjects) == [[CREW, TEAM], [CLUB]]
    assert await sizes(Stage.USER, None) == [[ADA], [BOB, EVE]]
    assert await sizes(Stage.NAMED_BY_USERS, None) == [[CREW, TEAM], [CLUB]]
    assert await sizes(Stage.USER, Subjects()) == []


class Made:
    """Makes rows anew by hand: some ids differ, and some raise; it keeps the pages."""

    def __init__(self, differing: Collection[UUID], refused: Collection[UUID], error: Exception) -> None:
        self.differing, self.refused, self.error = differing, refused, error
        self.pages: list[tuple[Stage, list[UUID]]] = []

    async def __call__(self, _: Connection, stage: Stage, page: Sequence[UUID], *, is_kept: bool) -> Differing:
        assert not is_kept
        self.pages.append((stage, list(page)))
        if not set(self.refused).isdisjoint(page):
            raise self.error
        return {one: ["profile"] for one in page if one in self.differing}


async def test_a_row_that_may_not_be_changed_is_found_among_others(
    emptied: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (psycopg.errors.CheckViolation(), psycopg.errors.RaiseException()):
        monkeypatch.setattr(anew, "make_anew", made := Made([ADA, EVE], [BOB], error))
        found = await rebuild.differing(conn, OPERATOR, Stage.USER, [ADA, BOB, EVE, MAX, CLUB])

        assert found == {ADA: ["profile"], BOB: ["refused"], EVE: ["profile"]}
        assert [page for _, page in made.pages[1:]] == [[ADA, BOB], [ADA], [BOB], [EVE, MAX, CLUB]]


async def test_another_error_of_a_comparison_is_the_callers(
    emptied: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anew, "make_anew", made := Made([], [ADA], psycopg.errors.LockNotAvailable()))

    with pytest.raises(psycopg.errors.LockNotAvailable):
        await rebuild.differing(conn, OPERATOR, Stage.USER, [ADA, BOB])
    assert len(made.pages) == 1


async def test_a_comparison_goes_through_the_stages_and_tells_what_it_found_so_far(
    emptied: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anew, "make_anew", made := Made([BOB, TEAM], [], Exception()))

    subjects = Subjects([BOB, ADA], [TEAM])
    found = [(each.companies, each.users, each.differing.total())
             async for each in rebuild.compare(conn, OPERATOR, subjects)]  # fmt: skip

    assert made.pages == [(Stage.COMPANY, [TEAM]), (Stage.USER, [ADA, BOB]), (Stage.NAMED_BY_USERS, [TEAM])]
    assert found == [(1, 0, 1), (1, 2, 2), (1, 2, 3)]


async def test_one_page_is_compared_behind_a_place(
    emptied: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anew, "make_anew", Made([BOB, TEAM], [], Exception()))
    store(emptied, "user.updated", user_id=MAX)
    store(emptied, "team.updated", user_id=None, team_id=CLUB)
    subjects = Subjects([BOB, ADA], [TEAM, CREW])

    async def page(stage: Stage, after: UUID | None, chosen: Subjects | None = subjects) -> tuple[object, object]:
        return await rebuild.compare_page(conn, OPERATOR, (stage, after), chosen)

    assert await page(Stage.USER, None) == ([ADA, BOB], {BOB: ["profile"]})
    assert await page(Stage.USER, ADA) == ([BOB], {BOB: ["profile"]})
    assert await page(Stage.USER, BOB) == ([], {})
    assert await page(Stage.COMPANY, None) == ([CREW, TEAM], {TEAM: ["profile"]})
    assert await page(Stage.NAMED_BY_USERS, CREW) == ([TEAM], {TEAM: ["profile"]})
    assert await page(Stage.USER, None, None) == ([MAX], {})
    assert await page(Stage.COMPANY, None, None) == ([CLUB], {})
    assert await page(Stage.COMPANY, CLUB, None) == ([], {})
