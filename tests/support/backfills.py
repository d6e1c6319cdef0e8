"""A backfill from the fake, in this process or in one of its own, and the truth that it must end in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from consumer.events.check import check
from consumer.operations import runs
from consumer.operations.backfill import backfill
from consumer.operations.runs import Run
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import Access, Connection, connect, operator_access
from consumer.providers.stack.message_ids import occurred_at
from consumer.stack_api.calls import CallLimits
from tests.support.databases import rows
from tests.support.fake_stack import Event, FakeStack, Replica
from tests.support.fake_stack.serving import PROJECT_ID, SERVER_KEY
from tests.support.stack_api import Time, stack_api
from tests.support.stack_requests import one

ACCESS = operator_access("consumer")
# A page of a thousand users is larger than the answers of other tests.
LIMITS = CallLimits(connect_seconds=5, read_seconds=20, call_seconds=30)


def environment(fake: FakeStack, **others: str) -> dict[str, str]:
    """Return the settings of the commands that ask the fake, as fast as it answers."""
    settings = {"STACK_API_URL": fake.url, "STACK_PROJECT_ID": PROJECT_ID, "STACK_SECRET_SERVER_KEY": SERVER_KEY}
    return {**settings, "STACK_API_RPS": "1000", **others}


@asynccontextmanager
async def begun(url: str, *, is_new: bool = False) -> AsyncIterator[tuple[Connection, Access, Run]]:
    """Begin a backfill, or go on with the open one."""
    async with await connect(url, ACCESS) as conn:
        found = await runs.begin(conn, ACCESS, "backfill", PROJECT_ID, is_new=is_new)
        yield conn, ACCESS, found.run


async def filled(url: str, fake: FakeStack, *, pages: int = 10_000, time: Time | None = None) -> Run:
    """Run a backfill to its end, or for so many pages, and return the run."""
    async with begun(url) as (conn, access, last), stack_api(fake, time, LIMITS) as api:
        found = last
        async for run in backfill(conn, access, api, last):
            found, pages = run, pages - 1
            if not pages:
                break
    return found


def now_is_now(fake: FakeStack) -> None:
    """Set Stack's clock: it has to agree with the database's where a scan doubts its place."""
    fake.project.now = datetime.now(UTC)


def long_ago(fake: FakeStack) -> None:
    """Let what follows happen before any scan."""
    fake.project.now = datetime.now(UTC) - timedelta(days=2)


def webhook(event: Event) -> Delivery:
    """Return the delivery that the receiver makes of an event."""
    known = check(event.body, "stack")
    at = occurred_at(event.message_id, event.at, timedelta(minutes=5))
    what = (event.message_id, event.type, known.user_id, known.team_id, at, "0123abcd", event.body, known.reduced)
    return Delivery("stack", *what)


def truth(fake: FakeStack) -> dict[str, Any]:
    """Return what Stack holds, as `held` tells it."""
    state = fake.project.seen_by(Replica())
    permitted: dict[tuple[str, ...], list[str]] = {key: [] for key in state.members}
    for team_id, user_id, permission in sorted(state.team_permissions):
        permitted[team_id, user_id].append(permission)
    return {
        "profiles": {
            user_id: (user["display_name"] or "Unknown User", user["primary_email"], user["primary_email_verified"])
            for user_id, user in state.users.items()
            if not user["is_anonymous"]
        },
        "mirror": set(state.users),
        "companies": {team_id: team["display_name"] for team_id, team in state.teams.items()},
        "members": permitted,
    }


def held(url: str) -> dict[str, Any]:
    """Return what the tables hold of the living."""
    profiles = living(url, "user_id, full_name, email, email_verified", "profiles")
    mirror = living(url, "stack_user_id, version", "stack_user_profiles")
    companies = living(url, "id, name", "companies")
    members = rows(url, "SELECT * FROM identity.company_members WHERE removed_at IS NULL")
    return {
        "profiles": {str(row["user_id"]): (row["full_name"], row["email"], row["email_verified"]) for row in profiles},
        "mirror": {str(row["stack_user_id"]) for row in mirror if row["version"]},
        "companies": {str(row["id"]): row["name"] for row in companies},
        "members": {(str(row["company_id"]), str(row["user_id"])): sorted(row["permissions"]) for row in members},
    }


def living(url: str, columns: str, table: str) -> list[dict[str, Any]]:
    return rows(url, f"SELECT {columns} FROM identity.{table} WHERE deleted_at IS NULL")


def outbox(url: str) -> list[Delivery]:
    """Return all that is stored, for the judge."""
    columns = ", ".join(Delivery._fields[: Delivery._fields.index("error_code")])
    return [Delivery(**row) for row in rows(url, f"SELECT {columns} FROM consumer.outbox ORDER BY seq")]


def named(fake: FakeStack, number: int) -> list[str]:
    """Sign users up with names and addresses of their own, and return their ids."""
    return [
        one(fake.project.sign_up(display_name=f"User {each}", primary_email=f"user{each}@example.com"))
        for each in range(number)
    ]
