"""What an action chose, in words: one way for the page that asks, the page of the action and the lists."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from consumer.console.sample import SOURCES

# What a field of a form or of a record is called; another one by its own name.
LABELS = {
    "error_code": "error",
    "type": "event",
    "event_type": "event",
    "user_id": "user",
    "user_ids": "user",
    "team_id": "team",
    "states": "state",
    "seq": "delivery",
    "seqs": "delivery",
    "message_ids": "message",
    "verified_by": "signed with",
    "until": "received before",
    "settled_until": "until",
    "is_discarded": "discarded",
}
TIMES = frozenset({"since", "until", "settled_until"})
PAGES = {"delivery": "/deliveries/", "user": "/users/", "team": "/companies/"}
# A line of a list; who chose more sees the first.
VALUES_MAX = 5


class Value(NamedTuple):
    """A value of a condition, and the address of its page, if it has one."""

    shown: str | datetime
    path: str | None = None


class Condition(NamedTuple):
    """One condition; *rest* is how many values are not shown."""

    label: str
    values: Sequence[Value]
    rest: int = 0


def conditions(chosen: Mapping[str, object] | Iterable[tuple[str, object]]) -> list[Condition]:
    """Return the conditions of a recorded filter, or of a form's fields, where one name may stand several times."""
    found: dict[str, list[object]] = {}
    for name, value in chosen.items() if isinstance(chosen, Mapping) else chosen:
        found.setdefault(name, []).extend(value if isinstance(value, list | tuple) else [value])
    return [_condition(name, values) for name, values in found.items()]


def _condition(name: str, values: Sequence[object]) -> Condition:
    label = LABELS.get(name, name.replace("_", " "))
    if values == [True]:
        return Condition(label, ())
    return Condition(label, [_value(name, label, each) for each in values[:VALUES_MAX]], len(values[VALUES_MAX:]))


def _value(name: str, label: str, value: object) -> Value:
    text = value if isinstance(value, str) else json.dumps(value)
    if name in TIMES:
        with suppress(ValueError):
            return Value(datetime.fromisoformat(text))
    if name == "source":
        return Value(SOURCES.get(text, text))
    return Value(text, PAGES[label] + text if label in PAGES else None)
