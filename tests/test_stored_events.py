"""What a rebuild reads of a company: a hundred thousand memberships say no more of it than one."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from consumer.effects import stored
from consumer.effects.stored import Naming
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, worker_access
from tests.support import model
from tests.support.databases import change, rows
from tests.support.factories import membership, permission, team_event
from tests.support.outbox import arrive, rebuild_everything, work

TEAM, PLACE = UUID(int=77), UUID(int=78)
WORKER = worker_access("consumer")


def crowd(company_id: UUID, number: int) -> list[Delivery]:
    return [membership("created", company_id, uuid4()) for _ in range(number)]


async def read(url: str, company_ids: Sequence[UUID]) -> tuple[list[Naming], set[UUID]]:
    async with await connect(url, WORKER) as conn, conn.transaction():
        return await stored.company_events(conn, company_ids)


async def test_of_many_memberships_one_is_read_and_of_the_company_s_own_events_each(emptied: str) -> None:
    own = [team_event("created", TEAM), team_event("updated", TEAM)]
    others = [*crowd(TEAM, 20), permission("created", TEAM, uuid4(), "admin"), *crowd(PLACE, 3)]
    await arrive(emptied, *own, *others)
    await work(emptied)

    events, named = await read(emptied, [TEAM, PLACE])

    newest = {
        row["team_id"]: row["seq"]
        for row in rows(
            emptied,
            "SELECT team_id, max(seq) AS seq FROM consumer.outbox "
            "WHERE event_type = 'team_membership.created' GROUP BY team_id",
        )
    }
    assert [event.company_id for event in events] == [TEAM, TEAM, TEAM, PLACE]
    assert {TEAM: events[2].seq, PLACE: events[3].seq} == newest
    assert named == {TEAM}


async def test_a_discarded_membership_makes_no_company_and_another_one_does(emptied: str) -> None:
    await arrive(emptied, *crowd(PLACE, 2))
    await work(emptied)
    newest = rows(emptied, "SELECT max(seq) AS seq FROM consumer.outbox")[0]["seq"]
    change(emptied, f"UPDATE consumer.outcomes SET outcome = 'discarded' WHERE seq = {newest}")

    left, _ = await read(emptied, [PLACE])
    change(emptied, "UPDATE consumer.outcomes SET outcome = 'discarded'")
    none, _ = await read(emptied, [PLACE])

    assert [event.seq < newest for event in left] == [True]
    assert none == []


async def test_a_lost_company_that_only_memberships_name_comes_back(emptied: str) -> None:
    await arrive(emptied, *crowd(PLACE, 5))
    await work(emptied)
    before = model.state(emptied)
    change(
        emptied,
        "SET session_replication_role = replica; DELETE FROM identity.company_members; DELETE FROM identity.companies",
    )

    async with await connect(emptied, WORKER) as conn:
        await rebuild_everything(conn)

    assert model.state(emptied) == before
