"""The stored deliveries that rows are made anew of: those that are done and not discarded."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from consumer.effects.by_fact import ABOUT_TEAMS, ABOUT_USERS, ByFact, fact_of
from consumer.events.registry import EVENT_TYPES, Fact
from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows


class Naming(NamedTuple):
    """A delivery that names a company: as its team, or as a user's selected team."""

    seq: int
    company_id: UUID


@dataclass(frozen=True, slots=True)
class DeliveryGroup:
    """Stored deliveries of one source and type; the three lists belong together. A user's have other teams, or none.

    *reduced* are those with a reduced body.
    """

    source: str
    event_type: str | None
    seqs: Sequence[int]
    user_ids: Sequence[UUID | None]
    team_ids: Sequence[UUID]
    reduced: Sequence[int]


async def deliveries(
    conn: Connection,
    *,
    user_ids: Collection[UUID] = (),
    company_ids: Collection[UUID] = (),
    until: datetime | None = None,
) -> list[DeliveryGroup]:
    """Return the deliveries about these users, or those that name one of these companies as their team.

    With *until* only those received until then; erasures and default companies count at any time.
    """
    values = {"user_ids": list(user_ids), "company_ids": list(company_ids), "until": until}
    return await rows(conn, args_row(DeliveryGroup), "stored/deliveries", values)


async def selecting(conn: Connection, company_ids: Sequence[UUID], until: datetime | None = None) -> list[Naming]:
    """Return the deliveries that name one of these companies as a user's selected team."""
    return await rows(conn, args_row(Naming), "stored/selecting", {"company_ids": company_ids, "until": until})


def by_fact(groups: Sequence[DeliveryGroup]) -> ByFact:
    """Group the deliveries of users by their fact."""
    seqs: dict[Fact, list[int]] = {}
    own: dict[str, list[int]] = {}
    user_ids: dict[int, UUID] = {}
    for group in groups:
        fact = fact_of(group.source, group.event_type)
        seqs.setdefault(fact, []).extend(group.seqs)
        if fact is Fact.OWN:
            own.setdefault(EVENT_TYPES[group.event_type or ""].effect, []).extend(group.seqs)
        if fact in ABOUT_USERS:
            user_ids.update((seq, user_id) for seq, user_id in zip(group.seqs, group.user_ids, strict=True) if user_id)
    return ByFact(seqs, user_ids, own)


def own_events(groups: Sequence[DeliveryGroup]) -> tuple[list[Naming], set[UUID]]:
    """Return the deliveries that make companies, and the companies that have a name of their own."""
    own: list[Naming] = []
    named: set[UUID] = set()
    for group in groups:
        if fact_of(group.source, group.event_type) in ABOUT_TEAMS:
            known = [Naming(*pair) for pair in zip(group.seqs, group.team_ids, strict=True) if pair[1]]
            own += known
            if group.event_type in {"team.created", "team.updated"}:
                named.update(event.company_id for event in known)
    return own, named
