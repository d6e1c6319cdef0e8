"""The receiver, the worker and the migrations as real processes: how they start, wait, and end."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.postgres.connections import RECONNECT_SECONDS
from tests.faults.proxy import wire
from tests.support.databases import scratch_database
from tests.support.names import own
from tests.support.processes import (
    EXIT_SECONDS,
    HOST,
    ask,
    deliver,
    deliveries,
    invoke,
    is_ready,
    on,
    ports,
    running,
    until,
)

LOGIN = own("login")


@pytest.fixture(scope="module")
def url(server_url: str) -> Iterator[str]:
    """A database that `migrate` was run on."""
    with scratch_database(server_url, "cli") as made, TemporaryDirectory() as folder:
        assert invoke(Path(folder), {"DATABASE_URL": made}, "migrate").exit_code == 0
        yield made


def test_check_lists_what_is_pending_and_migrate_applies_it_once(server_url: str, tmp_path: Path) -> None:
    with scratch_database(server_url, "new") as new:
        pending = invoke(tmp_path, on(new), "migrate", "--check", "--json")
        applied = invoke(tmp_path, on(new), "migrate", "--json")
        checked = invoke(tmp_path, on(new), "migrate", "--check")
        again = invoke(tmp_path, on(new), "migrate", "--json")

    assert (pending.exit_code, applied.exit_code, checked.exit_code, again.exit_code) == (1, 0, 0, 0)
    assert json.loads(pending.stdout)["pending"] == json.loads(applied.stdout)["applied"] != []
    assert json.loads(again.stdout) == {
        "applied": [],
        "pending": [],
        "newer": [],
        "mended": [],
        "unmended": [],
        "others": [],
        "recorded": [],
        "adopted": [],
        "warnings": [],
    }


def test_changed_settings_are_recorded_only_when_told(url: str, tmp_path: Path) -> None:
    changed = on(url, DEFAULT_ROLE="guest", ROLE_KEY="rank")

    refused = invoke(tmp_path, changed, "migrate")
    checked = invoke(tmp_path, changed, "migrate", "--check")
    forced = invoke(tmp_path, changed, "migrate", "--settings")
    accepted = invoke(tmp_path, changed, "migrate")
    restored = invoke(tmp_path, on(url), "migrate", "--settings")

    assert [result.exit_code for result in (refused, forced, accepted, restored)] == [2, 0, 0, 0]
    both = "DEFAULT_ROLE is guest here and member in the database, ROLE_KEY is rank here and role in the database. "
    assert f"{both}Set DEFAULT_ROLE to member and ROLE_KEY to role, or run " in refused.stderr
    assert (checked.exit_code, both in checked.stderr) == (1, True)
    assert forced.stdout == "recorded DEFAULT_ROLE, ROLE_KEY, for deliveries applied from now on\n"
    assert accepted.stdout == "The database is up to date.\n"


def test_a_receiver_starts_before_its_database_and_connects_when_it_appears(server_url: str, tmp_path: Path) -> None:
    port, ops_port = ports(2)
    late = make_conninfo(server_url, dbname=own("late"))

    with running(tmp_path, on(late, PORT=port, OPS_PORT=ops_port), "serve") as receiver:
        until(lambda: ask(port, "/livez")[0] == 200)
        early = deliver(port).status, ask(port, "/readyz")[0], ask(ops_port, "/readyz")
        with scratch_database(server_url, "late"):
            until(lambda: "migrated" in ask(ops_port, "/readyz")[1])
            invoke(tmp_path, on(late), "migrate")
            until(lambda: is_ready(port))
            stored = deliver(port).status
            exit_code = receiver.stop()

    assert early[:2] == (503, 503)
    assert (early[2][0], "the server refuses this login" in early[2][1]) == (503, True)
    assert (stored, exit_code) == (204, 0)


def test_a_receiver_refuses_a_database_shaped_by_other_settings(url: str, tmp_path: Path) -> None:
    with running(tmp_path, on(url, PORT=0, DELETE_POLICY="hard"), "serve") as receiver:
        exit_code = receiver.process.wait(EXIT_SECONDS)

    assert (exit_code, "DELETE_POLICY" in receiver.text) == (2, True)


def test_a_receiver_tells_that_its_address_is_taken(url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    with running(tmp_path, on(url, PORT=port), "serve") as first:
        until(lambda: is_ready(port))
        with running(tmp_path, on(url, PORT=port), "serve") as second:
            exit_code = second.process.wait(EXIT_SECONDS)
        first.stop()

    assert (exit_code, f"PORT {port} on {HOST} is in use" in second.text) == (2, True)


def test_a_worker_waits_for_a_missing_migration(server_url: str, tmp_path: Path) -> None:
    (ops_port,) = ports(1)
    with (
        scratch_database(server_url, "wait") as empty,
        running(tmp_path, on(empty, OPS_PORT=ops_port), "work") as worker,
    ):
        until(lambda: "run `consumer migrate`" in ask(ops_port, "/readyz")[1] and "database_not_ready" in worker.text)
        invoke(tmp_path, on(empty), "migrate")
        until(lambda: is_ready(ops_port))
        exit_code = worker.stop()

    assert exit_code == 0


def test_drain_applies_what_is_due_and_returns(url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    with running(tmp_path, on(url, PORT=port), "serve") as receiver:
        until(lambda: is_ready(port))
        assert deliver(port).status == 204
        receiver.stop()

    with running(tmp_path, on(url), "work", "--drain") as worker:
        exit_code = worker.process.wait(EXIT_SECONDS)

    assert (exit_code, deliveries(url, "pending")) == (0, 0)
    assert deliveries(url, "done") > 0


@pytest.mark.usefixtures("database_url")  # Without it a server of its own has no roles.
def test_drain_gives_up_on_a_database_that_is_not_migrated(server_url: str, tmp_path: Path) -> None:
    with (
        scratch_database(server_url, "empty") as empty,
        running(tmp_path, on(empty), "work", "--drain") as worker,
    ):
        exit_code = worker.process.wait(EXIT_SECONDS)

    assert (exit_code, "run `consumer migrate`" in worker.text) == (1, True)


@pytest.fixture
def login(url: str) -> Iterator[str]:
    """A login that may be receiver and worker, until a test takes that away."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {LOGIN} LOGIN NOINHERIT IN ROLE consumer_receiver, consumer_worker")
        try:
            yield make_conninfo(url, user=LOGIN)
        finally:
            conn.execute(f"DROP ROLE {LOGIN}")


