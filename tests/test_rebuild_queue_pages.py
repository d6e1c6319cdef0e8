"""The queue of what is made anew, row by row: pages of any size leave nobody out, a statement keeps to its own rows."""

from datetime import timedelta
from itertools import combinations
from uuid import UUID

import pytest

from consumer.outbox import rebuild_queue
from consumer.outbox.rebuild_queue import Depth, Stage, Waiting
from consumer.postgres.connections import Connection, connect, operator_access, transaction, worker_access
from tests.support.databases import change, rows
from tests.support.kept import kept
from tests.support.queries import unordered

ACCESS, OPERATOR = worker_access("consumer"), operator_access("consumer")
USERS = [UUID(int=0xA0 + n) for n in range(9)]
COMPANIES = [UUID(int=0xC0 + n) for n in range(9)]
ADA, BOB, EVE = USERS[:3]
CREW, TEAM = COMPANIES[:2]
COMPANY = "INSERT INTO identity.companies (id) VALUES ('{company}')"
# By table: a row that names a user.
OF_A_USER = {
    "outbox": (
        "INSERT INTO consumer.outbox (source, message_id, user_id, team_id, occurred_at, body) "
        "VALUES ('stack', '{user}', '{user}', '{company}', now(), '')"
    ),
    "mirror": (
        "INSERT INTO identity.stack_user_profiles (stack_user_id, company_id, source_company_id) "
        "VALUES ('{user}', '{company}', '{company}')"
    ),
    "profile": (
        "INSERT INTO identity.profiles (user_id, company_id, full_name, role_type, department) "
        "VALUES ('{user}', '{company}', 'Ada', 'x', 'x')"
    ),
    "member": "INSERT INTO identity.company_members (company_id, user_id) VALUES ('{company}', '{user}')",
    "membership": "INSERT INTO consumer.memberships VALUES ('{user}', '{company}', now(), '', '', NULL, TRUE)",
    "permission": "INSERT INTO consumer.team_permissions VALUES ('{user}', '{company}', 'a', '1', TRUE)",
    "edit": "INSERT INTO consumer.edits VALUES ('{user}', 'company_id', '{company}', '1', 1)",
}
TEAM_ONLY = (
    "INSERT INTO consumer.outbox (source, message_id, team_id, occurred_at, body) "
    "VALUES ('stack', 'of {company}', '{company}', now(), '')"
)


def fill(url: str, *statements: str, users: list[UUID] = USERS, companies: list[UUID] = COMPANIES) -> None:
    """Execute the statements for each pair of a user and a company, the last pair first."""
    pairs = list(zip(users, companies, strict=True))
    change(
        url,
        "; ".join(each.format(user=user, company=company) for user, company in reversed(pairs) for each in statements),
    )


async def all_pages(conn: Connection, stage: Stage) -> list[list[UUID]]:
    pages: list[list[UUID]] = []
    while page := await rebuild_queue.next_ids(conn, stage, pages[-1][-1] if pages else None):
        pages.append(page)
    return pages


def queued(url: str, columns: str = "stage, id") -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in rows(url, f"SELECT {columns} FROM consumer.rebuild ORDER BY stage, id")]


def waits(url: str, stage: Stage, *ids: UUID) -> None:
    change(url, "; ".join(f"INSERT INTO consumer.rebuild VALUES ({stage:d}, '{one}')" for one in ids))


