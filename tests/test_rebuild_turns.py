"""One page of a rebuild: how large it is, what is put off and for how long, and what may not stop it."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import AdminShutdown, ForeignKeyViolation, LockNotAvailable

from consumer.effects import anew
from consumer.errors import Unended
from consumer.outbox import rebuild_queue
from consumer.outbox.rebuild_queue import Stage, Waiting
from consumer.postgres.connections import connect, transaction
from consumer.worker import rebuild
from consumer.worker.rebuild import RebuiltPage, TriedPage, run_page
from tests.support.batches import in_batches, user
from tests.support.databases import change, rows, schema_change
from tests.support.kept import kept
from tests.support.queries import ACCESS

USERS = [UUID(int=n) for n in range(1, 10)]
ADA, BOB, EVE = USERS[:3]
CREW = UUID(int=0xC)


def delay(attempts: int) -> timedelta:
    return timedelta(minutes=attempts)


def waits(url: str, stage: Stage, *ids: UUID, attempts: int = 0) -> None:
    values = ", ".join(f"({stage:d}, '{one}', {attempts})" for one in ids)
    change(url, f"INSERT INTO consumer.rebuild (stage, id, attempts) VALUES {values}")


def queued(url: str) -> list[tuple[Any, ...]]:
    minutes = "ceil(extract(epoch FROM due_at - now()) / 60)::int AS minutes"
    found = rows(url, f"SELECT stage, id, attempts, {minutes}, error FROM consumer.rebuild ORDER BY stage, id")
    return [tuple(row.values()) for row in found]


async def turn(url: str, tried: TriedPage | None = None, **options: Any) -> RebuiltPage | None:
    async with kept(url, ACCESS) as conn, transaction(conn, ACCESS):
        return await run_page(conn, delay, tried or TriedPage(), **options)


@pytest.mark.parametrize(("attempts", "size"), [(0, 9), (1, 4), (2, 2), (3, 1), (4, 1), (12, 1)])
@pytest.mark.parametrize("stage", [Stage.COMPANY, Stage.USER])
async def test_each_attempt_halves_a_page_down_to_one(emptied: str, stage: Stage, attempts: int, size: int) -> None:
    waits(emptied, stage, *USERS[:-1])
    waits(emptied, stage, USERS[-1], attempts=attempts)

    tried = TriedPage()
    found = await turn(emptied, tried)

    assert found == RebuiltPage(stage, size, postponed=[])
    assert (tried.stage, tried.ids) == (stage, USERS[:size])
    assert [one for _, one, *_ in queued(emptied)] == USERS[size:]


@pytest.mark.parametrize(("stage", "size"), [(Stage.USER, 1), (Stage.COMPANY, 3), (Stage.NAMED_BY_USERS, 3)])
async def test_only_a_page_of_users_ends_by_their_deliveries(
    emptied: str, monkeypatch: pytest.MonkeyPatch, stage: Stage, size: int
) -> None:
    await in_batches(emptied, [user(1, ADA), user(1, BOB), user(1, EVE)])
    monkeypatch.setattr(rebuild_queue, "DELIVERIES_MAX", 1)
    waits(emptied, stage, ADA, BOB, EVE)

    found = await turn(emptied)

    assert found
    assert (found.stage, found.done) == (stage, size)


async def test_nothing_waits_or_another_worker_holds_it(emptied: str) -> None:
    assert await turn(emptied) is None
    waits(emptied, Stage.USER, ADA)

    async with await connect(emptied, ACCESS) as other, transaction(other, ACCESS):
        assert await rebuild_queue.claim(other, Stage.USER) == [Waiting(ADA, 0)]
        assert await turn(emptied) is None


async def test_a_page_that_was_tried_before_is_put_off_and_nothing_else_is_done(emptied: str) -> None:
    waits(emptied, Stage.USER, ADA, EVE)
    waits(emptied, Stage.USER, BOB, attempts=3)

    found = await turn(emptied, TriedPage(Stage.USER, [ADA, BOB, USERS[8]]))

    assert found
    assert (found.stage, found.done, found.differing) == (Stage.USER, 0, {})
    assert [(one, type(error)) for one, error in found.postponed] == [(ADA, Unended), (BOB, Unended)]
    assert queued(emptied) == [
        (2, ADA, 1, 1, "Unended"),
        (2, BOB, 4, 4, "Unended"),
        (2, EVE, 0, 0, None),
    ]


async def test_a_page_waits_for_a_lock_for_50_ms(emptied: str) -> None:
    waits(emptied, Stage.USER, ADA)

    async with kept(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        await run_page(conn, delay, TriedPage())
        [row] = await (await conn.execute("SHOW lock_timeout")).fetchall()

    assert row == ("50ms",)


async def test_who_is_locked_is_put_off_and_the_others_are_made_anew(emptied: str) -> None:
    await in_batches(emptied, [user(1, one) for one in (ADA, BOB, EVE)])
    change(emptied, "UPDATE identity.profiles SET role_type = 'wrong'")
    waits(emptied, Stage.USER, ADA, BOB, EVE)

    async with await connect(emptied, ACCESS) as other, transaction(other, ACCESS):
        await other.execute("SELECT FROM identity.stack_user_profiles WHERE stack_user_id = %s FOR UPDATE", [BOB])
        found = await turn(emptied)

    assert found
    assert (found.done, dict(found.differing)) == (2, {"profile": 2})
    assert [(one, type(error)) for one, error in found.postponed] == [(BOB, LockNotAvailable)]
    assert queued(emptied) == [(2, BOB, 1, 1, "LockNotAvailable")]
    wrong = rows(emptied, "SELECT user_id FROM identity.profiles WHERE role_type = 'wrong'")
    assert wrong == [{"user_id": BOB}]


@pytest.fixture
def referring(emptied: str) -> Iterator[str]:
    """A database whose application refers to roles that profiles have, and checks that only at the end."""
    tables = """
        CREATE TABLE public.roles (name text PRIMARY KEY);
        INSERT INTO public.roles VALUES ('member'), ('wrong');
        ALTER TABLE identity.profiles ADD CONSTRAINT known FOREIGN KEY (role_type) REFERENCES public.roles
        DEFERRABLE INITIALLY DEFERRED;
    """
    with schema_change(emptied, tables, "ALTER TABLE identity.profiles DROP CONSTRAINT known; DROP TABLE public.roles"):
        yield emptied


async def test_a_constraint_that_is_checked_at_the_end_concerns_one_user(referring: str) -> None:
    told = [user(1, ADA), user(1, BOB, server_metadata={"role": "unknown"})]
    change(referring, "INSERT INTO public.roles VALUES ('unknown')")
    await in_batches(referring, told)
    change(referring, "UPDATE identity.profiles SET role_type = 'wrong'")
    change(referring, "DELETE FROM public.roles WHERE name = 'unknown'")
    waits(referring, Stage.USER, ADA, BOB)

    found = await turn(referring)

    assert found
    assert (found.done, [(one, type(error)) for one, error in found.postponed]) == (1, [(BOB, ForeignKeyViolation)])
    assert [one for _, one, *_ in queued(referring)] == [BOB]
    change(referring, "DELETE FROM identity.profiles")


async def test_the_applications_statement_runs_for_users_that_differ_and_not_for_companies(emptied: str) -> None:
    await in_batches(emptied, [user(1, one) for one in (ADA, BOB)])
    change(emptied, f"UPDATE identity.profiles SET role_type = 'wrong' WHERE user_id = '{BOB}'")
    change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{CREW}', 'wrong')")
    waits(emptied, Stage.COMPANY, CREW)
    seen = "CREATE TABLE public.seen (id uuid); GRANT INSERT ON public.seen TO consumer_worker"
    statement = b"INSERT INTO public.seen SELECT unnest(%(user_ids)b::uuid[])"
    with schema_change(emptied, seen, "DROP TABLE public.seen"):
        of_company = await turn(emptied, projection_sql=statement)
        nobody = rows(emptied, "TABLE public.seen")
        waits(emptied, Stage.USER, ADA, BOB)
        of_users = await turn(emptied, projection_sql=statement)

        assert (of_company, nobody) == (RebuiltPage(Stage.COMPANY, 1, Counter(company=1), []), [])
        assert of_users
        assert (of_users.done, dict(of_users.differing)) == (2, {"profile": 1})
        assert rows(emptied, "TABLE public.seen") == [{"id": BOB}]


async def test_a_fault_of_ours_puts_the_whole_page_off(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(anew, "make_anew", fail)
    waits(emptied, Stage.USER, ADA, BOB)

    found = await turn(emptied)

    assert found
    assert (found.done, found.differing) == (0, {})
    assert [(one, type(error)) for one, error in found.postponed] == [
        (ADA, ZeroDivisionError),
        (BOB, ZeroDivisionError),
    ]
    assert queued(emptied) == [(2, ADA, 1, 1, "ZeroDivisionError"), (2, BOB, 1, 1, "ZeroDivisionError")]


async def test_what_the_server_does_to_a_page_is_not_its_fault(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise AdminShutdown

    monkeypatch.setattr(rebuild, "apply_except_failing", fail)
    waits(emptied, Stage.USER, ADA)

    with pytest.raises(AdminShutdown):
        await turn(emptied)

    assert queued(emptied) == [(2, ADA, 0, 0, None)]
