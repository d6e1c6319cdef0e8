"""Svix's lists: newest first, behind an iterator, and its odd `after`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.support.fake_stack.state import Event
from tests.support.fake_stack.svix import WINDOW, Json

LIMIT_MAX = 250
LIMIT_USUAL = 50


class SvixRefusal(Exception):
    """The request ends with an error of Svix."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def refusal(status: int, code: str) -> SvixRefusal:
    return SvixRefusal(status, {"code": code, "detail": "<sentence>"})


def invalid(name: str) -> SvixRefusal:
    return SvixRefusal(422, {"detail": [{"loc": ["query", name], "msg": "<sentence>", "type": "pagination"}]})


def messages(
    events: Sequence[Event],
    query: Mapping[str, str],
    now: datetime,
    *,
    is_self_hosted: bool,
    show: Callable[[Event], Json],
) -> Json:
    """Return a page of messages.

    With `after` and no iterator the page has the oldest ones, shown newest first, so that its iterator leads nowhere.
    """
    before, after = (_time(query, name) for name in ("before", "after"))
    if before and after and is_self_hosted:
        raise invalid("before")
    iterator = query.get("iterator", "")
    types = query.get("event_types", "").split(",") if query.get("event_types") else None
    by_id = {event.message_id: event for event in events}
    start = by_id[iterator.removeprefix("-")].at if iterator.removeprefix("-") in by_id else now
    since = after or start - WINDOW
    rows = [
        event
        for event in sorted(events, key=lambda event: event.message_id, reverse=True)
        if event.at > since and (before is None or event.at < before) and (types is None or event.type in types)
    ]
    return page([(row.message_id, show(row)) for row in rows], query, "msg_", is_oldest=after is not None)


def page(rows: Sequence[tuple[str, Json]], query: Mapping[str, str], prefix: str, *, is_oldest: bool = False) -> Json:
    """Return a page of rows that are sorted newest first."""
    size = _limit(query)
    iterator = query.get("iterator", "")
    known = iterator.removeprefix("-")
    if iterator and not known.startswith(prefix):
        raise invalid("iterator")
    if iterator.startswith("-"):
        left = [row for row in rows if row[0] > known]
        shown = left[-size:]
    elif iterator or not is_oldest:
        left = [row for row in rows if not iterator or row[0] < known]
        shown = left[:size]
    else:
        left = list(rows)
        shown = left[-size:]
    answer: Json = {"data": [body for _, body in shown], "iterator": shown[-1][0] if shown else None}
    if shown:
        answer["prevIterator"] = f"-{shown[0][0]}"
    return {**answer, "done": len(left) <= size}


def with_content(query: Mapping[str, Any]) -> bool:
    return bool(query.get("with_content", "true") == "true")


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(LIMIT_USUAL))
    if not text.isdigit() or not 1 <= int(text) <= LIMIT_MAX:
        raise invalid("limit")
    return int(text)


def _time(query: Mapping[str, str], name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(query[name]) if name in query else None
    except ValueError as error:
        raise invalid(name) from error
