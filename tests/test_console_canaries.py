"""No page shows a person to anybody who has not asked to see one: every address of the router's list is searched."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from consumer.console.routes import ENDPOINTS
from tests.support.cli import arrive, call, work
from tests.support.console import Desk, address, running
from tests.support.databases import change, empty, record_settings, rows
from tests.support.factories import delivery, edited, membership, snapshot, team_event, user_updated
from tests.support.outbox import set_aside
from tests.test_console_routes import EXPECTED, WHO, Who

# In every name, address, picture and piece of metadata that is sent.
TOKEN = "kanarie"
EMAIL = f"zoe.{TOKEN}@example.com"
PERSON: dict[str, Any] = {
    "display_name": f"Zoe {TOKEN.title()}",
    "primary_email": EMAIL,
    "profile_image_url": f"https://example.com/{TOKEN}.png",
    "client_metadata": {TOKEN: [TOKEN]},
    "server_metadata": {"note": f"call {TOKEN}"},
}
# Nobody goes on with it: no console knows the action.
ORDERED = f"""
INSERT INTO consumer.actions (id, actor, via, role, action, filter, reason)
VALUES (
    gen_random_uuid(), 'kim', 'console', 'operator', 'unknown', '{{"message_ids": ["{EMAIL}"]}}', 'asked by {EMAIL}'
);
INSERT INTO consumer.background (id) SELECT id FROM consumer.actions WHERE action = 'unknown'
"""
PATHS = [(each.path, each.method) for each in ENDPOINTS if each.path != "/live"]
# What else an address can ask for.
QUERIES = ("/?range=3h", "/deliveries?state=dead", "/dead?by=event", "/dead?by=each", "/dead/retry?sample=1")


@dataclass(frozen=True)
class Filled:
    """A console over deliveries about persons, applied, waiting and dead; *ids* of all that has a page, by its kind."""

    desk: Desk
    ids: dict[str, list[str]]

    def addresses(self, path: str) -> list[str]:
        """Return the addresses of a path of the router's list: one of each stored thing that it can name."""
        ids = next((self.ids[part] for part in self.ids if part in path), [""])
        return [address(path, dict.fromkeys(self.ids, each)) for each in ids]


@pytest.fixture(scope="module")
def filled(database_url: str) -> Iterator[Filled]:
    empty(database_url)
    record_settings(database_url)
    user_id, team_id = uuid4(), uuid4()
    # Its only member's name is its name.
    team = team_event("created", team_id, display_name=f"{TOKEN}'s team")
    persons = user_updated(user_id, **PERSON), user_updated(**PERSON)
    arrive(database_url, team, *persons, membership("created", team_id, user_id))
    work(database_url)
    dead = delivery("user.updated", uuid4(), **snapshot(**PERSON) | {"primary_email_verified": TOKEN})
    arrive(database_url, edited(user_id, full_name=f"Edited {TOKEN}"), dead)
    work(database_url)
    arrive(database_url, user_updated(**PERSON), gone := user_updated(user_id, **PERSON))
    set_aside(database_url, [gone])
    for command in (("export",), ("user", "--reveal", "--reason", "ticket"), ("rebuild", "--user")):
        assert call(database_url, *command, str(user_id)).exit_code == 0
    change(
        database_url,
        "INSERT INTO consumer.runs (id, kind, project_id, stage) VALUES (gen_random_uuid(), 'reconcile', 'p', 'users')",
    )
    change(database_url, ORDERED)
    queries = {
        "{seq:seq}": "SELECT seq AS id FROM consumer.outbox",
        "{user_id:uuid}": "SELECT DISTINCT user_id AS id FROM consumer.outbox WHERE user_id IS NOT NULL",
        "{company_id:uuid}": "SELECT id FROM identity.companies WHERE name <> 'Default'",
        "{run_id:uuid}": "SELECT id FROM consumer.runs",
        "{id}": "SELECT id FROM consumer.actions",
    }
    ids = {part: [str(row["id"]) for row in rows(database_url, query)] for part, query in queries.items()}
    assert [len(each) for each in ids.values()] == [8, 4, 1, 1, 4]
    with running(database_url) as desk:
        yield Filled(desk, ids)


@pytest.mark.parametrize(("path", "method"), [*PATHS, *((path, "GET") for path in QUERIES)])
@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_no_page_holds_a_canary(
    filled: Filled, path: str, method: str, who: Who, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    status = EXPECTED[path.partition("?")[0]][method][WHO.index(who)]  # type: ignore[index]
    desk = filled.desk.as_(who)
    for each in filled.addresses(path):
        page = desk.get(each) if method == "GET" else desk.post(each, {"x": 1})

        # There everything is known.
        assert page.status == (200 if status == 404 else status), each
        assert TOKEN not in f"{page.text} {page.headers}".lower(), each
    assert TOKEN not in caplog.text.lower()


@pytest.mark.parametrize("text", [EMAIL, "{seq:seq}", "{user_id:uuid}", "{company_id:uuid}"])
@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_what_is_found_holds_no_canary(filled: Filled, text: str, who: Who) -> None:
    page = filled.desk.as_(who).post("/find", {"q": filled.addresses(text)[0]})

    assert page.status in {200, 303}
    assert TOKEN not in f"{page.text} {page.headers}".lower()


def test_no_stream_holds_a_canary(filled: Filled) -> None:
    with filled.desk.as_("operator").open("GET", "/live?page=overview", "", {}) as answer:
        lines = iter(lambda: answer.readline().decode(), "\n")
        text = "".join(lines).lower()

    assert "user.updated" in text
    assert "z•••••@example.com" in text
    assert TOKEN not in text
