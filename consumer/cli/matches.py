"""What a dry run prints: how many deliveries a command would take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from consumer.cli.output import present, show_rows
from consumer.outbox.deliveries import DeliveryCount


@dataclass(frozen=True, slots=True)
class Matches:
    """The JSON document of a dry run: deliveries by state, and in *counts* by state, type and outcome."""

    matches: dict[str, int]
    counts: Sequence[DeliveryCount] = field(default_factory=list)


def show(counts: Sequence[DeliveryCount], states: Iterable[str] = (), *, is_json: bool) -> None:
    """Print the counts; those of *states* by state even if there are none."""
    by_state = dict.fromkeys(states, 0)
    for each in counts:
        by_state[each.state] = by_state.get(each.state, 0) + each.deliveries
    present(Matches(by_state, counts), _show, is_json=is_json)


def total(counts: Iterable[DeliveryCount]) -> int:
    """Return the number of all."""
    return sum(each.deliveries for each in counts)


def _show(found: Matches) -> None:
    rows = [
        {"type": each.event_type, "state": each.state, "outcome": each.outcome, "deliveries": f"{each.deliveries:,}"}
        for each in found.counts
    ]
    rows += [
        {"type": None, "state": state, "outcome": None, "deliveries": "0"}
        for state, n in found.matches.items()
        if not n
    ]
    show_rows(rows, numbers={"deliveries"})
