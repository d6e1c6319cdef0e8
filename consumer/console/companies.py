"""One company: its name, its members, what waits for it, and the latest deliveries about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.responses import Response

from consumer.console.deliveries import Rows, labelled
from consumer.console.form import BadForm
from consumer.console.visit import Endpoint, Visit, uuid
from consumer.lookup import listing, one_company
from consumer.lookup.listing import ListFilter
from consumer.lookup.one_company import COUNTED_MAX, CompanyMember, KnownCompany
from consumer.postgres import session
from consumer.postgres.connections import Connection

MEMBERS_SIZE = 50
LATEST = 10


@dataclass(frozen=True, slots=True)
class ShownCompany:
    """All that is shown of one company, as read at *now*; *after* is the user that continues the members.

    *company* is None if only deliveries name the team. *has_older*: others than *rows* may name it.
    """

    company_id: UUID
    company: KnownCompany | None
    members: Sequence[CompanyMember]
    after: UUID | None
    rows: Rows
    has_older: bool
    now: datetime


async def show(visit: Visit) -> Response:
    """Show a company; *after* is the user id that continues the members."""
    company_id, text = visit.params["company_id"], visit.query.text("after")
    if text and not uuid(text):
        raise BadForm
    one = await visit.read(lambda conn: _read(conn, company_id, uuid(text)))
    if not one.company and not one.rows.deliveries and not one.has_older:
        return visit.missing("No delivery about this team was ever stored.")
    return visit.page("company.html", title="Company", here="/companies", one=one, counted_max=COUNTED_MAX)


async def _read(conn: Connection, company_id: UUID, after: UUID | None) -> ShownCompany:
    members = await one_company.members(conn, company_id, size=MEMBERS_SIZE, after=after)
    latest = await listing.page(conn, ListFilter(team_id=company_id), size=LATEST)
    return ShownCompany(
        company_id,
        await one_company.find(conn, company_id),
        members,
        members[-1].user_id if members.is_more else None,
        await labelled(conn, latest.deliveries),
        latest.before is not None,
        await session.now(conn),
    )


ENDPOINTS = (Endpoint("GET", "/companies/{company_id:uuid}", "viewer", show),)
