"""A database that a newer release has migrated: it is ahead of this one, and may keep it from working."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from consumer.postgres import ledger
from tests.support.databases import schema_change

LATER = "9999.later"
OWN = ledger.release_number()
MIGRATE = f"""
INSERT INTO consumer._yoyo_migration (migration_hash, migration_id) VALUES ('later', '{LATER}');
INSERT INTO consumer.fence (migration, oldest_release) VALUES (9999, {{}})
"""
ROLL_BACK = f"""
DELETE FROM consumer._yoyo_migration WHERE migration_id = '{LATER}';
DELETE FROM consumer.fence WHERE migration = 9999
"""
TOO_OLD = (
    f"this release is too old to work on the database, because it lacks migration {LATER}: "
    "deploy the release that has it, or a later one"
)


@contextmanager
def ahead(url: str, oldest_release: int = OWN) -> Iterator[str]:
    """Migrate to a newer release for the duration, one that lets this one work unless told otherwise."""
    with schema_change(url, MIGRATE.format(oldest_release), ROLL_BACK):
        yield url


def tables(url: str) -> list[list[tuple[object, ...]]]:
    """Return every row that a worker or an operator may change."""
    names = ("outbox", "pending", "failures", "outcomes", "exclusions", "settings", "rehome")
    identity = ("stack_user_profiles", "profiles", "companies", "company_members", "profile_audit")
    found = [*(f"consumer.{name}" for name in names), *(f"identity.{name}" for name in identity)]
    with psycopg.connect(url) as conn:
        return [sorted(conn.execute(f"TABLE {table}").fetchall(), key=str) for table in found]
