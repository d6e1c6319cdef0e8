"""The overview: the verdict, what needs somebody, the figures, and who sends and works."""

from starlette.responses import Response

from consumer.console import reported
from consumer.console.reading import DatabaseAway, NotMigrated, TooSlow
from consumer.console.reported import HOURS, QUARTER, ChartPoint
from consumer.console.visit import Endpoint, Visit
from consumer.postgres.connections import Access, Connection, transaction


async def show(visit: Visit) -> Response:
    """Show the newest sample, and while the database is away the last one; *range* 3h: charts of the last hours."""
    await visit.console.sampler.fresh()
    if visit.query.text("range") != "3h":
        return visit.page("overview.html", title="Overview", here="/", span=QUARTER.name)
    return visit.page("overview.html", title="Overview", here="/", span=HOURS.name, chart=await _hours(visit))


async def _hours(visit: Visit) -> list[ChartPoint]:
    async def read(conn: Connection, access: Access) -> list[ChartPoint]:
        async with transaction(conn, access):
            return await reported.chart(conn, HOURS)

    try:
        return await visit.console.database.observe(read)
    # The page says that, and shows the last sample without these charts.
    except (DatabaseAway, NotMigrated, TooSlow):
        return []


ENDPOINTS = (Endpoint("GET", "/", "viewer", show),)
