"""The socket of the embedded server: the only way in, and nobody else can take its place."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from consumer.embedded import sockets
from consumer.embedded.programs import account
from consumer.embedded.server import server
from tests.support.embedded import User, answers, eventually, the

IS_ROOT = os.geteuid() == 0
STRANGER = 4711
# Of libpq, for another server, or with demands that a socket can't fulfil; the last two are the server's own.
ELSEWHERE = {
    "PGHOST": "127.0.0.1",
    "PGHOSTADDR": "127.0.0.1",
    "PGPORT": "1",
    "PGUSER": "nobody_here",
    "PGDATABASE": "nothing_here",
    "PGOPTIONS": "-c statement_timeout=1",
    "PGTARGETSESSIONATTRS": "standby",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGREQUIREPEER": "nobody_here",
    "PGSSLMODE": "verify-full",
    "PGDATA": "/nowhere",
    "LC_ALL": "tr_TR.UTF-8",
}


@pytest.fixture
def long_dir(data_dir: Path, empty_dir: Path) -> Iterator[Path]:
    """A folder whose name is too long for a socket, with a cluster whose server is down."""
    folder = empty_dir.with_name("x" * 100)
    subprocess.run(["cp", "-a", data_dir, folder], check=True)
    yield folder
    if (link := folder / "socket").is_symlink():
        shutil.rmtree(link.readlink(), ignore_errors=True)


def test_whatever_the_environment_says_the_server_takes_no_tcp_and_its_users_find_the_socket(empty_dir: Path) -> None:
    with User(empty_dir, **ELSEWHERE) as user:
        uri = user.uri()
        assert answers(uri)
        assert the(empty_dir, "postgres").net_connections("inet") == []
        assert the(empty_dir, "keeper").net_connections("inet") == []
        assert user.leave() == ""


def test_the_uri_leads_to_the_socket_whatever_the_environment_says(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)

    with server(data_dir, create=False) as uri, psycopg.connect(uri) as conn:
        assert conn.info.host == str(data_dir / "socket")
        assert conn.execute("SELECT inet_server_addr(), current_setting('statement_timeout')").fetchone() == (None, "0")


def test_a_new_cluster_lets_nobody_in_by_tcp_should_it_ever_listen(data_dir: Path) -> None:
    lines = [line.split() for line in (data_dir / "cluster" / "pg_hba.conf").read_text().splitlines()]
    rules = {(line[0], line[-1]) for line in lines if line and not line[0].startswith("#")}

    assert rules == {("local", "trust"), ("host", "reject")}


def test_a_file_of_the_cluster_opens_no_port(data_dir: Path) -> None:
    file = data_dir / "cluster" / "postgresql.auto.conf"
    text = file.read_text()
    file.write_text(f"{text}listen_addresses = '*'\nunix_socket_directories = '/tmp'\nunix_socket_permissions = 0777\n")

    with server(data_dir, create=False), socket.socket(socket.AF_INET) as probe:
        assert probe.connect_ex(("127.0.0.1", sockets.PORT)) != 0 or the(data_dir, "postgres").net_connections() == []
        assert the(data_dir, "postgres").net_connections("inet") == []
        assert (data_dir / "socket" / f".s.PGSQL.{sockets.PORT}").stat().st_mode & 0o777 == 0o700
    file.write_text(text)


@pytest.mark.parametrize("squat", ["a link", "an open folder", "a file", "a stranger's folder", "nothing"])
def test_a_place_among_temporary_files_that_is_not_ours_any_more_is_not_used(
    long_dir: Path, empty_dir: Path, squat: str
) -> None:
    with server(long_dir, create=False):
        before = (long_dir / "socket").readlink()
    shutil.rmtree(before)
    occupy(before, squat, empty_dir.parent)

    try:
        with server(long_dir, create=False) as uri:
            assert answers(uri)
            after = (long_dir / "socket").readlink()
            assert after != before
            assert (after.lstat().st_mode & 0o777, after.lstat().st_uid) == (0o700, account(long_dir / "cluster")[0])
    finally:
        shutil.rmtree(before) if before.is_dir() and not before.is_symlink() else before.unlink(missing_ok=True)


def occupy(place: Path, squat: str, target: Path) -> None:
    match squat:
        case "a link":
            place.symlink_to(target)
        case "a file":
            place.touch()
        case "an open folder":
            place.mkdir()
            place.chmod(0o777)
        case "a stranger's folder":
            if not IS_ROOT:
                pytest.skip("only root makes a folder of another user's")
            place.mkdir(mode=0o700)
            os.chown(place, STRANGER, STRANGER)


def test_the_name_that_nobody_can_know_before_stays_for_the_clients_of_a_killed_server(long_dir: Path) -> None:
    with server(long_dir, create=False) as uri:
        assert sockets.folder(long_dir).name.startswith("stack-auth-consumer-")
        the(long_dir, "postgres").kill()
        eventually(lambda: not answers(uri))
        eventually(lambda: answers(uri))


def test_a_copied_folder_gets_a_place_of_its_own(long_dir: Path, empty_dir: Path) -> None:
    with server(long_dir, create=False):
        pass
    copy = empty_dir.with_name("z" * 100)
    subprocess.run(["cp", "-a", long_dir, copy], check=True)

    with server(long_dir, create=False) as first, server(copy, create=False) as second:
        assert sockets.folder(long_dir) != sockets.folder(copy)
        assert answers(first)
        assert answers(second)
    shutil.rmtree(sockets.folder(copy))


@pytest.mark.parametrize("left", ["a file", "a link to nowhere", "a folder with files"])
def test_what_lies_in_the_socket_s_place_of_the_data_folder_is_removed(data_dir: Path, left: str) -> None:
    place = data_dir / "socket"
    sockets._remove(place)
    match left:
        case "a file":
            place.touch()
        case "a link to nowhere":
            place.symlink_to("/nowhere/at/all")
        case _:
            place.mkdir()
            (place / ".s.PGSQL.5432").touch()

    with server(data_dir, create=False) as uri:
        assert answers(uri)
        assert not place.is_symlink()


@pytest.mark.skipif(not IS_ROOT, reason="only root makes a process of another user's")
def test_a_stranger_s_process_in_the_socket_s_place_is_not_spoken_to(data_dir: Path, empty_dir: Path) -> None:
    with server(data_dir, create=False) as uri:
        folder = empty_dir.parent / "squat"
        folder.mkdir()
        os.chown(folder, STRANGER, STRANGER)
        with impostor(folder), pytest.raises(psycopg.OperationalError, match=r"requirepeer|local user with ID"):
            psycopg.connect(make_conninfo(uri, host=str(folder)))
        assert conninfo_to_dict(uri)["requirepeer"]


@contextmanager
def impostor(folder: Path) -> Iterator[None]:
    """Let another user's process listen there."""
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); "
        "print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        ["/usr/bin/env", "python3", "-c", program, str(folder / ".s.PGSQL.5432")],
        user=STRANGER,
        group=STRANGER,
        extra_groups=[],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield
        process.kill()
