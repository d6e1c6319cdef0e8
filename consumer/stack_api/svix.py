"""Svix's API for one application, which is Stack's project: its endpoints, and the messages that it keeps."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote
from uuid import uuid4

from consumer.stack_api.admin import StackAdmin, SvixToken
from consumer.stack_api.calls import ApiAnswer, Call, Caller, CallLimits, Query, open_caller
from consumer.stack_api.errors import SvixAddressUnknown, SvixRefused, UnexpectedAnswer
from consumer.stack_api.listing import NotAnAnswer
from consumer.stack_api.rate import RateLimit
from consumer.stack_api.refusals import svix_refusal
from consumer.stack_api.svix_answers import (
    EndpointsPage,
    MessagesPage,
    SvixEndpoint,
    attempted_page,
    endpoint,
    endpoints_page,
    messages_page,
    secret,
)

T = TypeVar("T")
P = TypeVar("P", EndpointsPage, MessagesPage)

REGIONS = frozenset({"us", "eu", "in", "ca", "au"})
# Svix allows 250. It takes bodies of up to about 350 kB: so many of them are fewer bytes than are read of an answer.
PAGE_LIMIT = 150
# How many messages show whether an endpoint takes them.
ATTEMPTED_LIMIT = 10
UNAUTHORIZED = 401


class SvixApi:
    """Calls of the API; each may raise ApiError, and makes a new token where the one in use has expired."""

    def __init__(self, caller: Caller, admin: StackAdmin, token: str, project_id: str) -> None:
        self._caller = caller
        self._admin = admin
        self._token = token
        self._root = f"/api/v1/app/{quote(project_id, safe='')}"

    async def endpoints(self) -> tuple[SvixEndpoint, ...]:
        """Return all endpoints of the project."""
        found: tuple[SvixEndpoint, ...] = ()
        async for page in self._pages("/endpoint", {"limit": str(PAGE_LIMIT)}, None, endpoints_page):
            found += page.endpoints
        return found

    async def endpoint(self, endpoint_id: str) -> SvixEndpoint:
        """Return one endpoint."""
        return await self._read(Call("GET", self._path(endpoint_id)), endpoint)

    async def create_endpoint(self, url: str, description: str) -> SvixEndpoint:
        """Create an endpoint for all types; Svix makes its secret. A repeat of a lost answer creates no second one."""
        body = {"url": url, "description": description}
        headers = {"idempotency-key": str(uuid4())}
        return await self._read(Call("POST", f"{self._root}/endpoint", body=body, headers=headers), endpoint)

    async def patch_endpoint(self, endpoint_id: str, changes: Mapping[str, object]) -> SvixEndpoint:
        """Change an endpoint, as ``{"disabled": False}``, and return it."""
        return await self._read(Call("PATCH", self._path(endpoint_id), body=dict(changes)), endpoint)

    async def endpoint_secret(self, endpoint_id: str) -> str:
        """Return the secret that signs what an endpoint gets (`whsec_…`)."""
        return await self._read(Call("GET", f"{self._path(endpoint_id)}/secret"), secret)

    async def last_failures(self, endpoint_id: str) -> tuple[bool, ...]:
        """Return of the last messages that an endpoint was tried with, newest first, whether each has failed."""
        query = {"limit": str(ATTEMPTED_LIMIT), "with_content": "false"}
        return await self._read(Call("GET", f"{self._path(endpoint_id)}/msg", query), attempted_page)

    async def messages(
        self, since: datetime, iterator: str | None = None, page_limit: int | None = None
    ) -> AsyncIterator[MessagesPage]:
        """Yield the messages from *since* on, newest first; each page has the iterator that goes on behind it.

        Without Svix's own parameter `after`, which turns the order and ends early.
        """
        query = {"with_content": "true", "limit": str(page_limit or PAGE_LIMIT)}
        async for page in self._pages("/msg", query, iterator, messages_page):
            yield page.since(since)
            if page.oldest is None or page.oldest < since:
                return

    async def _pages(
        self, path: str, query: Query, iterator: str | None, read: Callable[[bytes], P]
    ) -> AsyncIterator[P]:
        """Yield the pages of a list; UnexpectedAnswer where a page leads nowhere, or round in a circle."""
        seen = {iterator}
        while True:
            place = {} if iterator is None else {"iterator": iterator}
            call = Call("GET", f"{self._root}{path}", {**query, **place})
            page = await self._read(call, read)
            iterator = page.iterator
            if iterator is not None and iterator in seen:
                raise UnexpectedAnswer(str(call), 200, "its iterator is one of before")
            if iterator is not None and page.is_empty:
                raise UnexpectedAnswer(str(call), 200, "it is empty and not the last")
            yield page
            if iterator is None:
                return
            seen.add(iterator)

    async def _read(self, call: Call, read: Callable[[bytes], T]) -> T:
        answer = await self._authorized(call)
        if answer.status == UNAUTHORIZED and isinstance(svix_refusal(call, answer), SvixRefused):
            self._token = (await self._admin.svix_token()).token
            answer = await self._authorized(call)
        if not answer.is_success:
            raise svix_refusal(call, answer)
        try:
            return read(answer.body)
        except NotAnAnswer as error:
            raise UnexpectedAnswer(str(call), answer.status, str(error)) from error

    async def _authorized(self, call: Call) -> ApiAnswer:
        headers = {**call.headers, "authorization": f"Bearer {self._token}"}
        return await self._caller.answer(Call(call.method, call.path, call.query, call.body, headers))

    def _path(self, endpoint_id: str) -> str:
        return f"{self._root}/endpoint/{quote(endpoint_id, safe='')}"


@asynccontextmanager
async def open_svix(
    admin: StackAdmin, project_id: str, server_url: str | None, rate: RateLimit, limits: CallLimits | None = None
) -> AsyncIterator[SvixApi]:
    """Open Svix at *server_url*, or else where the token of a hosted Svix belongs; SvixAddressUnknown if neither."""
    token = await admin.svix_token()
    url = server_url or address(token)
    async with open_caller("SVIX_SERVER_URL", url, {}, rate, limits or CallLimits()) as caller:
        yield SvixApi(caller, admin, token.token, project_id)


def address(token: SvixToken) -> str:
    """Return the address of the region that a hosted token names behind its last dot.

    A self-hosted token's dots mean nothing, and it must not be sent to svix.com.
    """
    if not token.is_hosted:
        raise SvixAddressUnknown
    region = token.token.rpartition(".")[2]
    return f"https://api.{region}.svix.com" if region in REGIONS else "https://api.svix.com"
