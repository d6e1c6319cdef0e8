"""Users and teams by the first digits of their ids, as lists show them."""

from typing import NamedTuple
from uuid import UUID

from psycopg.rows import scalar_row

from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows, first_rows

# Fewer fit too many ids: eight tell a million users apart but for a hundred pairs.
DIGITS_MIN = 8
DIGITS = 32
HEXADECIMAL = frozenset("0123456789abcdef")
# More ids would not be read.
LISTED_MAX = 20


class IdRange(NamedTuple):
    """The lowest and the highest id that begin with some digits."""

    lowest: UUID
    highest: UUID


def id_range(prefix: str) -> IdRange | None:
    """Return the ids that begin with these digits; None if these are too few, a whole id, or no digits of an id."""
    digits = prefix.lower().replace("-", "")
    if not DIGITS_MIN <= len(digits) < DIGITS or not HEXADECIMAL.issuperset(digits):
        return None
    return IdRange(UUID(digits.ljust(DIGITS, "0")), UUID(digits.ljust(DIGITS, "f")))


async def users(conn: Connection, wanted: IdRange) -> FirstRows[UUID]:
    """Return the first users with such an id that anything stored names."""
    return await first_rows(conn, scalar_row, "id_prefixes/users", wanted._asdict(), size=LISTED_MAX)


async def teams(conn: Connection, wanted: IdRange) -> FirstRows[UUID]:
    """Return the first teams with such an id that anything stored names."""
    return await first_rows(conn, scalar_row, "id_prefixes/teams", wanted._asdict(), size=LISTED_MAX)
