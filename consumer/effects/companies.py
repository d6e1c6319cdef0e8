"""Companies: the teams of the sender, and the locks that keep members and homes in step with them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from psycopg.errors import SerializationFailure
from psycopg.rows import scalar_row, tuple_row

from consumer.effects.folding import FoldResult, fold
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query, rows


class SelectedTeams(NamedTuple):
    """The deliveries in which Stack names a user's selected team, and the ids of these teams, pair by pair."""

    seqs: Sequence[int] = ()
    company_ids: Sequence[UUID] = ()


async def lock(conn: Connection, seqs: Sequence[int], selected: SelectedTeams, user_ids: Iterable[UUID]) -> None:
    """Lock the companies that these deliveries name and those that these users refer to, until the transaction ends.

    Call it once a transaction, after the users are locked. Read rows that depend on a company only after it. Raises
    SerializationFailure if a shared lock turns out too weak, because a lock is never upgraded.
    """
    values = {"seqs": seqs, "selected": list(selected.company_ids), "user_ids": list(user_ids)}
    locked = await rows(conn, tuple_row, "companies/lock", values)
    shared = [company_id for _, company_ids in locked for company_id in company_ids or ()]
    if shared and await rows(conn, scalar_row, "companies/was_misjudged", {"company_ids": shared}) == [True]:
        raise SerializationFailure


async def fold_teams(conn: Connection, seqs: Sequence[int], selected: SelectedTeams) -> FoldResult:
    """Fold deliveries that name a team into the locked companies; queue created and deleted ones."""
    values = {"seqs": seqs, "selecting": list(selected.seqs), "selected": list(selected.company_ids)}
    return await fold(conn, query("companies/fold"), values)
