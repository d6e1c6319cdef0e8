"""The loop's waits behind a pooler, where no wake-up arrives: it polls faster while events come, and no more idle."""

from itertools import pairwise

import pytest

from consumer.worker import loop as loop_module
from tests.support.cli import arrive
from tests.support.factories import user_updated
from tests.support.loop import Life
from tests.support.pooler import pooled
from tests.support.still_clock import Clock

DOUBLING = [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 60, 60]


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> Life:
    return Life(monkeypatch)


async def waits_after_an_event(emptied: str, life: Life, *, seconds: float) -> list[float]:
    """Return the waits behind a pooler from an event on, until so many seconds have passed after it."""
    clock = Clock()
    life.monkeypatch.setattr(loop_module, "time", clock)

    def on_wait(number: int) -> bool | None:
        if number == 1:
            arrive(emptied, user_updated())
        else:
            clock.now += life.diary.waits[-1]
        return False if clock.now < seconds else None

    with pooled(emptied) as url:
        await life.run(url, on_wait=on_wait, poll_max=60)
    return life.diary.waits[1:]


async def test_behind_a_pooler_a_loop_waits_a_tenth_of_the_time_since_the_last_event(emptied: str, life: Life) -> None:
    waits = await waits_after_an_event(emptied, life, seconds=10)

    ends = [sum(waits[:count]) for count in range(len(waits))]
    assert all(wait == pytest.approx(max(0.02, end / 10)) for end, wait in zip(ends, waits, strict=True))
    assert len(waits) < 60


async def test_ten_seconds_after_the_last_event_the_waits_double_as_ever_and_reach_the_setting_no_later(
    emptied: str, life: Life
) -> None:
    waits = await waits_after_an_event(emptied, life, seconds=300)

    late = [wait for count, wait in enumerate(waits) if sum(waits[:count]) >= 11]
    assert all(after == min(60, 2 * before) for before, after in pairwise(late))
    assert sum(waits[: waits.index(60)]) <= sum(DOUBLING[: DOUBLING.index(60)])


async def test_a_loop_that_never_had_an_event_polls_behind_a_pooler_as_rarely_as_elsewhere(
    emptied: str, life: Life
) -> None:
    clock = Clock()
    life.monkeypatch.setattr(loop_module, "time", clock)

    def on_wait(number: int) -> bool | None:
        clock.now += life.diary.waits[-1]
        return False if number < len(DOUBLING) else None

    with pooled(emptied) as url:
        await life.run(url, on_wait=on_wait, poll_max=60)

    assert life.diary.waits == DOUBLING


async def test_the_setting_is_the_longest_wait_behind_a_pooler_too(emptied: str, life: Life) -> None:
    clock = Clock()
    life.monkeypatch.setattr(loop_module, "time", clock)

    def on_wait(number: int) -> bool | None:
        if number == 1:
            arrive(emptied, user_updated())
        clock.now += life.diary.waits[-1]
        return False if number < 40 else None

    with pooled(emptied) as url:
        await life.run(url, on_wait=on_wait, poll_max=0.1)

    assert max(life.diary.waits) == 0.1
