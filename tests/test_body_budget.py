"""The memory for all bodies in arrival: who is held back, who gives way, and who never notices."""

import asyncio
import select
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.providers.standard_webhooks import sign
from consumer.web.body_budget import OVERDRAFT, SMALL_BODY_BYTES, BodyBudget, Flow
from tests.support.web import NOW, SECRET, SHORT, Site, Wire, head, post, running, stored_ids

BUDGET = 10 * SMALL_BODY_BYTES
PIECE = 2 * SMALL_BODY_BYTES


class FakeTransport(asyncio.Transport):
    """Knows whether it is read."""

    is_read = True

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def is_closing(self) -> bool:
        return False


@dataclass(eq=False)
class Body:
    """A body in arrival at a made-up speed."""

    budget: BodyBudget
    speed: float
    transport: FakeTransport = field(default_factory=FakeTransport)
    held_bytes: int = 0
    is_body_arriving: bool = True

    def __post_init__(self) -> None:
        self.flow = Flow(self.transport)

    def bytes_per_second(self) -> float:
        return self.speed

    def refuse(self, code: str) -> None:
        assert code == "body_too_slow"
        self.end()

    def end(self) -> None:
        self.is_body_arriving = False
        self.budget.release(self)


def bodies(*speeds: float) -> tuple[BodyBudget, list[Body]]:
    found: list[Body] = []
    budget = BodyBudget(found, BUDGET)
    found += [Body(budget, speed) for speed in speeds]
    return budget, found


