"""The overview: the verdict, what needs somebody, the figures, and who sends and works."""

from starlette.responses import Response

from consumer.console.visit import Endpoint, Visit


async def show(visit: Visit) -> Response:
    """Show the newest sample; while the database is away the last one."""
    await visit.console.sampler.fresh()
    return visit.page("overview.html", title="Overview", here="/")


ENDPOINTS = (Endpoint("GET", "/", "viewer", show),)
