"""Dead letters: by cause, by event type or each, with what cures them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from psycopg.rows import class_row, tuple_row
from starlette.responses import Response

from consumer.console.causes import Cause, cause
from consumer.console.deliveries import PAGE_SIZE, Rows, labelled
from consumer.console.filters import AddressFilter, read_before, read_filter
from consumer.console.form import BadForm
from consumer.console.visit import Endpoint, Visit
from consumer.lookup import listing
from consumer.postgres import session
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows
from consumer.postgres.queries import rows

# All of them, unless a fault has lasted for long: grouping that many takes about 30 ms.
LOOK_MAX = 50_000
# To count the users, each delivery is looked up.
USERS_LOOK_MAX = 10_000
# More causes at once were not read.
GROUPS = 50
# Reasons of one group, and event types or codes: as many as fit on a line.
NAMED = 3
# The newest ones below the groups.
NEWEST = 6
GROUPINGS = {"cause": "Cause", "event": "Event", "each": "Each one"}
# The condition that shows the newest of one group.
NARROWING = {"cause": "error", "event": "type", "each": None}


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead deliveries alike in *key*, an error code or an event type; *deaths* are those of the last 24 hours by hour.

    *total* is how many all groups hold, also those that are not shown. *others* are event types where *key* is a code,
    and codes where it is a type. *users* None: they are too many to be counted.
    """

    key: str
    deliveries: int
    total: int
    first_at: datetime
    last_at: datetime
    last_seq: int
    deaths: Sequence[int]
    reasons: Sequence[str]
    others: Sequence[str]
    users: int | None = field(default=None, kw_only=True)

    @property
    def can_be_chosen(self) -> bool:
        """Whether a filter names this group alone: none names what has no type, and one that ends in `*` names more."""
        return self.key != "unreadable" and not self.key.endswith("*")

    @property
    def cause(self) -> Cause:
        """What the code means."""
        return cause(self.key)


@dataclass(frozen=True, slots=True)
class ShownDead:
    """The page as read at *now*; *groups* is empty where each one is shown."""

    groups: Sequence[DeadGroup]
    rows: Rows
    before: int | None
    now: datetime

    @property
    def total(self) -> int:
        """How many deliveries all groups hold."""
        return self.groups[0].total if self.groups else 0

    @property
    def not_shown(self) -> int:
        """How many of them are in groups smaller than those shown."""
        return self.total - sum(each.deliveries for each in self.groups)


async def show(visit: Visit) -> Response:
    """Show the groups, and the newest of the *error* or *type* in the address; with *by* each, a page of them.

    Any other condition leads to the list of deliveries, which knows it.
    """
    by, before = visit.query.text("by", "cause"), read_before(visit.query)
    if by not in GROUPINGS:
        raise BadForm
    values = read_filter(visit.query, {"by", "before"}).values
    chosen = AddressFilter({"state": "dead", **values})
    if values.keys() - {NARROWING[by]}:
        return visit.redirect(chosen.address("/deliveries"))
    if by == "each":
        dead = await visit.read(lambda conn: _each(conn, chosen, before))
    else:
        dead = await visit.read(lambda conn: _grouped(conn, chosen, by_type=by == "event"))
    return visit.page(
        "dead.html",
        title="Dead letters",
        here="/dead",
        dead=dead,
        chosen=chosen,
        by=by,
        field=NARROWING[by],
        groupings=GROUPINGS,
        look_max=LOOK_MAX,
        is_newest=before is None,
    )


async def _grouped(conn: Connection, chosen: AddressFilter, *, by_type: bool) -> ShownDead:
    values = {"by_type": by_type, "look_max": LOOK_MAX, "size": GROUPS, "named": NAMED + 1}
    groups = [
        replace(each, reasons=FirstRows.of(each.reasons, NAMED), others=FirstRows.of(each.others, NAMED))
        for each in await rows(conn, class_row(DeadGroup), "dead/groups", values)
    ]
    if groups and groups[0].total <= USERS_LOOK_MAX:
        found = await rows(conn, tuple_row, "dead/users", {"by_type": by_type, "look_max": USERS_LOOK_MAX})
        users: dict[str, int] = dict(found)
        groups = [replace(each, users=users.get(each.key, 0)) for each in groups]
    now = await session.now(conn)
    newest = await listing.page(conn, chosen.wanted(now), size=NEWEST)
    return ShownDead(groups, await labelled(conn, newest.deliveries), newest.before, now)


async def _each(conn: Connection, chosen: AddressFilter, before: int | None) -> ShownDead:
    now = await session.now(conn)
    page = await listing.page(conn, chosen.wanted(now), size=PAGE_SIZE, before=before)
    return ShownDead((), await labelled(conn, page.deliveries), page.before, now)


ENDPOINTS = (Endpoint("GET", "/dead", "viewer", show),)
