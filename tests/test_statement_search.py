"""The search for the users whom an application's statement refuses, without a worker around it."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from consumer.effects import application
from consumer.errors import Inseparable, StatementRefused, UsersRefused
from consumer.postgres.connections import Connection, transaction
from tests.support.application import ACCESS, tables
from tests.support.kept import kept

IDS = [UUID(int=0xA0 + n) for n in range(5)]
# A user may be refused for itself, or together with another one of the same group.
SCHEMA = """
    CREATE TABLE public.seen (
        id uuid CONSTRAINT good CHECK (id NOT IN ('{bad}')), n bigint CONSTRAINT alone UNIQUE
    );
    GRANT SELECT, INSERT ON public.seen TO consumer_worker;
"""
EACH = b"INSERT INTO public.seen (id) SELECT unnest(%(user_ids)b::uuid[])"
TOGETHER = b"INSERT INTO public.seen (id, n) SELECT unnest(%(user_ids)b::uuid[]), 1"
ALL = b"INSERT INTO public.gone SELECT unnest(%(user_ids)b::uuid[])"


@pytest.fixture
def seen(emptied: str) -> Iterator[str]:
    """A table of an application that refuses two users."""
    bad = "', '".join(str(IDS[n]) for n in (1, 4))
    with tables(emptied, SCHEMA.format(bad=bad), "DROP TABLE public.seen"):
        yield emptied


async def kept_ids(conn: Connection) -> list[UUID]:
    return [one for (one,) in await (await conn.execute("SELECT id FROM public.seen ORDER BY id")).fetchall()]


async def refused(conn: Connection, statement: bytes, user_ids: list[UUID]) -> dict[Any, Any]:
    with pytest.raises(UsersRefused) as raised:
        await application.run_app_statement(conn, statement, user_ids)
    return dict(raised.value.reasons)


async def test_what_is_done_for_users_is_kept_and_without_users_or_a_statement_nothing_is_done(seen: str) -> None:
    async with kept(seen, ACCESS) as conn, transaction(conn, ACCESS):
        await application.run_app_statement(conn, None, IDS)
        await application.run_app_statement(conn, b"no statement", [])
        await application.run_app_statement(conn, EACH, {IDS[3], IDS[0]})

        assert await kept_ids(conn) == [IDS[0], IDS[3]]


async def test_those_who_are_refused_alone_are_named_and_nothing_is_left_of_the_others(seen: str) -> None:
    async with kept(seen, ACCESS) as conn, transaction(conn, ACCESS):
        errors = await refused(conn, EACH, IDS[::-1])

        assert await kept_ids(conn) == []
    assert errors.keys() == {IDS[1], IDS[4]}
    assert all(isinstance(each, StatementRefused) and not each.is_for_all for each in errors.values())
    assert all(isinstance(each.reason, psycopg.errors.CheckViolation) for each in errors.values())


async def test_one_user_who_is_refused_is_named_at_once(seen: str) -> None:
    async with kept(seen, ACCESS) as conn, transaction(conn, ACCESS):
        assert (await refused(conn, EACH, [IDS[1]])).keys() == {IDS[1]}


async def test_users_who_are_refused_only_together_cannot_be_told_apart(seen: str) -> None:
    async with kept(seen, ACCESS) as conn, transaction(conn, ACCESS):
        with pytest.raises(Inseparable):
            await application.run_app_statement(conn, TOGETHER, [IDS[0], IDS[2]])

        assert await kept_ids(conn) == []


async def test_what_is_refused_for_nobody_is_refused_for_everybody(seen: str) -> None:
    async with kept(seen, ACCESS) as conn, transaction(conn, ACCESS):
        errors = await refused(conn, ALL, IDS)

    assert errors.keys() == set(IDS)
    assert {(type(each.reason), each.is_for_all) for each in errors.values()} == {(psycopg.errors.UndefinedTable, True)}


async def test_a_statement_is_tried_for_nobody_or_rehearsed_for_one(seen: str) -> None:
    async with kept(seen, ACCESS) as conn, transaction(conn, ACCESS):
        assert await application.refusal_of_all(conn, EACH) is None
        broken = await application.refusal_of_all(conn, ALL)
        assert await application.rehearsal_refusal(conn, EACH, IDS[0]) is None
        rehearsed = await kept_ids(conn)
        bad = await application.rehearsal_refusal(conn, EACH, IDS[1])

        assert await kept_ids(conn) == rehearsed == [IDS[0]]
    assert broken is not None
    assert bad is not None
    assert isinstance(broken.reason, psycopg.errors.UndefinedTable)
    assert isinstance(bad.reason, psycopg.errors.CheckViolation)


async def test_a_statement_that_can_be_planned_may_fail_for_nobody_too(seen: str) -> None:
    statement = b"INSERT INTO public.seen (n) SELECT 1 / count(*) FROM unnest(%(user_ids)b::uuid[])"
    async with kept(seen, ACCESS) as conn, transaction(conn, ACCESS):
        broken = await application.refusal_of_all(conn, statement)

    assert broken is not None
    assert isinstance(broken.reason, psycopg.errors.DivisionByZero)


@pytest.mark.parametrize("what", ["all", "nobody"])
async def test_a_trial_for_nobody_leaves_nothing_behind(seen: str, what: str) -> None:
    statement = b"INSERT INTO public.seen (n) SELECT count(*) FROM unnest(%(user_ids)b::uuid[])"
    async with kept(seen, ACCESS) as conn, transaction(conn, ACCESS):
        if what == "nobody":
            assert await application.refusal_of_all(conn, statement) is None
            assert await kept_ids(conn) == []
        else:
            await application.run_app_statement(conn, statement, IDS[:1])
            assert len(await kept_ids(conn)) == 1


@pytest.mark.parametrize(
    ("error", "is_theirs"),
    [
        (psycopg.errors.SerializationFailure, False),
        (psycopg.errors.LockNotAvailable, False),
        (psycopg.errors.DiskFull, False),
        (psycopg.errors.ReadOnlySqlTransaction, False),
        (psycopg.errors.IoError, False),
        (psycopg.errors.CheckViolation, True),
        (psycopg.errors.InsufficientPrivilege, True),
        (psycopg.errors.UndefinedTable, True),
        (psycopg.ProgrammingError, True),
    ],
)
def test_what_the_server_does_is_not_the_statements_fault(error: type[psycopg.Error], is_theirs: bool) -> None:
    assert application._is_caused_by_statement(error("x")) == is_theirs
