"""Whose an embedded database is: nothing of a stranger's is run or believed, least of all by root."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.embedded import keeper
from consumer.embedded.programs import account, major_version, problems
from consumer.embedded.server import exists, server
from consumer.errors import BadSettings, EmbeddedServerError
from consumer.process.supervision import Program, supervise
from tests.support.embedded import folder, own
from tests.support.processes import SECRET, environment, invoke

STRANGER = 12_345
COMMANDS = (
    ["up", "--port", "0"],
    ["serve", "--embedded"],
    ["work", "--embedded"],
    ["migrate"],
    ["status"],
    ["send", "user.created"],
)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def trap() -> Iterator[Path]:
    """A stranger's folder with a database, and programs that would leave a mark where they run."""
    with folder() as path:
        binaries = path / "data" / "bin"
        (path / "data" / "cluster").mkdir(parents=True)
        (path / "data" / "cluster" / "PG_VERSION").write_text("17\n")
        binaries.mkdir()
        for name in ("postgres", "initdb", "pg_ctl"):
            (binaries / name).write_text(f"#!/bin/sh\nid -u >>{path}/mark\necho 'postgres (PostgreSQL) 17.1'\n")
            (binaries / name).chmod(0o755)
        path.chmod(0o777)
        give_away(path / "data", STRANGER)
        yield path


def give_away(path: Path, uid: int) -> None:
    for one in (path, *path.rglob("*")):
        os.chown(one, uid, uid)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("part", ["", "cluster"], ids=["the folder", "the cluster in a folder of root's"])
def test_root_runs_nothing_in_a_stranger_s_folder(arguments: list[str], part: str, trap: Path) -> None:
    data = trap / "data"
    if part:
        os.chown(data, 0, 0)
    secrets = {} if arguments[0] == "send" else {"STACK_WEBHOOK_SECRETS": SECRET}

    result = invoke(trap, {**secrets, "CONSUMER_DATA_DIR": str(data), "OPS_PORT": "0"}, *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"Error: {data / part} belongs to uid {STRANGER}, not to root. Set CONSUMER_DATA_DIR to a folder of your own.\n"
    )
    assert not (trap / "mark").exists()


async def test_up_s_processes_import_nothing_from_the_working_directory(trap: Path) -> None:
    for module in ("click", "psycopg", "consumer"):
        (trap / f"{module}.py").write_text(f"open({str(trap / 'mark')!r}, 'w')")

    with pytest.raises(BadSettings, match="The worker refused to start"):
        await supervise([Program("worker", ["work"], environment({}), trap)], asyncio.Event())
    assert not (trap / "mark").exists()


def test_an_env_file_of_a_stranger_s_leads_root_nowhere(trap: Path) -> None:
    (trap / ".env").write_text("CONSUMER_DATA_DIR=data\n")
    os.chown(trap / ".env", STRANGER, STRANGER)

    result = invoke(trap, {}, "status")

    assert (result.exit_code, f"{trap}/.env belongs to uid {STRANGER}, not to root" in result.stderr) == (2, True)
    assert not (trap / "mark").exists()


def test_the_doctor_names_a_stranger_s_folder(trap: Path) -> None:
    result = invoke(trap, {"CONSUMER_DATA_DIR": "data", "STACK_WEBHOOK_SECRETS": SECRET}, "doctor")

    assert (result.exit_code, f"data belongs to uid {STRANGER}" in result.stdout) == (1, True)
    assert not (trap / "mark").exists()


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_folder_that_others_can_write_is_refused(mode: int, trap: Path) -> None:
    data = trap / "data"
    give_away(data, 0)
    data.chmod(mode)

    with pytest.raises(EmbeddedServerError, match="can be written by other users"), server(data, create=False):
        pass
    assert not (trap / "mark").exists()


def test_the_server_s_account_may_own_the_folder_and_the_cluster(trap: Path) -> None:
    data = trap / "data"
    (data / "cluster").rename(data / "old")
    for part in (data, data / "old"):
        own(part, data)
    (data / "old").rename(data / "cluster")

    assert (problems(data), exists(data)) == ([], True)


def test_programs_that_the_server_s_account_may_have_changed_never_run_as_root(trap: Path) -> None:
    data = trap / "data"
    uid, gid = account(data / "none")
    installation = keeper.Installation(data, data / "bin", uid, gid)

    assert major_version(installation.binaries, **installation.account) == 17
    assert (trap / "mark").read_text() == f"{uid}\n"


def test_another_user_may_use_root_s_folder_and_his_own_and_no_other(
    trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = trap / "data"
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    found = []
    for uid in (STRANGER, 0, STRANGER + 1):
        give_away(data, uid)
        found.append(bool(problems(data)))

    assert found == [False, False, True]


def test_a_folder_that_cannot_be_entered_is_named(monkeypatch: pytest.MonkeyPatch, trap: Path) -> None:
    def closed(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "lstat", closed)

    assert problems(trap) == [
        f"{trap} cannot be read (PermissionError). Set CONSUMER_DATA_DIR to a folder of your own."
    ]
