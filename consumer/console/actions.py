"""The record of who did what."""

from starlette.responses import Response

from consumer.console.visit import Endpoint, Visit


async def show(visit: Visit) -> Response:
    """Show a page of actions, the newest first."""
    return visit.page("actions.html", title="Actions", here="/actions")


ENDPOINTS = (Endpoint("GET", "/actions", "viewer", show),)
