"""One delivery: its way, what it changed, what did not follow, what a replay would do, its body and its neighbours."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from starlette.responses import Response

from consumer.console.visit import Endpoint, Visit
from consumer.lookup import labels, one_delivery
from consumer.lookup.audit import AuditRow
from consumer.lookup.one_delivery import OneDelivery
from consumer.lookup.shown import ShownDelivery, show_delivery
from consumer.postgres.connections import Connection

# Audit rows of one delivery.
CHANGES_MAX = 50


class WayStep(NamedTuple):
    """One step of a delivery's way; *is_bad*: it failed there."""

    name: str
    at: datetime
    remark: str = ""
    is_bad: bool = False


@dataclass(frozen=True)
class ViewedDelivery(ShownDelivery):
    """A delivery with what its subjects are called: *emails* and *teams* by their ids."""

    emails: Mapping[UUID, str]
    teams: Mapping[UUID, str]

    @property
    def text(self) -> str | None:
        """Its body for reading."""
        return None if self.body is None else json.dumps(self.body, indent=2, ensure_ascii=False)

    @property
    def steps(self) -> list[WayStep]:
        """Its way from the sender to the tables."""
        one = self.delivery
        steps = [WayStep("Occurred", one.occurred_at), WayStep("Received", one.received_at)]
        attempt = f"attempt {one.attempts}" if one.attempts else ""
        if one.at and one.state in {"retrying", "dead"}:
            name = "Refused" if one.attempts else "Not usable"
            steps.append(WayStep(name, one.at, ", ".join(filter(None, (one.error_code, attempt))), is_bad=True))
        elif one.at:
            steps.append(WayStep((one.outcome or "done").capitalize(), one.at, attempt))
        if one.next_attempt_at:
            steps.append(WayStep("Next attempt", one.next_attempt_at))
        if one.excluded_at:
            by = f"by {one.excluded_by}: {one.excluded_reason}"
            steps.append(WayStep("Discarded", one.excluded_at, by, is_bad=True))
        return steps


async def show(visit: Visit) -> Response:
    """Show a delivery, with its persons masked."""
    seq = visit.params["seq"]

    async def read(conn: Connection) -> ViewedDelivery | None:
        found = await find(conn, seq)
        return await shown(conn, found) if found else None

    one = await visit.read(read)
    return page(visit, one) if one else visit.missing("No stored delivery has this number.")


def page(visit: Visit, one: ViewedDelivery, *, reason: str | None = None) -> Response:
    """Answer with the page of a delivery; with a *reason* it is a revealed one."""
    title = one.delivery.event_type or "Unreadable delivery"
    return visit.page("delivery.html", title=title, here="/deliveries", one=one, reason=reason)


async def find(conn: Connection, seq: int) -> OneDelivery | None:
    """Return the delivery with this number, and none that has it as its message id."""
    return next((each for each in await one_delivery.find(conn, str(seq)) if each.seq == seq), None)


async def shown(conn: Connection, delivery: OneDelivery, *, masked: bool = True) -> ViewedDelivery:
    """Read all that is shown of a delivery; without *masked* only as an operator, who records it."""
    one = await show_delivery(conn, delivery, changes_max=CHANGES_MAX, is_operators=not masked, masked=masked)
    user_ids = {delivery.user_id, *(each.user_id for each in one.changes)}
    team_ids = {delivery.team_id, *_companies(one.changes), *(each.team_id for each in one.neighbours)}
    emails = await labels.emails(conn, user_ids)
    if one.user and not masked and one.user.email:
        emails[one.user.user_id] = one.user.email
    return ViewedDelivery(**vars(one), emails=emails, teams=await labels.company_names(conn, team_ids))


def _companies(changes: Sequence[AuditRow]) -> set[UUID]:
    """Return the companies that changes lead to."""
    return {each.company_id for each in changes if each.company_id}


ENDPOINTS = (Endpoint("GET", "/deliveries/{seq:seq}", "viewer", show),)
