"""`consumer deliveries discard` beside a worker and after a prune, and what `undiscard` can't take back."""

import asyncio
from uuid import UUID

import psycopg

from consumer.operations import exclusions
from consumer.operations.exclusions import Decision
from consumer.outbox.deliveries import Selection
from consumer.postgres.connections import connect, operator_access
from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.acting import action
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change, rows, waits_for_locks
from tests.support.erasing import Life
from tests.support.factories import membership, team_event, user_updated
from tests.support.outbox import pruned
from tests.support.worker import drain_all, stored, worker

ADA, HOME, VISITED = (UUID(int=n) for n in (1, 77, 78))
ACCESS = operator_access("consumer")


async def test_what_a_worker_applies_between_the_choice_and_the_discard_is_undone(emptied: str) -> None:
    honest, forged = user_updated(ADA, display_name="Ada"), user_updated(ADA, display_name="Eve")
    await stored(emptied, [honest, forged])
    chosen = Selection(states=("pending", "done"), message_ids=(forged.message_id,))

    async with await connect(emptied, ACCESS) as conn, await psycopg.AsyncConnection.connect(emptied) as holder:
        # As a prune does.
        await holder.execute("LOCK TABLE consumer.exclusions IN SHARE ROW EXCLUSIVE MODE")
        forged_by = Decision("Ada", "forged")
        discarding = asyncio.ensure_future(
            anext(exclusions.exclude(conn, ACCESS, chosen, forged_by, action("discard")))
        )
        while not await asyncio.to_thread(waits_for_locks, emptied):
            assert not discarding.done()
            await asyncio.sleep(0.01)
        await drain_all(emptied, worker())
        await holder.commit()
        excluded = await discarding
    await drain_all(emptied, worker())

    assert excluded.deliveries == 1
    assert model.state(emptied) == model.fold([honest], ShapingSettings())


def test_a_guest_who_loses_the_profile_loses_the_name_that_a_search_finds(emptied: str) -> None:
    at_home = {"server_metadata": {"company_id": str(HOME)}}
    forged = user_updated(ADA, display_name="Ada", **at_home)
    honest = [
        *(team_event("created", one) for one in (HOME, VISITED)),
        membership("created", VISITED, ADA),
        user_updated(ADA, display_name="Ada", is_anonymous=True, **at_home),
    ]
    arrive(emptied, forged, *honest)
    work(emptied)
    assert model.state(emptied) == model.fold([forged, *honest], ShapingSettings())

    facts(emptied, "deliveries", "discard", "--message-id", forged.message_id, "--reason", "forged")
    work(emptied)

    assert model.state(emptied) == model.fold(honest, ShapingSettings())
    assert rows(emptied, "SELECT search_name FROM identity.company_members") == [{"search_name": None}]


async def prune_all(url: str) -> None:
    async with await connect(url, ACCESS) as conn:
        assert (await pruned(conn)).total() == 1


def test_a_discard_after_a_prune_names_the_users_to_refresh(emptied: str) -> None:
    first, second = user_updated(ADA, display_name="Ada"), user_updated(ADA, display_name="Eve")
    arrive(emptied, first, second)
    work(emptied)
    asyncio.run(prune_all(emptied))

    result = facts(emptied, "deliveries", "discard", "--message-id", second.message_id, "--reason", "forged")

    assert result == {"discarded": 1, "to_refresh": [str(ADA)]}


def test_a_discard_names_nobody_while_the_log_is_whole(emptied: str) -> None:
    arrive(emptied, known := user_updated(ADA))
    work(emptied)

    result = call(emptied, "deliveries", "discard", "--message-id", known.message_id, "--reason", "forged")

    assert result.stdout == "1 delivery excluded.\n"


def test_a_discard_prints_the_users_to_refresh(emptied: str) -> None:
    arrive(emptied, known := user_updated(ADA))
    work(emptied)
    change(emptied, "UPDATE consumer.settings SET pruned_until = now()")

    result = call(emptied, "deliveries", "discard", "--message-id", known.message_id, "--reason", "forged")

    assert "1 user is concerned" in result.stdout
    assert str(ADA) in result.stdout


def test_a_late_delivery_about_an_erased_user_is_not_taken_back(emptied: str) -> None:
    life = Life()
    arrive(emptied, *life.told())
    work(emptied)
    life.erased(emptied)
    arrive(emptied, life.whole())
    work(emptied)

    result = call(emptied, "deliveries", "undiscard", "--user", str(life.user_id), "--reason", "x")

    assert result.exit_code == 1
    assert result.stderr == "Error: These were discarded because their user is erased, which is never taken back.\n"
