"""The processes of the command line, real ones: how they start, wait, survive, and end."""

import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.cli.samples import Occasion, body
from consumer.cli.sender import Answer, Sender, new_message_id
from tests.cli_support import (
    APP_SECRET,
    HOST,
    SECRET,
    Running,
    ask,
    environment,
    invoke,
    is_ready,
    ports,
    running,
    until,
)
from tests.support import rows, scratch_database

NAME = "consumer_cli_test"
SECRETS = {"STACK_WEBHOOK_SECRETS": SECRET, "APP_WEBHOOK_SECRETS": APP_SECRET}
# What SIGTERM grants a process (promise P8), and what a parent that was killed may leave behind.
EXIT_SECONDS = 10.0
ORPHAN_SECONDS = 5.0


@pytest.fixture(scope="module")
def url(server_url: str) -> Iterator[str]:
    """A database that `migrate` was run on."""
    with scratch_database(server_url, NAME) as made, TemporaryDirectory() as folder:
        assert invoke(Path(folder), {"DATABASE_URL": made}, "migrate").exit_code == 0
        yield made


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """An embedded installation's folder, used by one `up` after the other."""
    with TemporaryDirectory() as folder:
        # Started by root, the server runs as another user, who has to come through.
        Path(folder).chmod(0o711)
        yield Path(folder) / "data"


@pytest.fixture
def up(data_dir: Path, tmp_path: Path) -> Iterator[tuple[Running, int, int]]:
    """`up` on the embedded database, ready; the receiver's port and the first of the two ops ports."""
    port, ops_port = ports(2)
    settings = {"CONSUMER_DATA_DIR": str(data_dir), "PORT": str(port), "OPS_PORT": str(ops_port)}
    with running(tmp_path, settings, "up") as group:
        until(lambda: is_ready(ops_port) and is_ready(ops_port + 1))
        yield group, port, ops_port


def deliver(port: int, *, secret: str = SECRET) -> Answer:
    """Deliver a signed `user.created` to the receiver on a port."""
    now = datetime.now(UTC)
    with Sender(f"http://{HOST}:{port}/webhooks/stack", secret=secret) as sender:
        return sender.post(body("user.created", Occasion.now()), new_message_id(now))


def on(url: str, **settings: int | str) -> Mapping[str, str]:
    return {"DATABASE_URL": url, **SECRETS, **{name: str(value) for name, value in settings.items()}}


def deliveries(url: str, state: str) -> int:
    return len(rows(url, f"SELECT seq FROM consumer.deliveries WHERE state = '{state}'"))


# migrate


def test_check_lists_what_is_pending_and_migrate_applies_it_once(server_url: str, tmp_path: Path) -> None:
    with scratch_database(server_url, f"{NAME}_new") as new:
        pending = invoke(tmp_path, on(new), "migrate", "--check", "--json")
        applied = invoke(tmp_path, on(new), "migrate", "--json")
        checked = invoke(tmp_path, on(new), "migrate", "--check")
        again = invoke(tmp_path, on(new), "migrate", "--json")

    assert (pending.exit_code, applied.exit_code, checked.exit_code, again.exit_code) == (1, 0, 0, 0)
    assert json.loads(pending.stdout)["pending"] == json.loads(applied.stdout)["applied"] != []
    assert json.loads(again.stdout) == {"applied": [], "pending": []}


def test_changed_settings_are_recorded_only_when_told(url: str, tmp_path: Path) -> None:
    changed = on(url, DEFAULT_ROLE="guest", ROLE_KEY="rank")

    refused = invoke(tmp_path, changed, "migrate")
    forced = invoke(tmp_path, changed, "migrate", "--settings")
    accepted = invoke(tmp_path, changed, "migrate")
    restored = invoke(tmp_path, on(url), "migrate", "--settings")

    assert [result.exit_code for result in (refused, forced, accepted, restored)] == [2, 0, 0, 0]
    assert "DEFAULT_ROLE, ROLE_KEY" in refused.stderr


# serve


