"""The page that sends a test delivery: it asks, and its form orders."""

from datetime import UTC, datetime
from uuid import uuid4

from starlette.responses import Response

from consumer.console.form import BadForm
from consumer.console.visit import Endpoint, Visit, uuid
from consumer.operations import background, test_delivery
from consumer.operations.actions import Action
from consumer.postgres.connections import transaction
from consumer.simulator.sender import new_message_id


async def show(visit: Visit) -> Response:
    """Ask whether to send it; without a secret, say how else."""
    destination = visit.console.destination()
    async with visit.acting() as (conn, access), transaction(conn, access):
        url = await test_delivery.address(conn, destination)
    title = "Send a test delivery?" if destination.secret else "A test delivery"
    return visit.page(
        "test_delivery.html",
        title=title,
        here="/system",
        action_id=uuid4(),
        address=url,
        event_type=test_delivery.EVENT_TYPE,
        can_sign=bool(destination.secret),
    )


async def act(visit: Visit) -> Response:
    """Order it; a form that is sent twice orders once."""
    if (action_id := uuid(visit.form.text("id"))) is None:
        raise BadForm
    chosen = {"message_ids": [new_message_id(datetime.now(UTC))]}
    async with visit.acting() as (conn, access), transaction(conn, access):
        if not await background.is_known(conn, action_id):
            await background.put(conn, Action(visit.actor, "test", chosen, id=action_id))
    visit.console.background.wake()
    return visit.redirect(f"/actions/{action_id}")


ENDPOINTS = (
    Endpoint("GET", "/system/test", "operator", show),
    Endpoint("POST", "/system/test", "operator", act),
)
