"""What the command line refuses, with which exit code and in which words, before anything has started."""

import json
import random
import socket
from pathlib import Path

import pytest

from consumer.cli import addresses, up
from consumer.cli.database import PLATFORMS
from tests.support.processes import APP_SECRET, HOST, SECRET, invoke, ports

PASSWORD = "hunter2"
NOBODY_LISTENS = f"postgresql://somebody:{PASSWORD}@127.0.0.1:1/stack"
URL = {"DATABASE_URL": NOBODY_LISTENS}
SECRETS = {"STACK_WEBHOOK_SECRETS": SECRET}
COMMANDS = (
    *("up", "serve", "work", "migrate", "send", "demo", "status", "user", "deliveries", "dead", "replay", "rebuild"),
    *("connect", "backfill", "reconcile", "refresh", "recover", "erase", "export", "prune", "maintain"),
    *("console", "adopt", "doctor", "uninstall"),
)
# They need no other setting, no argument and no subcommand.
ASKING = {"user", "backfill", "reconcile", "refresh", "recover", "connect"}
SIMPLE = [name for name in COMMANDS if name not in {"demo", "dead", "deliveries", "adopt", "doctor", *ASKING}]


@pytest.mark.parametrize("variable", PLATFORMS)
def test_up_makes_no_database_on_a_platform(variable: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, {variable: "yes", "CONSUMER_DATA_DIR": str(tmp_path / "data")}, "up")

    assert (result.exit_code, variable in result.stderr, "DATABASE_URL" in result.stderr) == (2, True, True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["serve", "work"])
def test_a_process_never_falls_back_to_the_embedded_database(command: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, {**SECRETS, "CONSUMER_DATA_DIR": str(tmp_path / "data")}, command)

    assert (result.exit_code, "DATABASE_URL is not set" in result.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [["serve", "--embedded"], ["work", "--embedded"], ["migrate"], ["status"]])
def test_a_command_makes_no_embedded_database(arguments: list[str], tmp_path: Path) -> None:
    result = invoke(tmp_path, {**SECRETS, "CONSUMER_DATA_DIR": str(tmp_path / "data")}, *arguments)

    assert (result.exit_code, "consumer up" in result.stderr, "CONSUMER_DATA_DIR" in result.stderr) == (2, True, True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["work"], "RECEIVER_DATABASE_URL"),
        (["serve"], "WORKER_DATABASE_URL"),
        (["migrate"], "WORKER_DATABASE_URL"),
        (["status"], "RECEIVER_DATABASE_URL"),
    ],
)
def test_another_process_s_database_is_no_replacement(arguments: list[str], given: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, {**SECRETS, given: NOBODY_LISTENS}, *arguments)

    assert (result.exit_code, "DATABASE_URL is not set" in result.stderr) == (2, True)


@pytest.mark.parametrize("command", ["up", "serve", "work"])
def test_two_databases_are_one_too_many(command: str, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "RECEIVER_DATABASE_URL", "WORKER_DATABASE_URL"):
        result = invoke(tmp_path, {name: NOBODY_LISTENS, **SECRETS}, command, "--embedded")

        assert result.exit_code == 2
        assert result.stderr == f"Error: --embedded and {name} name two databases; keep one of them.\n"


@pytest.mark.parametrize("command", ["up", "serve"])
def test_nothing_is_received_without_a_secret(command: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, URL, command)

    assert (result.exit_code, "STACK_WEBHOOK_SECRETS is not set" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("whsec_eA==", id="short"),
        pytest.param("whsec_%%%", id="no base64"),
        pytest.param("whsk_C2FVsBQIhrscChlQIMV", id="asymmetric"),
        pytest.param(f"{SECRET},whsec_", id="the second"),
    ],
)
def test_a_secret_that_can_t_be_used_is_refused_and_not_shown(secret: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, {**URL, "STACK_WEBHOOK_SECRETS": secret}, "serve")

    assert (result.exit_code, "STACK_WEBHOOK_SECRETS: " in result.stderr) == (2, True)
    assert secret not in result.stderr


