"""Settings as commands meet them: which database a command says it uses, example keys, names, and hints."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.cli.addresses import is_loopback
from consumer.embedded.server import server
from consumer.postgres import migrations
from consumer.settings.signing_secrets import EXAMPLES
from tests.support.databases import record_settings
from tests.support.embedded import folder
from tests.support.processes import (
    APP_SECRET,
    HOST,
    SECRET,
    deliver,
    environment,
    invoke,
    is_ready,
    ports,
    running,
    until,
)

NOWHERE = {"DATABASE_URL": "postgresql://somebody@127.0.0.1:1/stack"}
PASSWORD = "hunter2"
SECRETS = {"STACK_WEBHOOK_SECRETS": SECRET}


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A migrated embedded database."""
    with folder() as path:
        with server(path / "data", create=True) as url:
            migrations.apply(url, "consumer")
            record_settings(url)
        yield path / "data"


@pytest.mark.parametrize(
    "arguments", [["status"], ["migrate"], ["dead", "list"], ["replay", "--all", "--dry-run"], ["doctor"], ["prune"]]
)
def test_a_command_says_first_that_it_uses_the_embedded_database_and_where(
    arguments: list[str], data_dir: Path, tmp_path: Path
) -> None:
    settings = {**SECRETS, "CONSUMER_DATA_DIR": str(data_dir), "AUDIT_RETENTION_DAYS": "30"}
    line = f"The database is the embedded one in {data_dir}."

    for_people = invoke(tmp_path, settings, *arguments)
    for_machines = invoke(tmp_path, settings, *arguments, "--json")

    assert for_people.stdout.splitlines()[0] == line
    assert for_people.output.count(line) == 1
    assert for_machines.stderr.splitlines()[0] == line
    assert json.loads(for_machines.stdout) is not None


@pytest.mark.parametrize("name", ["HEXCLAVE_WEBHOOK_SECRET", "HEXCLAVE_WEBHOOK_SECRETS"])
def test_a_receiver_on_the_embedded_database_says_so_and_verifies_with_the_new_names(
    name: str, data_dir: Path, tmp_path: Path
) -> None:
    port, ops = ports(2)
    settings = {name: SECRET, "PORT": str(port), "OPS_PORT": str(ops), "CONSUMER_DATA_DIR": str(data_dir)}

    with running(tmp_path, settings, "serve", "--embedded") as receiver:
        until(lambda: is_ready(ops))
        status = deliver(port).status
        assert receiver.stop() == 0

    assert status == 204
    assert f"The database is the embedded one in {data_dir}.\n" in receiver.text


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("name", ["STACK_WEBHOOK_SECRETS", "APP_WEBHOOK_SECRETS"])
def test_an_example_key_is_refused_where_others_reach_the_receiver(name: str, example: str, tmp_path: Path) -> None:
    settings = {**NOWHERE, "STACK_WEBHOOK_SECRETS": SECRET, "APP_WEBHOOK_SECRETS": APP_SECRET, name: example}

    for command in ("serve", "up"):
        for arguments, host in ((["--host", "0.0.0.0"], ""), ([], "::"), ([], "127.0.0.1, 10.0.0.5")):
            result = invoke(tmp_path, {**settings, "HOST": host}, command, *arguments)

            assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
            assert result.stderr.startswith(f"Error: {name} holds an example key that documents show")
            assert example not in result.output


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_key_fails_the_doctor_on_any_host(example: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, {**NOWHERE, "STACK_WEBHOOK_SECRETS": f"{SECRET} {example}"}, "doctor", "--json")

    [check] = [check for check in json.loads(result.stdout)["checks"] if check["name"] == "webhook secrets"]
    assert (result.exit_code, check["state"]) == (1, "failing")
    assert check["finding"] == (
        "STACK_WEBHOOK_SECRETS holds an example key that documents show, so anybody can sign with it"
    )


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        *((host, True) for host in (HOST, "127.8.9.1", "::1", "[::1]", "localhost", "::ffff:127.0.0.1")),
        *((hosts, True) for hosts in ("127.0.0.1 ::1", "::1,127.0.0.1", " ::1 ", "127.0.0.1,", ",[::1] ,")),
        *((host, True) for host in ("LocalHost", "ip6-localhost", "ip6-loopback", "localhost,ip6-localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "fe80::1%eth0", "db.example.com", "::ffff:10.0.0.1")),
        *((hosts, False) for hosts in ("127.0.0.1,::", "::1 0.0.0.0", "*", "localhost,*")),
    ],
)
def test_a_host_is_loopback_if_all_its_addresses_are(hosts: str, expected: bool) -> None:
    assert is_loopback(hosts) == expected


