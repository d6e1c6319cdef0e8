"""The pooler that the benches run: where it leads, whose it is, and how long it is waited for."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bench import pooler
from tests.support.benches import Clock, Started


@contextmanager
def pooled(
    monkeypatch: pytest.MonkeyPatch, folder: Path, **named: Any
) -> Iterator[tuple[str, Started, dict[str, str]]]:
    """Run a pooler that is none; yield its conninfo, its process and its settings."""
    started, settings = Started(), dict[str, str]()
    waited: list[str] = []

    def popen(command: list[str], **named: Any) -> Started:
        file = Path(command[-1])
        lines = (line.partition(" = ") for line in file.read_text().splitlines() if " = " in line)
        settings.update({name: value for name, _, value in lines})
        settings["folder"] = oct(file.parent.stat().st_mode & 0o777)
        return started(command[:-1], **named)

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(pooler, "PROGRAM", "/bin/pgbouncer")
    monkeypatch.setattr(pooler, "_free_port", lambda: 6543)
    monkeypatch.setattr(pooler, "_wait", waited.append)
    (folder / "cluster").mkdir()
    with pooler.pgbouncer("host=/sockets port=5433 user=me dbname=shop", folder, **named) as url:
        assert waited == [url]
        yield url, started, settings


def test_a_pooler_leads_to_the_server_and_is_killed_in_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pooled(monkeypatch, tmp_path) as (url, started, settings):
        [(command, named)] = started.done

    here = {"host": "127.0.0.1", "port": "6543", "user": "me", "dbname": "shop"}
    assert conninfo_to_dict(url) == {**here, "sslmode": "disable", "gssencmode": "disable"}
    assert settings == {
        "*": "host=/sockets port=5433 user=me",
        "listen_addr": "127.0.0.1",
        "listen_port": "6543",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": "3",
        "folder": "0o755",
    }
    assert command == ["/bin/pgbouncer", "-q"]
    null = subprocess.DEVNULL
    assert named == {"stdout": null, "stderr": null, "user": None, "group": None, "extra_groups": None}
    assert started.done[1:] == ["killed", None]


def test_a_pooler_of_another_account_s_server_is_that_account_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    owner = (tmp_path / "cluster").parent.stat()
    monkeypatch.setattr(pooler, "os", SimpleNamespace(geteuid=lambda: owner.st_uid + 1))

    with pooled(monkeypatch, tmp_path, mode="session", size=7) as (_, started, settings):
        [(_, named)] = started.done

    assert (named["user"], named["group"], named["extra_groups"]) == (owner.st_uid, owner.st_gid, [])
    assert (settings["pool_mode"], settings["default_pool_size"]) == ("session", "7")


def test_a_pooler_is_waited_for_until_it_answers_or_for_fifteen_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[Any] = []
    clock = Clock()

    @contextmanager
    def connect(url: str, *, prepare_threshold: None) -> Iterator[None]:
        tries.append((url, prepare_threshold))
        if len(tries) != 3:
            raise psycopg.OperationalError
        yield

    stand_in = SimpleNamespace(connect=connect, OperationalError=psycopg.OperationalError)
    monkeypatch.setattr(pooler, "psycopg", stand_in)
    monkeypatch.setattr(pooler, "time", clock)

    pooler._wait("url")
    assert (tries, clock.slept) == ([("url", None)] * 3, [0.02, 0.02])
    with pytest.raises(TimeoutError, match=r"^PgBouncer does not answer\.$"):
        pooler._wait("url")
    assert 15 <= clock.now - 100 < 15.1
    monkeypatch.setattr(pooler, "START_SECONDS_MAX", 0)
    tries.clear()
    with pytest.raises(TimeoutError):
        pooler._wait("url")
    assert tries == []


def test_a_pooler_listens_where_nobody_does() -> None:
    port = pooler._free_port()

    with socket.create_server(("127.0.0.1", port)):
        assert port != pooler._free_port()
