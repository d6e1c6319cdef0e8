"""The system: processes, migrations, sizes, settings without secrets."""

from starlette.responses import Response

from consumer.console.visit import Endpoint, Visit


async def show(visit: Visit) -> Response:
    """Show the system."""
    return visit.page("system.html", title="System", here="/system")


ENDPOINTS = (Endpoint("GET", "/system", "viewer", show),)
