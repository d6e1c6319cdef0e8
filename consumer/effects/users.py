"""Users: the mirror of what the sender says of them, and the profiles made of it."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from psycopg.errors import IntegrityError, RaiseException

from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query


class ChangedProfiles(NamedTuple):
    """The deliveries that the audit names, and the users whose profile was written or removed."""

    seqs: Sequence[int] = ()
    user_ids: Sequence[UUID] = ()

    def __or__(self, other: "ChangedProfiles") -> "ChangedProfiles":
        return ChangedProfiles([*self.seqs, *other.seqs], [*self.user_ids, *other.user_ids])


class MirrorResult(NamedTuple):
    """Users whose mirror row was written: all, those with new content, those deleted, those with new content who may
    have another home; and the deliveries in which Stack names a selected team, each with it."""

    written: Sequence[UUID] = ()
    changed: Sequence[UUID] = ()
    deleted: Sequence[UUID] = ()
    placed: Sequence[UUID] = ()
    selecting: Sequence[int] = ()
    selected: Sequence[UUID] = ()


async def mirror(conn: Connection, seqs: Sequence[int]) -> MirrorResult:
    """Lock the users whom these deliveries concern, and fold what they say of them into the mirror."""
    cursor = await conn.execute(query("users/mirror"), {"seqs": seqs}, binary=True)
    return MirrorResult(*await cursor.fetchone() or ())


async def lock(conn: Connection, user_ids: Sequence[UUID]) -> None:
    """Lock users by their mirror rows, in key order; a row is made where there is none."""
    await conn.execute(query("users/lock"), {"user_ids": user_ids})


async def forget(conn: Connection, seqs: Sequence[int], deleted: Sequence[UUID]) -> ChangedProfiles:
    """Take from deleted users what the delete policy says; return whose profile was removed, and by what."""
    removed = await _remove(conn, seqs, deleted)
    await conn.execute(query("users/mark_kept"), {"user_ids": deleted})
    await conn.execute(query("users/forget"), {"user_ids": deleted})
    return removed


async def _remove(conn: Connection, seqs: Sequence[int], user_ids: Sequence[UUID]) -> ChangedProfiles:
    """Remove hard-deleted profiles but those that an application's constraint or trigger holds; return the rest."""
    try:
        async with conn.transaction():
            removed = await _changed(conn, "users/remove_profiles", {"seqs": seqs, "user_ids": user_ids})
            # A deferred foreign key would speak up only at the commit, when nothing can be done about it.
            await session.check_constraints(conn)
            return removed
    # 23503, PostgreSQL 18's 23001 for RESTRICT, 23502 of a NOT NULL column that the key would set to null; P0001 of a
    # trigger.
    except (IntegrityError, RaiseException):
        if len(user_ids) == 1:
            return ChangedProfiles()
        half = len(user_ids) // 2
        return await _remove(conn, seqs, user_ids[:half]) | await _remove(conn, seqs, user_ids[half:])


async def put(
    conn: Connection,
    seqs: Sequence[int],
    user_ids: Sequence[UUID],
    *,
    changed: Sequence[UUID],
    applied: Collection[int],
) -> ChangedProfiles:
    """Make the profiles of locked users what edits and mirror say, and audit that.

    The audit names winning snapshots of *changed* users and *applied* deliveries before others.
    """
    values = {"seqs": seqs, "written": user_ids, "changed": changed, "applied": list(applied)}
    return await _changed(conn, "users/put_profiles", values | {"rehomed": [], "rehomed_by": None})


async def put_rehomed(conn: Connection, seq: int, user_ids: Sequence[UUID]) -> ChangedProfiles:
    """Make the profiles of locked users what edits and mirror say, and audit that in the name of one delivery."""
    values = {"seqs": [], "written": user_ids, "changed": [], "applied": []}
    return await _changed(conn, "users/put_profiles", values | {"rehomed": user_ids, "rehomed_by": seq})


async def put_sign_ins(conn: Connection, seqs: Sequence[int]) -> list[int]:
    """Audit sign-ins and sign-outs, each once for ever; return those that are new."""
    cursor = await conn.execute(query("users/put_sign_ins"), {"seqs": seqs}, binary=True)
    (new,) = await cursor.fetchone() or ([],)
    return list(new)


async def scrub_audit(conn: Connection, user_ids: Sequence[UUID]) -> None:
    """Take the personal values of forgotten users out of the audit."""
    await conn.execute(query("users/scrub_audit"), {"user_ids": user_ids})


async def _changed(conn: Connection, name: str, values: Mapping[str, object]) -> ChangedProfiles:
    cursor = await conn.execute(query(name), values, binary=True)
    return ChangedProfiles(*await cursor.fetchone() or ())
