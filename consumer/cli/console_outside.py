"""What the console's background actions need besides its own connection: a worker's, and Stack's API, the receiver."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from uuid import UUID

from consumer.cli import secret
from consumer.cli.addresses import webhook_url
from consumer.cli.stack import access_problems, acting_api, cured, project_id
from consumer.errors import BadSettings, ConsumerError, TryLater
from consumer.operations import refresh
from consumer.operations.background_work import Outside
from consumer.operations.test_delivery import Destination
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Access, Connection, RoleRefused, connect, worker_access
from consumer.process.readiness import not_ready_reason
from consumer.settings.settings import Settings
from consumer.stack_api.rate import RateLimit

REFUSED = "This console can't work as a worker does"


def outside(settings: Settings, worker_conninfo: str) -> Outside:
    """Return what these settings give."""
    access = worker_access(settings.role_prefix)

    @asynccontextmanager
    async def as_worker() -> AsyncIterator[tuple[Connection, Access]]:
        try:
            reason = await not_ready_reason(worker_conninfo, access, settings.shaping, applies=True)
        except RoleRefused as error:
            raise ConsumerError(f"{REFUSED}: {error}") from error
        if reason:
            raise TryLater(f"{REFUSED}: {reason}")
        async with await connect(worker_conninfo, access) as conn:
            yield conn, access

    async def ask(conn: Connection, access: Access, user_id: UUID) -> Delivery | None:
        if problems := access_problems(settings):
            raise ConsumerError(" ".join(problems))
        async with acting_api(settings, conn, access, RateLimit(settings.stack_api_rps)) as api:
            return await cured(refresh.ask(conn, access, api, project_id(settings), user_id))

    return Outside(as_worker, ask, partial(destination, settings))


def destination(settings: Settings) -> Destination:
    """Return this machine's receiver, with its newest secret as far as this process knows one."""
    known: tuple[str, ...] = ()
    # A kept file that can't be used, or belongs to another user.
    with suppress(BadSettings, OSError):
        known = secret.known(settings, "stack")
    return Destination(webhook_url(settings, "stack"), next(iter(known), None))
