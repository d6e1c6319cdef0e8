"""Actions on all deliveries that match: retry, replay, discard, and taking a discard back."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial

from starlette.responses import Response

from consumer.console import confirm, retry_sample
from consumer.console.chosen import ChosenDeliveries, chosen, is_none_selected
from consumer.console.confirm import COUNT_MAX, COUNT_TIME, ActionPage, Question
from consumer.console.form import Form
from consumer.console.visit import Endpoint, Visit
from consumer.operations import background
from consumer.outbox import deliveries
from consumer.outbox.deliveries import DeliveryCount
from consumer.postgres import session
from consumer.postgres.connections import Connection, transaction


@dataclass(frozen=True, slots=True)
class Bulk:
    """An action, and the states of the deliveries that it takes."""

    page: ActionPage
    states: Sequence[str]
    noun: str = ""
    is_discarded: bool = False


CHECKED = (
    "Each is checked again by this release. Usable ones are put back to pending, and workers apply them; the others "
    "stay dead, with the reason found today. It is safe to repeat: what a newer delivery has overtaken ends as stale."
)
EXCLUDED = (
    "Neither a replay nor a repeat by the sender brings them back; an operator can take it back. "
    "The reason is kept beside each delivery."
)
SELECT_SOME = "Go back and select the deliveries, or act on all that match."
BULKS = (
    Bulk(ActionPage("/dead/retry", "retry", "Retry", CHECKED, "/dead", has_sample=True), ("dead",), "dead "),
    Bulk(ActionPage("/dead/discard", "discard", "Discard", EXCLUDED, "/dead", True, True), ("dead",), "dead "),
    Bulk(
        ActionPage(
            "/deliveries/replay",
            "replay",
            "Replay",
            "The users and companies of applied ones are made anew from all their deliveries; where nothing differs "
            f"nothing is written. Of dead ones: {CHECKED[0].lower()}{CHECKED[1:]} Discarded ones are never replayed.",
            "/deliveries",
        ),
        ("done", "dead", "retrying"),
    ),
    Bulk(
        ActionPage(
            "/deliveries/discard",
            "discard",
            "Discard",
            "It is as if they had never come: the users and companies of applied ones are made anew without them. "
            f"Erasures are left out. {EXCLUDED}",
            "/deliveries",
            True,
            True,
        ),
        ("pending", "retrying", "dead", "done"),
    ),
    Bulk(
        ActionPage(
            "/deliveries/undiscard",
            "undiscard",
            "Take back the discard of",
            f"They count again. {CHECKED} Those of an erased user stay discarded.",
            "/deliveries",
            True,
        ),
        ("done",),
        "discarded ",
        is_discarded=True,
    ),
)


async def show(bulk: Bulk, visit: Visit) -> Response:
    """Ask whether to act on what the address chooses; with *sample*, say what a sample of it tells."""
    question = await _question(bulk, visit, visit.query)
    if is_none_selected(visit.query):
        question = replace(question, empty_title="Nothing was selected")
        return confirm.ask(visit, bulk.page, question, (422, SELECT_SOME))
    if bulk.page.has_sample and question.count and visit.query.text("sample"):
        found = chosen(visit.query, bulk.states, question.seen_at, is_discarded=bulk.is_discarded)
        sample = await retry_sample.take(visit, found.selection)
        question = replace(question, sample=sample.sentences)
    return confirm.ask(visit, bulk.page, question)


async def act(bulk: Bulk, visit: Visit) -> Response:
    """Order the action, if still no more match than the page showed; else ask again."""
    confirmed = confirm.answer(visit.form)
    async with visit.counting() as (conn, access), transaction(conn, replace(access, statement_timeout=COUNT_TIME)):
        if await background.is_known(conn, confirmed.id):
            return confirm.ordered(visit, confirmed)
        # Nobody can choose what comes after now.
        seen_at = min(confirmed.seen_at, await session.now(conn))
        found, counts = await _count(bulk, conn, visit.form, seen_at)
        problem = confirmed.problem(bulk.page, _total(counts))
        if not problem:
            await confirm.order(conn, visit, bulk.page, confirmed, asdict(found.selection))
    if problem:
        return confirm.ask(visit, bulk.page, await _question(bulk, visit, visit.form), problem)
    return confirm.ordered(visit, confirmed)


async def _question(bulk: Bulk, visit: Visit, form: Form) -> Question:
    async with visit.counting() as (conn, access), transaction(conn, replace(access, statement_timeout=COUNT_TIME)):
        now = await session.now(conn)
        found, counts = await _count(bulk, conn, form, now)
    total = _total(counts)
    noun = f"{bulk.noun}{'delivery' if total == 1 else 'deliveries'}"
    return Question(total, noun, found.conditions, found.conditions, now, counts)


async def _count(
    bulk: Bulk, conn: Connection, form: Form, now: datetime
) -> tuple[ChosenDeliveries, list[DeliveryCount]]:
    found = chosen(form, bulk.states, now, is_discarded=bulk.is_discarded)
    return found, await deliveries.count(conn, found.selection, count_max=COUNT_MAX)


def _total(counts: Sequence[DeliveryCount]) -> int:
    return sum(each.deliveries for each in counts)


ENDPOINTS = tuple(
    endpoint
    for bulk in BULKS
    for endpoint in (
        Endpoint("GET", bulk.page.path, "operator", partial(show, bulk)),
        Endpoint("POST", bulk.page.path, "operator", partial(act, bulk)),
    )
)
