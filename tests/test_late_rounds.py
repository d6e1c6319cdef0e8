"""Late deliveries are discarded again and again until nobody is erased meanwhile, and the others are applied once."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consumer.errors import UsersErased
from consumer.postgres.connections import Connection
from consumer.worker import late

CONN = cast("Connection", None)
CLAIMED: Any = [SimpleNamespace(seq=seq) for seq in (1, 2, 3, 4)]


@pytest.fixture
def discarded(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[int, bytes]]:
    """Each round's bodies; the first of the claimed deliveries is late from the start."""
    rounds: list[Mapping[int, bytes]] = []

    async def reduced(_: Connection, claimed: Sequence[Any]) -> Mapping[int, bytes]:
        return {claimed[0].seq: b"one"} if claimed else {}

    async def discard(_: Connection, bodies: Mapping[int, bytes]) -> dict[int, str]:
        rounds.append(bodies)
        return dict.fromkeys(bodies, "discarded")

    monkeypatch.setattr(late, "_reduced", reduced)
    monkeypatch.setattr(late, "_discard", discard)
    return rounds


async def test_who_is_erased_while_the_others_wait_is_left_out_of_the_next_try(
    discarded: list[Mapping[int, bytes]],
) -> None:
    erased = iter([UsersErased({3: b"three"}), UsersErased({2: b"two"}), None])
    tried: list[list[int]] = []

    async def apply(deliveries: Sequence[Any]) -> str:
        tried.append([each.seq for each in deliveries])
        if error := next(erased):
            raise error
        return "applied"

    found = await late.apply_around(CONN, CLAIMED, apply)

    assert found == ({1: "discarded", 3: "discarded", 2: "discarded"}, "applied")
    assert tried == [[2, 3, 4], [2, 4], [4]]
    assert discarded == [{1: b"one"}, {3: b"three"}, {2: b"two"}]


async def test_where_nobody_is_erased_meanwhile_one_try_is_enough(discarded: list[Mapping[int, bytes]]) -> None:
    async def apply(deliveries: Sequence[Any]) -> int:
        return len(deliveries)

    assert await late.apply_around(CONN, CLAIMED, apply) == ({1: "discarded"}, 3)
    assert discarded == [{1: b"one"}]


async def test_another_error_is_passed_on(discarded: list[Mapping[int, bytes]]) -> None:
    async def apply(_: Sequence[Any]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await late.apply_around(CONN, CLAIMED, apply)

    assert len(discarded) == 1


@pytest.mark.parametrize("is_late", [False, True])
async def test_users_that_are_locked_must_not_be_erased(discarded: list[Mapping[int, bytes]], *, is_late: bool) -> None:
    claimed = CLAIMED[1:] if is_late else []
    if not is_late:
        await late.require_none(CONN, claimed)
        return

    with pytest.raises(UsersErased) as raised:
        await late.require_none(CONN, claimed)

    assert raised.value.bodies == {2: b"one"}
