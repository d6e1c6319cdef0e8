"""What a server, a database or a login has set changes no row: each session of ours sets what it needs."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consumer import profiles
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox import storage
from consumer.postgres.connections import autocommit, connect, enter, open_pool, receiver_access, worker_access
from consumer.sync import handle_sign_in, sync_users
from consumer.worker.batch import BatchRunner, drain
from tests.laws.histories import HISTORIES, History, erases_nobody, histories
from tests.support import model, outbox
from tests.support.cli import call, examined, facts
from tests.support.databases import (
    change,
    empty,
    plain_owner,
    record,
    record_settings,
    schema_change,
    scratch_database,
)
from tests.support.factories import NOON, edited, membership, snapshot, team_event, user_deleted, user_updated
from tests.support.odd_settings import ALL, LEVELS, SHADOWS, odd, sane
from tests.support.outbox import storing_access
from tests.support.schema import dumped_schema

pytestmark = [pytest.mark.slow, pytest.mark.seconds_max(300 + 2 * HISTORIES)]
RECEIVER, WORKER = receiver_access("consumer"), worker_access("consumer")
USERS = "CREATE TABLE public.users (id text PRIMARY KEY, email text, name text, role text);"
TEAM, ADA, BOB, EVE = (UUID(int=n) for n in (0x4D, 1, 2, 3))
# Not of a session's settings, or of its own.
OUTSIDE = {"database", "clocks", "connections", "size", "old transactions", "synchronous_commit"}


@pytest.fixture(scope="module")
def shadowed(lone_database_url: str) -> Iterator[str]:
    """A database with functions of the names of PostgreSQL's own."""
    undo = "DROP SCHEMA odd CASCADE; DROP ACCESS METHOD odd; DROP TABLE public.users"
    with schema_change(lone_database_url, SHADOWS + USERS, undo):
        yield lone_database_url


def chosen() -> st.SearchStrategy[dict[str, Sequence[str]]]:
    return st.sets(st.sampled_from(sorted(ALL)), min_size=1).map(lambda names: {name: ALL[name] for name in names})


async def arrive(url: str, history: History, *, is_entered: bool) -> None:
    """Store a history over a pool and drain it, over a session of the worker's own or one of a pooler's."""
    await record(url, history.projection)
    access = storing_access(history.deliveries)
    async with open_pool(url, access, size=1, wait_timeout=timedelta(seconds=5)) as pool, pool.connection() as conn:
        for index in history.arrivals:
            async with autocommit(conn, access):
                await storage.put(conn, [history.deliveries[index]])
    async with await connect(url, WORKER) as conn:
        if is_entered:
            await enter(conn, WORKER)
        runner = BatchRunner(WORKER, Metrics(EVENT_TYPES), attempts_max=1, batch_size=history.batch_sizes[0])
        await drain(conn, runner)


@settings(max_examples=HISTORIES // 5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=histories().filter(erases_nobody),
    odds=chosen() | st.just(ALL),
    level=st.sampled_from(LEVELS),
    is_entered=st.booleans(),
)
async def test_no_setting_changes_a_row(
    shadowed: str, history: History, odds: Mapping[str, Sequence[str]], level: str, is_entered: bool
) -> None:
    empty(shadowed)

    with odd(shadowed, odds, level):
        await arrive(shadowed, history, is_entered=is_entered)

    assert model.state(shadowed) == model.fold(history.deliveries, history.projection)


@pytest.mark.parametrize("level", [LEVELS[0], LEVELS[1]], ids=["server", "database"])
def test_migrate_makes_the_same_tables_under_any_settings(lone_server_url: str, level: str) -> None:
    dumps = []
    for name, odds in (("plain", {}), ("odd", ALL)):
        with scratch_database(lone_server_url, name) as url, plain_owner(url, "migrator") as owner:
            change(url, SHADOWS)
            with odd(url, odds, level):
                result = call(owner, "migrate")
            assert result.exit_code == 0, result.output
            dumps.append(dumped_schema(url))

    assert dumps[0] == dumps[1]


DEAD = user_updated(EVE)._replace(message_id="msg_dead", error_code="bad_shape", error="$.data: missing")
TOLD = [
    team_event("created", TEAM, display_name="Zoë's"),
    user_updated(ADA, display_name='Ada "Ä" \\ Ωmega', server_metadata={"role": "admin"}),
    membership("created", TEAM, ADA),
    edited(ADA, department="Réd", edited_by="HR"),
    user_deleted(UUID(int=4)),
    DEAD,
]


async def handed_over(url: str) -> dict[str, object]:
    """Hand over users and an edit as an application does, apply all, and return what an application reads."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        async with profiles.acting_as(conn, "consumer_operator"):
            users = [{"id": str(EVE), **snapshot(display_name="Eve Ωmega")}, {"id": str(BOB), "display_name": 7}]
            synced = await sync_users(conn, users, requested_at=NOON)
        async with profiles.acting_as(conn, "consumer_app"):
            await handle_sign_in(conn, BOB, at=NOON)
            await profiles.edit(conn, ADA, {"role_type": "böss"})
    await outbox.work(url)
    # Another session: an application's own may be ended while it is idle.
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        async with profiles.acting_as(conn, "consumer_tenant", company_id=TEAM):
            home = await profiles.with_company(conn, ADA)
            read = [*await profiles.page(conn), *await profiles.search(conn, "ada"), home and home.profile]
            company = home and home.company
        async with profiles.acting_as(conn, "consumer_app"):
            read += [await profiles.get(conn, user_id) for user_id in (BOB, EVE)]
    shown = [(p.full_name, p.email, p.role_type, p.department, p.last_sign_in_at) if p else None for p in read]
    return {"read": shown, "company": company, "errors": [each.error for each in synced]}


def seen(url: str) -> dict[str, object]:
    """Return what an application and the commands see after the same deliveries."""
    empty(sane(url))
    record_settings(url)
    asyncio.run(outbox.arrive(url, *TOLD))
    read = asyncio.run(handed_over(url))
    # The exit code tells that the receiver's secret is one of the tests', and the like.
    checks = examined(url)[1].values()
    return {
        **read,
        "checks": {check["name"]: check["state"] for check in checks if check["name"] not in OUTSIDE},
        "queue": facts(url, "status")["queue"],
        "dead": [group["error"] for group in facts(url, "dead", "list")["groups"]],
        "plan": call(url, "adopt", "plan", "--table", "public.users").output,
    }


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odds=chosen(), level=st.sampled_from(LEVELS))
@example(odds=ALL, level=LEVELS[0])
def test_applications_and_commands_see_the_same_under_any_settings(
    shadowed: str, odds: Mapping[str, Sequence[str]], level: str
) -> None:
    plain = seen(shadowed)

    with odd(shadowed, odds, level):
        assert seen(shadowed) == plain

    assert plain["read"]