@pytest.mark.parametrize("command", ["up", "serve", "work"])
def test_a_setting_with_an_unreadable_file_is_not_called_unset_too(command: str, tmp_path: Path) -> None:
    files = {f"{name}_FILE": str(tmp_path / "none") for name in ("DATABASE_URL", "STACK_WEBHOOK_SECRETS")}
    result = invoke(tmp_path, files, command)

    sentences = [f"Error: {name} names a file that cannot be read (FileNotFoundError)." for name in files]
    assert (result.exit_code, sorted(result.stderr.splitlines())) == (2, sorted(sentences))


def test_a_receiver_names_every_fault_of_its_start(tmp_path: Path) -> None:
    result = invoke(tmp_path, {"APP_WEBHOOK_SECRETS": f"whsec_eA== {APP_SECRET} whsec_%"}, "serve")

    lines = result.stderr.splitlines()
    assert (result.exit_code, len(lines)) == (2, 4)
    for line, words in zip(lines, ["APP_WEBHOOK", "APP_WEBHOOK", "STACK_", "DATABASE_URL"], strict=True):
        assert line.startswith(f"Error: {words}")


def test_a_bad_secret_is_refused_with_the_other_faults_before_a_database_is_made(tmp_path: Path) -> None:
    settings = {"CONSUMER_DATA_DIR": str(tmp_path / "data"), "STACK_WEBHOOK_SECRETS": "whsec_eA==", "OPS_PORT": "65535"}
    result = invoke(tmp_path, {**settings, "PORT": "x"}, "up")

    lines = result.stderr.splitlines()
    assert (result.exit_code, [line.split()[1].rstrip(":") for line in lines]) == (
        2,
        ["STACK_WEBHOOK_SECRETS", "PORT", "OPS_PORT"],
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("arguments", [["work"], ["migrate"], ["status"], ["dead", "list"], ["replay", "--all"]])
def test_a_missing_database_and_a_bad_setting_are_one_refusal(arguments: list[str], tmp_path: Path) -> None:
    result = invoke(tmp_path, {"CONSUMER_DATA_DIR": str(tmp_path / "data"), "PORT": "x"}, *arguments)

    lines = result.stderr.splitlines()
    assert (result.exit_code, ["PORT" in lines[0], "DATABASE_URL is not set" in lines[1]]) == (2, [True, True])


@pytest.mark.parametrize("url", ["mysql://u@h/d", "host=127.0.0.1 oops"])
def test_an_unreadable_database_url_is_one_fault(url: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, {**SECRETS, "DATABASE_URL": url}, "serve")

    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize("command", SIMPLE)
def test_every_bad_setting_is_listed_at_once(command: str, tmp_path: Path) -> None:
    user_id = "00000000-0000-0000-0000-000000000001"
    erase, leave = [user_id, "--dry-run"], ["--keep-profiles", "--dry-run"]
    needed = {"send": ["user.created"], "erase": erase, "export": [user_id], "uninstall": leave}
    more = needed.get(command, [])
    result = invoke(
        tmp_path,
        {**URL, **SECRETS, "CONSOLE_PORT": "", "PORT": "x", "DELETE_POLICY": "shred", "MAX_ATTEMPTS": "0"},
        command,
        *more,
    )

    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 3)
    assert all(name in result.stderr for name in ("PORT", "DELETE_POLICY", "MAX_ATTEMPTS"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["migrate"],
        ["migrate", "--check", "--json"],
        ["status"],
        ["status", "--json"],
        ["dead", "list", "--json"],
        ["dead", "show", "msg_1", "--json"],
        ["dead", "retry", "--all", "--json"],
        ["dead", "discard", "--all", "--reason", "x", "--json"],
        ["replay", "--all", "--json"],
    ],
)
def test_a_database_that_is_away_is_one_sentence_without_the_password(arguments: list[str], tmp_path: Path) -> None:
    result = invoke(tmp_path, URL, *arguments)

    assert (result.exit_code, len(result.stderr.splitlines()), result.stdout) == (1, 1, "")
    assert "The database of DATABASE_URL, 127.0.0.1:1/stack, can't be used: " in result.stderr
    assert "refused" in result.stderr
    assert PASSWORD not in result.stderr


