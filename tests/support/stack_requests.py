"""Requests to the fake without the client, and what is made of their answers."""

from collections.abc import Mapping

import httpx

from tests.support.fake_stack import Event, FakeStack
from tests.support.fake_stack.serving import PROJECT_ID, SERVER_KEY

SERVER = {
    "x-stack-access-type": "server",
    "x-stack-project-id": PROJECT_ID,
    "x-stack-secret-server-key": SERVER_KEY,
}


def ask(fake: FakeStack, path: str, headers: Mapping[str, str], query: Mapping[str, str]) -> httpx.Response:
    """GET a path of the API with these headers alone."""
    with httpx.Client(verify=False) as client:
        return client.get(f"{fake.url}/api/v1{path}", params=query, headers=dict(headers))


def get(fake: FakeStack, path: str, **query: str) -> httpx.Response:
    """GET a path of the API with the server key."""
    return ask(fake, path, SERVER, query)


def listed(fake: FakeStack, path: str = "/users", **query: str) -> list[str]:
    """Return the ids of a list."""
    return [item["id"] for item in get(fake, path, **query).json()["items"]]


def error(answer: httpx.Response) -> tuple[int, str | None]:
    """Return the status and the known error."""
    return answer.status_code, answer.headers.get("x-stack-known-error")


def one(events: list[Event]) -> str:
    """Return the id of the user or team that a change was about."""
    return str(events[-1].data["id"])


def many(fake: FakeStack, number: int) -> list[str]:
    """Sign users up, and return their ids."""
    return [one(fake.project.sign_up()) for _ in range(number)]
