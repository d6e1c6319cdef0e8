"""A reconciliation with the fake, in this process, and the minutes between two questions, which a test lets pass."""

from collections.abc import Mapping

from consumer.operations.reconcile import Reconciled, ReconcileOptions, reconcile_now
from consumer.postgres.connections import connect
from tests.support.backfills import ACCESS, LIMITS
from tests.support.databases import change
from tests.support.fake_stack import FakeStack
from tests.support.fake_stack.serving import PROJECT_ID
from tests.support.outbox import work
from tests.support.stack_api import Time, stack_api

REPORT = ReconcileOptions()
FIX = ReconcileOptions(is_fixing=True)
FORCE = ReconcileOptions(is_fixing=True, is_forced=True)


async def step(url: str, fake: FakeStack, options: ReconcileOptions = REPORT, time: Time | None = None) -> Reconciled:
    """Do what is possible now, as `maintain` does."""
    async with await connect(url, ACCESS) as conn, stack_api(fake, time, LIMITS) as api:
        return await reconcile_now(conn, ACCESS, api, PROJECT_ID, options)


async def reconciled(url: str, fake: FakeStack, options: ReconcileOptions = REPORT) -> Reconciled:
    """Reconcile to the end, as `consumer reconcile` does."""
    result = await step(url, fake, options)
    while result.due_at:
        minutes_pass(url)
        result = await step(url, fake, options)
    return result


async def fixed(url: str, fake: FakeStack, options: ReconcileOptions = FIX) -> Reconciled:
    """Reconcile to the end, and apply what was stored."""
    result = await reconciled(url, fake, options)
    await work(url)
    return result


def minutes_pass(url: str, minutes: float = 5) -> None:
    """Let the first answers be so much older."""
    change(url, f"UPDATE consumer.suspects SET asked_at = asked_at - interval '{minutes} minutes'")


def differences(result: Reconciled) -> Mapping[str, tuple[int, int]]:
    """Return by kind how many differences were repaired, and how many are left."""
    return {each.kind: (each.repaired, each.left) for each in result.drift}
