"""Deliveries grouped by the fact that each tells."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from consumer.errors import BadPayload
from consumer.events.registry import EVENT_TYPES, Fact
from consumer.outbox.queue import Claimed

# A delivery with one of these facts locks its user, if it has one.
ABOUT_USERS = (Fact.USER, Fact.SIGN_IN, Fact.EDIT, Fact.MEMBERSHIP, Fact.PERMISSION, Fact.OWN)
ABOUT_TEAMS = (Fact.TEAM, Fact.MEMBERSHIP)
# A delivery with one of these facts can't be applied without a user, or without a team.
NEEDING_USER = (Fact.USER, Fact.SIGN_IN, Fact.EDIT, Fact.MEMBERSHIP, Fact.PERMISSION)
NEEDING_TEAM = (Fact.TEAM, Fact.MEMBERSHIP, Fact.PERMISSION)
NO_SUBJECT = BadPayload("no_subject", "$.data", "Expected the user and the team that the type is about")


@dataclass(frozen=True, slots=True)
class ByFact:
    """Deliveries by their fact, the user of each that has one, and those of your own types by the name of their SQL."""

    seqs: Mapping[Fact, list[int]]
    user_ids: Mapping[int, UUID]
    own: Mapping[str, list[int]]

    def of(self, *facts: Fact) -> list[int]:
        """Return the deliveries with any of *facts*."""
        return [seq for fact in facts for seq in self.seqs.get(fact, ())]

    def users_of(self, seqs: Iterable[int]) -> set[UUID]:
        """Return the users of these deliveries."""
        return {self.user_ids[seq] for seq in seqs}

    def about_users(self) -> list[int]:
        """Return the deliveries that have a user to lock."""
        return [seq for seq in self.of(*ABOUT_USERS) if seq in self.user_ids]


def by_fact(claimed: Sequence[Claimed]) -> ByFact:
    """Group claimed deliveries."""
    seqs: defaultdict[Fact, list[int]] = defaultdict(list)
    own: defaultdict[str, list[int]] = defaultdict(list)
    for delivery in claimed:
        fact = fact_of(delivery.source, delivery.event_type)
        seqs[fact].append(delivery.seq)
        if fact is Fact.OWN:
            own[EVENT_TYPES[delivery.event_type].effect].append(delivery.seq)
    return ByFact(seqs, {delivery.seq: delivery.user_id for delivery in claimed if delivery.user_id}, own)


def fact_of(source: str, event_type: str | None) -> Fact:
    """Return what a type tells; nothing if its source may not send it."""
    known = EVENT_TYPES.get(event_type or "")
    return known.fact if known and source in known.sources else Fact.NOTHING


def lacks_subject(delivery: Claimed) -> bool:
    """Tell whether the type of a delivery needs a user or a team that the delivery does not name."""
    fact = fact_of(delivery.source, delivery.event_type)
    return (fact in NEEDING_USER and not delivery.user_id) or (fact in NEEDING_TEAM and not delivery.team_id)
