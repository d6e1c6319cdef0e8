"""The receiver's HTTP application, which is public."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from starlette.types import ASGIApp, Receive, Scope, Send

from consumer.metrics import Metrics
from consumer.providers.standard_webhooks import Verifier
from consumer.receiver.endpoint import Receiver, Store
from consumer.receiver.refusal_log import RefusalLog
from consumer.web.answers import pages
from consumer.web.health import Health, Probe


def receiver_app(
    verifiers: Mapping[str, Verifier],
    store: Store,
    probe: Probe,
    metrics: Metrics,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ASGIApp:
    """Return the public application: a webhook for each source (`stack`, `app`) that has a verifier, and health."""
    webhooks: dict[str, ASGIApp] = {}
    for source, verifier in verifiers.items():
        path = f"/webhooks/{source}"
        webhooks[path] = webhooks[f"{path}/"] = Receiver(source, verifier, store, metrics, clock, RefusalLog(source))
    others = pages(Health(probe, with_reasons=False).routes())

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # Deliveries bypass the framework's routing and middlewares, which would cost about 10 µs of a request's 60.
        await webhooks.get(scope["path"], others)(scope, receive, send)

    return application
