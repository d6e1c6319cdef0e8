"""The client and the fake together."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from consumer.stack_api.admin import StackAdmin, open_stack_admin
from consumer.stack_api.calls import CallLimits
from consumer.stack_api.client import StackAccess, StackApi, open_stack_api
from consumer.stack_api.rate import RateLimit
from consumer.stack_api.svix import SvixApi, open_svix
from tests.support.fake_stack.serving import ADMIN_KEY, PROJECT_ID, SERVER_KEY, FakeStack, Port, serving

# Everything that waits in earnest waits a fraction of a second here.
SHORT = CallLimits(connect_seconds=2, read_seconds=2, call_seconds=5, body_bytes=1_000_000)


class Time:
    """A clock that a sleep moves, so that waits cost no time and are met exactly."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def rate(self, per_second: float = 1000) -> RateLimit:
        return RateLimit(per_second, clock=lambda: self.now, sleep=self.sleep)


def access(url: str) -> StackAccess:
    return StackAccess(url, PROJECT_ID, SERVER_KEY, ADMIN_KEY)


@asynccontextmanager
async def stack_api(fake: FakeStack, time: Time | None = None, limits: CallLimits = SHORT) -> AsyncIterator[StackApi]:
    """Open the client to a fake."""
    async with open_stack_api(access(fake.url), (time or Time()).rate(), limits) as api:
        yield api


@asynccontextmanager
async def stack_admin(fake: FakeStack, time: Time | None = None) -> AsyncIterator[StackAdmin]:
    async with open_stack_admin(access(fake.url), (time or Time()).rate(), SHORT) as admin:
        yield admin


@asynccontextmanager
async def svix_api(fake: FakeStack, time: Time | None = None) -> AsyncIterator[SvixApi]:
    async with (
        stack_admin(fake, time) as admin,
        open_svix(admin, PROJECT_ID, fake.url, (time or Time()).rate(), SHORT) as svix,
    ):
        yield svix


@pytest.fixture(scope="module")
def stack_port() -> Iterator[Port]:
    """Where the fakes of a file's tests are served."""
    with serving() as port:
        yield port


@pytest.fixture
def fake(stack_port: Port) -> FakeStack:
    """A new server with an empty project."""
    return stack_port.serve(FakeStack())


@pytest.fixture
def old_fake(stack_port: Port) -> FakeStack:
    """A server as of spring 2026 with an empty project."""
    return stack_port.serve(FakeStack("old"))


@pytest.fixture(params=["old", "new"])
def any_fake(request: pytest.FixtureRequest, stack_port: Port) -> FakeStack:
    """A server of either age with an empty project."""
    return stack_port.serve(FakeStack(request.param))


@pytest.fixture(params=["hosted", "self-hosted"])
def any_svix(request: pytest.FixtureRequest, fake: FakeStack) -> FakeStack:
    """A server with a Svix of either kind; the old server has its own."""
    fake.svix.is_self_hosted = request.param == "self-hosted"
    fake.age = "old" if fake.svix.is_self_hosted else "new"
    return fake
