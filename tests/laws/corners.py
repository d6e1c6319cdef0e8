"""The corners that histories must reach, each with the share of histories that reach it at the least."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import NamedTuple
from zoneinfo import ZoneInfo

from consumer.outbox.storage import Delivery
from tests.laws.arrivals import steps
from tests.laws.histories import ABROAD, SOURCES, History
from tests.support.model_facts import data, is_snapshot, version

Batches = Sequence[Sequence[Delivery]]
Fact = Callable[[Delivery], bool]
Condition = Callable[[Delivery, Delivery], bool]


class Corner(NamedTuple):
    """Of all histories, at least *share* reach it; *is_reached* gets a history and its batches."""

    share: float
    is_reached: Callable[[History, Batches], bool]


def of(*event_types: str) -> Fact:
    return lambda delivery: delivery.event_type in event_types


def later(share: float, subject: Sequence[str], first: Fact, second: Fact, *conditions: Condition) -> Corner:
    """A later batch applies *second* about the subject of *first*; the conditions hold for the two."""

    def is_reached(_: History, applied: Batches) -> bool:
        return any(
            first(one)
            and second(other)
            and all(getattr(one, key) and getattr(one, key) == getattr(other, key) for key in subject)
            and all(condition(one, other) for condition in conditions)
            for earlier, following in combinations(applied, 2)
            for one in earlier
            for other in following
        )

    return Corner(share, is_reached)


def anything(_: Delivery) -> bool:
    return True


def is_older(one: Delivery, other: Delivery) -> bool:
    """Whether the one that is applied later is the older."""
    return version(other) < version(one)


def is_earlier(one: Delivery, other: Delivery) -> bool:
    """Whether the one that is applied later happened before the other."""
    return other.occurred_at < one.occurred_at


def is_tied(one: Delivery, other: Delivery) -> bool:
    return one.occurred_at == other.occurred_at


def has_same_id(one: Delivery, other: Delivery) -> bool:
    return one.message_id == other.message_id


def has_same_field(one: Delivery, other: Delivery) -> bool:
    return bool(data(one).keys() & data(other).keys() - {"id"})


def has_same_permission(one: Delivery, other: Delivery) -> bool:
    return bool(data(one)["id"] == data(other)["id"])


def is_by_api(one: Delivery, other: Delivery) -> bool:
    return one.source == "stack" and other.source in {"backfill", "reconcile"}


def is_reversed_abroad(one: Delivery, other: Delivery) -> bool:
    """Whether clocks that went back between the two tell them in the other order, or alike."""
    return (one.occurred_at < other.occurred_at) != (_clock(one.occurred_at) < _clock(other.occurred_at))


def _clock(at: datetime) -> datetime:
    return at.astimezone(ZoneInfo(ABROAD)).replace(tzinfo=None)


def names_its_company(one: Delivery, other: Delivery) -> bool:
    """Whether the first names the company of the second as a home."""
    metadata = data(one).get("server_metadata")
    named = metadata.get("company_id") if isinstance(metadata, dict) else data(one).get("company_id")
    return isinstance(named, str) and named.lower() == str(other.team_id)


def is_removed_where_selected(history: History, _: Batches) -> bool:
    """Whether a snapshot selects a team from which a removal, the newest word on the member, has removed the user.

    A deletion of either would hide whether the removal holds.
    """
    about = history.deliveries
    return any(
        any(is_snapshot(one) and selects(one, removal) for one in about if one.user_id == removal.user_id)
        and not any(USER_END(one) for one in about if one.user_id == removal.user_id)
        and not any(TEAM_END(one) for one in about if one.team_id == removal.team_id)
        and not any(
            JOIN(one) and is_older(one, removal)
            for one in about
            if (one.user_id, one.team_id) == (removal.user_id, removal.team_id)
        )
        for removal in filter(REMOVAL, about)
    )


def selects(one: Delivery, other: Delivery) -> bool:
    """Whether the first names the second's team as the one that the user selected."""
    selected = data(one).get("selected_team")
    return isinstance(selected, dict) and selected.get("id") == str(other.team_id)


def has_low_number(history: History, applied: Batches) -> bool:
    """Whether a batch applies a delivery with a lower number than one that an earlier batch applied."""
    arrived = dict.fromkeys(delivery for step in steps(history) for delivery in step.deliveries)
    numbers = {delivery: n for n, delivery in enumerate(arrived)}
    numbered = [[numbers[delivery] for delivery in batch] for batch in applied if batch]
    return any(max(earlier) > min(following) for earlier, following in combinations(numbered, 2))


def is_partly_applied_abroad(history: History, applied: Batches) -> bool:
    """Whether batches with deliveries are applied in more than one time zone."""
    zones = [step.zone for step in steps(history) if step.action in {"apply", "settle"}]
    return len({zone for zone, batch in zip(zones, applied, strict=False) if batch}) > 1