def test_a_key_of_one_door_is_refused_if_up_keeps_it_for_the_other(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "app-webhook-secret").write_text(f"{SECRET}\n")

    result = invoke(tmp_path, {**SECRETS, "CONSUMER_DATA_DIR": str(data), "PORT": "0", "OPS_PORT": "0"}, "up")

    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: STACK_WEBHOOK_SECRETS and {data}/app-webhook-secret hold the same key: "
        "make another for one of them.\n",
    )


def test_a_mistyped_name_is_told_beside_the_setting_that_it_leaves_unset(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"STACK_WEBHOOK_SECERTS={SECRET}\n")

    result = invoke(tmp_path, {**NOWHERE, "LOG_FORMAT": "json"}, "serve")

    warning, problem = result.stderr.splitlines()
    assert json.loads(warning)["warning"] == (
        ".env line 1 sets STACK_WEBHOOK_SECERTS, which is no setting; did you mean STACK_WEBHOOK_SECRETS?"
    )
    assert problem.startswith("Error: STACK_WEBHOOK_SECRETS is not set")
    assert result.exit_code == 2


def test_the_doctor_warns_of_a_mistyped_name_and_of_unusual_limits(tmp_path: Path) -> None:
    settings = {**NOWHERE, **SECRETS, "DATABASE_ULR": "x", "TOLERANCE_SECONDS": "7200", "MAX_BODY_BYTES": "1024"}

    checks = json.loads(invoke(tmp_path, settings, "doctor", "--json").stdout)["checks"]

    found = [
        check["finding"].split()[0] for check in checks if (check["name"], check["state"]) == ("settings", "warning")
    ]
    assert found == ["DATABASE_ULR", "TOLERANCE_SECONDS", "MAX_BODY_BYTES"]


@pytest.mark.parametrize(("run", "typed"), [("{folder}/run", "./run"), ("/opt/consumer/run", "/opt/consumer/run")])
def test_hints_name_run_if_the_caller_typed_it(run: str, typed: str, tmp_path: Path) -> None:
    settings = {**SECRETS, "CONSUMER_RUN": run.format(folder=tmp_path), "CONSUMER_DATA_DIR": str(tmp_path / "data")}

    refused = invoke(tmp_path, settings, "status").stderr
    examined = invoke(tmp_path, settings, "doctor").stdout

    assert f"`{typed} up`" in refused
    assert f"`{typed} up`" in examined
    assert "`consumer " not in refused


def test_a_help_page_names_run_if_the_caller_typed_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "consumer", "dead", "--help"]
    settings = environment({"CONSUMER_RUN": str(tmp_path / "run")})

    page = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, check=True).stdout.decode()

    assert page.startswith("Usage: ./run dead ")
    assert "  ./run dead retry --all\n" in page


def test_a_platform_s_empty_variable_is_none(tmp_path: Path) -> None:
    settings = {"RENDER": "", "CONSUMER_DATA_DIR": str(tmp_path / "data"), "OPS_PORT": "x"}

    assert invoke(tmp_path, settings, "up").stderr == "Error: OPS_PORT must be a whole number or off, not 'x'.\n"


def test_all_problems_of_files_and_values_are_listed_at_once(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT\nHOST=\"'::1'\"\n")
    (tmp_path / ".env").chmod(0o600)
    settings = {"DATABASE_URL_FILE": str(tmp_path), "STACK_WEBHOOK_SECRET": f"'{SECRET}'", "MAX_ATTEMPTS": "0"}

    result = invoke(tmp_path, settings, "serve")

    assert result.exit_code == 2
    assert [line.split()[1] for line in result.stderr.splitlines()] == [
        ".env",
        "DATABASE_URL_FILE",
        "STACK_WEBHOOK_SECRET",
        "HOST",
        "MAX_ATTEMPTS",
    ]


@pytest.mark.parametrize(
    ("url", "login"),
    [
        (f"postgresql://ada:{PASSWORD}@127.0.0.1:1/stack", "ada"),
        (f"postgresql://127.0.0.1:1/stack?user=ada&password={PASSWORD}", "ada"),
        (f"postgresql://ada@127.0.0.1:1/stack?sslpassword={PASSWORD}&passfile=/{PASSWORD}", "ada"),
        (f"host=127.0.0.1 port=1 dbname=stack user=ada password='{PASSWORD}'", "ada"),
        (f"postgresql+asyncpg://ada:{PASSWORD}@127.0.0.1:1/stack?schema=x", "ada"),
    ],
    ids=["URL", "query", "files", "keywords", "driver"],
)
@pytest.mark.parametrize("arguments", [["status"], ["migrate"], ["work", "--drain"], ["doctor"]], ids=" ".join)
def test_host_port_database_and_login_are_named_and_never_the_password(
    url: str, login: str, arguments: list[str], tmp_path: Path
) -> None:
    result = invoke(tmp_path, {**SECRETS, "DATABASE_URL": url}, *arguments)

    assert (result.exit_code, "127.0.0.1:1/stack" in result.output, f"login {login}" in result.output) == (
        1,
        True,
        True,
    )
    assert PASSWORD not in result.output
