"""No page shows a person to anybody who has not asked to see one: every address of the router's list is searched."""

import logging
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from consumer.console.routes import ENDPOINTS
from tests.support.cli import arrive, call, work
from tests.support.console import Desk, address, running
from tests.support.factories import delivery, edited, snapshot, user_updated

# In every name, address, picture and piece of metadata that is sent.
TOKEN = "kanarie"
PERSON: dict[str, Any] = {
    "display_name": f"Zoe {TOKEN.title()}",
    "primary_email": f"zoe.{TOKEN}@example.com",
    "profile_image_url": f"https://example.com/{TOKEN}.png",
    "client_metadata": {TOKEN: [TOKEN]},
    "server_metadata": {"note": f"call {TOKEN}"},
}
PATHS = [each.path for each in ENDPOINTS if each.method == "GET" and each.path != "/live"]


@pytest.fixture(scope="module")
def desk(database_url: str) -> Iterator[Desk]:
    with running(database_url) as desk:
        yield desk


@pytest.fixture
def filled(emptied: str) -> str:
    """Deliveries about persons, applied, waiting and dead, and actions about them."""
    user_id = uuid4()
    arrive(emptied, user_updated(user_id, **PERSON), edited(user_id, full_name=f"Edited {TOKEN}"))
    dead = delivery("user.updated", uuid4(), **snapshot(**PERSON) | {"primary_email_verified": TOKEN})
    work(emptied)
    arrive(emptied, user_updated(**PERSON), dead)
    assert call(emptied, "export", str(user_id)).exit_code == 0
    return emptied


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_no_page_holds_a_canary(desk: Desk, filled: str, path: str, who: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    page = desk.as_(who).get(address(path))  # type: ignore[arg-type]

    assert filled
    assert page.status < 500
    assert TOKEN not in f"{page.text} {page.headers}".lower()
    assert TOKEN not in caplog.text.lower()


def test_no_stream_holds_a_canary(desk: Desk, filled: str) -> None:
    assert filled
    with desk.as_("operator").open("GET", "/live?page=overview", "", {}) as answer:
        lines = iter(lambda: answer.readline().decode(), "\n")
        text = "".join(lines).lower()

    assert "user.updated" in text
    assert "z•••••@example.com" in text
    assert TOKEN not in text
