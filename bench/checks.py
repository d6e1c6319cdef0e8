"""A bench compares what it put with what the tables show, and prints no figure when they differ."""

import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import orjson
import psycopg

from consumer.outbox.storage import Delivery


class FalseFigure(SystemExit):
    """The work that a figure would stand for was not done. Uncaught, it ends the bench with its sentence and 1."""


def require_soon(what: str, holds: Callable[[], object], seconds: float, *, poll: float) -> None:
    """Ask every *poll* seconds until it holds; raise FalseFigure when it does not within *seconds*."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise FalseFigure(f"No figure: {what} was not so after {seconds:g} s.")
        time.sleep(poll)


def require_stored(what: str, *, sent: int, answered: int, stored: int | None) -> None:
    """Raise FalseFigure unless every request was answered 204 and stored once; *stored* is None where nothing is."""
    if sent == answered and stored in {sent, None}:
        return
    rows = "" if stored is None else f", {stored:,} stored"
    raise FalseFigure(f"No figure for {what}: {sent:,} requests were sent, {answered:,} answered 204{rows}.")


def stored_rows(url: str) -> int:
    """Return how many deliveries are stored and queued; raise FalseFigure when these are two numbers."""
    [(stored, queued)] = _rows(url, "SELECT (SELECT count(*) FROM consumer.outbox), count(*) FROM consumer.pending")
    if stored != queued:
        raise FalseFigure(
            f"No figure: {stored:,} deliveries are in consumer.outbox and {queued:,} in consumer.pending."
        )
    return int(stored)


def require_finished(what: str, url: str, count: int, *, history: int = 0) -> None:
    """Raise FalseFigure unless the queue is empty and *count* deliveries have an outcome, besides the *history*."""
    [(done, pending, failed)] = _rows(
        url,
        "SELECT count(*), (SELECT count(*) FROM consumer.pending), (SELECT count(*) FROM consumer.failures)"
        " FROM consumer.outcomes",
    )
    finished = int(done) - history
    if (finished, pending, failed) != (count, 0, 0):
        raise FalseFigure(
            f"No figure for {what}: {count:,} deliveries were put, {finished:,} finished, {failed:,} failed,"
            f" {pending:,} are pending."
        )


def require_shown(what: str, url: str, deliveries: Sequence[Delivery]) -> None:
    """Raise FalseFigure unless identity.profiles has each user who is not deleted, by the name in the newest update."""
    wanted = _newest_names(deliveries)
    shown = dict(_rows(url, "SELECT user_id, full_name FROM identity.profiles WHERE deleted_at IS NULL"))
    if shown != wanted:
        right = len(shown.items() & wanted.items())
        raise FalseFigure(
            f"No figure for {what}: identity.profiles shows {len(shown):,} users, {right:,} of them rightly,"
            f" and should show {len(wanted):,}."
        )


def _newest_names(deliveries: Sequence[Delivery]) -> dict[object, object]:
    newest: dict[UUID | None, Delivery] = {}
    for delivery in deliveries:
        known = newest.get(delivery.user_id)
        if delivery.event_type == "user.updated" and (known is None or known.occurred_at < delivery.occurred_at):
            newest[delivery.user_id] = delivery
    deleted = {delivery.user_id for delivery in deliveries if delivery.event_type == "user.deleted"}
    return {
        user_id: orjson.loads(delivery.body)["data"]["display_name"]
        for user_id, delivery in newest.items()
        if user_id not in deleted
    }


def _rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(statement.encode()).fetchall()
