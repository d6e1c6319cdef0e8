"""Stack's API for commands: its settings, and its errors with their cures."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from consumer.cli.database import as_operator
from consumer.errors import ConsumerError
from consumer.postgres import origin
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings
from consumer.stack_api.client import StackAccess, StackApi, open_stack_api
from consumer.stack_api.cures import cure
from consumer.stack_api.errors import ApiError
from consumer.stack_api.rate import RateLimit

T = TypeVar("T")


def access_problems(settings: Settings, *_: object, **__: object) -> list[str]:
    """Return which settings of the API are not set."""
    needed = {
        "STACK_PROJECT_ID": settings.stack_project_id,
        "STACK_SECRET_SERVER_KEY": settings.stack_secret_server_key,
    }
    return [f"{name} is not set; Stack's dashboard shows it." for name, value in needed.items() if not value]


def project_id(settings: Settings) -> str:
    """Return the project, which `access_problems` has found to be set."""
    assert settings.stack_project_id, "access_problems refuses a command without it"
    return settings.stack_project_id


def with_api(settings: Settings, work: Callable[[StackApi], Awaitable[T]]) -> T:
    """Run *work* with the API; each of its errors becomes a sentence with its cure."""

    async def opened() -> T:
        async with open_stack_api(stack_access(settings), RateLimit(settings.stack_api_rps)) as api:
            return await cured(work(api))

    return asyncio.run(opened())


def with_api_as_operator(settings: Settings, work: Callable[[Connection, Access, StackApi], Awaitable[T]]) -> T:
    """Run *work* with a connection of the operator's and the API, as `with_api` does. Raises CopyRefused on a copy."""

    async def connected(conn: Connection, access: Access) -> T:
        async with acting_api(settings, conn, access, RateLimit(settings.stack_api_rps)) as api:
            return await cured(work(conn, access, api))

    return as_operator(settings, connected)


@asynccontextmanager
async def acting_api(settings: Settings, conn: Connection, access: Access, rate: RateLimit) -> AsyncIterator[StackApi]:
    """Open the API for what acts on a database for a project. Raises CopyRefused on a copy."""
    await origin.refuse_copy(conn, access, settings.stack_project_id)
    async with open_stack_api(stack_access(settings), rate) as api:
        yield api


async def cured(work: Awaitable[T]) -> T:
    """Return the result of *work*; an error of the API becomes a sentence with its cure."""
    try:
        return await work
    except ApiError as error:
        raise ConsumerError(f"{error} {cure(error)}".strip()) from error


def stack_access(settings: Settings) -> StackAccess:
    """Return where the API is, with an empty text for what is not set."""
    return StackAccess(settings.stack_api_url, settings.stack_project_id or "", settings.stack_secret_server_key or "")
