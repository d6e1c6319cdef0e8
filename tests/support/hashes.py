"""The hashes of the migrations: `python -m tests.support.hashes` writes them to sql/migrations/SHA256SUMS."""

from hashlib import sha256
from pathlib import Path

from consumer.postgres.migration_records import HASHES, content_hash

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "sql" / "migrations"
# From the root of the tree.
HASH_FILE = f"sql/migrations/{HASHES}"


def hash_lines(folder: Path) -> str:
    """Return the hash and name of each file, as `sha256sum *.sql` prints them."""
    return "".join(f"{content_hash(file)}  {file.name}\n" for file in sorted(folder.glob("*.sql")))


def write(folder: Path) -> None:
    (folder / HASHES).write_text(hash_lines(folder))


def rehashed(lines: str, name: str, text: str) -> str:
    """Return the lines with the hash that one file has with another text."""
    known = {line.partition("  ")[2]: line for line in lines.splitlines()}
    known[name] = f"{sha256(text.encode()).hexdigest()}  {name}"
    return "".join(f"{line}\n" for line in known.values())


if __name__ == "__main__":
    write(FOLDER)
