"""The promise with several workers at once: the same rows, and nobody waits for nobody else."""

import asyncio
import random
from uuid import UUID

import pytest
from psycopg.conninfo import make_conninfo

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, operator_access, transaction, worker_access
from consumer.settings.settings import ShapingSettings
from consumer.worker.batch import BatchRunner, drain
from tests.laws.histories import HISTORIES, SOURCES, ZONES
from tests.support import model
from tests.support.databases import change, record, rows
from tests.support.factories import (
    delivery,
    edited,
    membership,
    permission,
    team,
    team_event,
    user_deleted,
    user_updated,
)
from tests.support.outbox import put
from tests.support.polling import until

SENDER, WORKER = operator_access("consumer"), worker_access("consumer")
USERS = [UUID(int=n) for n in range(1, 31)]
TEAMS = [UUID(int=n) for n in range(101, 113)]
DELIVERIES = 900
# Of 300 deliveries, the first 20 are committed late.
PART, LATE = 300, 20
# A run takes two seconds, on a machine with much else to do ten times as long.
PATIENCE_SECONDS = 120


def any_delivery(chance: random.Random) -> Delivery:
    user_id, team_id = chance.choice(USERS), chance.choice(TEAMS)
    verb = chance.choice(("created", "created", "deleted"))
    drawn = chance.choices(
        (
            lambda: user_updated(user_id, server_metadata={"company_id": str(team_id)}),
            lambda: user_updated(user_id, selected_team=team(team_id)),
            lambda: membership(verb, team_id, user_id),
            lambda: edited(user_id, company_id=str(team_id)),
            lambda: permission(verb, team_id, user_id, "read"),
            lambda: team_event("updated", team_id),
            lambda: team_event("deleted", team_id),
            lambda: user_deleted(user_id),
            lambda: user_updated(user_id, is_anonymous=True),
            lambda: delivery("user.signed_in", user_id, "app"),
        ),
        (20, 30, 20, 10, 10, 8, 1, 1, 5, 5),
    )[0]()
    return drawn._replace(source=chance.choice(SOURCES[str(drawn.event_type)]))


@pytest.mark.parametrize("seed", range(max(1, HISTORIES // 100)))
async def test_workers_on_the_same_users_and_teams_end_in_the_state_of_the_model(emptied: str, seed: int) -> None:
    chance = random.Random(seed)
    deliveries = [any_delivery(chance) for _ in range(DELIVERIES)]
    settings = ShapingSettings(default_company_id=TEAMS[0] if seed % 2 else None)
    await record(emptied, settings)

    await apply_at_once(emptied, chance.sample(deliveries, DELIVERIES))

    assert model.state(emptied) == model.fold(deliveries, settings)


async def apply_at_once(url: str, deliveries: list[Delivery]) -> None:
    """Raises what any worker does: a deadlock for one."""
    are_stored = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with asyncio.TaskGroup() as tasks:
            for zone in ZONES:
                tasks.create_task(work(url, zone, are_stored))
            await receive(url, deliveries)
            are_stored.set()
        # On a busy machine a lock outlasts its time limit, and its deliveries or users wait for their next turn.
        while rows(url, "SELECT FROM consumer.failures UNION ALL SELECT FROM consumer.rehome"):
            change(
                url, "UPDATE consumer.failures SET next_attempt_at = now(); UPDATE consumer.rehome SET due_at = now()"
            )
            await work(url, "UTC", are_stored)


async def receive(url: str, deliveries: list[Delivery]) -> None:
    """Store the deliveries in parts; the first of each part are committed after later ones are applied."""
    async with await connect(url, SENDER) as conn, await connect(url, SENDER) as late:
        for start in range(0, len(deliveries), PART):
            part = deliveries[start : start + PART]
            async with transaction(late, SENDER):
                await storage.put(late, part[:LATE])
                [number] = rows(url, "SELECT last_value FROM consumer.outbox_seq_seq")
                await put(conn, part[LATE:])
                await applied_after(url, number["last_value"])


async def applied_after(url: str, number: int) -> None:
    await until(lambda: rows(url, f"SELECT FROM consumer.outcomes WHERE seq > {number} LIMIT 1"))


async def work(url: str, zone: str, are_stored: asyncio.Event) -> None:
    """Work in a time zone until everything is stored and nothing is due."""
    async with await connect(make_conninfo(url, options=f"-c TimeZone={zone}"), WORKER) as conn:
        worker = BatchRunner(WORKER, Metrics(EVENT_TYPES), attempts_max=12, batch_size=40)
        while not are_stored.is_set():
            await drain(conn, worker)
        await drain(conn, worker)
