"""`consumer up`: a group of processes that answers, heals, and leaves nothing behind."""

import asyncio
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from psycopg.conninfo import make_conninfo

from consumer.cli.up import UpPlan, _programs
from consumer.errors import BadSettings
from consumer.process.supervision import Program, supervise
from tests.support.databases import change, scratch_database
from tests.support.names import own
from tests.support.processes import (
    EXIT_SECONDS,
    Running,
    ask,
    deliver,
    deliveries,
    environment,
    invoke,
    is_ready,
    on,
    ports,
    running,
    until,
)
from tests.support.settings import load

# What a parent that was killed may leave behind, and for how long.
ORPHAN_SECONDS = 5.0


def test_every_process_knows_where_the_receiver_listens() -> None:
    settings = replace(load(on("postgresql://localhost/app", HOST="127.0.0.1", PORT=8000)), host="::1", port=8123)
    plan = UpPlan(settings, ops_ports=(), migrate_conninfo="", secret_files={})

    for program in _programs(plan):
        assert (program.environment["HOST"], program.environment["PORT"]) == ("::1", "8123")


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """An embedded installation's folder, used by one `up` after the other."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
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


def test_up_answers_a_signed_event_and_leaves_no_process(
    up: tuple[Running, int, int], data_dir: Path, tmp_path: Path
) -> None:
    group, _, _ = up
    family = group.family()
    line = until(lambda: group.said("Try it"))
    assert group.text.count("The database is the embedded one") == 1
    assert group.text.startswith(f"The database is the embedded one in {data_dir}.\n")

    pasted = subprocess.run(
        line, shell=True, capture_output=True, text=True, cwd=tmp_path, env=environment({}), check=False
    )
    exit_code = group.stop()

    assert '"event":"stop_requested","signal":"SIGTERM"' in group.text
    assert (pasted.returncode, pasted.stdout.split()[0]) == (0, "204")
    assert (exit_code, [member for member in family if member.is_running()]) == (0, [])
    for name in ("webhook-secret", "app-webhook-secret"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600


def test_send_signs_an_app_event_with_the_secret_that_up_made(
    up: tuple[Running, int, int], data_dir: Path, tmp_path: Path
) -> None:
    group, port, _ = up
    until(lambda: group.said("Try it"))
    settings = {"CONSUMER_DATA_DIR": str(data_dir), "PORT": str(port)}

    for event_type in ("user.created", "user.signed_in"):
        sent = invoke(tmp_path, settings, "send", event_type)
        assert (sent.exit_code, sent.output[:3]) == (0, "204")


def test_up_starts_a_killed_process_again(up: tuple[Running, int, int]) -> None:
    group, port, ops_port = up
    victims = group.family()[1:]

    for victim in victims:
        victim.kill()
    until(lambda: group.child("serve") and group.child("work"))
    until(lambda: is_ready(ops_port) and is_ready(ops_port + 1))

    secret = Path(until(lambda: group.said("Secret")).removeprefix("kept in ")).read_text().strip()
    assert deliver(port, secret=secret).status == 204
    assert "process_died" in group.text


def test_a_second_up_is_told_that_one_is_running(up: tuple[Running, int, int], data_dir: Path, tmp_path: Path) -> None:
    _, port, ops_port = up

    second = invoke(tmp_path, {"CONSUMER_DATA_DIR": str(data_dir), "PORT": str(port), "OPS_PORT": str(ops_port)}, "up")

    assert (second.exit_code, f"already running on {data_dir}" in second.stderr) == (2, True)
    assert len(second.stderr.splitlines()) == 1


def test_a_killed_up_takes_its_processes_with_it(up: tuple[Running, int, int], data_dir: Path) -> None:
    group, _, _ = up
    children = group.family()[1:]

    group.process.send_signal(signal.SIGKILL)

    _, left = psutil.wait_procs(children, ORPHAN_SECONDS)
    assert (len(children), left) == (3, [])
    until(lambda: not [p for p in psutil.process_iter(["cmdline"]) if str(data_dir) in (p.info["cmdline"] or [])])


async def test_a_group_ends_when_a_process_refuses_its_settings(tmp_path: Path) -> None:
    database = "postgresql://nobody@127.0.0.1:1/none"
    with (tmp_path / "log").open("wb") as output:
        receiver = Program("receiver", ["serve"], environment({"DATABASE_URL": database}), tmp_path, output)
        worker = Program("worker", ["work"], environment({"DATABASE_URL": database}), tmp_path, output)

        with pytest.raises(BadSettings, match="receiver refused to start"):
            await supervise([receiver, worker], asyncio.Event())

    assert "STACK_WEBHOOK_SECRETS is not set" in (tmp_path / "log").read_text()


def test_up_migrates_the_database_it_is_given(server_url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    with (
        scratch_database(server_url, "given") as given,
        running(tmp_path, on(given, OPS_PORT=0), "up", "--port", str(port)) as group,
    ):
        until(lambda: is_ready(port))
        status = deliver(port).status
        until(lambda: deliveries(given, "done") == 1)
        exit_code = group.stop()

    assert (status, exit_code) == (204, 0)


def test_up_says_which_rights_it_put_right(server_url: str, tmp_path: Path) -> None:
    with scratch_database(server_url, "mended") as url:
        assert invoke(tmp_path, on(url), "migrate").exit_code == 0
        change(url, "ALTER TABLE identity.profiles NO FORCE ROW LEVEL SECURITY")
        with running(tmp_path, on(url, PORT=ports(1)[0], OPS_PORT=0), "up") as group:
            until(lambda: "rights_mended" in group.text)
            group.stop()

    assert "ALTER TABLE identity.profiles FORCE ROW LEVEL SECURITY;" in group.text


def test_up_waits_for_a_database_that_boots_later(server_url: str, tmp_path: Path) -> None:
    port, ops_port = ports(2)
    late = make_conninfo(server_url, dbname=own("late"))
    with running(tmp_path, on(late, PORT=port, OPS_PORT=ops_port), "up") as group:
        until(lambda: "database_refused" in group.text and ask(port, "/livez")[0] == 200)
        is_announced_early = bool(group.said("Webhook URL"))
        with scratch_database(server_url, "late"):
            until(lambda: is_ready(ops_port) and is_ready(ops_port + 1) and group.said("Webhook URL"))
            exit_code = group.stop()

    assert (is_announced_early, exit_code) == (False, 0)


def test_up_ends_when_the_database_was_shaped_by_other_settings(server_url: str, tmp_path: Path) -> None:
    with scratch_database(server_url, "shaped_otherwise") as other:
        assert invoke(tmp_path, on(other, DEFAULT_ROLE="guest"), "migrate").exit_code == 0
        with running(tmp_path, on(other, PORT=0, OPS_PORT=0), "up") as group:
            exit_code = group.process.wait(EXIT_SECONDS)

    assert (exit_code, "DEFAULT_ROLE" in group.text, "migrate --settings" in group.text) == (2, True, True)
