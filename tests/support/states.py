"""States of an installation in which not all is well, made for real."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from consumer.lookup.listing import LOOK_MAX
from consumer.postgres import ledger
from tests.faults.proxy import Wire, wire
from tests.support.cli import arrive
from tests.support.console import Desk, running
from tests.support.databases import change, schema_change
from tests.support.factories import user_updated

REPORT = """
INSERT INTO consumer.reports (process_id, duty, host, pid, release, clock_skew_seconds, next_at, paused_by)
VALUES (gen_random_uuid(), '{duty}', '{host}', 1, '0', {skew}, now() + interval '10 seconds', {paused_by})
"""
FORGET_MIGRATION = """
CREATE TEMPORARY TABLE forgotten AS SELECT * FROM consumer._yoyo_migration WHERE migration_id = '{}';
DELETE FROM consumer._yoyo_migration USING forgotten WHERE _yoyo_migration.migration_id = forgotten.migration_id
"""
RECALL_MIGRATION = "INSERT INTO consumer._yoyo_migration SELECT * FROM forgotten"


def reported(url: str, duty: str, host: str, skew: float = 0.0, paused_by: str | None = None) -> None:
    """Let a process report now."""
    pause = f"'{paused_by}'" if paused_by else "NULL"
    change(url, REPORT.format(duty=duty, host=host, skew=skew, paused_by=pause))


def waits(url: str) -> None:
    """Let a delivery wait for longer than a worker that lives would let it."""
    arrive(url, user_updated())
    set_back(url, timedelta(seconds=30))


def set_back(url: str, time: timedelta) -> None:
    """Let the deliveries that are there have arrived earlier."""
    change(url, f"UPDATE consumer.outbox SET received_at = received_at - interval '{time.total_seconds()} s'")


def long_history(url: str) -> None:
    """Let more deliveries be applied than one look goes back over."""
    change(
        url,
        f"""
        WITH stored AS (
            INSERT INTO consumer.outbox (source, message_id, event_type, occurred_at, body)
            SELECT 'stack', gen_random_uuid(), 'user.updated', now(), '' FROM generate_series(0, {LOOK_MAX})
            RETURNING seq
        )
        INSERT INTO consumer.outcomes (seq, outcome) SELECT seq, 'applied' FROM stored
        """,
    )


@contextmanager
def pending_migration(url: str) -> Iterator[str]:
    """Let the newest migration be missing for the duration; yields its id."""
    newest = ledger.carried_ids()[-1]
    with schema_change(url, FORGET_MIGRATION.format(newest), RECALL_MIGRATION):
        yield newest


@contextmanager
def wired(url: str) -> Iterator[tuple[Desk, Wire]]:
    """Run a console behind a wire to its database, which a test can cut."""
    with wire(url) as cable, running(cable.url) as desk:
        yield desk.as_("operator"), cable
