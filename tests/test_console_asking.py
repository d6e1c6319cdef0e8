"""What the page before each action asks for, offers and warns of."""

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from consumer.console import bulk, confirm, subjects
from consumer.console.base import base_of
from consumer.console.confirm import ActionPage, Confirmed, Question
from consumer.console.form import Form
from consumer.console.person import Visitor
from consumer.console.render import Renderer
from consumer.console.routes import STEPS
from consumer.console.sampler import View
from consumer.console.visit import Visit
from consumer.outbox.deliveries import DeliveryCount

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ID = UUID(int=7)
PAGES = {each.path: each for each in (*(one.page for one in bulk.BULKS), subjects.REBUILD, subjects.CHECK)}
PAGES["refresh"] = subjects.REFRESH


class Asks(NamedTuple):
    """Whether a reason is asked for, the button warns, a sample is tried, and the address of a check."""

    reason: bool = False
    is_grave: bool = False
    sample: bool = False
    check: str | None = None


ASKS = {
    "/dead/retry": Asks(sample=True),
    "/dead/discard": Asks(reason=True, is_grave=True),
    "/deliveries/replay": Asks(),
    "/deliveries/discard": Asks(reason=True, is_grave=True),
    "/deliveries/undiscard": Asks(reason=True),
    "/recovery/rebuild": Asks(check="/x/recovery/check?error=23505"),
    "/recovery/check": Asks(),
    "refresh": Asks(),
}


def shown(page: ActionPage, problem: tuple[int, str] | None = None, **values: Any) -> tuple[int, str]:
    """Return the status and the text of the page that asks."""
    renderer = Renderer(base_of("https://ops.example.com/x", 8003, STEPS), "label", "https://hooks")
    console: Any = SimpleNamespace(renderer=renderer, sampler=SimpleNamespace(view=View(asked_at=NOW)))
    request: Any = None
    visit = Visit(console, request, Visitor("kim", "operator"), Form((("reason", "so be it"),)), Form())
    asked = {"count": 3, "noun": "deliveries", "facts": (("error", "23505"),), "hidden": (("error", "23505"),)}
    answer = confirm.ask(visit, page, Question(**{**asked, "seen_at": NOW, "id": ID, **values}), problem)
    return answer.status_code, bytes(answer.body).decode()


def test_each_action_has_a_row_here() -> None:
    assert ASKS.keys() == PAGES.keys()


@pytest.mark.parametrize(("name", "asks"), ASKS.items(), ids=ASKS)
def test_a_page_asks_warns_and_offers_what_its_action_needs(name: str, asks: Asks) -> None:
    page = PAGES[name]

    status, text = shown(page)

    assert (status, f"<h1>{page.verb} 3 deliveries?</h1>" in text) == (200, True)
    assert ('name="reason" value="so be it"' in text) is asks.reason
    assert f'<button class="btn {"bad" if asks.is_grave else "main"}" form="order">{page.verb} 3</button>' in text
    assert ('id="tried"' in text) is asks.sample
    assert re.findall(r'<p><a href="([^"]*)">Check first', text) == ([asks.check] if asks.check else [])
    lacking = Confirmed(ID, NOW, 3, "", None).problem(page, 3)
    assert (lacking is not None and lacking[0] == 422) is asks.reason


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ({"count": 50_000}, "Retry 50,000 deliveries?"),
        ({"count": 50_001}, "Retry 50,001 or more deliveries?"),
        ({"count": 7, "is_all": False}, "Retry 7 or more deliveries?"),
        ({"count": 0}, "Nothing matches"),
        ({"count": 0, "empty_title": "Nothing was selected"}, "Nothing was selected"),
        ({"count": 0, "is_all": False}, "Nothing matches"),
    ],
)
def test_the_heading_counts_as_far_as_was_counted(values: dict[str, Any], title: str) -> None:
    _, text = shown(PAGES["/dead/retry"], **values)

    assert f"<h1>{title}</h1>" in text
    assert ('id="order"' in text, "<title>" + title in text) == (values["count"] > 0, True)


@pytest.mark.parametrize(("count", "is_asked"), [(100, False), (101, True)])
def test_above_a_hundred_the_number_is_asked_for_and_what_is_recorded_is_told(count: int, is_asked: bool) -> None:
    _, text = shown(PAGES["/dead/retry"], count=count)

    assert ('name="number"' in text) is is_asked
    said = f"Asked above 100. The record will say: kim, retry, this filter, {count}."
    assert (said in text) is is_asked


def test_the_form_sends_back_what_was_seen() -> None:
    _, text = shown(PAGES["/dead/discard"], counts=[DeliveryCount("dead", None, None, 1_200)])

    assert dict(re.findall(r'<input type="hidden" form="order" name="(\w+)" value="([^"]*)">', text)) == {
        "error": "23505",
        "id": str(ID),
        "seen_at": NOW.isoformat(),
        "seen_count": "3",
    }
    assert "<td>dead</td><td>unreadable</td><td>–</td>" in text
    assert "1,200" in text


def test_what_stands_in_the_way_is_said_with_its_status() -> None:
    status, text = shown(PAGES["/dead/discard"], (409, "They have grown."))

    assert (status, "They have grown." in text) == (409, True)
