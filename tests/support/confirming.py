"""A browser without JavaScript at the console's confirmation pages: it reads the form and sends it."""

import html
import re
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from tests.support.console import Desk, Page


def heading(page: Page) -> str:
    """Return the heading of a page, as people read it."""
    found = re.search("<h1[^>]*>(.*?)</h1>", page.text)
    assert found, "the page has no heading"
    return html.unescape(found[1])


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and found.get("id") == "order":
            self.action = found["action"]
        if tag == "input" and found.get("form") == "order":
            self.fields.setdefault(found["name"] or "", []).append(found.get("value") or "")


def order(page: Page) -> tuple[str, dict[str, list[str]]]:
    """Return the address and the fields of the form on a confirmation page."""
    read = _Fields()
    read.feed(page.text)
    assert read.action, "the page has no form to send"
    return read.action, read.fields


def confirm(desk: Desk, path: str, **typed: str) -> Page:
    """Ask for a confirmation page and send its form, with what a person types."""
    address, fields = order(desk.get(path))
    return desk.post(address, {**fields, **typed})


def finished(url: str, answer: Page) -> dict[str, Any]:
    """Wait until the action that an answer leads to is finished; return its row and its progress."""
    assert answer.status == 303, answer.text
    action_id = UUID(answer.headers["location"].rpartition("/")[2])
    statement = "SELECT * FROM consumer.actions JOIN consumer.background USING (id) WHERE id = %s"
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        while True:
            found = conn.execute(statement, [action_id]).fetchone()
            assert found, "the action is not stored"
            if found["finished_at"]:
                return found
            conn.execute("SELECT pg_sleep(0.01)")
