"""Reduced bodies, read again: of what a delivery was stored with, this release decides which parts count."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row, scalar_row

from consumer.errors import BadPayload
from consumer.events.check import check
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows

# Deliveries read at once: with bodies of 2 MiB each they take 80 MB.
READ_MAX = 20


class ReducedDelivery(NamedTuple):
    """A delivery whose effects read *reduced* instead of *body*."""

    seq: int
    source: str
    body: bytes
    reduced: bytes


async def reread(conn: Connection, seqs: Iterable[int]) -> None:
    """Store what this release reads in these deliveries, which are done, where it is not what is stored.

    A body that was stored whole is left so. Raises SerializationFailure if an erasure changes one meanwhile.
    """
    ordered = sorted(seqs)
    for first in range(0, len(ordered), READ_MAX):
        values = {"seqs": ordered[first : first + READ_MAX]}
        stored = await rows(conn, args_row(ReducedDelivery), "reread/reduced", values)
        if changed := [(one, reduced) for one in stored if (reduced := _reduced(one)) != one.reduced]:
            await _put(conn, changed)


async def reread_companies(conn: Connection, company_ids: Sequence[UUID], *, is_named_by_users: bool) -> None:
    """Reread the companies' own deliveries, or with *is_named_by_users* those of users that selected one."""
    values = {"company_ids": company_ids, "is_named_by_users": is_named_by_users}
    await reread(conn, await rows(conn, scalar_row, "reread/of_companies", values))


def _reduced(delivery: ReducedDelivery) -> bytes | None:
    try:
        return check(delivery.body, delivery.source).reduced
    except BadPayload:
        # That it is done is not decided again, so what was applied of it counts.
        return delivery.reduced


async def _put(conn: Connection, changed: Sequence[tuple[ReducedDelivery, bytes | None]]) -> None:
    values = {
        "seqs": [one.seq for one, _ in changed],
        "earlier_bodies": [one.reduced for one, _ in changed],
        "reduced_bodies": [reduced for _, reduced in changed],
    }
    await conn.execute(query("reread/put"), values)
