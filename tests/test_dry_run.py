"""A dry run: what is dead is applied within its limits, and nothing of it is left."""

from consumer.outbox.storage import Delivery
from consumer.postgres.connections import worker_access
from consumer.worker import dry_run
from tests.support.application import STATEMENT, calls
from tests.support.databases import rows
from tests.support.factories import user_updated
from tests.support.kept import kept
from tests.support.outbox import seqs, set_aside
from tests.support.worker import stored

LIMITED = b"""
    SELECT 1 / (
        current_setting('lock_timeout') = '50ms' AND current_setting('statement_timeout') = '1s'
        AND current_setting('idle_in_transaction_session_timeout') = '2s'
    )::integer
    FROM unnest(%(user_ids)b::uuid[])
"""


async def dry(url: str, deliveries: list[Delivery], statement: bytes | None) -> tuple[list[str], int]:
    async with kept(url, worker_access("consumer")) as conn:
        access = worker_access("consumer")
        outcomes, failing = await dry_run.run(
            conn, access, [seqs(url)[each.message_id] for each in deliveries], statement
        )
    return sorted(outcomes.values()), len(failing)


async def test_a_dry_run_applies_the_dead_within_its_limits_and_leaves_nothing(application: str) -> None:
    dead, retrying = user_updated(), user_updated()
    await stored(application, [dead, retrying])
    set_aside(application, [dead])
    set_aside(application, [retrying], state="retrying")
    before = rows(application, "SELECT * FROM consumer.failures ORDER BY seq")

    assert await dry(application, [dead, retrying], LIMITED) == (["applied"], 0)
    assert await dry(application, [dead], STATEMENT) == (["applied"], 0)
    assert await dry(application, [retrying], None) == ([], 0)

    assert rows(application, "SELECT * FROM consumer.failures ORDER BY seq") == before
    assert calls(application) == []
    assert not rows(application, "SELECT FROM identity.profiles")
