"""The answer to a refused request: a code for programs, a sentence for people."""

from collections.abc import Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

# About one failover of a database. Svix repeats by its own schedule.
RETRY_AFTER = {"retry-after": "5"}


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a response that can be sent many times; *message* must not contain anything from the request."""
    return JSONResponse({"error": code, "message": message}, status, headers)


NOT_FOUND = refusal(404, "not_found", "There is nothing here.")
# Made in advance, because there is no memory for it when it is needed.
OUT_OF_MEMORY = refusal(503, "out_of_memory", "There is no memory for the request now; send it again.", RETRY_AFTER)


def pages(routes: list[Route], refused: Callable[[str], None] = lambda _: None) -> Starlette:
    """Return an application of *routes* that never redirects and refuses in JSON; *refused* gets each code."""

    async def refuse(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            refused("not_found")
            return NOT_FOUND
        refused("method_not_allowed")
        return refusal(405, "method_not_allowed", "This path takes another method.", error.headers)

    application = Starlette(routes=routes, exception_handlers={HTTPException: refuse})
    application.router.redirect_slashes = False
    return application
