"""The overview: the verdict, what needs somebody, the figures, and who sends and works."""

from starlette.responses import Response

from consumer.console import reported
from consumer.console.reported import HOURS, QUARTER, ChartPoint
from consumer.console.turns import Unavailable
from consumer.console.visit import Endpoint, Visit


async def show(visit: Visit) -> Response:
    """Show the newest sample, and while the database is away the last one; *range* 3h: charts of the last hours."""
    if visit.query.text("range") != "3h":
        return visit.page("overview.html", title="Overview", here="/", span=QUARTER.name)
    return visit.page("overview.html", title="Overview", here="/", span=HOURS.name, chart=await _hours(visit))


async def _hours(visit: Visit) -> list[ChartPoint]:
    try:
        return await visit.read(lambda conn: reported.chart(conn, HOURS))
    # The page says that, and shows the last sample without these charts.
    except Unavailable:
        return []


ENDPOINTS = (Endpoint("GET", "/", "viewer", show),)