USER, TEAM, MEMBER = ("user_id",), ("team_id",), ("user_id", "team_id")
USER_END, TEAM_END, EDIT = of("user.deleted"), of("team.deleted"), of("profile.edited")
JOIN, REMOVAL = of("team_membership.created"), of("team_membership.deleted")
MEMBERSHIP = of("team_membership.created", "team_membership.deleted")
PERMISSION = of("team_permission.created", "team_permission.deleted")
NAME, SIGN_IN = of("team.created", "team.updated"), of("user.signed_in", "user.signed_out")
ABOUT_USERS = {
    "a snapshot": is_snapshot,
    "an edit": EDIT,
    "a membership": MEMBERSHIP,
    "a permission": PERMISSION,
    "a sign-in": SIGN_IN,
}
ABOUT_TEAMS = {"a name": NAME, "a membership": MEMBERSHIP, "a permission": PERMISSION}


def _beside_deletions(subject: Sequence[str], end: Fact, beside: Mapping[str, Fact], whose: str) -> dict[str, Corner]:
    before = {f"{what}, then the {whose}'s deletion": later(0.02, subject, fact, end) for what, fact in beside.items()}
    behind = {f"the {whose}'s deletion, then {what}": later(0.02, subject, end, fact) for what, fact in beside.items()}
    return before | behind


def _sent(event_type: str, source: str) -> Corner:
    def is_reached(history: History, _: Batches) -> bool:
        return any((d.event_type, d.source) == (event_type, source) for d in history.deliveries)

    return Corner(0.02, is_reached)


def _ended(policy: str) -> Corner:
    def is_reached(history: History, _: Batches) -> bool:
        return history.projection.delete_policy == policy and any(map(USER_END, history.deliveries))

    return Corner(0.05, is_reached)


CORNERS: Mapping[str, Corner] = {
    "an older deletion of a user": later(0.05, USER, USER_END, USER_END, is_earlier),
    "an older deletion of a team": later(0.05, TEAM, TEAM_END, TEAM_END, is_earlier),
    "an older snapshot": later(0.05, USER, is_snapshot, is_snapshot, is_older),
    "an older name": later(0.02, TEAM, NAME, NAME, is_older),
    "an older edit": later(0.02, USER, EDIT, EDIT, has_same_field, is_older),
    "an older join": later(0.01, MEMBER, JOIN, JOIN, is_earlier),
    "an older removal": later(0.01, MEMBER, REMOVAL, REMOVAL, is_earlier),
    "a join, then an older removal": later(0.01, MEMBER, JOIN, REMOVAL, is_older),
    "a removal, then an older join": later(0.01, MEMBER, REMOVAL, JOIN, is_older),
    "an older fact about a permission": later(0.01, MEMBER, PERMISSION, PERMISSION, has_same_permission, is_older),
    **_beside_deletions(USER, USER_END, ABOUT_USERS, "user"),
    **_beside_deletions(TEAM, TEAM_END, ABOUT_TEAMS, "team"),
    "an edit, then the deletion of the company it names": later(0.005, (), EDIT, TEAM_END, names_its_company),
    "metadata, then the deletion of the company it names": later(0.01, (), is_snapshot, TEAM_END, names_its_company),
    "an edit, then the company it names": later(0.005, (), EDIT, NAME, names_its_company),
    "metadata, then the company it names": later(0.01, (), is_snapshot, NAME, names_its_company),
    "a removal from the selected team": Corner(0.02, is_removed_where_selected),
    "two snapshots of one moment": later(0.02, USER, is_snapshot, is_snapshot, is_tied),
    "two edits of one moment": later(0.01, USER, EDIT, EDIT, has_same_field, is_tied, is_older),
    "a join, then a removal of one moment": later(0.01, MEMBER, JOIN, REMOVAL, is_tied),
    "a removal, then a join of one moment": later(0.01, MEMBER, REMOVAL, JOIN, is_tied),
    "permissions of one moment": later(0.005, MEMBER, PERMISSION, PERMISSION, has_same_permission, is_tied, is_older),
    "a webhook, then the API's snapshot of one moment": later(0.01, USER, is_snapshot, is_snapshot, is_tied, is_by_api),
    "one id from two sources": later(0.05, USER, anything, anything, has_same_id),
    "snapshots of one moment and id": later(0.002, USER, is_snapshot, is_snapshot, is_tied, has_same_id),
    "names of one moment and id": later(0.002, TEAM, NAME, NAME, is_tied, has_same_id),
    "memberships of one moment and id": later(0.002, MEMBER, MEMBERSHIP, MEMBERSHIP, is_tied, has_same_id),
    "snapshots in the hour that comes twice": later(0.02, USER, is_snapshot, is_snapshot, is_reversed_abroad),
    "batches in two time zones": Corner(0.2, is_partly_applied_abroad),
    "a low number that is committed late": Corner(0.08, has_low_number),
    **{f"{policy}, with a deletion": _ended(policy) for policy in ("soft", "anonymise", "hard")},
    **{
        f"{event_type} from {source}": _sent(event_type, source)
        for event_type in SOURCES
        for source in SOURCES[event_type]
    },
}