@pytest.mark.parametrize(
    ("command", "sabotage", "said"),
    [
        ("serve", f"ALTER ROLE {LOGIN} NOLOGIN", "is not permitted to log in"),
        ("serve", f"REVOKE consumer_receiver FROM {LOGIN}", f"The login {LOGIN} may not act as consumer_receiver"),
        ("work", f"ALTER ROLE {LOGIN} NOLOGIN", "is not permitted to log in"),
        ("work", f"REVOKE consumer_worker FROM {LOGIN}", f"The login {LOGIN} may not act as consumer_worker"),
    ],
    ids=["receiver locked out", "receiver without its role", "worker locked out", "worker without its role"],
)
def test_a_process_that_is_refused_later_on_does_not_call_the_database_away(
    command: str, sabotage: str, said: str, url: str, login: str, tmp_path: Path
) -> None:
    port, ops_port = ports(2)
    with running(tmp_path, on(login, PORT=port, OPS_PORT=ops_port), command) as process:
        until(lambda: is_ready(ops_port))
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(sabotage)
            conn.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{LOGIN}'")
        until(lambda: "refuses this login" in ask(ops_port, "/readyz")[1])
        reason = ask(ops_port, "/readyz")[1]
        until(lambda: "database_refused" in process.text)
        exit_code = process.stop()

    assert (exit_code, said in reason, "away" in reason) == (0, True, False)


