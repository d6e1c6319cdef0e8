"""The embedded server: shared by processes, stopped by the last one, and none of them can be killed at a bad moment."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from consumer.embedded import keeper
from consumer.embedded.programs import account
from consumer.embedded.server import exists, server
from consumer.errors import EmbeddedServerError, NoDatabase
from tests.support.embedded import User, answers, eventually, is_down, is_usable, own, processes, the

IS_ROOT = os.geteuid() == 0

PG15 = Path("/usr/lib/postgresql/15/bin")


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
