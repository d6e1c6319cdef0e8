"""The keeper: a small detached process that runs the embedded server while a process uses it."""

import fcntl
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from consumer.embedded import sockets
from consumer.embedded.sockets import APPLICATION, PORT
from consumer.errors import EmbeddedServerError

# The processes find each other by flocks, because the kernel frees a flock however its process ends. A lock file is
# never removed. users: shared by all processes that use the server. start: held while a cluster or a keeper is made.
# keeper: held by the keeper. server: inherited by every process of the server; when it is free, none of them is left.
USERS_LOCK, START_LOCK, KEEPER_LOCK, SERVER_LOCK = "users.lock", "start.lock", "keeper.lock", "server.lock"

# How often a lock is looked at: rare enough to cost nothing, often enough that a stop or a crash is noticed at once.
POLL_SECONDS = 0.1
# Writing all of shared_buffers takes about a second. A fast shutdown during crash recovery was seen to hang: then an
# immediate one follows, and both must fit into the ten seconds that SIGTERM grants.
STOP_SECONDS_MAX = 4.0
# The log says when the server started and why it did not, about a kilobyte each time: this holds thousands.
LOG_BYTES_MAX = 4 * 1024 * 1024
# Enough of the log's end to hold the reason of a failed start.
LOG_LINES = 3
# PostgreSQL gets only these of our variables: others hold secrets, and PG… variables would change its behaviour.
ENVIRONMENT_NAMES = ("PATH", "LD_LIBRARY_PATH")

OPTIONS = {
    # Only the socket, in a folder closed to other users: this is why authentication may be "trust".
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    # An acknowledged delivery survives a power cut. These are the defaults, set here so that no file weakens them.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # For one small machine that also runs the application.
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "max_connections": "100",
    # There are no replicas, so less has to be written.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    # No personal data in the log: an ERROR quotes values, a DETAIL whole rows, a STATEMENT everything. The client gets
    # all of it; LOG, FATAL and PANIC (start, stop, crash) remain.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "cluster_name": APPLICATION,
}


@dataclass(frozen=True, slots=True)
class Installation:
    """An embedded server: its folder, its programs, and the account that runs them."""

    data_dir: Path
    binaries: Path
    uid: int
    gid: int

    @property
    def account(self) -> dict[str, Any]:
        """Return the options of a subprocess that runs as the server's account."""
        return {} if self.uid == os.geteuid() else {"user": self.uid, "group": self.gid, "extra_groups": []}

    @property
    def cluster(self) -> Path:
        """Return PostgreSQL's data folder."""
        return self.data_dir / "cluster"

    @property
    def log(self) -> Path:
        """Return the log of the server, its keeper and initdb."""
        return self.data_dir / "postgres.log"

    @property
    def sockets(self) -> Path:
        """Return the socket's folder."""
        return sockets.folder(self.data_dir)


def lock_file(path: Path, operation: int = fcntl.LOCK_EX) -> BinaryIO:
    """Wait for the flock; it is held until the returned file is closed."""
    file = open_private(path)
    fcntl.flock(file, operation)
    return file


def try_lock_file(path: Path) -> BinaryIO | None:
    """Return a file that holds the flock alone, None when another process holds it."""
    file = open_private(path)
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file
    file.close()
    return None


def is_free_within(path: Path, seconds: float) -> bool:
    """Wait up to *seconds* until no process holds the flock; tell whether that was so."""
    deadline = time.monotonic() + seconds
    while (lock := try_lock_file(path)) is None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS / 5)
    lock.close()
    return True


def open_private(path: Path) -> BinaryIO:
    """Open for appending a file that only its owner can read; never through a link: root may use a user's folder."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "ab", buffering=0)


def make_private(installation: Installation, folder: Path) -> None:
    """Make a folder that only the server's account can enter; FileExistsError when the name is taken."""
    folder.mkdir(mode=0o700)
    os.chown(folder, installation.uid, installation.gid)


