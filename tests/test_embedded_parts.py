"""The parts of the embedded server: how it is started, how long it is waited for, and what a failure says."""

import os
import pwd
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from consumer.embedded import keeper
from consumer.embedded import server as embedded
from consumer.embedded.keeper import Installation, is_free_within, last_words, lock_file
from consumer.errors import EmbeddedServerError, NoDatabase
from tests.support.still_clock import Clock


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    """A data folder of our own."""
    return Installation(tmp_path, tmp_path / "bin", os.geteuid(), os.getegid())


def test_an_account_is_taken_only_if_it_is_another(here: Installation) -> None:
    other = Installation(here.data_dir, here.binaries, 4711, 4712)

    assert (here.account, other.account) == ({}, {"user": 4711, "group": 4712, "extra_groups": []})
    assert (here.cluster, here.log, here.sockets) == tuple(
        here.data_dir / name for name in ("cluster", "postgres.log", "socket")
    )


def test_the_last_words_are_the_log_s_last_three_lines(here: Installation) -> None:
    here.log.write_bytes(b"one\ntwo\nthree\xff\nfour\n")

    assert last_words(here) == f"two / three\ufffd / four (see {here.log})"


def slept(monkeypatch: pytest.MonkeyPatch, module: Any) -> list[float]:
    """Let a module's waits take no time; return their lengths."""
    clock, pauses = Clock(), list[float]()

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.now += seconds

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic, sleep=sleep))
    return pauses


def test_a_lock_is_waited_for_as_long_as_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pauses = slept(monkeypatch, keeper)

    assert is_free_within(tmp_path / "lock", 0)
    with lock_file(tmp_path / "lock"):
        assert not is_free_within(tmp_path / "lock", 0)
        assert pauses == []
        assert not is_free_within(tmp_path / "lock", 0.1)
    assert pauses == pytest.approx([0.02] * len(pauses))
    assert sum(pauses) == pytest.approx(0.1, abs=0.021)
    # It is not held on.
    assert is_free_within(tmp_path / "lock", 0)


def test_a_program_gets_the_log_for_its_output_and_few_variables(
    monkeypatch: pytest.MonkeyPatch, here: Installation
) -> None:
    monkeypatch.setattr(os, "environ", {"PATH": "/bin", "PGPORT": "1", "LC_ALL": "tr_TR.UTF-8", "SECRET": "x"})
    program = here.binaries / "tell"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nenv; pwd; echo "$@"; echo error >&2; read x || echo no input\n')
    program.chmod(0o755)

    assert keeper.spawn(here, "tell", "a", "b c").wait() == 0

    lines = set(here.log.read_text().splitlines())
    assert {"LC_ALL=C", "PATH=/bin", "/", "a b c", "error", "no input"} <= lines
    assert not [line for line in lines if "PGPORT" in line or "SECRET" in line]


@pytest.mark.parametrize(
    ("free_after", "modes"), [(0, []), (1, ["fast"]), (2, ["fast", "immediate"]), (9, ["fast", "immediate"])]
)
def test_a_server_is_asked_to_end_and_then_made_to(
    monkeypatch: pytest.MonkeyPatch, here: Installation, free_after: int, modes: list[str]
) -> None:
    commands: list[tuple[str, ...]] = []
    waits: list[float] = []

    def spawn(_: Installation, *command: str) -> Any:
        commands.append(command)
        return SimpleNamespace(wait=lambda: 0)

    def free(path: Path, seconds: float) -> bool:
        assert path == here.data_dir / "server.lock"
        waits.append(seconds)
        return len(commands) >= free_after

    monkeypatch.setattr(keeper, "spawn", spawn)
    monkeypatch.setattr(keeper, "is_free_within", free)
    keeper.stop(here)

    place = ("-D", str(here.cluster))
    assert commands == [("pg_ctl", "stop", "-s", "-W", "-m", mode, *place) for mode in modes]
    assert waits == [0.0, 4.0, 0.0, 4.0][: 2 * len(modes) or 1]


def test_a_keeper_that_does_not_start_is_an_error_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, here: Installation
) -> None:
    ran: list[list[str]] = []
    here.log.write_text("it broke\n")
    code = 1

    def run(command: list[str], **options: Any) -> Any:
        ran.append(command)
        assert (options["check"], options["env"]["PYTHONPATH"]) == (False, str(Path(keeper.__file__).parents[2]))
        return SimpleNamespace(returncode=code)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(EmbeddedServerError) as raised:
        keeper.ensure(here)
    code = 0

    assert str(raised.value) == (f"The keeper of the embedded PostgreSQL did not start: it broke (see {here.log})")
    assert keeper.ensure(here)
    with lock_file(here.data_dir / "keeper.lock"):
        assert not keeper.ensure(here)
    values = [str(here.data_dir), str(here.binaries), str(here.uid), str(here.gid)]
    assert [command[1:] for command in ran] == [["-m", "consumer.embedded.keeper", *values]] * 2