def test_a_process_with_a_database_of_its_own_names_that_variable(tmp_path: Path) -> None:
    own = {"MIGRATE_DATABASE_URL": "postgresql://somebody@127.0.0.1:1/other"}

    result = invoke(tmp_path, {**URL, **own}, "migrate")

    assert "The database of MIGRATE_DATABASE_URL, 127.0.0.1:1/other, can't be used: " in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://somebody:{PASSWORD}/x@127.0.0.1:1/stack",
        f"postgresql://somebody:x@{PASSWORD}@127.0.0.1:1/stack",
        f"host=127.0.0.1 {PASSWORD}",
    ],
)
def test_a_mistyped_url_does_not_show_its_password(url: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, {"DATABASE_URL": url}, "migrate")

    assert result.exit_code in {1, 2}
    assert PASSWORD not in result.output
    assert ("percent-encoded" in result.output) == url.startswith("postgresql://")


def test_up_names_the_ports_that_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "PREDECESSOR_SECONDS", 0.0)
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        (free,) = ports(1)
        settings = {"CONSUMER_DATA_DIR": str(tmp_path / "data"), "PORT": str(free)}
        taken = invoke(tmp_path, {**settings, "OPS_PORT": str(port)}, "up")
        next_taken = invoke(tmp_path, {**settings, "OPS_PORT": str(port - 1)}, "up")

    sentence = f"OPS_PORT {port} on {HOST} is in use (`ss -ltnp` shows by which process); set OPS_PORT."
    # The next port may be in use, too.
    assert taken.exit_code == 2
    assert taken.stderr.startswith(f"Error: {sentence}\n")
    assert next_taken.stderr.endswith(f"{sentence} It is OPS_PORT + 1, for the worker.\n")
    assert not (tmp_path / "data").exists()


def test_up_told_to_use_the_embedded_database_does_so_on_a_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it got beyond the refusal shows in that it went on to the ports."""
    monkeypatch.setattr(up, "PREDECESSOR_SECONDS", 0.0)
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        settings = {"DYNO": "web.1", "OPS_PORT": str(port), "CONSUMER_DATA_DIR": str(tmp_path / "data")}
        result = invoke(tmp_path, settings, "up", "--embedded", "--port", "0")

    # The worker's port, the next one, may be in use too.
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: OPS_PORT {port} on {HOST} is in use")


@pytest.mark.parametrize(("count", "expected"), [(1, 20_001), (2, 20_004)])
def test_a_free_port_has_as_many_free_neighbours_as_are_needed(
    count: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "sample", lambda _, __: [20_000, 20_001, 20_004])
    taken = {20_000, 20_002}
    monkeypatch.setattr(addresses, "listen_problem", lambda _, port, __: "taken" if port in taken else None)

    assert addresses.free_port(HOST, count=count) == expected


def test_the_last_port_leaves_the_worker_none(tmp_path: Path) -> None:
    result = invoke(tmp_path, {"CONSUMER_DATA_DIR": str(tmp_path / "data"), "OPS_PORT": "65535"}, "up")

    assert (result.exit_code, "OPS_PORT must be at most 65534" in result.stderr) == (2, True)


def test_a_data_directory_that_cannot_be_made_names_its_variable(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    result = invoke(tmp_path, {"CONSUMER_DATA_DIR": str(file / "data"), "PORT": "0", "OPS_PORT": "0"}, "up")

    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: The embedded PostgreSQL could not be started: cannot write {file / 'data'}: set CONSUMER_DATA_DIR.\n",
    )


def test_a_data_directory_that_is_a_file_is_refused_as_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    result = invoke(tmp_path, {"CONSUMER_DATA_DIR": str(file), "PORT": "0", "OPS_PORT": "0"}, "up")

    assert (result.exit_code, result.stderr) == (1, f"Error: {file} is a file: set CONSUMER_DATA_DIR to a folder.\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_setting(command: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, {"PORT": "x"}, command, "--help")

    assert (result.exit_code, result.stderr) == (0, "")


def test_the_help_page_lists_every_command(tmp_path: Path) -> None:
    result = invoke(tmp_path, {}, "--help")

    assert [line.split()[0] for line in result.stdout.split("Commands:")[1].splitlines() if line.strip()] == [*COMMANDS]


def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    assert invoke(tmp_path, {}, "serv").exit_code == 2


def test_a_dropped_parameter_is_a_warning_in_the_log(tmp_path: Path) -> None:
    result = invoke(tmp_path, {"DATABASE_URL": f"{NOBODY_LISTENS}?schema=public", "LOG_FORMAT": "json"}, "migrate")

    warning = json.loads(result.stderr.splitlines()[0])
    assert (warning["event"], "schema" in warning["warning"]) == ("settings_warned", True)
