"""The console's HTTP application: the router's list behind the guard, and an answer to all that fails."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from consumer import logs
from consumer.console import form, sign_in
from consumer.console.form import BadForm, Form
from consumer.console.guard import Guard
from consumer.console.person import NOBODY
from consumer.console.reading import DatabaseAway, NotMigrated, TooSlow
from consumer.console.routes import ENDPOINTS
from consumer.console.turns import Busy, Unavailable
from consumer.console.visit import Console, Endpoint, Visit

# Below it the head of the answer weighs more than what is saved.
GZIP_BYTES_MIN = 1000
# The next level saves a hundredth and takes a third longer.
GZIP_LEVEL = 6
# Title, status, sentence and cure of what a page can't do now.
PROBLEMS = {
    DatabaseAway: (
        "The database is away",
        503,
        "Receivers answer 503 and the senders repeat, so nothing is lost. You stay signed in.",
        "The overview shows what was last known.",
    ),
    NotMigrated: (
        "A migration is pending",
        503,
        "The database lacks what this page reads.",
        "Run `consumer migrate`.",
    ),
    TooSlow: (
        "The question took too long",
        503,
        "The database gave the question up after its time limit, so that a page never slows the work down.",
        "Narrow the filter, or try again.",
    ),
    Busy: (
        "The console is busy",
        503,
        "Its connections to the database are in use, or the database gives it no more. Deliveries go on without them.",
        "Try again. If it stays so, its login's connections are too few.",
    ),
}

# To a person who is not signed in, where the database is away: that a link is used up is stored there.
SIGN_IN_LATER = (
    "Nobody can sign in until it is back.",
    "A link that was not used is good for 10 minutes after it was made.",
)

log = logging.getLogger(__name__)


def console_app(console: Console, endpoints: Sequence[Endpoint] = ENDPOINTS) -> ASGIApp:
    """Return the application; *endpoints* is the router's list."""

    def answer(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            return await _answer(console, endpoint, request)

        return answered

    async def missing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        visit = Visit(console, request, NOBODY, Form(), Form())
        if error.status_code == 404:
            return visit.missing()
        page = visit.page(
            "problem.html", 405, title="Method not allowed", sentence="This address takes another method.", cure=""
        )
        page.headers.update(error.headers or {})
        return page

    application = Starlette(
        routes=[Route(each.path, answer(each), methods=[each.method]) for each in endpoints],
        exception_handlers={HTTPException: missing},
        middleware=[Middleware(GZipMiddleware, minimum_size=GZIP_BYTES_MIN, compresslevel=GZIP_LEVEL)],
    )
    application.router.redirect_slashes = False
    return Guard(application, console.base)


async def _answer(console: Console, endpoint: Endpoint, request: Request) -> Response:
    """Let the endpoint answer, if the person may ask; else say what is missing."""
    person = console.door.visitor(request)
    visit = Visit(console, request, person, Form(), Form())
    try:
        if "nobody" not in {person.role, endpoint.role}:
            # Each page says whether the database is there, and offers actions only while it is.
            await console.sampler.fresh()
        if not person.may(endpoint.role):
            return await sign_in.refuse(visit, endpoint.path)
        query = form.parse(request.url.query.encode())
        fields = await _fields(request) if endpoint.method == "POST" else Form()
        return await endpoint.handle(Visit(console, request, person, fields, query))
    except BadForm as error:
        return visit.page("problem.html", 400, title="Not understood", sentence=str(error), cure="")
    except Unavailable as error:
        title, status, sentence, cure = PROBLEMS[type(error)]
        if isinstance(error, DatabaseAway) and person.role == "nobody":
            sentence, cure = SIGN_IN_LATER
        return visit.page("problem.html", status, title=title, sentence=sentence, cure=cure)
    # A bug of ours: the person reads a sentence and the log has the trace, without values.
    except Exception:
        log.exception(logs.TASK_FAILED, extra={"task": f"console {endpoint.path}"})
        sentence = "The console has made a mistake; its log has the details."
        return visit.page("problem.html", 500, title="This page failed", sentence=sentence, cure="")


async def _fields(request: Request) -> Form:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != form.FORM_TYPE:
        raise BadForm
    # The server refuses bodies over BODY_BYTES_MAX.
    return form.parse(await request.body())
