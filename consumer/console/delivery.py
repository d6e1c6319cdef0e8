"""One delivery: its way, what it changed, what did not follow, what a replay would do, its body and its neighbours."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from starlette.responses import Response

from consumer.console.visit import Endpoint, Visit
from consumer.lookup import audit, labels, metadata_keys, one_delivery, one_user, revealed
from consumer.lookup.audit import AuditRow
from consumer.lookup.forecast import replay_forecast
from consumer.lookup.listing import ListedDelivery
from consumer.lookup.one_delivery import OneDelivery
from consumer.lookup.one_user import KnownUser
from consumer.lookup.unfollowed import Known, Unfollowed, unfollowed
from consumer.postgres import session
from consumer.postgres.connections import Connection

# Audit rows of one delivery: a team's may have moved any number of users.
CHANGES_MAX = 50


class WayStep(NamedTuple):
    """One step of a delivery's way; *is_bad*: it failed there."""

    name: str
    at: datetime
    remark: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class ViewedDelivery:
    """All that is shown of one delivery, as read at *now*; *emails* and *teams* are what its subjects are called."""

    delivery: OneDelivery
    user: KnownUser | None
    changes: Sequence[AuditRow]
    unfollowed: Sequence[Unfollowed]
    replay: str
    neighbours: Sequence[ListedDelivery]
    body: str | None
    emails: Mapping[UUID, str]
    teams: Mapping[UUID, str]
    now: datetime

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
    known = await _known(conn, delivery.user_id, masked=masked) if delivery.user_id else None
    body = await one_delivery.body(conn, delivery.seq, masked=masked)
    neighbours = await one_delivery.neighbours(conn, delivery)
    changes = await audit.of_delivery(conn, delivery.seq, size=CHANGES_MAX, masked=masked)
    user_ids = {delivery.user_id, *(each.user_id for each in changes)}
    team_ids = {delivery.team_id, *_companies(changes), *(each.team_id for each in neighbours)}
    emails = await labels.emails(conn, user_ids)
    if known and not masked and known.user.email:
        emails[known.user.user_id] = known.user.email
    return ViewedDelivery(
        delivery=delivery,
        user=known.user if known else None,
        changes=changes,
        unfollowed=unfollowed(delivery, body, known, await metadata_keys.read(conn)),
        # Only an operator's connection may read a body, to tell whether this release can use it.
        replay=replay_forecast(delivery, None if masked else await revealed.body(conn, delivery.seq)),
        neighbours=neighbours,
        body=_printed(body),
        emails=emails,
        teams=await labels.company_names(conn, team_ids),
        now=await session.now(conn),
    )


async def _known(conn: Connection, user_id: UUID, *, masked: bool) -> Known:
    user = await one_user.find(conn, user_id, masked=masked)
    memberships = await one_user.memberships(conn, user_id, masked=masked)
    return Known(user, await one_user.edits(conn, user_id), memberships)


def _companies(changes: Sequence[AuditRow]) -> set[UUID]:
    """Return the companies that changes lead to."""
    return {each.company_id for each in changes if each.company_id}


def _printed(body: Mapping[str, Any] | None) -> str | None:
    return None if body is None else json.dumps(body, indent=2, ensure_ascii=False)


ENDPOINTS = (Endpoint("GET", "/deliveries/{seq:seq}", "viewer", show),)