def test_a_server_that_does_not_come_up_costs_four_keepers_or_two_minutes(
    monkeypatch: pytest.MonkeyPatch, here: Installation
) -> None:
    def refuse(uri: str, **options: Any) -> None:
        tried.append(uri)
        assert options == {"autocommit": True, "connect_timeout": 5}
        raise psycopg.OperationalError

    pauses, tried = slept(monkeypatch, embedded), list[str]()
    here.log.write_text("it broke\n")
    monkeypatch.setattr(psycopg, "connect", refuse)
    for makes, tries in ((True, 4), (False, 6000)):
        monkeypatch.setattr(keeper, "ensure", lambda _, makes=makes: makes)
        tried.clear()
        with pytest.raises(EmbeddedServerError) as raised:
            embedded._connected(here)
        assert len(tried) == pytest.approx(tries, abs=1 if tries > 4 else 0)
        assert str(raised.value) == f"The embedded PostgreSQL did not come up: it broke (see {here.log})"

    assert set(pauses) == {0.02}
    assert urlsplit(tried[0]).path == "/postgres"


def test_the_uri_leads_to_the_socket_and_to_its_account(monkeypatch: pytest.MonkeyPatch, here: Installation) -> None:
    for name in ("PGOPTIONS", "PGHOSTADDR", "PGSSLNEGOTIATION"):
        monkeypatch.delenv(name, raising=False)
    plain = parse_qs(urlsplit(embedded._uri(here, "stack")).query, keep_blank_values=True)
    monkeypatch.setenv("PGOPTIONS", "-c x=1")
    guarded = parse_qs(urlsplit(embedded._uri(here, "stack")).query, keep_blank_values=True)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    nameless = parse_qs(urlsplit(embedded._uri(here, "stack")).query, keep_blank_values=True)

    socket = {"host": [str(here.data_dir / "socket")], "port": ["5432"]}
    peer = {"requirepeer": [plain["requirepeer"][0]]}
    assert plain == socket | peer
    assert guarded == socket | peer | {"options": [""]}
    assert nameless == socket | {"options": [""]}
    assert embedded._uri(here, "stack").startswith("postgresql://postgres@/stack?")


def started(monkeypatch: pytest.MonkeyPatch, folder: Path, error: Exception | None) -> str:
    """Return what is said of a server whose start fails so."""

    def prepare(_: Path) -> Installation:
        assert error
        raise error

    monkeypatch.setattr(embedded, "prepare", prepare)
    with pytest.raises(EmbeddedServerError) as raised, embedded.server(folder, create=True):
        pass
    return str(raised.value)


def test_what_keeps_a_server_from_its_start_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def denied(path: Path) -> OSError:
        return PermissionError(13, "Permission denied", str(path))

    folder, elsewhere = tmp_path / "data", denied(tmp_path / "other")
    could_not = "The embedded PostgreSQL could not be started"
    (tmp_path / "file").touch()

    assert started(monkeypatch, tmp_path / "file", None) == (
        f"{tmp_path / 'file'} is a file: set CONSUMER_DATA_DIR to a folder."
    )
    for path in (tmp_path, folder, folder / "cluster"):
        said = f"{could_not}: cannot write {path}: set CONSUMER_DATA_DIR."
        assert started(monkeypatch, folder, denied(path)) == said
    for error in (elsewhere, psycopg.OperationalError("it broke")):
        said = f"{could_not} in {folder} (CONSUMER_DATA_DIR): {error}"
        assert started(monkeypatch, folder, error) == said
    with pytest.raises(NoDatabase, match=f"^There is no embedded database in {folder}"):  # noqa: SIM117
        with embedded.server(folder, create=False):
            pass


def test_a_keeper_is_looked_for_twice_a_second_until_it_is_over(
    monkeypatch: pytest.MonkeyPatch, here: Installation
) -> None:
    waits: list[float] = []
    looks: list[bool] = []

    class Over(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return len(waits) > 4

    def ensure(_: Installation) -> bool:
        looks.append(is_free_within(here.data_dir / "start.lock", 0))
        raise [OSError, EmbeddedServerError][len(looks) % 2]

    @contextmanager
    def busy_once() -> Iterator[None]:
        taken = keeper.try_lock_file

        def try_lock(path: Path) -> Any:
            return None if len(waits) == 2 and path.name == "start.lock" else taken(path)

        with monkeypatch.context() as patched:
            patched.setattr(keeper, "try_lock_file", try_lock)
            yield

    monkeypatch.setattr(keeper, "ensure", ensure)
    with busy_once():
        embedded._watch(here, Over())

    assert (waits, looks) == ([0.5] * 5, [False] * 3)
