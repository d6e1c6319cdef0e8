"""The calls that make and delete users and teams, as a backend with the server key makes them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.fake_stack import queries
from tests.support.fake_stack.answers import Refused, ok, refused
from tests.support.fake_stack.routes import check_access
from tests.support.fake_stack.shapes import USER_KEYS, team_shape, user_shape

if TYPE_CHECKING:
    from tests.support.fake_stack.serving import FakeStack

Write = Callable[["FakeStack", Request, Mapping[str, Any]], Response]
CREATED = 201


def create_user(fake: "FakeStack", _request: Request, body: Mapping[str, Any]) -> Response:
    """Make a user, with a team of its own where the project gives one to each."""
    if unknown := body.keys() - set(USER_KEYS):
        raise Refused("SCHEMA_ERROR", message=f"body contains unknown properties: {', '.join(sorted(unknown))}")
    sent = fake.project.sign_up(with_personal_team=fake.project.creates_personal_teams, **body)
    record = fake.project.users.latest[str(sent[-1].data["id"])]
    shown = user_shape(record, fake.project.teams.latest, fake.project.requires_verified_email, fake.age)
    return ok(shown, fake.age, CREATED)


def create_team(fake: "FakeStack", _request: Request, body: Mapping[str, Any]) -> Response:
    [event] = fake.project.create_team(creator=body["creator_user_id"], display_name=body["display_name"])
    return ok(team_shape(fake.project.teams.latest[str(event.data["id"])]), fake.age, CREATED)


def add_member(fake: "FakeStack", request: Request, _body: Mapping[str, Any]) -> Response:
    team_id, user_id = (_id(request, name)[0] for name in ("team", "user"))
    fake.project.join(team_id, user_id)
    return ok({"team_id": team_id, "user_id": user_id}, fake.age, CREATED)


def delete_user(fake: "FakeStack", request: Request, _body: Mapping[str, Any]) -> Response:
    """Delete a user; the event has the id as the path has it."""
    user_id, fake.project.echoes_upper_case = _id(request, "id")
    if user_id not in fake.project.users.latest:
        raise Refused("USER_NOT_FOUND")
    fake.project.delete_user(user_id)
    return ok({"success": True}, fake.age)


def delete_team(fake: "FakeStack", request: Request, _body: Mapping[str, Any]) -> Response:
    team_id, fake.project.echoes_upper_case = _id(request, "id")
    if team_id not in fake.project.teams.latest:
        raise Refused("TEAM_NOT_FOUND", team_id=team_id)
    fake.project.delete_team(team_id)
    return ok({"success": True}, fake.age)


WRITES: tuple[tuple[str, str, Write], ...] = (
    ("POST", "/users", create_user),
    ("POST", "/teams", create_team),
    ("POST", "/team-memberships/{team}/{user}", add_member),
    ("DELETE", "/users/{id}", delete_user),
    ("DELETE", "/teams/{id}", delete_team),
)


def routes(fake: "FakeStack") -> list[Route]:
    return [Route(f"/api/v1{path}", _writing(fake, write), methods=[method]) for method, path, write in WRITES]


def _writing(fake: "FakeStack", write: Write) -> Callable[[Request], Awaitable[Response]]:
    async def written(request: Request) -> Response:
        try:
            check_access(fake, request, admin_only=False)
            with fake.project.lock:
                return write(fake, request, await request.json() if request.method == "POST" else {})
        except Refused as refusal:
            return refused(refusal, fake.age, request.headers)

    return written


def _id(request: Request, name: str) -> tuple[str, bool]:
    """Return an id of the path in lower case, and whether it has capitals."""
    text = request.path_params[name]
    return str(queries.parse_one(name, text, queries.uuid)), text != text.lower()
