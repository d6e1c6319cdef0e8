"""The receiver's HTTP application, which is public."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from consumer.providers.standard_webhooks import Verifier
from consumer.receiver.endpoint import Receiver, Store
from consumer.receiver.refusal_log import RefusalLog
from consumer.web.answers import pages
from consumer.web.health import Health, Probe


def receiver_app(
    verifiers: Mapping[str, Verifier], store: Store, probe: Probe, refusals: RefusalLog, path_prefix: str = ""
) -> ASGIApp:
    """Return the public application: a webhook for each source (`stack`, `app`) that has a verifier, and health.

    All of it lies below *path_prefix*. Health lies at the root too, because a platform probes the process and not the
    proxy before it.
    """
    webhooks: dict[str, ASGIApp] = {}
    for source, verifier in verifiers.items():
        path = f"{path_prefix}/webhooks/{source}"
        receiver = Receiver(source, verifier, store, refusals.metrics, refusals.clock, refusals)
        webhooks[path] = webhooks[f"{path}/"] = receiver
    others = pages(Health(probe, with_reasons=False).routes(path_prefix), refusals.record)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # Deliveries bypass the framework's routing and middlewares, which would cost about 10 µs of a request's 60.
        await webhooks.get(scope["path"], others)(scope, receive, send)

    return application
