"""Users: the mirror of the sender's user objects, and the profiles derived from it."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from psycopg.errors import IntegrityError, RaiseException
from psycopg.rows import scalar_row

from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows

# Deliveries a statement: their bodies, parsed, take some 100 MB. A batch has fewer; one user may have any number.
FOLD_MAX = 20_000
# The audit's word for a change that making a row anew brought.
REBUILT = "rebuilt"


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
    # Of `written`: living, although reconcile once found them deleted.
    lifted: Sequence[UUID] = ()
    # Of `changed`: may change company.
    placed: Sequence[UUID] = ()
    # Deliveries in which Stack names a selected team.
    selecting: Sequence[int] = ()
    # The team that each delivery of `selecting` names.
    selected: Sequence[UUID] = ()


class Marks(NamedTuple):
    """What the product remembers of a deleted user beside the deliveries: see the columns of the mirror."""

    is_forgotten: bool
    is_held: bool
    is_removed: bool


class Causes(NamedTuple):
    """What the audit may name as the cause of a change: *seqs*, all deliveries of the transaction.

    It prefers the winning snapshots of *changed* users, then *applied* deliveries. Of rows made anew (*is_anew*) it
    says that they were rebuilt.
    """

    seqs: Sequence[int]
    changed: Sequence[UUID] = ()
    applied: Collection[int] = ()
    is_anew: bool = False


async def mirror(conn: Connection, seqs: Sequence[int]) -> MirrorResult:
    """Lock the users of these deliveries, and fold the deliveries into the mirror, FOLD_MAX in a statement."""
    folds = [await _mirror(conn, seqs[first : first + FOLD_MAX]) for first in range(0, len(seqs), FOLD_MAX)]
    return folds[0] if len(folds) == 1 else MirrorResult(*(list(chain(*parts)) for parts in zip(*folds, strict=True)))


async def _mirror(conn: Connection, seqs: Sequence[int]) -> MirrorResult:
    cursor = await conn.execute(query("users/mirror"), {"seqs": seqs}, binary=True)
    return MirrorResult(*await cursor.fetchone() or ())


async def lock(conn: Connection, user_ids: Sequence[UUID]) -> list[UUID]:
    """Lock users by their mirror rows, in key order; insert missing rows, and return their users."""
    return await rows(conn, scalar_row, "users/lock", {"user_ids": user_ids})


async def mark_again(conn: Connection, marks: Mapping[UUID, Marks]) -> None:
    """Give those of these users that are deleted the marks that they had before their rows were made anew."""
    forgotten, held, removed = zip(*marks.values(), strict=True)
    values = {"user_ids": list(marks), "forgotten": list(forgotten), "held": list(held), "removed": list(removed)}
    await conn.execute(query("users/mark_again"), values)


async def forget(conn: Connection, seqs: Sequence[int], deleted: Sequence[UUID], *, is_anew: bool) -> ChangedProfiles:
    """Remove the data of deleted users as the delete policy says; return the removed profiles and their deliveries."""
    removed = await _remove(conn, {"seqs": seqs, "operation": REBUILT if is_anew else None}, deleted)
    await conn.execute(query("users/mark_held"), {"user_ids": deleted})
    await conn.execute(query("users/forget"), {"user_ids": deleted})
    return removed


async def _remove(conn: Connection, values: Mapping[str, object], user_ids: Sequence[UUID]) -> ChangedProfiles:
    """Delete the profiles under `hard`, except those a constraint or trigger protects; return the deleted ones."""
    try:
        async with conn.transaction():
            cursor = await conn.execute(query("users/remove_profiles"), {**values, "user_ids": user_ids}, binary=True)
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
        return await _remove(conn, values, user_ids[:half]) | await _remove(conn, values, user_ids[half:])


async def put(conn: Connection, user_ids: Sequence[UUID], causes: Causes) -> ChangedProfiles:
    """Derive the profiles of locked users from mirror and edits, and audit each change."""
    return await _put(conn, user_ids, causes, {"rehomed": [], "rehomed_by": None})


async def put_rehomed(conn: Connection, seq: int, user_ids: Sequence[UUID]) -> ChangedProfiles:
    """Derive the profiles of locked users from mirror and edits, and audit each change under the delivery *seq*."""
    return await _put(conn, user_ids, Causes([]), {"rehomed": user_ids, "rehomed_by": seq})


async def put_sign_ins(conn: Connection, seqs: Sequence[int]) -> list[int]:
    """Audit sign-ins and sign-outs, each only once; return the newly audited ones."""
    cursor = await conn.execute(query("users/put_sign_ins"), {"seqs": seqs}, binary=True)
    (new,) = await cursor.fetchone() or ([],)
    return list(new)


async def scrub_audit(conn: Connection, user_ids: Sequence[UUID]) -> None:
    """Remove the personal values of forgotten users from the audit."""
    await conn.execute(query("users/scrub_audit"), {"user_ids": user_ids})


async def _put(
    conn: Connection, user_ids: Sequence[UUID], causes: Causes, rehomed: Mapping[str, object]
) -> ChangedProfiles:
    values = {
        "seqs": causes.seqs,
        "written": user_ids,
        "changed": list(causes.changed),
        "applied": list(causes.applied),
        "operation": REBUILT if causes.is_anew else None,
        **rehomed,
    }
    cursor = await conn.execute(query("users/put_profiles"), values, binary=True)
    seqs, written, guest_ids = await cursor.fetchone() or ((), (), ())
    # Rows of company_members that were lost have lost the name too, though the profile stayed the same.
    if nameless := user_ids if causes.is_anew else guest_ids:
        await conn.execute(query("users/name_guests"), {"user_ids": nameless})
    return ChangedProfiles(seqs, written)
