"""users/mirror: the latest of each time and the oldest deletion, whatever batch they come in."""

from typing import Any

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from tests.support.batches import (
    at,
    every,
    gone,
    in_batches,
    millis,
    one,
    signed,
    user,
)

TIMES = "last_active_at, last_sign_in_at, last_sign_out_at"


@pytest.mark.parametrize(
    ("batches", "times"),
    [
        pytest.param([[signed("in", 3)]], (None, at(3), None), id="without a time it is the delivery's"),
        pytest.param([[signed("out", 3)]], (None, None, at(3)), id="sign-out likewise"),
        pytest.param([[signed("in", 3, signed_in_at_millis=millis(1))]], (None, at(1), None), id="else its own"),
        pytest.param([[signed("out", 3, signed_out_at_millis=millis(1))]], (None, None, at(1)), id="its own, out"),
        pytest.param(
            [[signed("in", 3, signed_out_at_millis=millis(9), last_active_at_millis=millis(9))]],
            (None, at(3), None),
            id="fields of others are none",
        ),
        pytest.param(
            [[signed("in", 3), signed("out", 4)], [signed("out", 2), signed("in", 1)]],
            (None, at(3), at(4)),
            id="an older one later lowers none",
        ),
        pytest.param(
            [[signed("in", 3), signed("in", 5), signed("in", 4), signed("out", 1), signed("out", 7), signed("out", 6)]],
            (None, at(5), at(7)),
            id="the greatest of a batch",
        ),
        pytest.param(
            [[user(5, last_active_at_millis=millis(1))], [user(4, last_active_at_millis=millis(3))]],
            (at(3), None, None),
            id="an older snapshot raises activity",
        ),
        pytest.param(
            [[user(5, last_active_at_millis=millis(3))], [user(6, last_active_at_millis=millis(1))], [user(7)]],
            (at(3), None, None),
            id="a newer snapshot lowers and clears none",
        ),
        pytest.param(
            [[user(1, last_active_at_millis=millis(2)), signed("in", 3), signed("out", 4)], [user(9)]],
            (at(2), at(3), at(4)),
            id="news clear none",
        ),
        pytest.param(
            [
                [signed("in", 3), signed("out", 4)],
                [signed("in", 1), signed("out", 6)],
                [signed("in", 5), signed("out", 2)],
            ],
            (None, at(5), at(6)),
            id="one rises alone",
        ),
        pytest.param(
            [[gone(5, last_active_at_millis=millis(3), primary_email="x", signed_in_at_millis=millis(4))]],
            (None, None, None),
            id="a deletion tells no time",
        ),
    ],
)
async def test_times_are_the_greatest_seen(emptied: str, batches: list[list[Delivery]], times: tuple[Any, ...]) -> None:
    await in_batches(emptied, *batches)

    assert one(emptied, "identity.stack_user_profiles", TIMES) == times


@pytest.mark.parametrize(
    ("batches", "outcomes", "sync_version", "deleted_at"),
    [
        pytest.param(
            [[user(1), gone(5)], [gone(3)]], [["applied", "applied"], ["applied"]], 2, at(3), id="older later"
        ),
        pytest.param(
            [[user(1), gone(3)], [gone(5)]], [["applied", "applied"], ["unchanged"]], 1, at(3), id="younger later"
        ),
        pytest.param(
            [[user(1)], [gone(5), gone(3), gone(4)]],
            [["applied"], ["unchanged", "applied", "unchanged"]],
            2,
            at(3),
            id="three at once",
        ),
        pytest.param([[gone(5)], [gone(5)]], [["applied"], ["unchanged"]], 1, at(5), id="equal"),
        pytest.param(
            [[gone(5)], [gone(3)], [gone(4)]], [["applied"], ["applied"], ["unchanged"]], 2, at(3), id="alone"
        ),
        pytest.param([[gone(5)], [user(9)]], [["applied"], ["applied"]], 2, at(5), id="nothing brings back"),
        pytest.param(
            [[gone(5, source="reconcile")], [gone(3, source="backfill")]], [["applied"]] * 2, 2, at(3), id="any source"
        ),
    ],
)
async def test_the_oldest_deletion_counts_in_any_batch(
    emptied: str, batches: list[list[Delivery]], outcomes: list[list[str]], sync_version: int, deleted_at: object
) -> None:
    found = await in_batches(emptied, *batches)

    assert one(emptied, "identity.stack_user_profiles", "sync_version, deleted_at") == (sync_version, deleted_at)
    assert {row[0] for row in every(emptied, "identity.profiles", "deleted_at")} <= {deleted_at}
    assert found == outcomes


@pytest.mark.parametrize(
    ("deletion", "missing", "seen", "tombstone"),
    [
        (None, None, None, None),
        (5, None, 9, 5),
        (None, 5, None, 5),
        (None, 5, 4, 5),
        (None, 5, 5, None),
        (None, 5, 6, None),
        (7, 5, 4, 5),
        (5, 7, 4, 5),
        (7, 5, 5, 7),
    ],
)
def test_who_was_found_missing_is_deleted_unless_seen_then_or_later(
    emptied: str, deletion: int | None, missing: int | None, seen: int | None, tombstone: int | None
) -> None:
    times = [None if hour is None else at(hour) for hour in (deletion, missing, seen, tombstone)]
    with psycopg.connect(emptied) as conn:
        found = conn.execute("SELECT consumer.tombstone(%s::timestamptz, %s, %s)", times[:3]).fetchone()

    assert found == (times[3],)
