"""Every command that README shows works as it stands there."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from uuid import UUID

import psycopg
import pytest

from consumer.cli.demo import SEED
from consumer.events.registry import EVENT_TYPES
from consumer.simulator.scenario import write
from tests.support.databases import rows
from tests.support.effects import applied, profile
from tests.support.factories import user_updated
from tests.support.outbox import work
from tests.support.processes import ROOT, invoke, is_ready, ports, running, until

README = (ROOT / "README.md").read_text()
EVENTS = (ROOT / "docs" / "EVENTS.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
# The whole suite, the group that the commands below talk to, and what a test of its own runs: test_demo.py.
ELSEWHERE = {"./test", "./run", "./run demo"}
COLUMNS = ["full_name", "role_type", "department", "last_sign_in_at", "is_deleted"]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Started by root, the server runs as another user, who has to come through.
        Path(folder).chmod(0o711)
        yield Path(folder) / "data"


@pytest.mark.slow
def test_the_commands_work_while_up_runs_and_the_select_shows_the_sign_in(data_dir: Path, tmp_path: Path) -> None:
    port, ops_port = ports(2)
    settings = {
        "CONSUMER_DATA_DIR": str(data_dir),
        "PORT": str(port),
        "OPS_PORT": str(ops_port),
    }
    [select] = re.findall(r"^SELECT full_name.*?;", README, re.DOTALL | re.MULTILINE)
    failed = []
    with running(tmp_path, settings, "up") as group:
        until(lambda: is_ready(port))
        for command in [command for command in COMMANDS if command not in ELSEWHERE]:
            words = shlex.split(command)
            assert words[0] == "./run"
            result = invoke(tmp_path, settings, *words[1:])
            if result.exit_code:
                failed.append((command, result.output))
        *_, conninfo = shlex.split(until(lambda: group.said("Database")))
        until(lambda: any(row["last_sign_in_at"] for row in rows(conninfo, select)))
        users = rows(conninfo, select)
        group.stop()

    assert [list(user) for user in users] == [COLUMNS]
    assert set(COMMANDS) > ELSEWHERE
    assert not failed


def test_the_psql_that_came_along_is_where_the_readme_says(server_url: str) -> None:
    [place] = re.findall(r"`(\.venv/\S+/psql)`", README)
    [psql] = ROOT.glob(place)

    said = subprocess.run([psql, "-Atc", "SELECT 1", server_url], capture_output=True, text=True, check=True).stdout

    assert said == "1\n"


async def test_the_edit_in_sql_does_what_the_readme_says(emptied: str) -> None:
    [statement] = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
    user_id = UUID(*re.findall(r"'([0-9a-f-]{36})'", statement))
    await applied(emptied, user_updated(user_id, server_metadata={"role": "viewer", "department": "Sales"}))

    with psycopg.connect(emptied) as conn:
        conn.execute("SET LOCAL ROLE consumer_app")
        conn.execute(statement)
    await work(emptied)

    assert profile(emptied, user_id, "role_type, department") == {"role_type": "owner", "department": "Sales"}


def test_the_demo_sends_as_many_requests_as_the_readme_says() -> None:
    [number] = re.findall(r"sends ([\d,]+) signed requests", README)

    assert number == f"{write(Random(SEED), datetime.now(UTC)).kinds.total():,}"


def test_every_known_type_is_in_the_table_of_effects() -> None:
    named = set(re.findall(r"`([a-z_]+\.[a-z_*]+)`", EVENTS))

    missing = {name for name in EVENT_TYPES if name not in named and f"{name.partition('.')[0]}.*" not in named}
    assert not missing
