"""What an embedded server is, whatever a file in its folder says, and how it ends."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from consumer.embedded import keeper
from consumer.embedded import server as embedded
from consumer.embedded.programs import account
from consumer.embedded.server import exists, server
from consumer.errors import EmbeddedServerError
from tests.support.databases import change
from tests.support.embedded import answers, eventually, is_down, the
from tests.support.processes import EXIT_SECONDS

# Of each setting: what we promise, and what a file could say instead.
SETTINGS = {
    "fsync": ("on", "off"),
    "full_page_writes": ("on", "off"),
    "synchronous_commit": ("on", "off"),
    "listen_addresses": ("", "*"),
    "unix_socket_permissions": ("0700", "0777"),
    "port": ("5432", "5433"),
    "shared_buffers": ("128MB", "1MB"),
    "max_wal_size": ("1GB", "16GB"),
    "max_connections": ("100", "10"),
    "wal_level": ("minimal", "replica"),
    "max_wal_senders": ("0", "10"),
    "TimeZone": ("UTC", "Asia/Tokyo"),
    "log_min_messages": ("log", "debug1"),
    "log_min_error_statement": ("panic", "debug1"),
    "log_error_verbosity": ("terse", "verbose"),
    "log_checkpoints": ("off", "on"),
    "cluster_name": ("stack-auth-consumer", "other"),
}
LOG_BYTES_MAX = 4 * 1024 * 1024


@contextmanager
def weakened(data_dir: Path) -> Iterator[None]:
    """Have a file of the cluster say the opposite of everything for the duration."""
    file = data_dir / "cluster" / "postgresql.auto.conf"
    text = file.read_text()
    file.write_text(text + "".join(f"{name} = '{weak}'\n" for name, (_, weak) in SETTINGS.items()))
    yield
    file.write_text(text)


@contextmanager
def copied(data_dir: Path, target: Path) -> Iterator[Path]:
    """Copy a folder whose server is down."""
    subprocess.run(["cp", "-a", data_dir, target], check=True)
    yield target
    shutil.rmtree(target)


def shown(conn: psycopg.Connection, name: str) -> str:
    (value,) = conn.execute("SELECT current_setting(%s)", [name]).fetchone() or ("",)
    return str(value)


def test_no_file_changes_what_makes_it_durable_private_and_small(data_dir: Path) -> None:
    with weakened(data_dir), server(data_dir, create=False) as uri, psycopg.connect(uri) as conn:
        assert {name: shown(conn, name) for name in SETTINGS} == {name: kept for name, (kept, _) in SETTINGS.items()}
        assert keeper.OPTIONS.keys() == {name.lower() for name in SETTINGS}
        assert the(data_dir, "postgres").net_connections("inet") == []


def test_text_is_unicode_in_the_order_of_its_code_points(data_dir: Path) -> None:
    with server(data_dir, create=False) as uri, psycopg.connect(uri) as conn:
        asked = "SELECT current_setting('server_encoding'), 'Z' < 'a', 'z' < 'é', datcollate, datctype"
        facts = conn.execute(f"{asked} FROM pg_database WHERE datname = current_database()").fetchone()
        assert facts == ("UTF8", True, True, "C", "C")
        if conn.info.server_version >= 170_000:
            provider = "SELECT datlocprovider::text, datlocale, upper('é') FROM pg_database WHERE datname = 'stack'"
            assert conn.execute(provider).fetchone() == ("b", "C.UTF-8", "É")


def test_the_folders_are_the_servers_and_closed_to_others(empty_dir: Path) -> None:
    before = os.umask(0)
    try:
        with server(empty_dir, create=True):
            owner = account(empty_dir / "cluster")
            for name in ("cluster", "socket"):
                status = (empty_dir / name).stat()
                assert (status.st_mode & 0o777, (status.st_uid, status.st_gid)) == (0o700, owner), name
            files = [*empty_dir.glob("*.lock"), empty_dir / "postgres.log"]
            assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
            assert len(files) == 5
            # As root we let the server's account through, and nobody list what is there.
            assert empty_dir.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", ["a \"b\" 'c' %20", "a,b"], ids=["quotes", "a comma"])
def test_its_folder_may_have_any_name(name: str, data_dir: Path, empty_dir: Path) -> None:
    with copied(data_dir, empty_dir.with_name(name)) as named:
        with server(named, create=False) as uri:
            assert answers(uri)
            assert (named / "socket" / ".s.PGSQL.5432").exists()
            sockets = (named / "socket").resolve()
        shutil.rmtree(sockets)


@pytest.mark.parametrize(("path_bytes", "is_link"), [(103, False), (104, True)])
def test_a_socket_path_of_103_bytes_is_used_and_a_longer_one_is_not(
    data_dir: Path, empty_dir: Path, path_bytes: int, is_link: bool
) -> None:
    rest = path_bytes - len(os.fsencode(empty_dir.parent)) - len("//socket/.s.PGSQL.5432")
    with copied(data_dir, empty_dir.with_name("x" * rest)) as named:
        with server(named, create=False) as uri:
            assert answers(uri)
            assert (named / "socket").is_symlink() == is_link
            sockets = (named / "socket").resolve()
        shutil.rmtree(sockets)


def test_a_database_that_a_killed_process_did_not_make_is_made_at_the_next_start(data_dir: Path) -> None:
    with server(data_dir, create=False) as uri:
        change(uri.replace("/stack?", "/postgres?"), "DROP DATABASE stack")
    with server(data_dir, create=False) as uri:
        assert answers(uri)


def test_the_last_user_ends_it_cleanly_though_a_client_is_connected(data_dir: Path) -> None:
    log = data_dir / "postgres.log"
    before = log.stat().st_size
    with server(data_dir, create=False) as uri:
        client = psycopg.connect(uri)
    client.close()
    with server(data_dir, create=False):
        pass

    said = log.read_text()[before:]
    assert "received fast shutdown request" in said
    assert said.count("database system was shut down at") == 2
    assert "not properly shut down" not in said
    assert "received immediate shutdown request" not in said


@pytest.mark.slow
def test_one_that_does_not_end_in_time_is_ended_at_once(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "STOP_SECONDS_MAX", 0.5)
    with server(data_dir, create=False) as uri:
        client = psycopg.connect(uri)
        # It cannot hear that it shall end; PostgreSQL kills it five seconds after the second request.
        os.kill(client.info.backend_pid, signal.SIGSTOP)
    eventually(lambda: is_down(data_dir), 15)
    client.close()

    assert "received immediate shutdown request" in (data_dir / "postgres.log").read_text()
    with server(data_dir, create=False) as uri:
        assert answers(uri)


def test_both_ways_of_ending_fit_into_what_sigterm_grants() -> None:
    assert (2 * keeper.STOP_SECONDS_MAX, EXIT_SECONDS) == (8, 10)


def test_the_log_keeps_its_newest_two_megabytes(data_dir: Path) -> None:
    log = data_dir / "postgres.log"
    with log.open("a") as file:
        file.write("oldest\n" + "x" * LOG_BYTES_MAX + "\nnewest\n")

    with server(data_dir, create=False):
        eventually(lambda: log.stat().st_size <= LOG_BYTES_MAX // 2 + 10_000)

    text = log.read_text()
    assert "newest" in text
    assert "oldest" not in text
    assert len(text) > LOG_BYTES_MAX // 2


def test_a_log_of_four_megabytes_is_left_alone(data_dir: Path) -> None:
    log = data_dir / "postgres.log"
    with server(data_dir, create=False):
        kept = LOG_BYTES_MAX - log.stat().st_size
        with log.open("ab") as file:
            file.write(b"x" * kept)
        keeper._shorten_log(keeper.Installation(data_dir, Path(), *account(data_dir / "cluster")))
        assert log.stat().st_size >= LOG_BYTES_MAX


def test_one_that_does_not_come_up_in_time_is_given_up_with_the_end_of_its_log(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert embedded.START_SECONDS_MAX == 120
    monkeypatch.setattr(embedded, "START_SECONDS_MAX", 0.0)

    late = pytest.raises(EmbeddedServerError, match=r"did not come up: .*\(see .*postgres\.log\)")
    with late, server(data_dir, create=False):
        pass


def test_only_the_server_of_a_whole_cluster_exists(empty_dir: Path) -> None:
    (empty_dir / "cluster.new").mkdir(parents=True)

    assert not exists(empty_dir)