@pytest.mark.parametrize("table", OF_A_USER)
async def test_pages_of_users_leave_nobody_out(emptied: str, monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    monkeypatch.setattr(rebuild_queue, "IDS_MAX", 2)
    fill(emptied, COMPANY, OF_A_USER[table])

    async with unordered(emptied, OPERATOR) as conn:
        pages = await all_pages(conn, Stage.USER)

    assert pages == [USERS[0:2], USERS[2:4], USERS[4:6], USERS[6:8], USERS[8:]]


async def test_a_user_in_every_table_is_found_once_and_between_others(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(emptied, COMPANY, *OF_A_USER.values())
    async with unordered(emptied, OPERATOR) as conn:
        assert await all_pages(conn, Stage.USER) == [USERS]
        assert await rebuild_queue.users_of(conn, [TEAM, CREW]) == [ADA, BOB]
        assert await rebuild_queue.named_by(conn, [BOB, ADA]) == [CREW, TEAM]

        monkeypatch.setattr(rebuild_queue, "IDS_MAX", 4)
        assert await all_pages(conn, Stage.USER) == [USERS[0:4], USERS[4:8], USERS[8:]]


@pytest.mark.parametrize(("first", "second"), [*combinations(OF_A_USER, 2)])
async def test_a_user_of_two_tables_counts_once_in_a_page(
    emptied: str, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    monkeypatch.setattr(rebuild_queue, "IDS_MAX", 3)
    fill(emptied, COMPANY, OF_A_USER[first], OF_A_USER[second])

    async with unordered(emptied, OPERATOR) as conn:
        assert await rebuild_queue.next_ids(conn, Stage.USER, ADA) == USERS[1:4]


@pytest.mark.parametrize("statements", [[COMPANY], [TEAM_ONLY], [COMPANY, TEAM_ONLY]], ids=["row", "told", "both"])
async def test_pages_of_companies_leave_none_out(
    emptied: str, monkeypatch: pytest.MonkeyPatch, statements: list[str]
) -> None:
    monkeypatch.setattr(rebuild_queue, "IDS_MAX", 2)
    fill(emptied, *statements)

    async with unordered(emptied, OPERATOR) as conn:
        pages = await all_pages(conn, Stage.COMPANY)

    assert pages == [COMPANIES[0:2], COMPANIES[2:4], COMPANIES[4:6], COMPANIES[6:8], COMPANIES[8:]]


async def test_what_is_told_of_a_company_alone_concerns_nobody(emptied: str) -> None:
    fill(emptied, TEAM_ONLY)

    async with kept(emptied, OPERATOR) as conn:
        assert await rebuild_queue.users_of(conn, [CREW]) == []


@pytest.mark.parametrize("table", OF_A_USER)
async def test_of_two_companies_only_the_users_of_the_given_one_are_concerned(emptied: str, table: str) -> None:
    fill(emptied, COMPANY, OF_A_USER[table])

    async with kept(emptied, OPERATOR) as conn:
        found = await rebuild_queue.users_of(conn, [TEAM])

    assert found == ([] if table == "permission" else [BOB])


async def test_a_company_that_two_users_selected_is_named_once_and_by_nobody_else(emptied: str) -> None:
    fill(emptied, COMPANY, users=[ADA], companies=[CREW])
    fill(emptied, OF_A_USER["membership"], users=[ADA, BOB], companies=[CREW, CREW])

    async with unordered(emptied, OPERATOR) as conn:
        assert await rebuild_queue.named_by(conn, [BOB, ADA]) == [CREW]
        assert await rebuild_queue.named_by(conn, [EVE]) == []


async def test_a_page_has_as_many_users_or_companies_as_it_may(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_queue, "USERS_MAX", 3)
    monkeypatch.setattr(rebuild_queue, "COMPANIES_MAX", 2)
    waits(emptied, Stage.USER, *reversed(USERS))
    waits(emptied, Stage.COMPANY, *reversed(COMPANIES))
    waits(emptied, Stage.NAMED_BY_USERS, *reversed(COMPANIES))

    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        users = await rebuild_queue.claim(conn, Stage.USER)
        told, named = [await rebuild_queue.claim(conn, stage) for stage in (Stage.COMPANY, Stage.NAMED_BY_USERS)]

    assert users == [Waiting(one, 0) for one in USERS[:3]]
    assert told == named == [Waiting(one, 0) for one in COMPANIES[:2]]


async def test_what_one_worker_has_claimed_no_other_can_claim_or_lock(emptied: str) -> None:
    waits(emptied, Stage.USER, ADA)

    async with kept(emptied, ACCESS) as conn, await connect(emptied, ACCESS) as other:
        for take in (rebuild_queue.claim(other, Stage.USER), rebuild_queue.lock(other, Stage.USER, [ADA])):
            async with transaction(other, ACCESS):
                assert await take == [Waiting(ADA, 0)]
                async with transaction(conn, ACCESS):
                    assert await rebuild_queue.claim(conn, Stage.USER) == []
                    assert await rebuild_queue.lock(conn, Stage.USER, [ADA]) == []


async def test_only_the_given_of_a_stage_are_locked_by_id_and_taken_out(emptied: str) -> None:
    waits(emptied, Stage.USER, EVE, BOB, ADA)
    waits(emptied, Stage.COMPANY, BOB, ADA)

    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        assert await rebuild_queue.lock(conn, Stage.USER, [EVE, ADA, CREW]) == [Waiting(ADA, 0), Waiting(EVE, 0)]
        await rebuild_queue.finish(conn, Stage.USER, [EVE, ADA, CREW])

    assert queued(emptied) == [(Stage.COMPANY, ADA), (Stage.COMPANY, BOB), (Stage.USER, BOB)]


async def test_what_is_put_off_waits_for_its_delay_and_at_that_instant_it_is_due(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        await rebuild_queue.postpone(conn, Stage.USER, Waiting(ADA, 0), timedelta(0), "now")
        await rebuild_queue.postpone(conn, Stage.USER, Waiting(BOB, 4), timedelta(seconds=90), "b")
        await rebuild_queue.postpone(conn, Stage.USER, Waiting(EVE, 4), timedelta(seconds=90), "a")
        delays = await (
            await conn.execute("SELECT extract(epoch FROM due_at - now())::int FROM consumer.rebuild ORDER BY id")
        ).fetchall()
        depth = await rebuild_queue.depth(conn)
        stage, due = await rebuild_queue.first_stage(conn), await rebuild_queue.claim(conn, Stage.USER)

    assert delays == [(0,), (90,), (90,)]
    assert depth == [Depth(2, 3, 2, "now")]
    assert (stage, due) == (Stage.USER, [Waiting(ADA, 1)])
    assert queued(emptied, "id, attempts, error") == [(ADA, 1, "now"), (BOB, 5, "b"), (EVE, 5, "a")]


async def test_the_depths_come_in_the_order_of_the_stages(emptied: str) -> None:
    for stage in (Stage.NAMED_BY_USERS, Stage.COMPANY, Stage.USER):
        waits(emptied, stage, ADA)

    async with unordered(emptied) as conn:
        assert await rebuild_queue.depth(conn) == [Depth(stage, 1, 0, None) for stage in (1, 2, 3)]


async def test_no_more_than_the_given_users_are_queued_as_revived_and_what_waits_keeps_its_time(emptied: str) -> None:
    fill(emptied, COMPANY, OF_A_USER["mirror"], users=[ADA, BOB, EVE], companies=COMPANIES[:3])
    change(emptied, "UPDATE identity.stack_user_profiles SET is_forgotten = TRUE")
    change(emptied, f"INSERT INTO consumer.rebuild VALUES (2, '{ADA}', 3, now() + interval '1 h', 'failed')")

    async with kept(emptied, ACCESS) as conn:
        await rebuild_queue.put_revived(conn, [BOB, ADA])

    assert queued(emptied, "id, attempts, due_at > now(), error") == [
        (ADA, 3, True, "failed"),
        (BOB, 0, False, None),
    ]
