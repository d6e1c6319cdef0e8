"""PgBouncer in transaction mode, where this machine has it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

PROGRAM = shutil.which("pgbouncer", path=os.defpath + ":/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
HOST = "127.0.0.1"
START_SECONDS_MAX = 15.0
# Fewer backends than the processes have connections: they are handed from one to another.
CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = {listen}
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
"""


@contextmanager
def pgbouncer(url: str, data_dir: Path, *, mode: str = "transaction", size: int = 3) -> Iterator[str]:
    """Run a pooler in front of the server, as the server's account, and yield a conninfo; it is killed in the end."""
    assert PROGRAM is not None
    target = conninfo_to_dict(url)
    own_port = _free_port()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(
            CONFIGURATION.format(
                host=target["host"],
                port=target["port"],
                user=target["user"],
                listen=HOST,
                own_port=own_port,
                mode=mode,
                size=size,
            )
        )
        Path(folder).chmod(0o755)
        owner = (data_dir / "cluster").stat()
        is_ours = owner.st_uid == os.geteuid()
        process = subprocess.Popen(
            [PROGRAM, "-q", str(file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=None if is_ours else owner.st_uid,
            group=None if is_ours else owner.st_gid,
            extra_groups=None if is_ours else [],
        )
        try:
            pooled = make_conninfo(url, host=HOST, port=str(own_port), sslmode="disable", gssencmode="disable")
            _wait(pooled)
            yield pooled
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _wait(pooled: str) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), psycopg.connect(pooled, prepare_threshold=None):
            return
        time.sleep(0.02)
    raise TimeoutError("PgBouncer does not answer.")