@pytest.mark.parametrize("command", ["serve", "work"])
def test_a_wrong_prefix_is_one_line_of_the_log_and_named_by_the_probe(command: str, url: str, tmp_path: Path) -> None:
    role = {"serve": "other_receiver", "work": "other_worker"}[command]
    port, ops_port = ports(2)
    with running(tmp_path, on(url, PORT=port, OPS_PORT=ops_port, ROLE_PREFIX="other"), command) as process:
        until(lambda: f"The role {role} does not exist: ROLE_PREFIX is wrong" in ask(ops_port, "/readyz")[1])
        until(lambda: "database_refused" in process.text)
        time.sleep(2 * RECONNECT_SECONDS)
        process.stop()

    assert process.text.count("database_refused") == 1
    assert "database_back" not in process.text


def test_an_outage_is_two_lines_of_a_receiver_s_log(url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    with wire(url) as cable, running(tmp_path, on(f"{cable.url} password=hunter2", PORT=port), "serve") as receiver:
        until(lambda: is_ready(port))
        cable.cut()
        for _ in range(3):
            assert deliver(port).status == 503
        cable.mend()
        until(lambda: deliver(port).status == 204)
        receiver.stop()

    told = [json.loads(line) for line in receiver.text.splitlines() if '"database' in line]
    assert [line["event"] for line in told] == ["database_lost", "database_back"]
    assert {line["program"] for line in told} == {"receiver"}
    assert all(line["database"].endswith(f"/{own('cli')}") for line in told)
    assert "connection" in told[0]["error"]
    assert told[1]["seconds"] > 0
    assert "library_logged" not in receiver.text
    assert "hunter2" not in receiver.text


def test_an_outage_is_two_lines_of_a_worker_s_log(url: str, tmp_path: Path) -> None:
    (ops_port,) = ports(1)
    with wire(url) as cable, running(tmp_path, on(cable.url, OPS_PORT=ops_port), "work") as worker:
        until(lambda: is_ready(ops_port))
        cable.cut()
        until(lambda: "database_lost" in worker.text)
        cable.mend()
        until(lambda: "database_back" in worker.text)
        worker.stop()

    told = [json.loads(line) for line in worker.text.splitlines() if '"database' in line]
    assert [(line["event"], line["program"]) for line in told] == [
        ("database_lost", "worker"),
        ("database_back", "worker"),
    ]


def test_a_worker_that_lost_its_database_still_ends_when_told(server_url: str, tmp_path: Path) -> None:
    (ops_port,) = ports(1)
    with scratch_database(server_url, "lost") as lost:
        invoke(tmp_path, on(lost), "migrate")
        with running(tmp_path, on(lost, OPS_PORT=ops_port), "work") as worker:
            until(lambda: is_ready(ops_port))
            with psycopg.connect(server_url, autocommit=True) as conn:
                conn.execute(f"ALTER DATABASE {own('lost')} ALLOW_CONNECTIONS false")
                conn.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{own('lost')}'")
            until(lambda: "database_lost" in worker.text)
            worker.process.terminate()
            exit_code = worker.process.wait(EXIT_SECONDS / 2)

    assert exit_code == 0


def test_no_process_of_ours_forks(url: str, tmp_path: Path) -> None:
    """A pool that is open when its process forks is shared by two who do not know of each other."""
    (port,) = ports(1)
    with running(tmp_path, on(url, PORT=port), "serve") as receiver, running(tmp_path, on(url), "work") as worker:
        until(lambda: is_ready(port))
        assert deliver(port).status == 204
        until(lambda: deliveries(url, "pending") == 0)

        family = [*receiver.family(), *worker.family()]

    assert [process.pid for process in family] == [receiver.process.pid, worker.process.pid]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_end_a_process_in_order(number: int, url: str, tmp_path: Path) -> None:
    (ops_port,) = ports(1)
    with running(tmp_path, on(url, OPS_PORT=ops_port), "work") as worker:
        until(lambda: is_ready(ops_port))
        os.kill(worker.process.pid, number)
        exit_code = worker.process.wait(EXIT_SECONDS)

    assert (exit_code, "worker_stopped" in worker.text) == (0, True)
