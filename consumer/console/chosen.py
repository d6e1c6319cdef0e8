"""What an address or a form chooses: the conditions of a list, as the deliveries that an action takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from consumer.console import confirm
from consumer.console.filters import read_filter, read_seq
from consumer.console.form import Form
from consumer.outbox.deliveries import Selection

# A list that lets people select says so: if they selected none, none match, instead of all.
SELECTED = "selected"


@dataclass(frozen=True, slots=True)
class ChosenDeliveries:
    """A selection, and its conditions as fields of a form, with fixed times."""

    selection: Selection
    conditions: Sequence[tuple[str, str]]


def is_none_selected(form: Form) -> bool:
    """Tell whether a form comes from a list that lets people select, and they selected nothing."""
    return bool(form.text(SELECTED) and not form.text("seq"))


def chosen(form: Form, states: Sequence[str], now: datetime, *, is_discarded: bool) -> ChosenDeliveries:
    """Return what a form chooses among deliveries of these states, as they were at *now*.

    What comes, is done or dies after *now* does not match. Raises BadForm for a condition that no action knows.
    """
    read = read_filter(form, {"seq", SELECTED, *confirm.FIELDS})
    values, wanted = read.values, read.wanted(now)
    # A message id is one of each source.
    seqs = tuple(read_seq(text) for text in form.texts("seq"))
    if is_none_selected(form):
        states = ()
    selection = Selection(
        tuple(state for state in states if wanted.states is None or state in wanted.states),
        since=wanted.since,
        until=wanted.until,
        settled_until=now,
        source=wanted.source,
        outcome=wanted.outcome,
        event_type=wanted.event_type,
        user_id=wanted.user_ids[0] if wanted.user_ids else None,
        team_id=wanted.team_id,
        seqs=seqs or None,
        error_code=wanted.error_code,
        verified_by=wanted.verified_by,
        is_discarded=is_discarded,
    )
    fixed = {name: time.isoformat() for name in ("since", "until") if (time := getattr(wanted, name))}
    conditions = [*({**values, **fixed}).items(), *(("seq", str(each)) for each in seqs)]
    return ChosenDeliveries(selection, conditions)
