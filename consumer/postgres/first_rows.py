"""Lists that end at a limit, and say so: one row more is read than is shown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.rows import AsyncRowFactory

from consumer.postgres.queries import Row, rows

Made = TypeVar("Made")


class FirstRows(list[Row]):
    """The first rows of a list; *is_more*: it goes on behind them."""

    def __init__(self, found: Iterable[Row] = (), *, is_more: bool = False) -> None:
        super().__init__(found)
        self.is_more = is_more

    @classmethod
    def of(cls, found: Sequence[Row], size: int) -> "FirstRows[Row]":
        """Return the first *size* of what was read to tell whether there are more."""
        return cls(found[:size], is_more=len(found) > size)

    def made_into(self, made: Iterable[Made]) -> "FirstRows[Made]":
        """Return what was made of each row, with the same end."""
        return FirstRows(made, is_more=self.is_more)

    def remark(self, where: str = "") -> str:
        """Return the sentence that there are more, with *where* to see them; nothing if these are all."""
        return f"The first {len(self):,}, and more{where and f': {where}'}." if self.is_more else ""


async def first_rows(
    conn: AsyncConnection[Any], factory: AsyncRowFactory[Row], name: str, values: Mapping[str, object], *, size: int
) -> FirstRows[Row]:
    """Run a query that returns at most `size` rows; return the first *size*, and whether there are more."""
    return FirstRows.of(await rows(conn, factory, name, {**values, "size": size + 1}), size)
