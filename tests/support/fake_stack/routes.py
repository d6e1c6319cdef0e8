"""Stack's paths: who may ask, and what is answered."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.fake_stack import listings, queries
from tests.support.fake_stack.answers import Refused, ok, prefixes, refused
from tests.support.fake_stack.queries import Query
from tests.support.fake_stack.shapes import Age, team_shape, user_shape
from tests.support.fake_stack.state import State

if TYPE_CHECKING:
    from tests.support.fake_stack.serving import FakeStack

Answer = Callable[["FakeStack", State, Query, Request], Mapping[str, object]]
Known = Callable[[Age], Mapping[str, queries.Parse]]
Endpoint = Callable[[Request], Awaitable[Response]]
KEYS = {"server": "secret-server-key", "admin": "super-secret-admin-key"}


def users(fake: "FakeStack", state: State, query: Query, _request: Request) -> Mapping[str, object]:
    return listings.users(fake.project, state, fake.age, query)


def teams(_fake: "FakeStack", state: State, query: Query, _request: Request) -> Mapping[str, object]:
    return listings.teams(state, query)


def member_profiles(fake: "FakeStack", state: State, query: Query, _request: Request) -> Mapping[str, object]:
    return listings.member_profiles(fake.project, state, fake.age, query)


def team_permissions(fake: "FakeStack", state: State, query: Query, _request: Request) -> Mapping[str, object]:
    return listings.team_permissions(fake.project, state, query)


def project_permissions(fake: "FakeStack", state: State, query: Query, _request: Request) -> Mapping[str, object]:
    return listings.project_permissions(fake.project, state, query)


def user(fake: "FakeStack", state: State, _query: Query, request: Request) -> Mapping[str, object]:
    """Show one user, hidden or not."""
    if request.path_params["id"] == "me":
        raise Refused("CANNOT_GET_OWN_USER_WITHOUT_USER")
    user_id = _path_id(request, "id")
    if user_id not in state.users:
        raise Refused("USER_NOT_FOUND")
    return user_shape(state.users[user_id], state.teams, fake.project.requires_verified_email, fake.age)


def team(_fake: "FakeStack", state: State, _query: Query, request: Request) -> Mapping[str, object]:
    team_id = _path_id(request, "id")
    if team_id not in state.teams:
        raise Refused("TEAM_NOT_FOUND", team_id=team_id)
    return team_shape(state.teams[team_id])


def member_profile(fake: "FakeStack", state: State, _query: Query, request: Request) -> Mapping[str, object]:
    key = _path_id(request, "team"), _path_id(request, "user")
    if key not in state.members:
        raise Refused("TEAM_MEMBERSHIP_NOT_FOUND", team_id=key[0], user_id=key[1])
    return listings.member_profile(fake.project, state, fake.age, key)


async def svix_token(fake: "FakeStack", request: Request) -> Response:
    check_access(fake, request, admin_only=True)
    if await request.json() != {}:
        raise Refused("SCHEMA_ERROR", message="body contains unknown properties")
    return ok(fake.svix.new_token(), fake.age, 201)


async def send_test_webhook(fake: "FakeStack", request: Request) -> Response:
    check_access(fake, request, admin_only=True)
    body = await request.json()
    if body.keys() != {"endpoint_id"}:
        raise Refused("SCHEMA_ERROR", message="endpoint_id must be defined")
    is_taken = fake.svix.send_test(fake.project, body["endpoint_id"])
    return ok({"success": True} if is_taken else {"success": False, "error_message": "<sentence>"}, fake.age)


READS: tuple[tuple[str, Known, Answer], ...] = (
    ("/users", queries.users, users),
    ("/users/{id}", queries.nothing, user),
    ("/teams", queries.teams, teams),
    ("/teams/{id}", queries.nothing, team),
    ("/team-member-profiles", queries.member_profiles, member_profiles),
    ("/team-member-profiles/{team}/{user}", queries.nothing, member_profile),
    ("/team-permissions", queries.team_permissions, team_permissions),
    ("/project-permissions", queries.project_permissions, project_permissions),
)
POSTS = (("/webhooks/svix-token", svix_token), ("/internal/send-test-webhook", send_test_webhook))


def routes(fake: "FakeStack") -> list[Route]:
    """Return Stack's routes; no other path exists."""
    reads = [Route(f"/api/v1{path}", _reading(fake, known, answer), methods=["GET"]) for path, known, answer in READS]
    posts = [Route(f"/api/v1{path}", _posting(fake, answer), methods=["POST"]) for path, answer in POSTS]
    return [*reads, *posts]


def check_access(fake: "FakeStack", request: Request, *, admin_only: bool) -> None:
    """Refuse a request without the right keys, in Stack's order of checks."""
    headers = {name: _header(fake, request, name) for name in ("access-type", "project-id", *KEYS.values())}
    access = headers["access-type"]
    if access is None:
        has_key = any(headers[name] for name in KEYS.values())
        raise Refused("PROJECT_KEY_WITHOUT_ACCESS_TYPE" if has_key else "ACCESS_TYPE_REQUIRED")
    if access not in {"client", "server", "admin"}:
        raise Refused("INVALID_ACCESS_TYPE")
    if headers["project-id"] is None:
        raise Refused("ACCESS_TYPE_WITHOUT_PROJECT_ID", request_type=access)
    if headers["project-id"] != fake.project_id:
        raise Refused("CURRENT_PROJECT_NOT_FOUND", project_id=headers["project-id"])
    _check_key(fake, access, headers)
    allowed = ["admin"] if admin_only else ["server", "admin"]
    if access not in allowed:
        raise Refused("INSUFFICIENT_ACCESS_TYPE", actual_access_type=access, allowed_access_types=allowed)


def _check_key(fake: "FakeStack", access: str, headers: Mapping[str, str | None]) -> None:
    if access not in KEYS:
        return
    key = headers[KEYS[access]]
    if key is None:
        raise Refused(f"{access.upper()}_AUTHENTICATION_REQUIRED")
    if key != fake.keys[access]:
        name = KEYS[access].upper().replace("-", "_")
        raise Refused(f"INVALID_{name}", project_id=fake.project_id)


def _reading(fake: "FakeStack", known: Known, answer: Answer) -> Callable[..., object]:
    async def read(request: Request) -> Response:
        try:
            check_access(fake, request, admin_only=False)
            query = queries.parse(request.query_params, known(fake.age))
            with fake.project.lock:
                return ok(answer(fake, fake.project.seen_by(fake.next_replica()), query, request), fake.age)
        except Refused as refusal:
            return refused(refusal, fake.age, request.headers)

    return read


def _posting(fake: "FakeStack", answer: Callable[["FakeStack", Request], Awaitable[Response]]) -> Endpoint:
    async def post(request: Request) -> Response:
        try:
            return await answer(fake, request)
        except Refused as refusal:
            return refused(refusal, fake.age, request.headers)

    return post


def _header(fake: "FakeStack", request: Request, name: str) -> str | None:
    return next((value for prefix in prefixes(fake.age) if (value := request.headers.get(prefix + name))), None)


def _path_id(request: Request, name: str) -> str:
    return str(queries.parse_one(name, request.path_params[name], queries.uuid))