async def test_above_the_budget_only_the_fastest_is_read_until_there_is_room() -> None:
    budget, (slow, fast, middle) = bodies(1, 3, 2)
    for body in (slow, fast, middle):
        budget.take(body, BUDGET // 3 + 1)

    assert [body.transport.is_read for body in (slow, fast, middle)] == [False, True, False]
    slow.flow.resume_reading()
    budget.take(fast, PIECE)
    assert [body.transport.is_read for body in (slow, fast)] == [False, True]
    patience = budget.timer
    assert patience is not None

    fast.end()
    assert patience.cancelled()
    assert [body.transport.is_read for body in (slow, middle)] == [True, True]
    assert budget.held_bytes == 2 * (BUDGET // 3 + 1)


async def test_a_small_body_is_never_held_back() -> None:
    budget, (slow, fast, small) = bodies(1, 3, 2)
    budget.take(slow, BUDGET)
    budget.take(fast, PIECE)

    budget.take(small, SMALL_BODY_BYTES)

    assert [body.transport.is_read for body in (slow, fast, small)] == [False, True, True]


async def test_when_nothing_comes_free_the_slowest_of_the_large_gives_way() -> None:
    budget, (small, slow, fast) = bodies(0, 1, 2)
    budget.take(small, SMALL_BODY_BYTES)
    budget.take(slow, BUDGET // 2)
    budget.take(fast, BUDGET // 2)
    assert budget.timer is not None

    budget._lose_patience()

    assert [body.is_body_arriving for body in (small, slow, fast)] == [True, False, True]
    assert [body.transport.is_read for body in (small, fast)] == [True, True]
    assert budget.held_bytes == SMALL_BODY_BYTES + BUDGET // 2


async def test_far_above_the_budget_the_slowest_gives_way_at_once() -> None:
    budget, (slow, fast) = bodies(1, 2)
    budget.take(slow, BUDGET)

    budget.take(fast, BUDGET)

    assert (slow.is_body_arriving, fast.is_body_arriving, budget.held_bytes) == (False, True, BUDGET)


async def test_one_that_was_held_back_and_gives_way_is_read_again_although_there_is_no_room() -> None:
    budget, (slow, fast) = bodies(1, 2)
    for body in (slow, fast):
        budget.take(body, BUDGET * 6 // 10)
    assert not slow.transport.is_read

    budget.take(fast, BUDGET * 6 // 10)

    assert (slow.is_body_arriving, slow.transport.is_read) == (False, True)
    assert budget.held_bytes > BUDGET
    fast.end()


async def test_small_bodies_never_give_way() -> None:
    budget, found = bodies(*range(40))
    for body in found:
        budget.take(body, SMALL_BODY_BYTES)
    budget._lose_patience()

    assert all(body.is_body_arriving and body.transport.is_read for body in found)
    for body in found:
        body.end()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, PIECE)), max_size=200))
def test_the_bodies_never_hold_more_than_the_overdraft_and_nothing_is_forgotten(pieces: list[tuple[int, int]]) -> None:
    async def run() -> None:
        budget, found = bodies(*range(10))
        for number, size in pieces:
            if found[number].is_body_arriving:
                budget.take(found[number], size)
            assert budget.held_bytes <= OVERDRAFT * BUDGET + len(found) * SMALL_BODY_BYTES
            assert budget.held_bytes == sum(body.held_bytes for body in found)
        for body in found:
            body.end()
        assert (budget.held_bytes, budget.timer) == (0, None)
        assert all(body.transport.is_read for body in found)

    asyncio.run(run())


LIMITS = replace(SHORT, body_bytes=1_000_000, bodies_bytes=4_000_000, read_timeout_seconds=10, linger_seconds=5)
LARGE = b'{"type":"moon.landed","data":"%b"}' % (b"x" * 900_000)


@pytest.fixture(scope="module")
def receiver(database_url: str) -> Iterator[Site]:
    with running(database_url, LIMITS) as site:
        yield site


@pytest.fixture
def site(receiver: Site, emptied: str) -> Site:
    receiver.refused.clear()
    return receiver


def test_of_bodies_that_stand_still_the_budget_keeps_some_and_others_pass(site: Site, emptied: str) -> None:
    with ExitStack() as wires:
        held = [wires.enter_context(site.connect()) for _ in range(12)]
        with ThreadPoolExecutor(12) as senders:
            began = time.monotonic()
            for number, wire in enumerate(held):
                senders.submit(wire.send, post(LARGE, message_id=f"msg_{number:02}")[:-1])
            assert site.ask(post(message_id="msg_small")).status == 204
            while len(site.refused) < 8 and time.monotonic() - began < LIMITS.read_timeout_seconds / 2:
                time.sleep(0.01)
        kept = [wire for wire in held if not has_answer(wire)]
        for wire in kept:
            wire.send(LARGE[-1:])

        assert {wire.read().status for wire in kept} == {204}
        assert {wire.read().error for wire in held if wire not in kept} == {"body_too_slow"}
    assert len(kept) == 12 - len(site.refused) == 4
    assert len(stored_ids(emptied)) == 5


def has_answer(wire: Wire) -> bool:
    return bool(select.select([wire.connection], [], [], 0.1)[0])


def test_large_bodies_that_come_all_at_once_take_turns(site: Site, emptied: str) -> None:
    with ThreadPoolExecutor(16) as senders:
        statuses = [
            reply.status for reply in senders.map(site.ask, (post(LARGE, message_id=f"msg_{n:02}") for n in range(16)))
        ]

    assert (statuses, site.refused) == ([204] * 16, [])
    assert len(stored_ids(emptied)) == 16


UNSIGNED = {
    "no signature": {},
    "no id": {"svix-timestamp": "1", "svix-signature": "v1,x"},
    "too old": {**sign(SECRET, "msg_1", NOW, b""), "svix-timestamp": "1"},
    "two times": {**sign(SECRET, "msg_1", NOW, b""), "webhook-timestamp": "1"},
}


@pytest.mark.parametrize("headers", UNSIGNED.values(), ids=UNSIGNED.keys())
def test_a_head_that_is_enough_to_refuse_is_refused_before_its_body(
    headers: dict[str, str], site: Site, emptied: str
) -> None:
    with site.connect() as wire:
        wire.send(head({**headers, "content-length": str(LIMITS.body_bytes)}))
        assert wire.read().status == 401

        wire.send(b"x" * LIMITS.body_bytes + post(message_id="msg_next"))
        assert wire.read().status == 204
    assert stored_ids(emptied) == ["msg_next"]


def test_no_go_ahead_is_given_for_a_body_that_nobody_wants(site: Site) -> None:
    with site.connect() as wire:
        wire.send(head({"content-length": "1000", "expect": "100-continue"}))

        assert wire.read().status == 401


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_sender_that_closes_afterwards_reads_the_answer_and_not_a_reset(version: bytes, site: Site) -> None:
    start = head({"content-length": str(LIMITS.body_bytes), "connection": "close"}).replace(b"1.1", version)
    for _ in range(5):
        with site.connect() as wire:
            wire.send(start)
            for _ in range(LIMITS.body_bytes // 100_000):
                wire.send(b"x" * 100_000)

            assert wire.read().error == "missing_header"
            assert wire.is_closed()
