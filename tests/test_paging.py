"""Pages of matching deliveries: each in a transaction of its own, up to the limit of the selection."""

from collections.abc import Sequence

import pytest

from consumer.operations import export, paging
from consumer.outbox.deliveries import SelectedDelivery, Selection
from consumer.postgres.connections import Connection, operator_access
from tests.support.databases import change
from tests.support.kept import kept

OPERATOR = operator_access("consumer")


@pytest.mark.parametrize(
    ("count", "limit", "pages"),
    [
        (0, None, []),
        (1, None, [[1]]),
        (2, None, [[1, 2]]),
        (5, None, [[1, 2], [3, 4], [5]]),
        (5, 2, [[1, 2]]),
        (5, 3, [[1, 2], [3]]),
        (5, 4, [[1, 2], [3, 4]]),
        (5, 9, [[1, 2], [3, 4], [5]]),
        (5, 1, [[1]]),
    ],
)
async def test_pages_go_on_until_the_limit_or_the_end(
    emptied: str, monkeypatch: pytest.MonkeyPatch, count: int, limit: int | None, pages: list[list[int]]
) -> None:
    monkeypatch.setattr(paging, "PAGE_SIZE", 2)
    change(
        emptied,
        "INSERT INTO consumer.outbox (seq, source, message_id, occurred_at, body) OVERRIDING SYSTEM VALUE "
        f"SELECT n, 'stack', n, now(), '' FROM generate_series(1, {count}) AS n;"
        f"INSERT INTO consumer.pending (seq) SELECT generate_series(1, {count})",
    )
    met: list[list[int]] = []

    async def work(_: Connection, page: Sequence[SelectedDelivery]) -> list[int]:
        met.append([each.seq for each in page])
        return met[-1]

    async with kept(emptied, OPERATOR) as conn:
        found = [page async for page in paging.in_pages(conn, OPERATOR, Selection(("pending",), limit=limit), work)]

    assert found == met == pages


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"a": 1.50}', '{"x": 1, "body": {"a": 1.50}}'),
        (b"[1]", '{"x": 1, "body": [1]}'),
        (b"\xff", '{"x": 1, "body_hex": "ff"}'),
        (b"{", '{"x": 1, "body_hex": "7b"}'),
    ],
)
def test_an_exported_delivery_has_its_body_as_it_was_signed(body: bytes, document: str) -> None:
    assert export._with_body('{"x": 1}', body) == document
