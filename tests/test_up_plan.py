"""What `up` decides before and while its processes start: its ports, its programs, its lock, its migrations."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from consumer import logs
from consumer.cli import up
from consumer.cli.up import UpPlan, _ops_ports, _other_up, _port_problems, _problems, _programs, _start, _up
from consumer.embedded.keeper import lock_file
from consumer.errors import BadSettings
from consumer.process.supervision import Program
from consumer.settings.settings import Settings
from consumer.settings.signing_secrets import EXAMPLES
from tests.support.processes import SECRET, on
from tests.support.settings import load
from tests.support.still_clock import Clock

URL = "postgresql://ada@db.example.com/app"
NO_MAINTENANCE = (
    "DATABASE_URL is not set, so `up` maintains and tells nothing: run `consumer maintain --watch` where it is."
)


def plan(settings: Settings | None = None, **values: Any) -> UpPlan:
    given: dict[str, Any] = {"ops_ports": (), "migrate_conninfo": URL, "secret_files": {}}
    return UpPlan(settings or load(on(URL)), **(given | values))


def problems(is_embedded: bool = False, host: str | None = None, **environment: str) -> list[str]:
    settings = load({"STACK_WEBHOOK_SECRETS": SECRET, **environment})
    return _problems(settings, host=host, is_embedded=is_embedded)


def test_up_lists_what_each_process_lacks_once(tmp_path: Path) -> None:
    lacking = "{} or DATABASE_URL is not set, though another process's database is."

    assert problems(DATABASE_URL=URL) == []
    assert problems(WORKER_DATABASE_URL=URL) == [
        lacking.format("RECEIVER_DATABASE_URL"),
        lacking.format("MIGRATE_DATABASE_URL"),
    ]
    assert problems(is_embedded=True, DATABASE_URL=URL) == [
        "--embedded and DATABASE_URL name two databases; keep one of them."
    ]
    assert problems(DATABASE_URL=URL, STACK_WEBHOOK_SECRETS="") == [
        "STACK_WEBHOOK_SECRETS is not set; `up` makes one only for the embedded database."
    ]
    assert problems(CONSUMER_DATA_DIR=str(tmp_path), STACK_WEBHOOK_SECRETS="") == []


@pytest.mark.parametrize(
    ("ops_port", "found"),
    [
        ("65534", []),
        ("65535", ["OPS_PORT must be at most 65534, because the worker uses the next port."]),
        ("off", []),
    ],
)
def test_the_worker_s_ops_port_must_be_a_port_too(ops_port: str, found: list[str]) -> None:
    assert problems(DATABASE_URL=URL, OPS_PORT=ops_port) == found


def test_an_unusable_secret_that_up_keeps_and_an_open_console_are_refused(tmp_path: Path) -> None:
    (tmp_path / "webhook-secret").write_text("whsec_?")
    broken = problems(CONSUMER_DATA_DIR=str(tmp_path), STACK_WEBHOOK_SECRETS="")
    everywhere = problems(DATABASE_URL=URL, CONSOLE_HOST="0.0.0.0")

    assert [str(tmp_path / "webhook-secret") in each for each in broken] == [True]
    assert [each.startswith("CONSOLE_HOST is 0.0.0.0, which other") for each in everywhere] == [True]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("is_option", [True, False])
def test_the_published_secret_is_refused_where_others_reach_the_receiver(host: str, is_option: bool) -> None:
    example: dict[str, Any] = {"DATABASE_URL": URL, "STACK_WEBHOOK_SECRETS": EXAMPLES[0]}
    where: dict[str, Any] = {"host": host, "HOST": "127.0.0.1"} if is_option else {"HOST": host}
    found = problems(**example, **where)

    assert [each.startswith("STACK_WEBHOOK_SECRETS holds ") for each in found] == ([True] if host == "0.0.0.0" else [])


def test_the_ops_ports_are_two_neighbours_or_chosen_by_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def free(host: str, *, count: int) -> int:
        assert (host, count) == ("::1", 2)
        return 25_010

    monkeypatch.setattr(up, "free_port", free)
    settings = replace(load(on(URL)), ops_host="::1")

    assert _ops_ports(replace(settings, ops_port=9000)) == (9000, 9001)
    assert _ops_ports(replace(settings, ops_port=0)) == (25_010, 25_011)
    assert _ops_ports(load(on(URL, OPS_PORT="off"))) == ()
    assert _ops_ports(replace(settings, ops_port=None)) == ()


def taken(
    monkeypatch: pytest.MonkeyPatch, given: UpPlan, *busy: int, until: float = 1e9
) -> tuple[list[str], list[float]]:
    """Return the problems of ports that are busy until a time, and the pauses between the questions."""
    clock, pauses = Clock(), []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.now += seconds

    def problem(host: str, port: int, variable: str) -> str | None:
        return f"{host} {variable} {port}." if port in busy and clock.now < until else None

    monkeypatch.setattr(up, "time", SimpleNamespace(monotonic=clock.monotonic, sleep=sleep))
    monkeypatch.setattr(up, "listen_problem", problem)
    return _port_problems(given), pauses


def test_busy_ports_are_named_after_three_seconds_of_asking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = replace(load(on(URL)), host="a", port=8000, ops_host="b", data_dir=tmp_path)
    given = plan(settings, ops_ports=(9000, 9001))

    assert taken(monkeypatch, given) == ([], [])
    found, pauses = taken(monkeypatch, given, 8000, 9000, 9001)
    assert found == ["a PORT 8000.", "b OPS_PORT 9000.", "b OPS_PORT 9001. It is OPS_PORT + 1, for the worker."]
    assert set(pauses) == {0.1}
    assert 3.0 <= sum(pauses) < 3.3
    assert taken(monkeypatch, given, 9000)[0] == ["b OPS_PORT 9000."]
    assert taken(monkeypatch, given, 8000, until=1.0)[0] == []
    assert taken(monkeypatch, plan(settings), 8000)[0] == ["a PORT 8000."]


def test_another_up_of_this_folder_is_the_reason_of_busy_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    embedded = plan(load({"CONSUMER_DATA_DIR": str(tmp_path), "PORT": "8000", "STACK_WEBHOOK_SECRETS": SECRET}))
    elsewhere = plan(replace(load(on(URL)), data_dir=tmp_path))
    reason = f"`consumer up` is already running on {tmp_path}; another needs its own CONSUMER_DATA_DIR and ports."

    assert _other_up(embedded) == []
    assert not (tmp_path / "up.lock").exists()
    with lock_file(tmp_path / "up.lock"):
        assert (_other_up(embedded), _other_up(elsewhere)) == ([reason], [])
        assert taken(monkeypatch, embedded, 8000)[0] == [reason]
    assert _other_up(embedded) == []


def test_a_folder_that_can_t_be_read_tells_of_no_other_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def closed(*_: object) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "is_file", closed)

    assert _other_up(plan(load({"CONSUMER_DATA_DIR": str(tmp_path)}))) == []


def by_name(programs: list[Program]) -> dict[str, Program]:
    return {program.name: program for program in programs}


def test_the_programs_of_the_embedded_database_know_it_and_its_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    monkeypatch.setenv("OPS_PORT", "7")
    settings = load({"CONSUMER_DATA_DIR": str(tmp_path), "HOST": "127.0.0.1", "PORT": "8000"})
    given = plan(settings, ops_ports=(9000, 9001), secret_files={"app": tmp_path / "kept"})

    found = by_name(_programs(given))

    assert {name: list(each.arguments) for name, each in found.items()} == {
        "receiver": ["serve", "--host", "127.0.0.1", "--embedded"],
        "worker": ["work", "--embedded"],
        "maintenance": ["maintain", "--watch"],
    }
    assert {
        name: (each.environment["OPS_PORT"], each.environment.get("OPS_PORT_FILE")) for name, each in found.items()
    } == {
        "receiver": ("9000", ""),
        "worker": ("9001", ""),
        "maintenance": ("7", None),
    }
    for each in found.values():
        assert each.environment["APP_WEBHOOK_SECRETS_FILE"] == str(tmp_path / "kept")
        assert "STACK_WEBHOOK_SECRETS_FILE" not in each.environment
        assert each.environment["PYTHONPATH"] == f"{Path(up.__file__).parents[2]}{os.pathsep}/theirs"
        assert (each.environment["HOST_FILE"], each.environment["PORT_FILE"]) == ("", "")
        assert (each.environment["PATH"], list(each.sockets)) == (os.environ["PATH"], [])


def test_the_programs_of_a_given_database_have_the_console_s_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with socket.socket() as one, socket.socket() as two:
        found = by_name(_programs(plan(console_sockets=[one, two])))
        numbers = f"{one.fileno()},{two.fileno()}"

        assert {name: list(each.arguments) for name, each in found.items()} == {
            "receiver": ["serve", "--host", "127.0.0.1"],
            "worker": ["work"],
            "console": ["console", "--listeners", numbers],
            "maintenance": ["maintain", "--watch"],
        }
        assert {name: list(each.sockets) for name, each in found.items() if each.sockets} == {"console": [one, two]}
    assert found["worker"].environment["PYTHONPATH"] == str(Path(up.__file__).parents[2])


def test_without_an_operator_s_database_nothing_maintains_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    given = plan(load({"RECEIVER_DATABASE_URL": URL, "WORKER_DATABASE_URL": URL, "MIGRATE_DATABASE_URL": URL}))

    names = set(by_name(_programs(given)))

    assert names == {"receiver", "worker"}
    assert [(each.getMessage(), vars(each)["warning"]) for each in caplog.records] == [
        (logs.SETTINGS_WARNED, NO_MAINTENANCE)
    ]


async def started(monkeypatch: pytest.MonkeyPatch, migrate: Callable[..., Any], given: UpPlan) -> list[dict[str, Any]]:
    """Start with this in place of the migrations, and return what is announced."""
    announced: list[dict[str, Any]] = []

    async def announce(settings: Settings, **values: Any) -> None:
        announced.append({"settings": settings, **values})

    monkeypatch.setattr(up, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(up, "migrate", migrate)
    monkeypatch.setattr(up, "announce", announce)
    monkeypatch.setattr("consumer.cli.console.first_link", lambda *given: ("link", given))
    await _start(given)
    return announced


async def test_up_migrates_as_soon_as_the_database_answers_and_says_what_it_did(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    left: list[Any] = [psycopg.OperationalError("Connection refused"), psycopg.OperationalError("Connection refused")]
    given = plan(ops_ports=(1, 2), secret_files={"app": tmp_path})

    def migrate(conninfo: str, settings: Settings) -> Any:
        assert (conninfo, settings) == (URL, given.settings)
        if left:
            raise left.pop()
        return SimpleNamespace(applied=["0001"], mended=["GRANT"])

    with caplog.at_level(logging.INFO, "consumer"):
        announced = await started(monkeypatch, migrate, given)

    lines = [(each.getMessage(), each.levelname, vars(each)) for each in caplog.records]
    assert [line[:2] for line in lines] == [
        (logs.DATABASE_LOST, "ERROR"),
        (logs.DATABASE_BACK, "INFO"),
        (logs.MIGRATIONS_APPLIED, "INFO"),
        (logs.RIGHTS_MENDED, "WARNING"),
    ]
    assert (lines[0][2]["program"], lines[0][2]["database"]) == ("migrate", "db.example.com:5432/app")
    assert (lines[2][2]["migrations"], lines[3][2]["statements"]) == (["0001"], ["GRANT"])
    link = ("link", (given.settings, ()))
    assert announced == [
        {
            "settings": given.settings,
            "ops_ports": (1, 2),
            "conninfo": URL,
            "secret_files": {"app": tmp_path},
            "console_link": link,
        }
    ]


async def test_where_nothing_was_migrated_or_mended_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "consumer"):
        await started(monkeypatch, lambda *_: SimpleNamespace(applied=[], mended=[]), plan())

    assert caplog.messages == []


async def test_a_failed_start_ends_the_group_before_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []

    async def supervise(_: object, stop: asyncio.Event) -> None:
        await stop.wait()
        ended.append(True)

    async def fail(_: object) -> None:
        raise BadSettings(["wrong"])

    monkeypatch.setattr(up, "supervise", supervise)
    monkeypatch.setattr(up, "_start", fail)

    with pytest.raises(BadSettings):
        await _up(plan(), asyncio.Event())
    assert ended == [True]
