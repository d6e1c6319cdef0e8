"""What users and companies are called on a page: masked, by their ids."""

from collections.abc import Iterable
from uuid import UUID

from psycopg.rows import scalar_row, tuple_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows


async def emails(conn: Connection, user_ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """Return the masked e-mail address of each user that has one."""
    wanted = list({each for each in user_ids if each})
    return dict(await rows(conn, tuple_row, "labels/emails", {"user_ids": wanted})) if wanted else {}


async def company_names(conn: Connection, company_ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """Return the name of each company that is known; that of one member's company is masked."""
    wanted = list({each for each in company_ids if each})
    return dict(await rows(conn, tuple_row, "labels/company_names", {"company_ids": wanted})) if wanted else {}


async def is_team(conn: Connection, unknown_id: UUID) -> bool:
    """Tell whether an id is a team's, and not a user's."""
    return await rows(conn, scalar_row, "labels/is_team", {"id": unknown_id}) == [True]
