"""Stack's API for commands: its settings, and its errors with their cures."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from consumer.cli.database import as_operator
from consumer.errors import ConsumerError, TryLater
from consumer.operations import runs
from consumer.postgres import origin
from consumer.postgres.connections import Access, Connection, transaction
from consumer.settings.settings import Settings
from consumer.stack_api.admin import StackAdmin, open_stack_admin
from consumer.stack_api.client import StackAccess, StackApi, open_stack_api
from consumer.stack_api.cures import cure
from consumer.stack_api.errors import ApiError, TemporaryFailure
from consumer.stack_api.rate import RateLimit
from consumer.stack_api.svix import SvixApi, open_svix

T = TypeVar("T")


def access_problems(settings: Settings, *_: object, **__: object) -> list[str]:
    """Return which settings of the API are not set."""
    return _unset(STACK_PROJECT_ID=settings.stack_project_id, STACK_SECRET_SERVER_KEY=settings.stack_secret_server_key)


def admin_problems(settings: Settings, *_: object, **__: object) -> list[str]:
    """Return which settings of the API are not set that the admin key goes with."""
    key = settings.stack_super_secret_admin_key
    return _unset(STACK_PROJECT_ID=settings.stack_project_id, STACK_SUPER_SECRET_ADMIN_KEY=key)


def _unset(**needed: str | None) -> list[str]:
    return [f"{name} is not set; Stack's dashboard shows it." for name, value in needed.items() if not value]


def project_id(settings: Settings) -> str:
    """Return the project, which `access_problems` and `admin_problems` have found to be set."""
    assert settings.stack_project_id, "a command without it is refused"
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
    await origin.refuse_copy(conn, access)
    async with open_stack_api(stack_access(settings), rate) as api:
        yield api


class AdminSession(NamedTuple):
    """A connection of the operator's, and the APIs for the admin key."""

    conn: Connection
    access: Access
    admin: StackAdmin
    svix: SvixApi


def with_svix_as_operator(settings: Settings, work: Callable[[AdminSession], Awaitable[T]]) -> T:
    """Run *work* with the database and the APIs open, as `with_api` does.

    Another project than the database's is refused before anything is asked.
    """

    async def connected(conn: Connection, access: Access) -> T:
        await origin.refuse_copy(conn, access)
        async with transaction(conn, access):
            await runs.refuse_other_project(conn, project_id(settings))

        async def opened() -> T:
            async with open_admin(settings, RateLimit(settings.stack_api_rps)) as (admin, svix):
                return await work(AdminSession(conn, access, admin, svix))

        return await cured(opened())

    return as_operator(settings, connected)


@asynccontextmanager
async def open_admin(settings: Settings, rate: RateLimit) -> AsyncIterator[tuple[StackAdmin, SvixApi]]:
    """Open Stack's API with the admin key, and the Svix that it gives a token for; all calls share one rate."""
    async with (
        open_stack_admin(stack_access(settings), rate) as admin,
        open_svix(admin, project_id(settings), settings.svix_server_url, rate) as svix,
    ):
        yield admin, svix


async def cured(work: Awaitable[T]) -> T:
    """Return what *work* returns; an error of the API becomes a sentence with its cure."""
    try:
        return await work
    except ApiError as error:
        kind = TryLater if isinstance(error, TemporaryFailure) else ConsumerError
        raise kind(f"{error} {cure(error)}".strip()) from error


def stack_access(settings: Settings) -> StackAccess:
    """Return where the API is, with an empty text for what is not set."""
    server_key, admin_key = settings.stack_secret_server_key, settings.stack_super_secret_admin_key
    return StackAccess(settings.stack_api_url, settings.stack_project_id or "", server_key or "", admin_key or "")
