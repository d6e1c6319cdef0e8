"""One visit to a project: its callers, what the tool made there, and the end of all that."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from consumer.errors import ConsumerError
from consumer.stack_api.admin import StackAdmin
from consumer.stack_api.calls import ApiAnswer, Call, Caller, CallLimits, Query, open_caller
from consumer.stack_api.client import StackAccess, StackApi, project_headers
from consumer.stack_api.errors import ApiError, KnownError
from consumer.stack_api.rate import RateLimit
from consumer.stack_api.refusals import refusal
from tools.verify.recording import RecordedCaller, Recorder, fields, parsed

T = TypeVar("T")

# All names and addresses that the tool makes begin so.
PREFIX = "consumer-verify-"
PAUSE_SECONDS = 1.0
USERS, TEAMS = "/api/v1/users", "/api/v1/teams"


class Differs(ConsumerError):
    """The project does something else than the claim says; the text tells what."""


class NotTried(ConsumerError):
    """The claim could not be tried; the text tells why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a visit does: *tag* begins the names of all it makes, *svix_url* is empty for the hosted Svix."""

    tag: str
    wait_seconds: float
    svix_url: str
    sends_test: bool


@dataclass
class Visit:
    """The callers of a project and what was made there: *users* by their kind, one *team*.

    *once* makes no call twice, for those that make something. *paths* is what must be deleted at the end.
    """

    access: StackAccess
    recorder: Recorder
    server: Caller
    once: Caller
    admin: Caller | None
    options: Options
    users: dict[str, str] = field(default_factory=dict)
    team: str = ""
    paths: list[str] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    age: str = "unknown"
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def api(self) -> StackApi:
        """The product's own client."""
        return StackApi(self.server)

    @property
    def stack_admin(self) -> StackAdmin:
        """The product's own client with the admin key."""
        if self.admin is None:
            raise NotTried("STACK_SUPER_SECRET_ADMIN_KEY is not set")
        return StackAdmin(self.admin)

    def user(self, kind: str) -> UUID:
        """Return the made user of a kind."""
        if kind not in self.users:
            raise NotTried(f"the server made no {kind} user: {self.refusals.get(kind, 'not asked')}")
        return UUID(self.users[kind])

    @property
    def team_id(self) -> UUID:
        """The made team."""
        if not self.team:
            raise NotTried(f"the server made no team: {self.refusals.get('team', 'not asked')}")
        return UUID(self.team)

    async def get(self, path: str, query: Query, headers: Mapping[str, str] | None = None) -> ApiAnswer:
        """Ask as the product's client does not."""
        return await self.server.answer(Call("GET", path, query, headers=headers or {}))

    async def eventually(self, check: Callable[[], Awaitable[T]]) -> T:
        """Repeat a check that differs, because a replica may lag; then it counts."""
        deadline = asyncio.get_running_loop().time() + self.options.wait_seconds
        while True:
            try:
                return await check()
            except Differs:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
            await asyncio.sleep(PAUSE_SECONDS)

    async def make_all(self) -> None:
        """Make the users and the team that the claims are about; a refusal is noted."""
        await self._make_user("ordinary", primary_email=f"{self.options.tag}@example.com", primary_email_verified=True)
        await self._make_user("anonymous", is_anonymous=True)
        await self._make_user("restricted", restricted_by_admin=True)
        if creator := self.users.get("ordinary"):
            body = {"display_name": self.options.tag, "creator_user_id": creator}
            self.team = await self._make("team", TEAMS, body)
        if self.team and (guest := self.users.get("anonymous")):
            await self._post("member", f"/api/v1/team-memberships/{self.team}/{guest}", {})

    async def remove_all(self) -> list[str]:
        """Delete what was made; return the paths of what could not be deleted."""
        left = []
        for path in reversed(self.paths):
            try:
                answer = await self.server.answer(Call("DELETE", path))
            except ApiError:
                left.append(path)
                continue
            if not answer.is_success and not (known(answer) or "").endswith("_NOT_FOUND"):
                left.append(path)
        return left

    async def _make_user(self, kind: str, **body: object) -> None:
        user_id = await self._make(kind, USERS, {"display_name": f"{self.options.tag}-{kind}", **body})
        if not user_id:
            return
        self.users[kind] = user_id
        # A project may give each new user a team of its own, which stays when the user is deleted.
        teams = fields(parsed((await self.get(TEAMS, {"user_id": user_id})).body)).get("items")
        for team in teams if isinstance(teams, list) else []:
            self.paths.append(f"{TEAMS}/{team['id']}")

    async def _make(self, name: str, path: str, body: Mapping[str, object]) -> str:
        answer = await self._post(name, path, body)
        made = str(fields(parsed(answer.body)).get("id", "")) if answer and answer.is_success else ""
        if made:
            self.paths.append(f"{path}/{made}")
        return made

    async def _post(self, name: str, path: str, body: Mapping[str, object]) -> ApiAnswer | None:
        """Post once; a lost answer may have made something that nobody knows the id of."""
        try:
            answer = await self.once.answer(Call("POST", path, body=body))
        except ApiError as error:
            self.refusals[name] = f"{error} Look for {self.options.tag} in the dashboard"
            return None
        if not answer.is_success:
            self.refusals[name] = f"{answer.status} {known(answer) or 'without a code'}"
        return answer


def known(answer: ApiAnswer) -> str | None:
    """Return the code of Stack's own error, as the product reads it."""
    error = refusal(Call("", ""), answer)
    return error.code if isinstance(error, KnownError) else None


def expect_refusal(answer: ApiAnswer, status: int, code: str) -> None:
    """Differ unless the answer is this error of Stack's."""
    if (answer.status, known(answer)) != (status, code):
        raise Differs(f"answered {answer.status} {known(answer) or 'without a code'}, not {status} {code}")


def expect_success(answer: ApiAnswer) -> bytes:
    """Return the body; differ if the call was refused."""
    if not answer.is_success:
        raise Differs(f"answered {answer.status} {known(answer) or 'without a code'}")
    return answer.body


@asynccontextmanager
async def visiting(access: StackAccess, rate: RateLimit, options: Options) -> AsyncIterator[Visit]:
    """Open the callers of a project."""
    recorder = Recorder()
    server = {**project_headers(access, "server"), "x-stack-secret-server-key": access.server_key}
    admin = {**project_headers(access, "admin"), "x-stack-super-secret-admin-key": access.admin_key}

    async with (
        open_caller("STACK_API_URL", access.url, server, rate, CallLimits()) as repeated,
        open_caller("STACK_API_URL", access.url, server, rate, CallLimits(attempts=1)) as once,
        open_caller("STACK_API_URL", access.url, admin, rate, CallLimits()) as administered,
    ):
        callers = (RecordedCaller(caller, recorder) for caller in (repeated, once, administered))
        by_server, by_server_once, by_admin = callers
        yield Visit(access, recorder, by_server, by_server_once, by_admin if access.admin_key else None, options)
