"""Svix's paths for an application's token."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.fake_stack.state import Event
from tests.support.fake_stack.svix import Endpoint, Json, timestamp
from tests.support.fake_stack.svix_lists import SvixRefusal, messages, page, refusal, with_content

if TYPE_CHECKING:
    from tests.support.fake_stack.serving import FakeStack

Handle = Callable[["FakeStack", Request, Json], Response]
SUCCESS, FAIL = 0, 2
CHANGES = {
    "url": "url",
    "description": "description",
    "disabled": "disabled",
    "eventTypes": "event_types",
    "filterTypes": "event_types",
}


def list_endpoints(fake: "FakeStack", request: Request, _body: Json) -> Response:
    rows = [(each.id, fake.svix.endpoint(each)) for each in fake.svix.endpoints.values()]
    return JSONResponse(page(sorted(rows, key=lambda row: row[0], reverse=True), request.query_params, "ep_"))


def create_endpoint(fake: "FakeStack", request: Request, body: Json) -> Response:
    """Create an endpoint, once for each idempotency key."""
    key = request.headers.get("idempotency-key", "")
    made = fake.svix.endpoints.get(fake.svix.made.get(key, ""))
    if made is None:
        types = body.get("eventTypes") or body.get("filterTypes")
        made = fake.svix.add_endpoint(body["url"], fake.project.now, body.get("description", ""), event_types=types)
        if key:
            fake.svix.made[key] = made.id
    return JSONResponse(fake.svix.endpoint(made), 201)


def show_endpoint(fake: "FakeStack", request: Request, _body: Json) -> Response:
    return JSONResponse(fake.svix.endpoint(endpoint(fake, request)))


def patch_endpoint(fake: "FakeStack", request: Request, body: Json) -> Response:
    found = endpoint(fake, request)
    for name, value in body.items():
        setattr(found, CHANGES[name], value)
    return JSONResponse(fake.svix.endpoint(found))


def show_secret(fake: "FakeStack", request: Request, _body: Json) -> Response:
    return JSONResponse({"key": endpoint(fake, request).secret})


def rotate_secret(fake: "FakeStack", request: Request, _body: Json) -> Response:
    fake.svix.rotate(endpoint(fake, request))
    return Response(status_code=204)


def list_messages(fake: "FakeStack", request: Request, _body: Json) -> Response:
    return JSONResponse(_messages(fake, request, fake.project.events, {}))


def list_attempted_messages(fake: "FakeStack", request: Request, _body: Json) -> Response:
    """List only messages that the endpoint was tried with."""
    found = endpoint(fake, request)
    status = SUCCESS if found.takes else FAIL
    more = {"status": status, "statusText": "success" if found.takes else "fail", "nextAttempt": None}
    return JSONResponse(_messages(fake, request, fake.svix.attempted(found, fake.project.events), more))


def list_attempts(fake: "FakeStack", request: Request, _body: Json) -> Response:
    """List one attempt for each endpoint that was tried."""
    event = _event(fake, request.path_params["message"])
    tried = [each for each in fake.svix.endpoints.values() if event in fake.svix.attempted(each, [event])]
    rows = [(f"atmpt_{event.message_id.removeprefix('msg_')}", _attempt(event, each, fake)) for each in tried]
    return JSONResponse(page(rows, request.query_params, "atmpt_"))


def recover(fake: "FakeStack", request: Request, body: Json) -> Response:
    """Promise to send again what failed."""
    endpoint(fake, request)
    assert "since" in body
    number = fake.project.events[-1].message_id.removeprefix("msg_")
    task = {
        "id": f"qtask_{number}",
        "status": "running",
        "task": "endpoint.recover",
        "updatedAt": timestamp(fake.project.now),
    }
    return JSONResponse(task, 202)


def create_message(_fake: "FakeStack", _request: Request, _body: Json) -> Response:
    raise refusal(403, "insufficient access")


PATHS: tuple[tuple[str, str, Handle], ...] = (
    ("GET", "/endpoint", list_endpoints),
    ("POST", "/endpoint", create_endpoint),
    ("GET", "/endpoint/{endpoint}", show_endpoint),
    ("PATCH", "/endpoint/{endpoint}", patch_endpoint),
    ("GET", "/endpoint/{endpoint}/secret", show_secret),
    ("POST", "/endpoint/{endpoint}/secret/rotate", rotate_secret),
    ("GET", "/endpoint/{endpoint}/msg", list_attempted_messages),
    ("POST", "/endpoint/{endpoint}/recover", recover),
    ("GET", "/attempt/msg/{message}", list_attempts),
    ("GET", "/msg", list_messages),
    ("POST", "/msg", create_message),
)


def routes(fake: "FakeStack") -> list[Route]:
    """Return Svix's routes below its application."""
    return [
        Route(f"/api/v1/app/{{app}}{path}", _guarded(fake, handle), methods=[method]) for method, path, handle in PATHS
    ]


def endpoint(fake: "FakeStack", request: Request) -> Endpoint:
    found = fake.svix.endpoints.get(request.path_params["endpoint"])
    if found is None:
        raise refusal(404, "not_found")
    return found


def _guarded(fake: "FakeStack", handle: Handle) -> Callable[..., object]:
    async def guarded(request: Request) -> Response:
        try:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme != "Bearer" or token not in fake.svix.tokens:
                raise refusal(401, "authentication_failed")
            if request.path_params["app"] != fake.project_id:
                raise refusal(404, "not_found")
            body = await request.body()
            return handle(fake, request, await request.json() if body else {})
        except SvixRefusal as refused:
            return JSONResponse(refused.body, refused.status)

    return guarded


def _messages(fake: "FakeStack", request: Request, events: list[Event], more: Json) -> Json:
    query, now = request.query_params, fake.project.now

    def show(event: Event) -> Json:
        return fake.svix.message(event, now, with_content=with_content(query)) | more

    return messages(events, query, now, is_self_hosted=fake.svix.is_self_hosted, show=show)


def _event(fake: "FakeStack", message_id: str) -> Event:
    for event in fake.project.events:
        if event.message_id == message_id:
            return event
    raise refusal(404, "not_found")


def _attempt(event: Event, endpoint: Endpoint, fake: "FakeStack") -> Json:
    shown = fake.svix.message(event, event.at, with_content=True)
    return {
        "id": f"atmpt_{event.message_id.removeprefix('msg_')}",
        "msgId": event.message_id,
        "endpointId": endpoint.id,
        "url": endpoint.url,
        "response": "",
        "responseStatusCode": 204 if endpoint.takes else 500,
        "responseDurationMs": 12,
        "status": SUCCESS if endpoint.takes else FAIL,
        "statusText": "success" if endpoint.takes else "fail",
        "triggerType": 0,
        "timestamp": shown["timestamp"],
    }
