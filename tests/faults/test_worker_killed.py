"""The worker killed before each of its statements: whatever had happened, the next one ends in the model's state."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, worker_access
from consumer.settings.settings import ShapingSettings
from consumer.worker.batch import BatchRunner, drain
from tests.support import model
from tests.support.databases import record, rows, sessions
from tests.support.factories import (
    delivery,
    membership,
    permission,
    snapshot,
    team,
    team_event,
    user_deleted,
    user_updated,
)
from tests.support.outbox import put
from tests.support.processes import until

ROOT = Path(__file__).parent.parent.parent
SESSIONS = sessions("worker")
# For each line n a process kills itself in front of the n-th statement of its work, the COMMIT included, and its exit
# code is printed. It is forked from one that has imported everything, which takes longer than the work.
KILLED = """
import asyncio, os, signal, sys
import psycopg
from consumer.postgres.connections import connect, worker_access
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.worker.batch import BatchRunner, drain

async def work(left):
    access = worker_access("consumer")
    wait = psycopg.AsyncConnection.wait

    async def counted(self, *args, **kwargs):
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return await wait(self, *args, **kwargs)

    async with await connect(sys.argv[1], access) as conn:
        psycopg.AsyncConnection.wait = counted
        await drain(conn, BatchRunner(access, Metrics(EVENT_TYPES), attempts_max=12, batch_size=6))

for line in sys.stdin:
    if (worker := os.fork()) == 0:
        asyncio.run(work(int(line)))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), flush=True)
"""


def history(user_id: UUID) -> list[Delivery]:
    team_id = uuid4()
    app_event = delivery("user.signed_in", user_id, "app", **snapshot(display_name="From the application"))
    return [
        user_updated(user_id, display_name="Ada", last_active_at_millis=1_795_330_800_123),
        app_event,
        user_updated(user_id, display_name="Grace"),
        delivery("user.signed_out", user_id, "app"),
        user_deleted(user_id),
        user_updated(user_id, display_name="Late"),
        user_updated(display_name="Somebody else", selected_team=team(team_id)),
        membership("created", team_id, user_id),
        permission("created", team_id, user_id, "read"),
        team_event("deleted", team_id),
    ]


@pytest.fixture
def killed_before(emptied: str) -> Iterator[Callable[[int], int]]:
    """Run a worker that is killed before its n-th statement, and return its exit code."""
    command = [sys.executable, "-c", KILLED, emptied]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        requests, codes = process.stdin, process.stdout

        def run(statement: int) -> int:
            print(statement, file=requests, flush=True)
            return int(codes.readline())

        try:
            yield run
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["soft", "hard"])
async def test_a_worker_killed_before_any_statement_leaves_no_half_state(
    emptied: str, killed_before: Callable[[int], int], policy: str
) -> None:
    deliveries = history(uuid4())
    settings = ShapingSettings(delete_policy=policy)  # type: ignore[arg-type]  # one of the literals
    survived_at = None
    for statement in range(100):
        await arrive(emptied, deliveries, settings)
        code = killed_before(statement)
        # A killed worker's rows are locked until the server has noticed.
        until(lambda: not rows(emptied, SESSIONS))
        await finish(emptied)

        assert model.state(emptied) == model.fold(deliveries, settings)
        assert states(emptied) == [("done", len(deliveries))]
        if code == 0:
            survived_at = statement
            break
        assert code == -signal.SIGKILL

    assert survived_at is not None
    assert survived_at > 15, "fewer statements than a batch has: the kill did not fire where it should"


async def arrive(url: str, deliveries: list[Delivery], settings: ShapingSettings) -> None:
    await record(url, settings)
    async with await connect(url, worker_access("consumer")) as conn:
        await conn.execute(
            "TRUNCATE consumer.outbox, consumer.outcomes, consumer.pending, consumer.memberships, "
            "consumer.team_permissions, consumer.rehome, identity.profiles, identity.stack_user_profiles, "
            "identity.company_members, identity.companies, identity.profile_audit"
        )
        await put(conn, deliveries)


async def finish(url: str) -> None:
    access = worker_access("consumer")
    async with await connect(url, access) as conn:
        await drain(conn, BatchRunner(access, Metrics(EVENT_TYPES), attempts_max=12))


def states(url: str) -> list[tuple[str, int]]:
    return [
        (row["state"], row["count"])
        for row in rows(url, "SELECT state, count(*) FROM consumer.deliveries GROUP BY state")
    ]
