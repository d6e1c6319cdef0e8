"""Stack's REST API: users, teams, their members and permissions.

A list proves presence, never absence: reads may come from a lagging replica, even backwards, and a scan skips users
without a sign when the cursor's user moves (`ListedObject`). Only `user` and `team` tell that one is gone.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeVar
from uuid import UUID

from consumer.stack_api import listing
from consumer.stack_api.calls import Call, Caller, CallLimits, header_value, open_caller
from consumer.stack_api.errors import AnswerTooLarge, CannotListAll, KnownError, UnexpectedAnswer
from consumer.stack_api.listing import ListPage, MemberProfile, NotAnAnswer, Permission
from consumer.stack_api.rate import RateLimit
from consumer.stack_api.refusals import refusal

T = TypeVar("T")

# The most that new servers allow; old ones allow any number.
USERS_LIMIT = 1_000
TEAMS_LIMIT = 200
# A poll a minute finds few users that were active since the one before.
ACTIVE_USERS_LIMIT = 100
# A page of users with images in them may be larger than any answer that is read: then ask for a tenth.
USERS_LIMIT_DIVISOR = 10
# Anonymous users, and restricted ones too. Nothing else, because a server refuses each parameter it does not know.
EVERYBODY = {"include_anonymous": "true"}


@dataclass(frozen=True, slots=True)
class StackAccess:
    """Where the API is, for which project, and its keys, which no text of this object shows."""

    url: str
    project_id: str
    server_key: str = field(default="", repr=False)
    admin_key: str = field(default="", repr=False)


class StackApi:
    """Calls of the API; each may raise ApiError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._users_limit = USERS_LIMIT

    @property
    def requests(self) -> int:
        """How many requests were sent at the rate that this API shares, repeats included."""
        return self._caller.rate.requests

    def pause(self, seconds: float) -> None:
        """Make no call for so long; not at all with a negative number."""
        self._caller.rate.pause(seconds)

    async def user(self, user_id: UUID) -> bytes | None:
        """Return a user's JSON text; None if Stack says that there is none (404 and USER_NOT_FOUND)."""
        return await self._one(f"/api/v1/users/{user_id}", user_id, "USER_NOT_FOUND")

    async def team(self, team_id: UUID) -> bytes | None:
        """Return a team's JSON text; None if Stack says that there is none (404 and TEAM_NOT_FOUND)."""
        return await self._one(f"/api/v1/teams/{team_id}", team_id, "TEAM_NOT_FOUND")

    async def users(self, cursor: str | None = None) -> ListPage:
        """Return a page of all users, the oldest sign-up first; *cursor* is the next one of the page before."""
        try:
            return await self._users(cursor)
        except KnownError as error:
            if cursor is None and error.code == "SCHEMA_ERROR":
                raise CannotListAll from error
            raise

    async def recently_active_users(self, cursor: str | None = None) -> ListPage | None:
        """Return a page of all users, the last active first; None if the server is too old to sort them so."""
        order = {"order_by": "last_active_at", "desc": "true"}
        try:
            return await self._page("/api/v1/users", cursor, {"limit": str(ACTIVE_USERS_LIMIT), **EVERYBODY, **order})
        except KnownError as error:
            # Also in the middle of a list, where a deploy leads to an old server.
            if error.code == "SCHEMA_ERROR":
                return None
            raise

    async def teams(self, cursor: str | None = None) -> ListPage:
        """Return a page of all teams, the oldest first; an old server returns all of them at once."""
        try:
            return await self._page("/api/v1/teams", cursor, {"limit": str(TEAMS_LIMIT)})
        except KnownError as error:
            if error.code != "SCHEMA_ERROR":
                raise
        # Also in the middle of a list, where a deploy leads to an old server: repeated teams are harmless.
        return await self._page("/api/v1/teams", None, {})

    async def team_member_profiles(self, team_id: UUID) -> tuple[MemberProfile, ...] | None:
        """Return all members of a team, anonymous and restricted ones too; None if there is no such team."""
        call = Call("GET", "/api/v1/team-member-profiles", {"team_id": str(team_id)})
        try:
            profiles = await self._read(call, listing.member_profiles)
        except KnownError as error:
            if _is_not_found(error, "TEAM_NOT_FOUND"):
                return None
            raise
        if any(profile.team_id != team_id for profile in profiles):
            raise UnexpectedAnswer(str(call), 200, "it has members of another team")
        return profiles

    async def team_users(self, team_id: UUID, cursor: str | None = None) -> ListPage:
        """Return a page of a team's users; for a team whose members are too large for one answer."""
        query = {"limit": str(self._users_limit), **EVERYBODY, "team_id": str(team_id)}
        page = await self._page("/api/v1/users", cursor, query)
        # Otherwise it would count as the end of the list, and the members after it as removed.
        if cursor is not None and not page.items:
            raise UnexpectedAnswer("GET /api/v1/users", 200, "it is empty: the cursor's user is gone")
        return page

    async def team_permissions(self, team_id: UUID) -> tuple[Permission, ...]:
        """Return what the members of a team may directly do, as webhooks tell it; nothing for an unknown team."""
        call = Call("GET", "/api/v1/team-permissions", {"team_id": str(team_id)})
        found = await self._read(call, lambda body: listing.permissions(body, of_teams=True))
        if any(permission.team_id != team_id for permission in found):
            raise UnexpectedAnswer(str(call), 200, "it has permissions of another team")
        return found

    async def project_permissions(self) -> tuple[Permission, ...]:
        """Return what all users may directly do in the project."""
        call = Call("GET", "/api/v1/project-permissions")
        return await self._read(call, lambda body: listing.permissions(body, of_teams=False))

    async def _one(self, path: str, subject: UUID, missing: str) -> bytes | None:
        call = Call("GET", path)
        try:
            found = await self._read(call, listing.one)
        except KnownError as error:
            if _is_not_found(error, missing):
                return None
            raise
        if found.id.lower() != str(subject):
            raise UnexpectedAnswer(str(call), 200, "it has another id")
        return found.body

    async def _users(self, cursor: str | None) -> ListPage:
        while True:
            try:
                return await self._page("/api/v1/users", cursor, {"limit": str(self._users_limit), **EVERYBODY})
            except AnswerTooLarge:
                if self._users_limit == 1:
                    raise
                self._users_limit //= USERS_LIMIT_DIVISOR

    async def _page(self, path: str, cursor: str | None, query: Mapping[str, str]) -> ListPage:
        call = Call("GET", path, query if cursor is None else {**query, "cursor": cursor})
        page = await self._read(call, listing.page)
        if page.next_cursor is not None and page.next_cursor == cursor:
            raise UnexpectedAnswer(str(call), 200, "its next cursor is the one before")
        return page

    async def _read(self, call: Call, read: Callable[[bytes], T]) -> T:
        return await answer_to(self._caller, call, read)


