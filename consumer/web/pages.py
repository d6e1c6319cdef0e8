"""Pages by Starlette's routing, with errors in our own form."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consumer.web.answers import refusal

SENTENCES = {
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This path takes another method."),
}


def pages(routes: list[Route]) -> Starlette:
    """Return an application of *routes* that never redirects and refuses in JSON."""
    application = Starlette(routes=routes, exception_handlers={HTTPException: _refuse})
    application.router.redirect_slashes = False
    return application


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = SENTENCES[error.status_code]
    return refusal(error.status_code, code, message, error.headers)
