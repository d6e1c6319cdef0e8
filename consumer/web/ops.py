"""The operator's HTTP application, which must not be public."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consumer.metrics import Metrics, Tables
from consumer.web.health import Health, Probe
from consumer.web.pages import pages


def ops_app(probe: Probe, metrics: Metrics, tables: Callable[[], Awaitable[Tables | None]] | None) -> ASGIApp:
    """Return the operator's application: metrics, whose gauges come from *tables*, and health with reasons."""

    async def show(_: Request) -> Response:
        metrics.tables = await tables() if tables else None
        return Response(metrics.exposition(), media_type=metrics.content_type)

    return pages([Route("/metrics", show), Route("/metrics/", show), *Health(probe, with_reasons=True).routes()])
