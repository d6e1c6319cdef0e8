"""`consumer deliveries discard` beside a worker and after a prune, and what `undiscard` can't take back."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest

from consumer.operations import exclusions
from consumer.operations.exclusions import Decision
from consumer.outbox.deliveries import SelectedDelivery, Selection
from consumer.postgres.connections import connect, operator_access, transaction
from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.acting import action
from tests.support.cli import arrive, call, facts, work
from tests.support.confirming import confirm, finished
from tests.support.console import running
from tests.support.console_pages import words
from tests.support.databases import change, rows, waits_for_locks
from tests.support.erasing import Life
from tests.support.factories import membership, team_event, user_updated
from tests.support.outbox import pruned, seqs, set_aside, states
from tests.support.worker import drain_all, stored, worker

ADA, HOME, VISITED = (UUID(int=n) for n in (1, 77, 78))
ACCESS = operator_access("consumer")


@contextmanager
def held(url: str, table: str, message_id: str) -> Iterator[None]:
    """Hold the row of a delivery as a worker does that applies it."""
    with psycopg.connect(url) as conn:
        conn.execute(f"SELECT FROM {table} WHERE seq = %s FOR UPDATE".encode(), [seqs(url)[message_id]])
        yield


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


def test_a_discard_at_the_console_says_how_many_it_has_left_out(emptied: str) -> None:
    arrive(emptied, *(user_updated()._replace(message_id=name) for name in ("free", "held")))

    with running(emptied) as nobody:
        desk = nobody.as_("operator")
        with held(emptied, "consumer.pending", "held"):
            answer = confirm(desk, "/deliveries/discard?state=pending", reason="leaked")
            done = finished(emptied, answer)
        page = words(desk.get(answer.headers["location"]).text)

    assert (done["affected"], done["result"]) == (1, {"discarded": 1, "left_out": 1})
    assert "Not discarded: 1 of those seen" in page
    assert "order it again" in page
    assert "Left out 1" in page


def test_a_discard_at_the_console_says_how_many_a_worker_has_applied_before_their_turn(emptied: str) -> None:
    """They are done later than the page was made, so they are not chosen any more."""
    arrive(emptied, *(user_updated()._replace(message_id=name) for name in ("one", "two")))

    with running(emptied) as nobody:
        desk = nobody.as_("operator")
        answer = confirm(desk, "/deliveries/discard?state=pending", reason="leaked")
        finished(emptied, answer)
        whole = words(desk.get(answer.headers["location"]).text)
        change(emptied, "UPDATE consumer.actions SET affected = 1")
        partly = words(desk.get(answer.headers["location"]).text)

    assert ("Not discarded" in whole, "Not discarded: 1 of those seen" in partly) == (False, True)


@pytest.mark.parametrize("kind", ["deliveries", "dead"])
def test_a_discard_on_the_command_line_fails_with_the_number_that_it_has_left_out(emptied: str, kind: str) -> None:
    stored = [user_updated()._replace(message_id=name) for name in ("free", "held")]
    arrive(emptied, *stored)
    if kind == "dead":
        set_aside(emptied, stored)

    with held(emptied, "consumer.failures" if kind == "dead" else "consumer.pending", "held"):
        result = call(emptied, kind, "discard", "--all", "--reason", "leaked")
    again = call(emptied, kind, "discard", "--all", "--reason", "leaked")

    assert (result.exit_code, result.stdout) == (1, "1 delivery excluded.\n")
    assert "1 more is not discarded: workers or other sessions hold it at this moment. Run the command" in result.stderr
    assert (again.exit_code, again.stdout) == (0, "1 delivery excluded.\n")


@pytest.mark.parametrize("state", ["pending", "retrying", "dead", "done"])
async def test_only_what_is_still_in_a_chosen_state_is_excluded(emptied: str, state: str) -> None:
    """The page was chosen a moment ago."""
    await stored(emptied, [one := user_updated()])
    if state == "done":
        await drain_all(emptied, worker())
    elif state != "pending":
        await asyncio.to_thread(set_aside, emptied, [one], state=state)
    if state == "dead":
        # As of a body that nobody can read.
        change(emptied, "UPDATE consumer.outbox SET event_type = NULL")
    page = [SelectedDelivery(seqs(emptied)[one.message_id], "dead")]
    before, others = states(emptied), [each for each in ("pending", "retrying", "dead", "done") if each != state]

    async with await connect(emptied, ACCESS) as conn:
        async with transaction(conn, ACCESS):
            of_others = await exclusions.exclude_page(conn, page, others, Decision("Ada", "forged"))
        kept = states(emptied)
        async with transaction(conn, ACCESS):
            of_it = await exclusions.exclude_page(conn, page, [state], Decision("Ada", "forged"))
        async with transaction(conn, ACCESS):
            again = await exclusions.exclude_page(conn, page, [*others, state], Decision("Eve", "forged"))

    assert (of_others, kept, of_it.deliveries) == ((0, 0, frozenset()), before, 1)
    assert again == of_others


async def test_what_is_taken_back_keeps_who_excluded_it_and_why(emptied: str) -> None:
    usable, broken = user_updated(), user_updated()._replace(body=b"{")
    await stored(emptied, [usable, broken])
    chosen = Selection(states=("pending", "done"))

    async with await connect(emptied, ACCESS) as conn:
        async for _ in exclusions.exclude(conn, ACCESS, chosen, Decision("Ada", "forged"), action("discard")):
            pass
        excluded = rows(emptied, "SELECT * FROM consumer.exclusions ORDER BY seq")
        honest, action_of_it = Decision("Eve", "honest"), action("undiscard")
        taken = exclusions.take_back(conn, ACCESS, replace(chosen, is_discarded=True), honest, action_of_it)
        results = [each async for each in taken]

    assert [(each.queued, each.unusable) for each in results] == [(1, 1)]
    assert rows(emptied, f"SELECT affected FROM consumer.actions WHERE id = '{action_of_it.id}'") == [{"affected": 2}]
    past = rows(emptied, "SELECT * FROM consumer.past_exclusions ORDER BY seq")
    taken_back = {"taken_back_by": "Eve", "taken_back_reason": "honest"}
    assert [{**row, "taken_back_at": None} for row in past] == [
        {**row, **taken_back, "taken_back_at": None} for row in excluded
    ]
    assert [(row["excluded_by"], row["reason"]) for row in excluded] == [("Ada", "forged")] * 2
    [failed] = rows(emptied, "SELECT state, attempts, error_code FROM consumer.failures")
    assert (failed["state"], failed["attempts"]) == ("dead", 0)
    assert states(emptied) == {usable.message_id: "pending", broken.message_id: "dead"}
