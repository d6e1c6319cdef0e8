"""The numbers of the log: they rise, with gaps of any length where deliveries were pruned or rolled back."""

from psycopg.rows import scalar_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows


async def last(conn: Connection) -> int:
    """Return the number of the last delivery that is committed, 0 without any."""
    [seq] = await rows(conn, scalar_row, "numbers/last")
    return int(seq)


async def page_end(conn: Connection, *, after_seq: int, until_seq: int, page_size: int) -> int:
    """Return the number that ends the next page of deliveries, *until_seq* on the last page.

    Pages of so many numbers instead would be millions of empty ones after a long gap.
    """
    values = {"after_seq": after_seq, "until_seq": until_seq, "page_size": page_size}
    [seq] = await rows(conn, scalar_row, "numbers/page_end", values)
    return int(seq)