@asynccontextmanager
async def open_stack_api(
    access: StackAccess, rate: RateLimit, limits: CallLimits | None = None
) -> AsyncIterator[StackApi]:
    """Open the API for its project with the server key."""
    key = header_value("STACK_SECRET_SERVER_KEY", access.server_key)
    headers = {**project_headers(access, "server"), "x-stack-secret-server-key": key}
    async with open_caller("STACK_API_URL", access.url, headers, rate, limits or CallLimits()) as caller:
        yield StackApi(caller)


def project_headers(access: StackAccess, access_type: Literal["server", "admin"]) -> dict[str, str]:
    """Return the headers of every call, in the spelling that old servers know too."""
    return {
        "x-stack-access-type": access_type,
        "x-stack-project-id": header_value("STACK_PROJECT_ID", access.project_id),
    }


async def answer_to(caller: Caller, call: Call, read: Callable[[bytes], T]) -> T:
    """Make a call of Stack's API and read its answer; KnownError and UnexpectedAnswer if it is another one."""
    answer = await caller.answer(call)
    if not answer.is_success:
        raise refusal(call, answer)
    try:
        return read(answer.body)
    except NotAnAnswer as error:
        raise UnexpectedAnswer(str(call), answer.status, str(error)) from error


def _is_not_found(error: KnownError, code: str) -> bool:
    return error.status == 404 and error.code == code