def test_a_receiver_starts_before_its_database_and_connects_when_it_appears(server_url: str, tmp_path: Path) -> None:
    port, ops_port = ports(2)
    late = make_conninfo(server_url, dbname=f"{NAME}_late")

    with running(tmp_path, on(late, PORT=port, OPS_PORT=ops_port), "serve") as receiver:
        until(lambda: ask(port, "/livez")[0] == 200)
        early = deliver(port).status, ask(port, "/readyz")[0], ask(ops_port, "/readyz")
        with scratch_database(server_url, f"{NAME}_late"):
            until(lambda: "migrated" in ask(ops_port, "/readyz")[1])
            invoke(tmp_path, on(late), "migrate")
            until(lambda: is_ready(port))
            stored = deliver(port).status
            exit_code = receiver.stop()

    assert early[:2] == (503, 503)
    assert (early[2][0], "the database is away" in early[2][1]) == (503, True)
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

    assert (exit_code, f"Cannot listen on {HOST}:{port}" in second.text) == (2, True)


# work


def test_a_worker_waits_for_a_missing_migration(server_url: str, tmp_path: Path) -> None:
    (ops_port,) = ports(1)
    with (
        scratch_database(server_url, f"{NAME}_wait") as empty,
        running(tmp_path, on(empty, OPS_PORT=ops_port), "work") as worker,
    ):
        until(lambda: "run `consumer migrate`" in ask(ops_port, "/readyz")[1])
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


def test_drain_gives_up_on_a_database_that_is_not_migrated(server_url: str, tmp_path: Path) -> None:
    with (
        scratch_database(server_url, f"{NAME}_empty") as empty,
        running(tmp_path, on(empty), "work", "--drain") as worker,
    ):
        exit_code = worker.process.wait(EXIT_SECONDS)

    assert (exit_code, "run `consumer migrate`" in worker.text) == (1, True)


def test_a_worker_that_lost_its_database_still_ends_when_told(server_url: str, tmp_path: Path) -> None:
    (ops_port,) = ports(1)
    with scratch_database(server_url, f"{NAME}_lost") as lost:
        invoke(tmp_path, on(lost), "migrate")
        with running(tmp_path, on(lost, OPS_PORT=ops_port), "work") as worker:
            until(lambda: is_ready(ops_port))
            with psycopg.connect(server_url, autocommit=True) as conn:
                conn.execute(f"ALTER DATABASE {NAME}_lost ALLOW_CONNECTIONS false")
                conn.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{NAME}_lost'")
            until(lambda: "database_lost" in worker.text)
            worker.process.terminate()
            exit_code = worker.process.wait(EXIT_SECONDS / 2)

    assert exit_code == 0


# up


def test_up_answers_a_signed_event_and_leaves_no_process(
    up: tuple[Running, int, int], data_dir: Path, tmp_path: Path
) -> None:
    group, _, _ = up
    family = group.family()
    line = until(lambda: group.said("Try it"))

    pasted = subprocess.run(
        line, shell=True, capture_output=True, text=True, cwd=tmp_path, env=environment({}), check=False
    )
    exit_code = group.stop()

    assert (pasted.returncode, pasted.stdout.split()[0]) == (0, "204")
    assert (exit_code, [member for member in family if member.is_running()]) == (0, [])
    assert stat.S_IMODE((data_dir / "webhook-secret").stat().st_mode) == 0o600


def test_up_starts_a_killed_process_again(up: tuple[Running, int, int]) -> None:
    group, port, ops_port = up
    victims = group.family()[1:]

    for victim in victims:
        victim.kill()
    until(lambda: group.child("serve") and group.child("work"))
    until(lambda: is_ready(ops_port) and is_ready(ops_port + 1))

    secret = Path(group.said("Secret").removeprefix("kept in ")).read_text().strip()
    assert deliver(port, secret=secret).status == 204
    assert "process_died" in group.text


