"""Stored bodies in which a user's data may be: read page by page, and replaced where an erasure is stored."""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row, scalar_row

from consumer.events import personal
from consumer.events.personal import ErasedBody, Person, Traces
from consumer.outbox import numbers
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.queries import query, rows

# Bodies a transaction: an update holds up a repeat of the same message id, but only for as long as such a page takes.
# 200 of the largest bodies are 400 MB.
PAGE_SIZE = 200
# Deliveries whose bodies one statement searches; of 2 kB each they take about 0.1 s.
SEARCHED_MAX = 10_000
# Recorded in the place of an error: its body is gone, and a text about it helps nobody.
ERROR = "Erased with the body"


class StoredBody(NamedTuple):
    """A delivery about the user."""

    seq: int
    source: str
    message_id: str
    body: bytes


class Candidate(NamedTuple):
    """A delivery about others; *body* is None if it holds no more than a name of the user."""

    seq: int
    source: str
    message_id: str
    body: bytes | None


async def about(conn: Connection, access: Access, user_id: UUID) -> AsyncIterator[list[StoredBody]]:
    """Yield the deliveries about the user, each page read in a transaction of its own."""
    async with transaction(conn, access):
        seqs = await rows(conn, scalar_row, "stored_bodies/own_seqs", {"user_id": user_id})
    for first in range(0, len(seqs), PAGE_SIZE):
        values = {"seqs": seqs[first : first + PAGE_SIZE]}
        async with transaction(conn, access):
            page = await rows(conn, args_row(StoredBody), "stored_bodies/own", values)
        yield page


async def about_others(
    conn: Connection, access: Access, person: Person, found: Traces
) -> AsyncIterator[list[Candidate]]:
    """Yield the deliveries about others that may hold the user's data, the oldest first, likewise."""
    ids = {str(person.user_id), str(person.user_id).upper()}
    values = {
        "user_id": person.user_id,
        "team_ids": list(person.team_ids),
        "needles": personal.needles(found.emails | ids),
        "names": personal.needles(found.names),
        "page_size": PAGE_SIZE,
    }
    async with transaction(conn, access):
        end = await numbers.last(conn)
    after_seq = 0
    while after_seq < end:
        async with transaction(conn, access):
            last_seq = await numbers.page_end(conn, after_seq=after_seq, until_seq=end, page_size=SEARCHED_MAX)
            limits = {"after_seq": after_seq, "last_seq": last_seq}
            page = await rows(conn, args_row(Candidate), "stored_bodies/others", values | limits)
        after_seq = page[-1].seq if len(page) == PAGE_SIZE else last_seq
        yield page


async def replace(conn: Connection, user_id: UUID, erased: Mapping[int, ErasedBody]) -> int:
    """Replace bodies by seq, in the caller's transaction; return how many recorded errors were replaced with them.

    Raises InsufficientPrivilege if no erasure of the user is stored.
    """
    values = {
        "user_id": user_id,
        "seqs": list(erased),
        "bodies": [made.body for made in erased.values()],
        "reduced_bodies": [made.reduced for made in erased.values()],
    }
    await conn.execute(query("stored_bodies/replace"), values)
    return (await conn.execute(query("stored_bodies/failures"), {"seqs": list(erased), "error": ERROR})).rowcount
