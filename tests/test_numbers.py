"""Pages of the log hold deliveries, however far apart their numbers are."""

from uuid import uuid4

import pytest

from consumer.events.personal import Person, Traces
from consumer.operations import stored_bodies
from consumer.outbox import numbers
from consumer.postgres.connections import connect, operator_access, transaction
from tests.support.databases import change

ACCESS = operator_access("consumer")
FAR = 10**15
STORE = (
    "INSERT INTO consumer.outbox (seq, source, message_id, occurred_at, body) OVERRIDING SYSTEM VALUE "
    "SELECT seq, 'stack', gen_random_uuid(), now(), 'Ada' "
    f"FROM unnest('{{1, 2, 3, {FAR}, {FAR + 1}}}'::bigint[]) AS n (seq)"
)


@pytest.mark.parametrize(
    ("after_seq", "until_seq", "size", "end"),
    [
        (0, FAR + 1, 2, 2),
        (2, FAR + 1, 2, FAR),
        (FAR, FAR + 1, 2, FAR + 1),
        (0, FAR + 1, 5, FAR + 1),
        (0, FAR + 1, 6, FAR + 1),
        (3, FAR - 1, 2, FAR - 1),
        (0, 3, 4, 3),
        (1, 2, 1, 2),
    ],
)
async def test_a_page_ends_with_its_last_delivery_or_where_none_is_left(
    emptied: str, after_seq: int, until_seq: int, size: int, end: int
) -> None:
    change(emptied, STORE)
    async with await connect(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        found = await numbers.page_end(conn, after_seq=after_seq, until_seq=until_seq, page_size=size)

    assert found == end


async def test_the_last_number_is_that_of_the_last_delivery(emptied: str) -> None:
    async with await connect(emptied, ACCESS) as conn, transaction(conn, ACCESS):
        without = await numbers.last(conn)
        change(emptied, STORE)
        with_five = await numbers.last(conn)

    assert (without, with_five) == (0, FAR + 1)


async def test_an_erasure_searches_no_gap(emptied: str) -> None:
    """A body that names the person is found on both sides of the gap, in as many pages as deliveries fill."""
    change(emptied, STORE)
    pages = []
    async with await connect(emptied, ACCESS) as conn:
        found = Traces(names=frozenset({"Ada"}))
        async for page in stored_bodies.about_others(conn, ACCESS, Person(uuid4()), found):
            pages.append([each.seq for each in page])
            assert len(pages) == 1

    assert pages == [[1, 2, 3, FAR, FAR + 1]]
