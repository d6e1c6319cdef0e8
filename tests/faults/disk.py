"""A disk that is full: the tables that grow lie on a small one for the duration. It takes a root who may mount."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from tests.faults.world import World
from tests.support import rows

FULL_SECONDS = 3.0
# What the tables may still grow on the small disk before it is filled.
ROOM_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
# What a receiver inserts into, and what a worker does.
GROWING = ("consumer.outbox", "consumer.outcomes", "identity.profile_audit")


def disk_full(world: World) -> int:
    """F40: neither receivers nor workers can store; nobody's delivery dies of it."""
    with TemporaryDirectory() as folder, _mounted(Path(folder), _needed_bytes(world)):
        Path(folder).chmod(0o755)
        with _moved(world, Path(folder)):
            began, workers = time.monotonic(), world.said('"53100"')
            _fill(Path(folder) / "ballast")
            time.sleep(FULL_SECONDS)
            struck = len(world.weather.since(began, 503))
            assert world.said('"53100"') > workers, "workers did not notice"
            (Path(folder) / "ballast").unlink()
    return struck


def can_mount() -> bool:
    """Tell whether we may have a small disk."""
    if os.geteuid() != 0:
        return False
    try:
        with TemporaryDirectory() as folder, _mounted(Path(folder), ROOM_BYTES):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def _moved(world: World, folder: Path) -> Iterator[None]:
    """Keep the growing tables in a folder for the duration."""
    space = folder / "space"
    space.mkdir(mode=0o700)
    owner = (world.data_dir / "cluster").stat()
    os.chown(space, owner.st_uid, owner.st_gid)
    with psycopg.connect(world.url, autocommit=True) as conn:
        conn.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        try:
            for table in GROWING:
                conn.execute(f"ALTER TABLE {table} SET TABLESPACE small")
            yield
        finally:
            for table in GROWING:
                conn.execute(f"ALTER TABLE {table} SET TABLESPACE pg_default")
            conn.execute("CHECKPOINT")
            conn.execute("DROP TABLESPACE small")


def _needed_bytes(world: World) -> int:
    sizes = (rows(world.url, f"SELECT pg_table_size('{table}') AS bytes")[0]["bytes"] for table in GROWING)
    return sum(map(int, sizes), start=ROOM_BYTES)


def _fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(CHUNK_BYTES))
