"""The embedded PostgreSQL server: the processes that use it start it, share it and stop it."""

import fcntl
import os
import pwd
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import psycopg
from platformdirs import user_data_path
from psycopg.pq import Conninfo

from consumer.embedded import keeper, programs
from consumer.embedded.programs import major_version, prepare
from consumer.embedded.sockets import APPLICATION, PORT
from consumer.errors import EmbeddedServerError, NoDatabase

DATABASE = "stack"
SUPERUSER = "postgres"
# Of libpq's parameters that PG… variables set: those that would lead past the socket, or that the socket can't fulfil.
OVERRIDDEN = (
    "hostaddr",
    "options",
    "target_session_attrs",
    "require_auth",
    "channel_binding",
    "gssencmode",
    "sslcertmode",
    "sslnegotiation",
)

# Crash recovery reads at most max_wal_size: seconds on a disk, and this on the slowest volume.
START_SECONDS_MAX = 120.0
# One keeper may be about to leave when we join, and the next may meet a crash. If more fail in a row, the server fails.
KEEPERS_MAX = 3
# How soon a killed keeper is replaced; with a crash recovery it must stay below three seconds (promise P7).
WATCH_SECONDS = 0.5


def default_data_dir() -> Path:
    """Return the data folder without CONSUMER_DATA_DIR."""
    if os.geteuid() == 0:  # The server runs as another account, which may not enter root's home folder.
        return Path("/var/lib") / APPLICATION
    return user_data_path(APPLICATION)


def exists(data_dir: Path) -> bool:
    """Tell whether a complete cluster is there."""
    return (data_dir / "cluster").is_dir()


def problems(data_dir: Path) -> list[str]:
    """Return why a data folder is not used, whether or not a database is in it."""
    return programs.problems(data_dir.resolve())


@contextmanager
def server(data_dir: Path, *, create: bool) -> Iterator[str]:
    """Join the server or start it, and yield its URI; the last process that leaves stops it."""
    data_dir = data_dir.resolve()
    with ExitStack() as stack:
        try:
            if data_dir.is_file():
                raise EmbeddedServerError(f"{data_dir} is a file: set CONSUMER_DATA_DIR to a folder.")
            if not create and not exists(data_dir):
                raise NoDatabase(f"There is no embedded database in {data_dir}.")
            installation = prepare(data_dir)
            stack.enter_context(_using(installation))
            _start(installation)
        except (OSError, psycopg.Error) as error:
            reason = f" in {data_dir} (CONSUMER_DATA_DIR): {error}"
            file = error.filename if isinstance(error, OSError) else None
            if file and (data_dir.is_relative_to(file) or Path(file).is_relative_to(data_dir)):
                reason = f": cannot write {file}: set CONSUMER_DATA_DIR."
            raise EmbeddedServerError(f"The embedded PostgreSQL could not be started{reason}") from error
        is_over = threading.Event()
        watch = threading.Thread(target=_watch, args=(installation, is_over), name="embedded-watch", daemon=True)
        watch.start()
        stack.callback(watch.join)
        stack.callback(is_over.set)
        yield _uri(installation, DATABASE)


def _uri(installation: keeper.Installation, database: str) -> str:
    parameters = {"host": str(installation.sockets), "port": str(PORT), **_guards(installation.uid)}
    query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
    return f"postgresql://{SUPERUSER}@/{database}?{query}"


def _guards(uid: int) -> dict[str, str]:
    """Return parameters by which libpq connects to this server and no other.

    The process behind the socket must run as the server's account. Variables of libpq for another server do not count.
    """
    guards = {}
    for option in Conninfo.get_defaults():
        if option.keyword.decode() in OVERRIDDEN and (option.envvar or b"").decode() in os.environ:
            guards[option.keyword.decode()] = (option.compiled or b"").decode()
    # An account without a name, as in some containers, can't be compared.
    with suppress(KeyError):
        guards["requirepeer"] = pwd.getpwuid(uid).pw_name
    return guards


@contextmanager
def _using(installation: keeper.Installation) -> Iterator[None]:
    # The process that stops the server holds the lock alone: we wait here until the server is down.
    with keeper.lock_file(installation.data_dir / keeper.USERS_LOCK, fcntl.LOCK_SH) as users:
        try:
            yield
        finally:
            # If this fails, the keeper stops the server.
            with suppress(OSError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                keeper.stop(installation)
                keeper.is_free_within(installation.data_dir / keeper.KEEPER_LOCK, 10 * keeper.POLL_SECONDS)


def _watch(installation: keeper.Installation, is_over: threading.Event) -> None:
    """Make a new keeper when there is none: it was killed, or it left because the server ended."""
    while not is_over.wait(WATCH_SECONDS):
        # The next round tries again; meanwhile the callers see their connections fail.
        with suppress(OSError, EmbeddedServerError):
            if (start := keeper.try_lock_file(installation.data_dir / keeper.START_LOCK)) is not None:
                with start:
                    keeper.ensure(installation)


def _start(installation: keeper.Installation) -> None:
    with keeper.lock_file(installation.data_dir / keeper.START_LOCK) as start:
        # Never as root: the server's account may own the data folder, and then what is in it.
        major = major_version(installation.binaries, **installation.account)
        if not exists(installation.data_dir):
            _make_cluster(installation, major, start)
        _refuse_another_major(installation, major)
        # At every start, because a process may be killed between initdb and this.
        with _connected(installation) as conn, suppress(psycopg.errors.DuplicateDatabase):
            conn.execute(f"CREATE DATABASE {DATABASE}")


def _make_cluster(installation: keeper.Installation, major: int, start: BinaryIO) -> None:
    """Make the cluster under another name, then rename it; initdb holds *start* too, even after this process."""
    scratch = installation.data_dir / "cluster.new"
    if scratch.exists():
        shutil.rmtree(scratch)
    keeper.make_private(installation, scratch)
    # Code point order: no update of a system library can break an index. Since 17 with Unicode's case rules.
    locale = ["--locale=C", *(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else [])]
    # The server trusts each client of its socket, because other users can't enter the socket's folder. It refuses TCP.
    trust = ["--auth-local=trust", "--auth-host=reject"]
    options = [f"--username={SUPERUSER}", *trust, "--encoding=UTF8", "--data-checksums", "--no-instructions"]
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
            f"The data in {installation.cluster} was made by PostgreSQL {found}, but the programs in "
            f"{installation.binaries} are PostgreSQL {major}. Set CONSUMER_PG_BIN to the programs of PostgreSQL "
            f"{found}, or dump and restore."
        )


def _connected(installation: keeper.Installation) -> psycopg.Connection:
    """Wait for the server, and make its keeper when there is none; the caller holds the start lock."""
    deadline = time.monotonic() + START_SECONDS_MAX
    keepers = 0
    while time.monotonic() < deadline and keepers <= KEEPERS_MAX:
        keepers += keeper.ensure(installation)
        with suppress(psycopg.OperationalError):
            return psycopg.connect(_uri(installation, "postgres"), autocommit=True, connect_timeout=5)
        time.sleep(keeper.POLL_SECONDS / 5)
    raise EmbeddedServerError(f"The embedded PostgreSQL did not come up: {keeper.last_words(installation)}")
