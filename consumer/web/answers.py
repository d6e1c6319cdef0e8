"""The answer to a refused request: a code for programs, a sentence for people."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SENTENCES = {
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This path takes another method."),
}
# About one failover of a database. Svix repeats by its own schedule.
RETRY_AFTER = {"retry-after": "5"}


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a response that can be sent many times; *message* must not contain anything from the request."""
    return JSONResponse({"error": code, "message": message}, status, headers)


# Made in advance, because there is no memory for it when it is needed.
OUT_OF_MEMORY = refusal(503, "out_of_memory", "There is no memory for the request now; send it again.", RETRY_AFTER)


def pages(routes: list[Route]) -> Starlette:
    """Return an application of *routes* that never redirects and refuses in JSON."""
    application = Starlette(routes=routes, exception_handlers={HTTPException: _refuse})
    application.router.redirect_slashes = False
    return application


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, *SENTENCES[error.status_code], error.headers)
