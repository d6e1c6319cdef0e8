"""PgBouncer in transaction mode, where this machine has it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.faults.world import answers
from tests.support.processes import HOST, ports, until

PROGRAM = shutil.which("pgbouncer", path=os.defpath + ":/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
# Fewer backends than the processes have connections: they are handed from one to another.
CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = {listen}
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
"""


@contextmanager
def pgbouncer(url: str, data_dir: Path) -> Iterator[str]:
    """Run a pooler in front of the server, as the server's account, and yield a conninfo; it is killed in the end."""
    assert PROGRAM is not None
    target = conninfo_to_dict(url)
    (own_port,) = ports(1)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(
            CONFIGURATION.format(
                host=target["host"], port=target["port"], user=target["user"], listen=HOST, own_port=own_port
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
            until(lambda: answers(pooled))
            yield pooled
        finally:
            process.kill()
            process.wait()
