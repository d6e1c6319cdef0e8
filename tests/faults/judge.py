"""The judge of a storm: every row is held against what was acknowledged, and against the model."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings
from tests.faults.messages import Message, window_of
from tests.faults.storm import NO_ANSWER, Storm
from tests.support import model
from tests.support.databases import rows
from tests.support.images import image
from tests.support.model_facts import Row
from tests.support.processes import until

COLUMNS = ("source", "message_id", "event_type", "user_id", "team_id", "occurred_at", "verified_by", "body")
DELIVERIES = """
SELECT o.*, coalesce(d.outcome, d.state) AS fate
FROM consumer.outbox AS o LEFT JOIN consumer.deliveries AS d USING (seq)
"""
SIGN_INS = """
SELECT user_id, message_id, count(*) AS copies
FROM identity.profile_audit WHERE operation LIKE 'signed%' GROUP BY user_id, message_id
"""
CHAINS = """
SELECT user_id, previous_values AS before, new_values AS after
FROM identity.profile_audit WHERE operation NOT LIKE 'signed%' ORDER BY user_id, id
"""
UNDUE = """
(SELECT seq FROM consumer.deliveries WHERE state IN ('pending', 'retrying') LIMIT 1)
UNION ALL (SELECT seq FROM consumer.rehome LIMIT 1)
"""

# What a storm has left is applied within a second or two; a busy machine takes longer.
SETTLED_SECONDS_MAX = 60.0


class Flaw(NamedTuple):
    """Something that must not be, and the window of the storm it belongs to; None where that can't be told."""

    kind: str
    window: int | None
    what: str


def judge(url: str, weather: Storm) -> None:
    """Hold the tables to the promise: what is acknowledged is stored once, and what is stored is as the model says."""
    until(lambda: not rows(url, UNDUE), SETTLED_SECONDS_MAX)
    assert flaws(url, weather) == []


def flaws(url: str, weather: Storm) -> list[Flaw]:
    """Return everything that is wrong once nothing is due."""
    stored = rows(url, DELIVERIES)
    # What the sender meant to be applied, whatever became of it.
    meant = {message_id for message_id, message in weather.sent.items() if message.fate == "done"}
    usable = [Delivery(**{name: row[name] for name in COLUMNS}) for row in stored if row["message_id"] in meant]
    return [
        *_stored_flaws(stored, weather.sent, weather.acknowledged),
        *_fate_flaws(stored, weather.sent),
        *_state_flaws(model.fold(usable, ShapingSettings()), model.state(url)),
        *_audit_flaws(url, usable),
        *_stranger_flaws(weather.strangers),
    ]


def _stored_flaws(
    stored: list[Row], sent: Mapping[str, Message], acknowledged: Mapping[str, Message]
) -> Iterator[Flaw]:
    """Every message is acknowledged and stored once; nothing else is stored."""
    copies = Counter(row["message_id"] for row in stored)
    for message_id, message in sent.items():
        if message_id not in acknowledged:
            yield Flaw("unacknowledged", message.window, message_id)
        elif copies[message_id] != 1:
            yield Flaw("double" if copies[message_id] else "lost", message.window, message_id)
    for message_id in copies.keys() - sent.keys():
        yield Flaw("stranger", None, message_id)


def _fate_flaws(stored: list[Row], sent: Mapping[str, Message]) -> Iterator[Flaw]:
    """Each row holds what was sent, and met the fate it had to."""
    for row in stored:
        if (message := sent.get(row["message_id"])) is None:
            continue
        if (row["source"], bytes(row["body"])) != (message.source, message.body):
            yield Flaw("altered", message.window, message.message_id)
        if row["fate"] in {"pending", "retrying", None}:
            yield Flaw("pending", message.window, message.message_id)
        elif (row["fate"] if row["fate"] in {"dead", "ignored"} else "done") != message.fate:
            yield Flaw("poison", message.window, f"{message.message_id} is {row['fate']}, not {message.fate}")


def _state_flaws(wanted: model.State, found: model.State) -> Iterator[Flaw]:
    for table in ("mirror", "profiles", "companies", "members"):
        ours, theirs = getattr(wanted, table), getattr(found, table)
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                # A member's key ends in the user; both its ids tell the window.
                yield Flaw("wrong row", window_of(UUID(key if isinstance(key, str) else key[-1])), f"{table} of {key}")


def _audit_flaws(url: str, usable: list[Delivery]) -> Iterator[Flaw]:
    wanted = {d.message_id: d.user_id for d in usable if str(d.event_type).startswith("user.signed")}
    found = {row["message_id"]: row for row in rows(url, SIGN_INS)}
    for message_id, user_id in wanted.items():
        if message_id not in found:
            assert user_id is not None
            yield Flaw("audit missing", window_of(user_id), message_id)
    for message_id, row in found.items():
        if message_id not in wanted or row["copies"] > 1:
            yield Flaw("audit double", window_of(row["user_id"]), message_id)
    chains: dict[UUID, list[Row]] = {}
    for row in rows(url, CHAINS):
        chains.setdefault(row["user_id"], []).append(row)
    images = {row["user_id"]: image(row) for row in rows(url, "SELECT * FROM identity.profiles")}
    for user_id in images.keys() | chains.keys():
        links = [{"after": None}, *chains.get(user_id, []), {"before": images.get(user_id)}]
        if any(before["after"] != after["before"] for before, after in pairwise(links)):
            yield Flaw("audit missing", window_of(user_id), f"chain of {user_id}")


def _stranger_flaws(statuses: list[int]) -> Iterator[Flaw]:
    for status, count in Counter(statuses).items():
        if status not in {401, NO_ANSWER}:
            yield Flaw("stranger", None, f"{count} hostile requests were answered {status}")
