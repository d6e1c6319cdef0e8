"""Re-homing beside others: what it locks, whom it leaves out, what it runs, and what is told of the queue."""

from contextlib import AsyncExitStack
from uuid import uuid4

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, transaction
from consumer.settings.settings import ShapingSettings
from consumer.worker import rehome
from consumer.worker.rehome import Due, PageResult
from tests.support.application import DROP, SCHEMA, calls, tables
from tests.support.batches import ACCESS, DEFAULT, FIRST, SECOND, crew, every, in_batches, member, user
from tests.support.databases import change, record
from tests.support.rehoming import (
    DELAY,
    HIGHEST,
    LOWEST,
    QUEUE,
    begun,
    delete_seven,
    held,
    homeless,
    person,
    turn,
    turns,
)

# It tells for whom it was run.
CALL = b"INSERT INTO public.calls (user_ids) SELECT %(user_ids)b::uuid[]"


def guest(n: int) -> list[Delivery]:
    """Somebody at home in one company and a guest in another."""
    return [user(n, person(n)), member("created", n, SECOND, person(n)), member("created", n + 50, FIRST, person(n))]


async def test_a_locked_user_who_keeps_the_home_is_put_aside_too(emptied: str) -> None:
    await in_batches(emptied, [crew("created", 0), crew("created", 0, SECOND)], [*guest(1), *guest(2)])
    await in_batches(emptied, [crew("deleted", 99)])

    with held(emptied, 1):
        result = await turn(emptied)

    assert result
    assert [user_id for user_id, _ in result.postponed] == [person(1)]
    assert every(emptied, "consumer.rehome", QUEUE) == [(FIRST, person(1), person(1), 1)]


async def test_a_locked_company_of_theirs_puts_its_users_aside(emptied: str) -> None:
    await in_batches(emptied, [crew("created", 0), crew("created", 0, SECOND)], guest(1))
    await in_batches(emptied, [crew("deleted", 99)])

    with psycopg.connect(emptied) as foreign:
        stripe = "hashtext('consumer.companies'), consumer.company_stripe(%s)"
        foreign.execute(f"SELECT pg_advisory_xact_lock({stripe})", [SECOND])
        result = await turn(emptied)

    assert result
    assert [(user_id, type(error)) for user_id, error in result.postponed] == [
        (person(1), psycopg.errors.LockNotAvailable)
    ]


async def test_a_wait_for_a_lock_is_short_for_the_rest_of_the_transaction(emptied: str) -> None:
    seven = await delete_seven(emptied)

    async with AsyncExitStack() as stack:
        conn = await begun(stack, seven)
        await rehome.run_page(conn, lambda _: DELAY)
        [(shown,)] = await (await conn.execute("SHOW lock_timeout")).fetchall()

    assert shown == "50ms"


@pytest.mark.parametrize(("ended", "expected"), [(SECOND, []), (DEFAULT, [1])])
async def test_only_the_default_company_has_the_living_without_a_home(
    emptied: str, ended: object, expected: list[int]
) -> None:
    """One without a home lives, another is deleted."""
    await record(emptied, ShapingSettings(default_company_id=DEFAULT))
    await in_batches(emptied, [crew("created", 0, DEFAULT), crew("created", 0, SECOND)], [user(1, person(1))])
    await in_batches(emptied, [user(2, person(2))])
    change(emptied, "UPDATE identity.stack_user_profiles SET company_id = NULL")
    change(emptied, f"UPDATE identity.stack_user_profiles SET deleted_at = now() WHERE stack_user_id = '{person(2)}'")
    change(emptied, f"INSERT INTO consumer.rehome (company_id, seq) VALUES ('{ended}', 1)")

    results = await turns(emptied)

    assert results == [PageResult(len(expected), [], False)]
    assert every(emptied, "identity.stack_user_profiles", "stack_user_id", "company_id IS NOT NULL") == [
        (person(n),) for n in expected
    ]


async def test_a_deleted_default_company_takes_nobody_in(emptied: str) -> None:
    await record(emptied, ShapingSettings(default_company_id=DEFAULT))
    await in_batches(emptied, [crew("created", 0, DEFAULT)], [user(1, person(1))])
    change(emptied, "UPDATE identity.stack_user_profiles SET company_id = NULL")
    change(emptied, "UPDATE identity.companies SET deleted_at = now()")
    change(emptied, f"INSERT INTO consumer.rehome (company_id, seq) VALUES ('{DEFAULT}', 1)")

    assert await turns(emptied) == [PageResult(0, [], False)]


async def test_the_application_s_statement_runs_for_every_user_of_a_page(emptied: str) -> None:
    with tables(emptied, SCHEMA, DROP):
        await in_batches(emptied, [crew("created", 0), crew("created", 0, SECOND)], [*guest(1), *guest(2)])
        await in_batches(emptied, [crew("deleted", 99)])
        async with AsyncExitStack() as stack:
            result = await rehome.run_page(await begun(stack, emptied), lambda _: DELAY, projection_sql=CALL)
        called = calls(emptied)

    assert result == PageResult(2, [], False)
    assert called == [[person(1), person(2)]]


REFUSED = """
    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
    CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON identity.profiles DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.user_id = '{}') EXECUTE FUNCTION public.refuse();
"""


async def test_a_check_at_the_end_of_the_transaction_puts_aside_only_whom_it_refuses(emptied: str) -> None:
    seven = await delete_seven(emptied)
    with tables(seven, REFUSED.format(person(2)), "DROP FUNCTION public.refuse CASCADE"):
        result = await turn(seven, 7)

    assert result
    assert [user_id for user_id, _ in result.postponed] == [person(2)]
    assert homeless(seven) == [1, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("table", ["rehome", "rebuild"])
async def test_what_waits_is_due_at_its_very_moment_and_not_before(emptied: str, table: str) -> None:
    values = {"rehome": "(company_id, seq, due_at)", "rebuild": "(stage, id, due_at)"}[table]
    row = {"rehome": f"'{uuid4()}', 1,", "rebuild": f"1, '{uuid4()}',"}[table]
    found = []
    async with await connect(emptied, ACCESS) as conn:
        for moment in ("now() + interval '1 microsecond'", "now()", "now() - interval '1 day'"):
            async with conn.transaction(force_rollback=True):
                await conn.execute(f"INSERT INTO consumer.{table} {values} VALUES ({row} {moment})".encode())
                found.append(await rehome.due(conn))

    due = Due(is_rehoming=table == "rehome", is_rebuilding=table == "rebuild")
    assert found == [Due(False, False), due, due]


async def test_a_company_that_waits_in_several_ranges_counts_once(emptied: str) -> None:
    for company_id, due in ((FIRST, "now()"), (FIRST, "now()"), (SECOND, "now() + interval '1 h'")):
        change(emptied, f"INSERT INTO consumer.rehome (company_id, seq, due_at) VALUES ('{company_id}', 1, {due})")

    async with await connect(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        assert await rehome.waiting(conn) == 2


async def test_a_page_changes_and_ends_no_other_company_s_wait(emptied: str) -> None:
    seven = await delete_seven(emptied)
    change(seven, f"INSERT INTO consumer.rehome (company_id, seq, attempts) VALUES ('{SECOND}', 1, 4)")

    await turn(seven)
    advanced = every(seven, "consumer.rehome", QUEUE, order="id")
    await turn(seven, 9)
    finished = every(seven, "consumer.rehome", QUEUE, order="id")

    assert advanced == [(FIRST, person(4), HIGHEST, 0), (SECOND, LOWEST, HIGHEST, 4)]
    assert finished == [(SECOND, LOWEST, HIGHEST, 4)]
