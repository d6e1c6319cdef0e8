"""The two applications: the receiver's, which faces strangers, and the operator's, which must not."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from consumer.metrics import Metrics, Tables
from consumer.signatures import Verifier
from consumer.web.answers import refusal
from consumer.web.health import Health, Probe
from consumer.web.receive import Put, Receiver

SENTENCES = {
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This path takes another method."),
}


def receiver_app(
    verifiers: Mapping[str, Verifier],
    put: Put,
    probe: Probe,
    metrics: Metrics,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ASGIApp:
    """Return the public application: a webhook for each source (`stack`, `app`) that has a verifier, and health."""
    webhooks: dict[str, ASGIApp] = {}
    for source, verifier in verifiers.items():
        path = f"/webhooks/{source}"
        webhooks[path] = webhooks[f"{path}/"] = Receiver(source, verifier, put, metrics, clock)
    pages = _pages(Health(probe, with_reasons=False).routes())

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # Deliveries pass by the framework's routing and middlewares, which cost about 10 µs of a request's 60.
        await webhooks.get(scope["path"], pages)(scope, receive, send)

    return application


def ops_app(probe: Probe, metrics: Metrics, tables: Callable[[], Awaitable[Tables | None]]) -> ASGIApp:
    """Return the operator's application: metrics, whose gauges come from *tables*, and health with reasons."""

    async def show(_: Request) -> Response:
        metrics.set_tables(await tables())
        return Response(metrics.exposition(), media_type=metrics.content_type)

    return _pages([Route("/metrics", show), Route("/metrics/", show), *Health(probe, with_reasons=True).routes()])


def _pages(routes: list[Route]) -> Starlette:
    pages = Starlette(routes=routes, exception_handlers={HTTPException: _refuse})
    pages.router.redirect_slashes = False
    return pages


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = SENTENCES[error.status_code]
    return refusal(error.status_code, code, message, error.headers)