def spawn(
    installation: Installation, program: str, *arguments: str, inherited: BinaryIO | None = None
) -> subprocess.Popen[bytes]:
    """Start a PostgreSQL program as the server's account; it keeps the *inherited* lock, its output goes to the log."""
    with open_private(installation.log) as log:
        return subprocess.Popen(  # noqa: S603  The program is one of PostgreSQL's own.
            [installation.binaries / program, *arguments],
            **_surroundings(log),
            **installation.account,
            pass_fds=[inherited.fileno()] if inherited else [],
        )


def last_words(installation: Installation) -> str:
    """Return the end of the log, for an error message."""
    lines = installation.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return f"{' / '.join(lines)} (see {installation.log})"


def ensure(installation: Installation) -> bool:
    """Make a keeper unless there is one, and tell whether it did; the caller holds the start lock."""
    if not is_free_within(installation.data_dir / KEEPER_LOCK, 0):
        return False
    with open_private(installation.log) as log:
        made = subprocess.run(  # noqa: S603  This module; it returns when its detached child holds the keeper's lock.
            [sys.executable, "-m", "consumer.embedded.keeper", *map(str, astuple(installation))],
            **_surroundings(log, PYTHONPATH=str(Path(__file__).parents[2])),
            check=False,
        )
    if made.returncode != 0:
        raise EmbeddedServerError(f"The keeper of the embedded PostgreSQL did not start: {last_words(installation)}")
    return True


def _surroundings(log: BinaryIO, **variables: str) -> dict[str, Any]:
    """Return the options of a process that has only a log and the variables that it needs."""
    inherited = {name: os.environ[name] for name in ENVIRONMENT_NAMES if name in os.environ}
    environment = {"LC_ALL": "C", **inherited, **variables}
    return {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": "/", "env": environment}


def keep(installation: Installation) -> None:
    """Run the server, or watch a running one, until it ends by itself; stop it when no process uses it."""
    server, has_looked = None, False
    while (users := try_lock_file(installation.data_dir / USERS_LOCK)) is None:
        if (lock := try_lock_file(installation.data_dir / SERVER_LOCK)) is not None:
            with lock:
                was_killed = server is not None and server.wait() < 0
                if has_looked and not was_killed:
                    return
                server = _start(installation, lock)
        has_looked = True
        _shorten_log(installation)
        time.sleep(POLL_SECONDS)
    with users:
        stop(installation)


def _start(installation: Installation, lock: BinaryIO) -> subprocess.Popen[bytes]:
    # A killed server leaves this file, and the next one does not start if another process has that process id by now,
    # which is usual in containers. The lock proves that the file is stale.
    (installation.cluster / "postmaster.pid").unlink(missing_ok=True)
    sockets.make(installation.data_dir, installation.uid, installation.gid)
    options = {**OPTIONS, "unix_socket_directories": str(installation.sockets)}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return spawn(installation, "postgres", "-D", str(installation.cluster), *arguments, inherited=lock)


def stop(installation: Installation) -> None:
    """Stop the server and wait for its last process; if that takes too long, stop it at once, and it recovers later."""
    for mode in ("fast", "immediate"):
        if is_free_within(installation.data_dir / SERVER_LOCK, 0):
            return
        spawn(installation, "pg_ctl", "stop", "-s", "-W", "-m", mode, "-D", str(installation.cluster)).wait()
        if is_free_within(installation.data_dir / SERVER_LOCK, STOP_SECONDS_MAX):
            return


def _shorten_log(installation: Installation) -> None:
    # The server has the file open for appending: it can be emptied, but not renamed.
    if installation.log.stat().st_size > LOG_BYTES_MAX:
        newer_half = installation.log.read_bytes()[-LOG_BYTES_MAX // 2 :]
        with open_private(installation.log) as log:
            log.truncate(0)
            log.write(newer_half)


def main(arguments: list[str]) -> None:
    """Start a detached keeper unless there is one."""
    data_dir, binaries, uid, gid = arguments
    installation = Installation(Path(data_dir), Path(binaries), int(uid), int(gid))
    lock = try_lock_file(installation.data_dir / KEEPER_LOCK)
    if lock is None or os.fork() > 0:
        return
    os.setsid()
    with lock:
        try:
            keep(installation)
        except OSError as error:
            sys.exit(f"The keeper of the server ended: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
