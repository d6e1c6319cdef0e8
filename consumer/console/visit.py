"""One request at the console: who asks for what, and the ways to answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from uuid import UUID

from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from consumer.console.background import Background
from consumer.console.base import Base
from consumer.console.door import Door
from consumer.console.form import Form
from consumer.console.person import ConsoleRole, Visitor
from consumer.console.reading import ConsoleDatabase, DatabaseAway
from consumer.console.render import Renderer
from consumer.console.sampler import Sampler
from consumer.operations.actions import Actor
from consumer.operations.background_work import Outside
from consumer.operations.test_delivery import Destination
from consumer.postgres.connections import Access, Connection

T = TypeVar("T")


class SeqConvertor(IntegerConvertor):
    """A delivery's number in a path: one that a bigint holds."""

    regex = "[0-9]{1,18}"


register_url_convertor("seq", SeqConvertor())


@dataclass(frozen=True, slots=True)
class Console:
    """What all pages share."""

    base: Base
    door: Door
    database: ConsoleDatabase
    sampler: Sampler
    renderer: Renderer
    background: Background
    destination: Callable[[], Destination]
    outside: Outside
    # The application's statement, if the settings have one.
    projection_sql: bytes | None
    # Without secrets, by variable.
    settings: Mapping[str, str]
    # When a refusal was recorded last, in seconds of the process's clock, by person and path in Starlette's form.
    refusals: dict[tuple[str, str], float] = field(default_factory=dict)
    # One sample is tried at a time: each takes a worker's connection.
    trying: asyncio.Lock = field(default_factory=asyncio.Lock)

    def has(self, variable: str) -> bool:
        """Tell whether a setting is set."""
        return self.settings[variable] not in {"", "not set"}


@dataclass(frozen=True, slots=True)
class Visit:
    """One request; *form* is empty unless it is a POST."""

    console: Console
    request: Request
    person: Visitor
    form: Form
    query: Form

    @property
    def actor(self) -> Actor:
        """The person as the record of actions has them."""
        assert self.person.role != "nobody"
        return Actor(self.person.name, "console", self.person.role)

    @property
    def params(self) -> Mapping[str, Any]:
        """The parts of the path that the endpoint names in braces."""
        return self.request.path_params

    def page(self, template: str, /, status: int = 200, **values: object) -> Response:
        """Answer with a template; it also gets `person`, `may_act` and `view`, what the sampler knows."""
        view = self.console.sampler.view
        may_act = self.person.may("operator") and view.is_there
        text = self.console.renderer.render(template, person=self.person, may_act=may_act, view=view, **values)
        return HTMLResponse(text, status)

    def missing(self, what: str = "There is nothing here.") -> Response:
        """Answer 404 with a sentence."""
        return self.page("problem.html", 404, title="Not found", sentence=what, cure="")

    def redirect(self, path: str) -> Response:
        """Answer 303: the browser asks for *path*, below the path of the console."""
        return RedirectResponse(self.console.base.url(path), 303)

    def stream(self, events: AsyncIterator[bytes]) -> Response:
        """Answer with events, one after the other, for as long as there are any."""
        # A proxy such as nginx would hold them back otherwise.
        return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what *work* reads in one READ ONLY transaction under the viewer's role.

        Raises DatabaseAway at once if it was just found away: a silent one is waited for once.
        """
        if isinstance(problem := self.console.sampler.view.problem, DatabaseAway):
            raise DatabaseAway from problem
        return await self.console.database.read(work, self.person.name)

    def acting(self) -> AbstractAsyncContextManager[tuple[Connection, Access]]:
        """Open a connection for an operator's changes; yields it and its access, for `transaction`."""
        return self.console.database.acting(self.person.name)

    def counting(self) -> AbstractAsyncContextManager[tuple[Connection, Access]]:
        """Open one for what may take seconds, such as counting what an action would take, and for what follows."""
        return self.console.database.counting(self.person.name)


Handle = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address: method, path in Starlette's form, the least role that may ask, and the function that answers."""

    method: Literal["GET", "POST"]
    path: str
    role: ConsoleRole
    handle: Handle


def uuid(text: str) -> UUID | None:
    """Return the id that a text is; None if it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
