"""How the memory for bodies is shared where it is just full, just overdrawn, and where nothing comes free."""

import asyncio

from consumer.web.body_budget import OVERDRAFT, PATIENCE_SECONDS, SMALL_BODY_BYTES, BodyBudget
from tests.test_body_budget import BUDGET, Body, bodies


async def test_a_budget_that_is_just_full_holds_nobody_back() -> None:
    budget, (slow, fast) = bodies(1, 2)
    budget.take(slow, BUDGET // 2)
    budget.take(fast, BUDGET // 2)
    assert (budget.held_bytes, budget.timer) == (BUDGET, None)

    budget.take(slow, 1)

    assert [body.transport.is_read for body in (slow, fast)] == [False, True]
    # Back at the border there is room again.
    budget.take(fast, -1)
    budget.release(Body(budget, 0))
    assert [body.transport.is_read for body in (slow, fast)] == [True, True]
    assert (budget.timer, budget.fastest) == (None, None)


async def test_the_overdraft_is_the_last_that_all_may_hold_together() -> None:
    budget, (slow, fast) = bodies(1, 2)
    budget.take(slow, BUDGET)
    budget.take(fast, int(OVERDRAFT * BUDGET) - BUDGET)
    assert (slow.is_body_arriving, fast.is_body_arriving) == (True, True)

    budget.take(fast, 1)

    assert (slow.is_body_arriving, fast.is_body_arriving) == (False, True)
    fast.end()


async def test_a_body_is_small_up_to_64_kib_and_one_that_is_answered_is_no_body() -> None:
    budget, (answered, small, large) = bodies(0, 1, 2)
    budget.take(answered, BUDGET // 4)
    answered.is_body_arriving = False
    budget.take(small, SMALL_BODY_BYTES)
    budget.take(large, SMALL_BODY_BYTES + 1)

    assert budget._large() == [large]
    assert budget._refuse_slowest()
    assert not budget._refuse_slowest()


async def test_the_others_wait_a_quarter_of_a_second_for_the_fastest_and_once_more_without_room() -> None:
    budget, found = bodies(1, 2, 3, 4)
    for body in found:
        budget.take(body, BUDGET * 36 // 100)
    loop, first = asyncio.get_running_loop(), budget.timer
    assert first is not None
    assert 0 < first.when() - loop.time() <= PATIENCE_SECONDS
    assert budget.fastest is not None

    budget._lose_patience()

    assert [body.is_body_arriving for body in found] == [False, True, True, True]
    assert budget.held_bytes > BUDGET
    assert budget.timer not in (None, first)
    assert budget.fastest is found[3]
    assert [body.transport.is_read for body in found[1:]] == [False, False, True]
    budget._lose_patience()
    assert [body.is_body_arriving for body in found] == [False, False, True, True]
    assert [body.transport.is_read for body in found[2:]] == [True, True]


def test_a_release_of_nothing_changes_nothing() -> None:
    budget = BodyBudget([], BUDGET, held_bytes=7)

    budget.release(Body(budget, 1))

    assert budget.held_bytes == 7
