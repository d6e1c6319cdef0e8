"""What an address or a form chooses: the conditions of a list, as the selection of deliveries that an action takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from consumer.console.form import BadForm, Form
from consumer.lookup.times import instant, read_time
from consumer.outbox.deliveries import Selection

# The conditions by their names in addresses, and what `Selection` calls them. The same as the command line's.
NAMES: Mapping[str, str] = {
    "since": "since",
    "until": "until",
    "source": "source",
    "type": "event_type",
    "outcome": "outcome",
    "error": "error_code",
    "user": "user_id",
    "team": "team_id",
    "verified_by": "verified_by",
}
# Those of which there may be several, any of which may hold.
SEVERAL = ("state", "message_id")
# What a confirmation adds to them.
SEEN = ("id", "seen_at", "seen_count", "number", "reason")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A selection, and the conditions as pairs for hidden fields and for people; times are fixed."""

    selection: Selection
    conditions: Sequence[tuple[str, str]]


def chosen(form: Form, states: Sequence[str], now: datetime, *, is_discarded: bool) -> Chosen:
    """Return what a form chooses among deliveries of these states, as they were at *now*.

    Nothing that comes, is done or dies after *now* matches. Raises BadForm for a condition that no action knows: to
    leave it out would act on more than the person saw.
    """
    if {name for name, _ in form.fields} - {*NAMES, *SEVERAL, *SEEN}:
        raise BadForm
    values = {field: _read(name, text, now) for name, field in NAMES.items() if (text := form.text(name))}
    wanted = list(form.texts("state")) or states
    found = Selection(
        tuple(state for state in states if state in wanted),
        **values,
        settled_until=now,
        message_ids=tuple(form.texts("message_id")) or None,
        is_discarded=is_discarded,
    )
    conditions = [(name, _text(values[field])) for name, field in NAMES.items() if field in values]
    several = [(name, text) for name in SEVERAL for text in form.texts(name)]
    return Chosen(replace(found, until=min(now, found.until or now)), [*conditions, *several])


def _read(name: str, text: str, now: datetime) -> Any:
    try:
        if name in {"since", "until"}:
            return instant(read_time(text), now)
        return UUID(text) if name in {"user", "team"} else text
    except (ValueError, OverflowError) as error:
        raise BadForm from error


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
