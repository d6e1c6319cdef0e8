"""What every request passes and every answer bears: the path below ours, Host and Origin, and the headers."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumer.console.base import Base

# Nothing inline, nothing from elsewhere. That stops injected script without Trusted Types, which break htmx.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
# A platform's probe calls the process by its address; the answer says nothing.
HEALTH = "/livez"
FOREIGN_HOST = PlainTextResponse("The console has another address: its Host is that of CONSOLE_URL.\n", 421)
FOREIGN_ORIGIN = PlainTextResponse("Nothing was changed: the form is not from a page of this console.\n", 403)


class Guard:
    """Lets a request through if it is for this console, and a POST only from one of its own pages."""

    def __init__(self, app: ASGIApp, base: Base) -> None:
        self._app = app
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = Headers(scope=scope)
        inner = {**scope, "path": self._below(scope["path"])}

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    own.setdefault(name, value)
            await send(message)

        app = self._app
        if headers.get("host", "").lower() not in self._base.hosts and inner["path"] != HEALTH:
            app = FOREIGN_HOST
        elif scope["method"] not in {"GET", "HEAD"} and not self._is_of_our_page(headers):
            app = FOREIGN_ORIGIN
        await app(inner, receive, send_guarded)

    def _below(self, path: str) -> str:
        """Return the path below the console's, whether or not the proxy has stripped that."""
        return path.removeprefix(self._base.path) or "/"

    def _is_of_our_page(self, headers: Headers) -> bool:
        """Tell whether one of our pages sent the form.

        Every browser since 2023 says so where it trusts the address. The Origin of our pages is `null` there, because
        they send no referrer.
        """
        origin, site = headers.get("origin", "null"), headers.get("sec-fetch-site")
        is_ours = urlsplit(origin).netloc in self._base.hosts if origin != "null" else site is not None
        return is_ours and site in {"same-origin", None}
