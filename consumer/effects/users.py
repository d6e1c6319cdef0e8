"""Users: the mirror of the sender's user objects, and the profiles derived from it."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from psycopg.errors import IntegrityError, RaiseException

from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query


class ChangedProfiles(NamedTuple):
    """The deliveries that the audit names, and the users with a written or removed profile."""

    seqs: Sequence[int] = ()
    user_ids: Sequence[UUID] = ()

    def __or__(self, other: "ChangedProfiles") -> "ChangedProfiles":
        return ChangedProfiles([*self.seqs, *other.seqs], [*self.user_ids, *other.user_ids])


class MirrorResult(NamedTuple):
    """The users and deliveries that `users/mirror` returns."""

    # Every user with a written mirror row.
    written: Sequence[UUID] = ()
    # Of `written`: new content, not only a newer version or later activity.
    changed: Sequence[UUID] = ()
    # Of `written`: deleted.
    deleted: Sequence[UUID] = ()
    # Of `changed`: may change company.
    placed: Sequence[UUID] = ()
    # Deliveries in which Stack names a selected team.
    selecting: Sequence[int] = ()
    # The team that each delivery of `selecting` names.
    selected: Sequence[UUID] = ()


async def mirror(conn: Connection, seqs: Sequence[int]) -> MirrorResult:
    """Lock the users of these deliveries, and fold the deliveries into the mirror."""
    cursor = await conn.execute(query("users/mirror"), {"seqs": seqs}, binary=True)
    return MirrorResult(*await cursor.fetchone() or ())


async def lock(conn: Connection, user_ids: Sequence[UUID]) -> None:
    """Lock users by their mirror rows, in key order; insert missing rows."""
    await conn.execute(query("users/lock"), {"user_ids": user_ids})


async def forget(conn: Connection, seqs: Sequence[int], deleted: Sequence[UUID]) -> ChangedProfiles:
    """Remove the data of deleted users as the delete policy says; return the removed profiles and their deliveries."""
    removed = await _remove(conn, seqs, deleted)
    await conn.execute(query("users/mark_held"), {"user_ids": deleted})
    await conn.execute(query("users/forget"), {"user_ids": deleted})
    return removed


async def _remove(conn: Connection, seqs: Sequence[int], user_ids: Sequence[UUID]) -> ChangedProfiles:
    """Delete the profiles under `hard`, except those a constraint or trigger protects; return the deleted ones."""
    try:
        async with conn.transaction():
            values = {"seqs": seqs, "user_ids": user_ids}
            cursor = await conn.execute(query("users/remove_profiles"), values, binary=True)
            removed = ChangedProfiles(*await cursor.fetchone() or ())
            # A deferred foreign key would fail only at the commit, too late to keep the profile.
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
    """Derive the profiles of locked users from mirror and edits, and audit each change.

    As the cause, the audit prefers the winning snapshots of *changed* users, then *applied* deliveries.
    """
    values = {"seqs": seqs, "written": user_ids, "changed": changed, "applied": list(applied)}
    return await _put(conn, values | {"rehomed": [], "rehomed_by": None})


async def put_rehomed(conn: Connection, seq: int, user_ids: Sequence[UUID]) -> ChangedProfiles:
    """Derive the profiles of locked users from mirror and edits, and audit each change under the delivery *seq*."""
    values = {"seqs": [], "written": user_ids, "changed": [], "applied": []}
    return await _put(conn, values | {"rehomed": user_ids, "rehomed_by": seq})


async def put_sign_ins(conn: Connection, seqs: Sequence[int]) -> list[int]:
    """Audit sign-ins and sign-outs, each only once; return the newly audited ones."""
    cursor = await conn.execute(query("users/put_sign_ins"), {"seqs": seqs}, binary=True)
    (new,) = await cursor.fetchone() or ([],)
    return list(new)


async def scrub_audit(conn: Connection, user_ids: Sequence[UUID]) -> None:
    """Remove the personal values of forgotten users from the audit."""
    await conn.execute(query("users/scrub_audit"), {"user_ids": user_ids})


async def _put(conn: Connection, values: Mapping[str, object]) -> ChangedProfiles:
    cursor = await conn.execute(query("users/put_profiles"), values, binary=True)
    seqs, user_ids, guest_ids = await cursor.fetchone() or ((), (), ())
    if guest_ids:
        await conn.execute(query("users/name_guests"), {"user_ids": guest_ids})
    return ChangedProfiles(seqs, user_ids)
