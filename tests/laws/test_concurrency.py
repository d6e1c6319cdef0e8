"""The promise with several workers at once: the same rows, and nobody waits for nobody else."""

import asyncio
import random
from uuid import UUID

import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, worker_access
from consumer.settings.settings import ShapingSettings
from consumer.worker.batch import BatchRunner, drain
from tests.laws.histories import HISTORIES
from tests.support import model
from tests.support.databases import change, rows
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

ACCESS = worker_access("consumer")
USERS = [UUID(int=n) for n in range(1, 31)]
TEAMS = [UUID(int=n) for n in range(101, 113)]
DELIVERIES = 900
WORKERS = 3


def any_delivery(chance: random.Random) -> Delivery:
    user_id, team_id = chance.choice(USERS), chance.choice(TEAMS)
    verb = chance.choice(("created", "created", "deleted"))
    return chance.choices(
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


@pytest.mark.parametrize("seed", range(max(1, HISTORIES // 100)))
async def test_workers_on_the_same_users_and_teams_end_in_the_state_of_the_model(emptied: str, seed: int) -> None:
    chance = random.Random(seed)
    deliveries = [any_delivery(chance) for _ in range(DELIVERIES)]

    await apply_at_once(emptied, chance.sample(deliveries, DELIVERIES))

    assert model.state(emptied) == model.fold(deliveries, ShapingSettings())


async def apply_at_once(url: str, deliveries: list[Delivery]) -> None:
    """Raises what any worker does: a deadlock for one."""

    async def work() -> None:
        async with await connect(url, ACCESS) as conn:
            await drain(conn, BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12, batch_size=40))

    async with await connect(url, ACCESS) as conn:
        await put(conn, deliveries)
    await asyncio.gather(*(work() for _ in range(WORKERS)))
    # On a busy machine a lock outlasts its time limit, and its deliveries or users wait for their next turn.
    while rows(url, "SELECT FROM consumer.failures UNION ALL SELECT FROM consumer.rehome"):
        change(url, "UPDATE consumer.failures SET next_attempt_at = now(); UPDATE consumer.rehome SET due_at = now()")
        await work()
