"""What the ledger records of a migration besides its name: the hash of its file, and how far its steps have come."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from consumer.errors import ConsumerError
from consumer.postgres.migrator import MigratorConnection
from consumer.postgres.queries import query

# Of every file of the folder, in the form that `sha256sum --check` reads.
HASHES = "SHA256SUMS"


class MigrationChanged(ConsumerError):
    """A migration is not the one that was released or applied."""


def content_hash(file: Path) -> str:
    """Return the hash of a migration's file as it lies there, before the roles get their prefix."""
    return sha256(file.read_bytes()).hexdigest()


def frozen(folder: Path) -> Mapping[str, str]:
    """Return the hash of each migration by its id; MigrationChanged if a file is not the one that was released."""
    released = {}
    for line in (folder / HASHES).read_text().splitlines():
        known_hash, name = line.split(maxsplit=1)
        released[name] = known_hash
    files = sorted(folder.glob("*.sql"))
    if changed := [file.name for file in files if released.get(file.name) != content_hash(file)]:
        raise MigrationChanged(
            f"{', '.join(changed)} of {folder}: not as released, by {HASHES}; nothing was changed. Install the release "
            "again: its migrations are never edited."
        )
    return {file.stem: released[file.name] for file in files if ".rollback" not in file.name}


def are_complete(conn: MigratorConnection, hashes: Mapping[str, str]) -> bool:
    """Tell whether each of these migrations is recorded; MigrationChanged if one was applied from another file."""
    [(is_there,)] = conn.execute(query("migration_records/exists")).fetchall()
    if not is_there:
        return False
    recorded: dict[str, str] = dict(conn.execute(query("migration_records/hashes")).fetchall())
    if changed := sorted(one for one, known_hash in hashes.items() if recorded.get(one, known_hash) != known_hash):
        raise MigrationChanged(
            f"The database has {', '.join(changed)} from another file than this release's, and nothing was changed: "
            "run the release that migrated it, or begin with an empty database."
        )
    return hashes.keys() <= recorded.keys()


def begin(conn: MigratorConnection, hashes: Mapping[str, str]) -> None:
    """Make the table of the records; a migration that is applied without a record gets the hash of today's file."""
    [(is_there,)] = conn.execute(query("migration_records/exists")).fetchall()
    # IF NOT EXISTS needs CREATE on the schema even if the table is there.
    if not is_there:
        conn.execute(query("migration_records/make"))
    conn.execute(query("migration_records/adopt"), {"ids": list(hashes), "hashes": list(hashes.values())})


def progress(conn: MigratorConnection, migration_id: str) -> tuple[int, str | None]:
    """Return the next step of a migration that is not applied yet, and the last key of its pages."""
    found = conn.execute(query("migration_records/progress"), {"migration_id": migration_id}).fetchone()
    return found or (0, None)


def advance(
    conn: MigratorConnection, migration_id: str, known_hash: str, *, next_step: int | None, page: str | None = None
) -> None:
    """Record, in the transaction of the work itself, which step or page comes next; no *next_step*: all is done."""
    values = {"migration_id": migration_id, "content_hash": known_hash, "next_step": next_step, "page": page}
    conn.execute(query("migration_records/advance"), values)


def forget(conn: MigratorConnection, migration_id: str) -> None:
    """Drop the record of a migration that is rolled back."""
    conn.execute(query("migration_records/forget"), {"migration_id": migration_id})
