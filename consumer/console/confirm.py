"""The page that asks before an action, and what its form brings back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from starlette.responses import Response

from consumer.console.form import BadForm, Form
from consumer.console.visit import Visit, uuid
from consumer.operations import background
from consumer.operations.actions import REASON_CHARACTERS_MAX, Action, ActionName
from consumer.outbox.deliveries import DeliveryCount
from consumer.postgres.connections import Connection

# What the form says besides the filter.
FIELDS = ("id", "seen_at", "seen_count", "number", "reason", "sample", "counted")
# Above it the person types the number: nobody types it by mistake.
NUMBER_MIN = 100
# Deliveries that a page counts before it says "or more": up to 70 ms, where a million would take seconds.
COUNT_MAX = 50_001
# A person waits for the page: a count that takes longer is given up, and a narrower filter asked for.
COUNT_TIME = timedelta(seconds=5)
GOES_ON = "It goes on in the background, also after a restart. Live deliveries go first. Its page tells how far it is."


@dataclass(frozen=True, slots=True)
class ActionPage:
    """An action as a page: its address, its words, and whether it asks for a reason."""

    path: str
    action: ActionName
    verb: str
    effect: str
    back: str
    asks_reason: bool = False
    # It can't be taken back, or not by one click.
    is_grave: bool = False
    # A sample tells what it would do.
    has_sample: bool = False
    # The address of an action that finds out what this one would change.
    check: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a page asks: *noun* with its number is what *count* counts, *hidden* the fields that its form sends back."""

    count: int
    noun: str
    facts: Sequence[tuple[str, str]]
    hidden: Sequence[tuple[str, str]]
    seen_at: datetime
    counts: Sequence[DeliveryCount] = ()
    # What a sample has told; none was taken yet if it is empty.
    sample: Sequence[str] = ()
    # Fields to choose by: name, label and what was typed.
    choices: Sequence[tuple[str, str, str]] = ()
    # False: there may be more than *count*.
    is_all: bool = True
    # The heading if *count* is 0.
    empty_title: str = "Nothing matches"
    id: UUID = field(default_factory=uuid4)

    @property
    def asks_number(self) -> bool:
        """Whether the person types the number."""
        return self.count > NUMBER_MIN


class Confirmed(NamedTuple):
    """What the form says: the action's id, what the page showed and when, the number that was typed, and the reason."""

    id: UUID
    seen_at: datetime
    seen_count: int
    number: str
    reason: str | None

    def problem(self, page: ActionPage, count: int) -> tuple[int, str] | None:
        """Return why nothing is done, with a status; *count* match now."""
        if count > self.seen_count:
            return (
                409,
                f"{count:,} match now; there were {self.seen_count:,} when the page was made. Look at them anew.",
            )
        if not count:
            return 409, "Nothing matches any more, so nothing was done."
        if page.asks_reason and not 0 < len(self.reason or "") <= REASON_CHARACTERS_MAX:
            return 422, f"Nothing was done: a reason has from 1 to {REASON_CHARACTERS_MAX:,} characters."
        if self.seen_count > NUMBER_MIN and self.number.replace(",", "") != str(self.seen_count):
            return 422, f"Nothing was done: the number to type is {self.seen_count:,}."
        return None


def answer(form: Form) -> Confirmed:
    """Return what the form of a question says; raise BadForm if it is none."""
    try:
        seen_at = datetime.fromisoformat(form.text("seen_at"))
        seen_count = int(form.text("seen_count"))
    except ValueError as error:
        raise BadForm from error
    if (action_id := uuid(form.text("id"))) is None or seen_at.tzinfo is None:
        raise BadForm
    return Confirmed(action_id, seen_at, seen_count, form.text("number"), form.text("reason") or None)


def ask(visit: Visit, page: ActionPage, question: Question, problem: tuple[int, str] | None = None) -> Response:
    """Answer with the page that asks; *problem* says with which status and why it asks again."""
    status, sentence = problem or (200, None)
    more = " or more" if question.count == COUNT_MAX or not question.is_all else ""
    title = f"{page.verb} {question.count:,}{more} {question.noun}?" if question.count else question.empty_title
    return visit.page(
        "confirm.html",
        status,
        title=title,
        here=page.back,
        page=page,
        question=question,
        problem=sentence,
        reason=visit.form.text("reason"),
        goes_on=GOES_ON,
        number_min=NUMBER_MIN,
    )


async def order(
    conn: Connection, visit: Visit, page: ActionPage, confirmed: Confirmed, chosen: Mapping[str, object]
) -> None:
    """Queue the action in the caller's transaction."""
    recorded = confirmed.seen_count, confirmed.reason, confirmed.id
    await background.put(conn, Action(visit.actor, page.action, chosen, *recorded))


def ordered(visit: Visit, confirmed: Confirmed) -> Response:
    """Answer that the action is queued: its page tells how far it is."""
    visit.console.background.wake()
    return visit.redirect(f"/actions/{confirmed.id}")
