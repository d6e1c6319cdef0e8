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

TEAM_TYPES = [name for name, known in EVENT_TYPES.items() if known.fact is Fact.TEAM]
MEMBERSHIP_TYPES = [name for name, known in EVENT_TYPES.items() if known.fact is Fact.MEMBERSHIP]


class Naming(NamedTuple):
    """A delivery that names a company: as its team, or as a user's selected team."""

    seq: int
    company_id: UUID


class CompanyEvent(NamedTuple):
    """A delivery that makes a company."""

    seq: int
    company_id: UUID
    source: str
    event_type: str


@dataclass(frozen=True, slots=True)
class DeliveryGroup:
    """Stored deliveries of one source and type, each with its user; *reduced* are those with a reduced body."""

    source: str
    event_type: str | None
    seqs: Sequence[int]
    user_ids: Sequence[UUID]
    reduced: Sequence[int]


async def deliveries(
    conn: Connection, user_ids: Collection[UUID], until: datetime | None = None
) -> list[DeliveryGroup]:
    """Return the deliveries about these users.

    With *until* only those received until then; erasures count at any time.
    """
    return await rows(conn, args_row(DeliveryGroup), "stored/deliveries", {"user_ids": list(user_ids), "until": until})


async def company_events(
    conn: Connection, company_ids: Sequence[UUID], until: datetime | None = None
) -> tuple[list[Naming], set[UUID]]:
    """Return the deliveries that make these companies, and those of the companies that have a name of their own.

    Of all memberships in a company it is one, because each says the same of the company: that it exists. With *until*
    only what was received until then counts; default companies count at any time.
    """
    values = {
        "company_ids": company_ids,
        "team_types": TEAM_TYPES,
        "membership_types": MEMBERSHIP_TYPES,
        "until": until,
    }
    found = [
        event
        for event in await rows(conn, args_row(CompanyEvent), "stored/company_events", values)
        if fact_of(event.source, event.event_type) in ABOUT_TEAMS
    ]
    named = {event.company_id for event in found if event.event_type in {"team.created", "team.updated"}}
    return [Naming(event.seq, event.company_id) for event in found], named


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
            user_ids.update(zip(group.seqs, group.user_ids, strict=True))
    return ByFact(seqs, user_ids, own)
