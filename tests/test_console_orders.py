"""What keeps an order of the console from ending for good, from starving others, and from being computed twice."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

import psycopg
import pytest

from consumer.cli.console_outside import outside
from consumer.cli.stack import cured
from consumer.errors import ConsumerError, SettingsMismatch, TryLater, WrongRelease
from consumer.operations import background
from consumer.operations.actions import Action, ActionName, Actor
from consumer.operations.background import Commit, Order, OrderWork
from consumer.operations.background_work import works
from consumer.postgres.connections import Access, Connection, connect, operator_access, transaction
from consumer.stack_api.errors import SvixRefused, Unreachable
from tests.support.databases import change, rows
from tests.support.dead import three_dead
from tests.support.fence import OWN, ahead
from tests.support.settings import load

__all__ = ["three_dead"]

ACCESS = operator_access("consumer")
AGO = "UPDATE consumer.background SET stepped_at = now() - interval '10 seconds'"
KIM = Actor("kim", "console")


def put(url: str, name: ActionName) -> None:
    """Order an action for all that is dead."""
    chosen = {} if name == "check" else {"states": ["dead"]}

    async def queued() -> None:
        async with await connect(url, ACCESS) as conn, transaction(conn, ACCESS):
            await background.put(conn, Action(KIM, name, chosen))

    asyncio.run(queued())


def real(url: str) -> Mapping[str, OrderWork]:
    return works(outside(load({"DATABASE_URL": url}), url))


def step(url: str, does: Mapping[str, OrderWork]) -> bool:
    """Do one page, as a console does."""

    async def stepped() -> bool:
        async with await connect(url, ACCESS) as conn:
            return await background.run_once(conn, ACCESS, does)

    return asyncio.run(stepped())


def progress(url: str, name: str) -> tuple[str | None, bool, int]:
    """Return the error of an action, whether it is finished, and how many it has affected."""
    statement = f"SELECT * FROM consumer.actions JOIN consumer.background USING (id) WHERE action = '{name}'"
    [found] = rows(url, statement)
    return found["error"], found["finished_at"] is not None, found["affected"]


def failing(error: Exception) -> OrderWork:
    async def fails(_: Connection, __: Access, ___: Order) -> Commit:
        raise error

    return fails


def test_an_upgrade_ends_no_order(three_dead: str) -> None:
    put(three_dead, "retry")
    with ahead(three_dead, OWN + 1):
        turn = step(three_dead, real(three_dead))
        meanwhile = progress(three_dead, "retry")
    change(three_dead, AGO)
    step(three_dead, real(three_dead))

    assert (turn, meanwhile[1:]) == (True, (False, 0))
    assert "This release is too old to work on the database" in str(meanwhile[0])
    assert progress(three_dead, "retry") == (None, True, 2)


@pytest.mark.parametrize(
    ("error", "said", "is_finished"),
    [
        (TryLater("not yet"), "not yet", False),
        (WrongRelease("too old"), "Too old.", False),
        (SettingsMismatch("they differ"), "they differ", False),
        (ConsumerError("never"), "never", True),
        (KeyError("ada@example.com"), "KeyError", False),
    ],
)
def test_only_an_error_that_stays_ends_an_order_and_none_starves_the_others(
    three_dead: str, error: Exception, said: str, is_finished: bool
) -> None:
    put(three_dead, "retry")
    put(three_dead, "check")
    does = {**real(three_dead), "retry": failing(error)}
    turns = [step(three_dead, does) for _ in range(2)]

    assert (turns, progress(three_dead, "retry")) == ([True, True], (said, is_finished, 0))
    begun = "SELECT place <> '{}' AS is_begun FROM consumer.background WHERE error IS NULL"
    assert rows(three_dead, begun) == [{"is_begun": True}]


def test_an_action_that_this_release_does_not_know_is_left_to_one_that_does(three_dead: str) -> None:
    put(three_dead, "retry")

    assert not step(three_dead, {"check": failing(KeyError())})
    assert progress(three_dead, "retry") == (None, False, 0)


def test_a_check_that_another_console_has_is_not_computed_too(three_dead: str) -> None:
    put(three_dead, "check")
    unasked = replace(outside(load({"DATABASE_URL": three_dead}), three_dead), as_worker=_never)
    with psycopg.connect(three_dead) as other:
        other.execute("SELECT FROM consumer.background FOR UPDATE")
        turn = step(three_dead, works(unasked))

    assert (turn, progress(three_dead, "check")) == (False, (None, False, 0))


def test_a_call_of_the_api_that_may_succeed_later_is_tried_later() -> None:
    async def call(error: Exception) -> None:
        raise error

    with pytest.raises(TryLater):
        asyncio.run(cured(call(Unreachable("no answer"))))
    with pytest.raises(ConsumerError) as refused:
        asyncio.run(cured(call(SvixRefused("a call", 403))))
    assert not isinstance(refused.value, TryLater)


def _never() -> NoReturn:
    raise AssertionError("it was computed")
