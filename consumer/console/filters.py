"""The filter of a list of deliveries: it lies in the address, under the names of the command line's options."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from consumer.console.form import BadForm, Form
from consumer.console.sample import SOURCES
from consumer.console.visit import uuid
from consumer.events.check import TYPE_CHARACTERS_MAX
from consumer.lookup.listing import ListFilter
from consumer.lookup.times import instant, read_time

STATES = ("pending", "retrying", "dead", "done")
OUTCOMES = ("applied", "unchanged", "stale", "ignored", "discarded")
# The name of each field and what a chip calls it.
FIELDS = {
    "state": "state is",
    "type": "event is",
    "outcome": "outcome is",
    "source": "source is",
    "user": "user is",
    "team": "team is",
    "error": "error is",
    "verified_by": "signed with",
    "since": "received since",
    "until": "received before",
}
CHOICES: Mapping[str, tuple[str, ...]] = {"state": STATES, "outcome": OUTCOMES, "source": tuple(SOURCES)}
# As long as a type may be; codes and times are shorter.
CHARACTERS_MAX = TYPE_CHARACTERS_MAX
# Of a name that is told to be none.
NAME_CHARACTERS_MAX = 40
TIME_HINT = "A time is ISO 8601 in UTC (2026-01-31T12:00:00) or how long ago (90s, 15m, 2h, 3d, 1w)."


class Chip(NamedTuple):
    """One condition, and the address without it."""

    label: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class AddressFilter:
    """The conditions that an address holds, by the name of the field."""

    values: Mapping[str, str]

    def wanted(self, now: datetime) -> ListFilter:
        """Return the conditions for a query; durations count back from *now*."""
        user_id, team_id = uuid(self.values.get("user", "")), uuid(self.values.get("team", ""))
        times = {name: instant(read_time(self.values[name]), now) for name in ("since", "until") if name in self.values}
        return ListFilter(
            states=[self.values["state"]] if "state" in self.values else None,
            event_type=self.values.get("type"),
            user_ids=[user_id] if user_id else None,
            team_id=team_id,
            source=self.values.get("source"),
            outcome=self.values.get("outcome"),
            error_code=self.values.get("error"),
            verified_by=self.values.get("verified_by"),
            **times,
        )

    def address(self, path: str, **more: object) -> str:
        """Return a path with the filter, and more fields; one that is None is left out."""
        fields = {name: value for name, value in {**self.values, **more}.items() if value is not None}
        return f"{path}?{urlencode(fields)}" if fields else path

    def chips(self, path: str) -> list[Chip]:
        """Return each condition with the address of *path* without it."""
        return [
            Chip(FIELDS[name], SOURCES[value] if name == "source" else value, self.address(path, **{name: None}))
            for name, value in self.values.items()
        ]


def read_filter(query: Form, also: Collection[str] = ("before",)) -> AddressFilter:
    """Return the filter of an address or a form that may have other fields *also*.

    Raises BadForm with a sentence about the field that can't be used: without it more would match than somebody asked.
    """
    for name, _ in query.fields:
        if name not in FIELDS and name not in also:
            raise BadForm(f"There is no filter {name[:NAME_CHARACTERS_MAX]}. There are {', '.join(FIELDS)}.")
    values = {name: value for name in FIELDS if (value := query.text(name))}
    for name, value in values.items():
        if len(value) > CHARACTERS_MAX:
            raise BadForm(f"The field {name} is too long.")
        if name in CHOICES and value not in CHOICES[name]:
            raise BadForm(f"The field {name} is one of {', '.join(CHOICES[name])}.")
        if name in {"user", "team"} and not uuid(value):
            raise BadForm(f"The field {name} is an id, a UUID.")
        if name in {"since", "until"}:
            _check_time(value)
    return AddressFilter(values)


def read_before(query: Form) -> int | None:
    """Return the number below which a page begins, None for the newest page; raise BadForm if it is none."""
    text = query.text("before")
    return read_seq(text) if text else None


def read_seq(text: str) -> int:
    """Return the number of a delivery; raise BadForm if it can be none."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise BadForm
    return int(text)


def _check_time(text: str) -> None:
    try:
        read_time(text)
    except (ValueError, OverflowError) as error:
        raise BadForm(TIME_HINT) from error
