"""A disk that is full: the tables that grow lie on a small one for the duration. It takes a root who may mount."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from tests.faults.world import World
from tests.support.databases import rows

FULL_SECONDS = 3.0
# What the tables may still grow on the small disk before it is filled.
ROOM_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
# The SQLSTATE, as logs have it.
DISK_FULL = '"53100"'


def receivers_disk_full(world: World) -> int:
    """F40: receivers can't store; senders are told so."""
    began = time.monotonic()
    with _full(world, ("consumer.outbox",)):
        time.sleep(FULL_SECONDS)
    return len(world.weather.since(began, 503))


def workers_disk_full(world: World) -> int:
    """F40: workers can't write; they stop, and no delivery dies of it."""
    before = world.said(DISK_FULL)
    with _full(world, ("consumer.outcomes", "identity.profile_audit")):
        world.sees(lambda: world.said(DISK_FULL) > before)
    return world.said(DISK_FULL) - before


def can_mount() -> bool:
    """Tell whether we may have a small disk."""
    if os.geteuid() != 0:
        return False
    try:
        with TemporaryDirectory() as folder, mounted(Path(folder), ROOM_BYTES):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[None]:
    """Have a small disk in a folder for the duration."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(ballast: Path) -> None:
    """Take all the room there is on a disk."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(CHUNK_BYTES))


@contextmanager
def _full(world: World, tables: Sequence[str]) -> Iterator[None]:
    """Keep these tables on a full disk for the duration."""
    with TemporaryDirectory() as name, mounted(Path(name), _needed_bytes(world, tables)):
        folder, ballast = Path(name), Path(name) / "ballast"
        folder.chmod(0o755)
        with _moved(world, tables, folder):
            fill(ballast)
            try:
                yield
            finally:
                ballast.unlink()


@contextmanager
def _moved(world: World, tables: Sequence[str], folder: Path) -> Iterator[None]:
    """Keep these tables in a folder for the duration."""
    space = folder / "space"
    space.mkdir(mode=0o700)
    owner = (world.data_dir / "cluster").stat()
    os.chown(space, owner.st_uid, owner.st_gid)
    with psycopg.connect(world.url, autocommit=True) as conn:
        conn.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        try:
            for table in tables:
                conn.execute(f"ALTER TABLE {table} SET TABLESPACE small")
            yield
        finally:
            for table in tables:
                conn.execute(f"ALTER TABLE {table} SET TABLESPACE pg_default")
            # It ends what the server still has open there.
            conn.execute("CHECKPOINT")
            conn.execute("DROP TABLESPACE small")


def _needed_bytes(world: World, tables: Sequence[str]) -> int:
    sizes = (rows(world.url, f"SELECT pg_table_size('{table}') AS bytes")[0]["bytes"] for table in tables)
    return sum(map(int, sizes), start=ROOM_BYTES)