def test_a_killed_up_takes_its_processes_with_it(up: tuple[Running, int, int], data_dir: Path) -> None:
    group, _, _ = up
    children = group.family()[1:]

    group.process.send_signal(signal.SIGKILL)

    _, left = psutil.wait_procs(children, ORPHAN_SECONDS)
    assert (len(children), left) == (2, [])
    until(lambda: not [p for p in psutil.process_iter(["cmdline"]) if str(data_dir) in (p.info["cmdline"] or [])])


def test_up_ends_when_a_process_refuses_its_settings(data_dir: Path, tmp_path: Path) -> None:
    port, ops_port = ports(2)
    settings = {"CONSUMER_DATA_DIR": str(data_dir), "PORT": str(port), "OPS_PORT": str(ops_port)}
    with running(tmp_path, {**settings, "STACK_WEBHOOK_SECRETS": "whsec_eA=="}, "up") as group:
        exit_code = group.process.wait(EXIT_SECONDS)

    assert (exit_code, "shorter than" in group.text, "receiver refused to start" in group.text) == (2, True, True)


def test_up_migrates_the_database_it_is_given(server_url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    with (
        scratch_database(server_url, f"{NAME}_given") as given,
        running(tmp_path, on(given, OPS_PORT=0), "up", "--port", str(port)) as group,
    ):
        until(lambda: is_ready(port))
        status = deliver(port).status
        until(lambda: deliveries(given, "done") == 1)
        exit_code = group.stop()

    assert (status, exit_code) == (204, 0)


# send


@pytest.fixture(scope="module")
def receiver(url: str) -> Iterator[Mapping[str, str]]:
    """The settings of a receiver that runs."""
    (port,) = ports(1)
    settings = on(url, PORT=port)
    with TemporaryDirectory() as folder, running(Path(folder), settings, "serve") as process:
        until(lambda: is_ready(port))
        yield settings
        process.stop()


def test_send_delivers_as_many_as_asked(receiver: Mapping[str, str], tmp_path: Path) -> None:
    result = invoke(tmp_path, receiver, "send", "user.created", "--count", "25", "--json")

    sent = json.loads(result.stdout)
    assert (result.exit_code, sent["statuses"]) == (0, {"204": 25})
    assert len({answer["message_id"] for answer in sent["answers"]}) == 25


def test_send_signs_an_application_s_event_with_its_secret(receiver: Mapping[str, str], tmp_path: Path) -> None:
    result = invoke(tmp_path, receiver, "send", "user.signed_in")

    assert (result.exit_code, result.stdout.split()[:2]) == (0, ["204", "user.signed_in"])


def test_send_repeats_one_message_and_a_file_s_exact_bytes(
    receiver: Mapping[str, str], url: str, tmp_path: Path
) -> None:
    file = tmp_path / "body.json"
    file.write_bytes(b'{ "type" : "user.sneezed",\n "data":{} }')

    result = invoke(tmp_path, receiver, "send", "any", "--file", str(file), "--message-id", "msg_file", "--count", "30")

    assert (result.exit_code, "30 × 204" in result.stdout) == (0, True)
    stored = rows(url, "SELECT body, event_type FROM consumer.outbox WHERE message_id = 'msg_file'")
    assert stored == [{"body": file.read_bytes(), "event_type": "user.sneezed"}]


def test_send_fails_when_it_is_refused(receiver: Mapping[str, str], tmp_path: Path) -> None:
    stranger = "whsec_plJ3nmyCDGBKInavdOK15jsl"

    result = invoke(tmp_path, receiver, "send", "user.created", "--secret", stranger)

    assert (result.exit_code, "answered 401" in result.stderr) == (1, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_end_a_process_in_order(number: int, url: str, tmp_path: Path) -> None:
    (ops_port,) = ports(1)
    with running(tmp_path, on(url, OPS_PORT=ops_port), "work") as worker:
        until(lambda: is_ready(ops_port))
        os.kill(worker.process.pid, number)
        exit_code = worker.process.wait(EXIT_SECONDS)

    assert (exit_code, "worker_stopped" in worker.text) == (0, True)
