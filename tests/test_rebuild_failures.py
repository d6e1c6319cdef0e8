"""Rows that can't be made anew are set aside with the reason, and hold up neither other rows nor live deliveries."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

import pytest

from consumer.operations import rebuild
from consumer.operations.rebuild import Subjects
from consumer.postgres.connections import connect, operator_access
from consumer.worker import bisect
from consumer.worker import rebuild as pages
from consumer.worker.batch import BatchRunner
from tests.support.acting import action
from tests.support.batches import in_batches, user
from tests.support.cli import call
from tests.support.databases import change, rows, schema_change
from tests.support.outbox import states
from tests.support.worker import ACCESS, run_once, stored, worker

ADA, BOB, EVE = (UUID(int=n) for n in (1, 2, 3))
UNTOLD = UUID(int=99)
# More than the attempts that halve a page down to one user take.
TURNS_MAX = 10
QUEUED = "INSERT INTO consumer.rebuild (stage, id) SELECT 2, user_id FROM identity.profiles"
# What failed alone keeps its delay, in which the others' turn comes.
HURRIED = "UPDATE consumer.rebuild SET due_at = CASE WHEN attempts > 2 THEN now() + interval '1 h' ELSE now() END"
MENDED = "SELECT user_id FROM identity.profiles WHERE role_type = 'member' ORDER BY user_id"
WAITING = "SELECT id, error FROM consumer.rebuild ORDER BY id"


@pytest.fixture
async def damaged(emptied: str) -> str:
    """A database whose profiles have a wrong role and wait to be made anew."""
    await in_batches(emptied, [user(1, one) for one in (ADA, BOB, EVE)])
    change(emptied, "UPDATE identity.profiles SET role_type = 'owner'")
    change(emptied, QUEUED)
    return emptied


def trigger(url: str, action: str) -> Iterator[str]:
    change_of_schema = f"""
        CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.user_id = '{BOB}' THEN {action}; END IF; RETURN NEW; END $$;
        CREATE TRIGGER audit BEFORE UPDATE ON identity.profiles FOR EACH ROW EXECUTE FUNCTION public.audit();
    """
    with schema_change(url, change_of_schema, "DROP FUNCTION public.audit CASCADE"):
        yield url


@pytest.fixture
def broken(damaged: str) -> Iterator[str]:
    """A database whose application has a trigger that fails for one user, as if the fault were ours."""
    yield from trigger(damaged, "PERFORM public.no_such_function()")


@pytest.fixture
def slow(damaged: str) -> Iterator[str]:
    """A database whose application has a trigger that takes longer than a turn for one user."""
    yield from trigger(damaged, "PERFORM pg_sleep(20)")


async def turn(url: str, runner: BatchRunner) -> None:
    """Take a turn and end it if it takes long, as the loop does; then all is due again."""
    async with await connect(url, ACCESS) as conn:
        running = asyncio.create_task(runner.run_once(conn))
        await asyncio.wait({running}, timeout=0.5)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    change(url, HURRIED)


def test_ten_of_a_page_may_fail_and_each_is_waited_for_50_ms() -> None:
    assert (pages.POSTPONED_MAX, pages.LOCK_TIMEOUT, bisect.BISECT_LOCK_TIMEOUT) == (10, 50, 50)


async def test_an_error_of_ours_in_one_row_sets_that_row_aside(broken: str) -> None:
    runner = worker()

    for _ in range(TURNS_MAX):
        await run_once(broken, runner)
        change(broken, HURRIED)

    assert [row["user_id"] for row in rows(broken, MENDED)] == [ADA, EVE]
    assert rows(broken, WAITING) == [{"id": BOB, "error": "UndefinedFunction"}]


async def test_live_deliveries_go_on_beside_a_page_that_fails_for_a_fault_of_ours(broken: str) -> None:
    await stored(broken, [live := user(9, ADA)])

    await run_once(broken, worker())

    assert states(broken)[live.message_id] == "done"


async def test_a_row_that_takes_longer_than_a_turn_is_set_aside(slow: str) -> None:
    runner = worker()

    for _ in range(TURNS_MAX):
        await turn(slow, runner)

    assert [row["user_id"] for row in rows(slow, MENDED)] == [ADA, EVE]
    [waiting] = rows(slow, WAITING)
    assert waiting == {"id": BOB, "error": "Unended"}


async def test_a_company_that_a_failing_user_holds_waits_as_long_as_the_user(emptied: str) -> None:
    await in_batches(emptied, [user(1, BOB)])
    change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{UNTOLD}', 'Nobody told')")
    change(emptied, f"INSERT INTO identity.company_members (company_id, user_id) VALUES ('{UNTOLD}', '{BOB}')")
    change(emptied, f"INSERT INTO consumer.rebuild (stage, id) VALUES (2, '{BOB}'), (3, '{UNTOLD}')")
    seats = f"""
        CREATE TABLE public.seats (company_id uuid, user_id uuid,
            FOREIGN KEY (company_id, user_id) REFERENCES identity.company_members);
        INSERT INTO public.seats VALUES ('{UNTOLD}', '{BOB}')
    """
    runner = worker()
    runner_turns = 0

    with schema_change(emptied, seats, "DROP TABLE public.seats"):
        change(emptied, "UPDATE consumer.rebuild SET attempts = 11, due_at = now() WHERE stage = 2")
        while not (await run_once(emptied, runner)).is_idle:
            runner_turns += 1
            assert runner_turns < TURNS_MAX
        user_due, company_due = (row["due_at"] for row in rows(emptied, "TABLE consumer.rebuild ORDER BY stage"))
    assert company_due >= user_due

    change(emptied, "UPDATE consumer.rebuild SET due_at = now()")
    for _ in range(TURNS_MAX):
        await run_once(emptied, runner)
    assert not rows(emptied, "SELECT FROM identity.companies")
    assert not rows(emptied, "SELECT FROM consumer.rebuild")


async def test_who_asks_again_after_a_failure_gets_whole_pages(damaged: str) -> None:
    change(damaged, "UPDATE consumer.rebuild SET attempts = 12, due_at = now() + interval '1 h', error = 'Unended'")

    access = operator_access("consumer")
    async with await connect(damaged, access) as conn:
        await rebuild.queue(conn, access, Subjects([ADA, BOB, EVE]), action("rebuild"))
    await run_once(damaged, worker())

    assert not rows(damaged, WAITING)


def test_a_check_goes_on_beside_a_row_that_an_application_holds(damaged: str) -> None:
    change(
        damaged,
        "INSERT INTO identity.profiles (user_id, full_name, role_type, department) "
        f"VALUES ('{UNTOLD}', 'Eve', 'x', 'x')",
    )
    orders = f"""
        CREATE TABLE public.orders (user_id uuid REFERENCES identity.profiles);
        INSERT INTO public.orders VALUES ('{UNTOLD}')
    """
    with schema_change(damaged, orders, "DROP TABLE public.orders"):
        result = call(damaged, "rebuild", "--check", "--json")

    assert (result.exit_code, json.loads(result.stdout)["differing"]) == (1, {"profile": 3, "refused": 1})
