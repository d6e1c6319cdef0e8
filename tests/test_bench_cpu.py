"""Processor time of a process and of a whole server, and what one of many took."""

import os
from types import SimpleNamespace
from typing import Any, cast

import psutil
import psycopg
import pytest

from bench import cpu
from bench.cpu import backend, cpu_seconds, microseconds, postgres_cpu_seconds


class Process:
    """A process by its times, and the children that it has, look by look."""

    def __init__(self, user: float, system: float, *looks: list["Process"], reaped: float = 0, left: int = 0) -> None:
        self._user, self._system, self._reaped, self._left = user, system, reaped, left
        self._looks = iter(looks)
        self.looks = 0

    def children(self) -> list["Process"]:
        self.looks += 1
        return next(self._looks)

    def cpu_times(self) -> SimpleNamespace:
        if self._left > 0:
            self._left -= 1
            raise psutil.NoSuchProcess(1)
        return SimpleNamespace(
            user=self._user, system=self._system, children_user=self._reaped, children_system=10 * self._reaped
        )


def family(process: Process) -> float | None:
    return cpu._family_seconds(cast("psutil.Process", process))


def test_a_process_has_used_what_it_and_the_kernel_did_for_it() -> None:
    assert cpu_seconds(cast("psutil.Process", Process(1.5, 0.25))) == 1.75


def test_a_server_is_its_postmaster_its_children_and_those_that_ended() -> None:
    children = [Process(1, 2), Process(4, 8)]

    assert family(Process(16, 32, children, children, reaped=64)) == 1 + 2 + 4 + 8 + 16 + 32 + 64 + 640


def test_a_server_is_read_again_when_a_child_came_or_ended_meanwhile() -> None:
    first, second, ending = Process(1, 0), Process(2, 0), Process(4, 0, left=1)
    server = Process(0, 0, [first], [first, second], [first, ending], [second], [second])

    assert family(server) == 2
    assert server.looks == 5


def test_a_server_that_never_keeps_still_has_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "READINGS_MAX", 3)
    server = Process(0, 0, *([Process(1, 0)] for _ in range(6)))

    assert family(server) is None
    assert server.looks == 6


def test_the_process_behind_a_connection_is_the_servers_own(server_url: str) -> None:
    with psycopg.connect(server_url) as conn:
        process = backend(conn)
        assert process is not None
        assert (process.pid, process.name()) == (conn.info.backend_pid, "postgres")


@pytest.mark.parametrize(
    ("host", "address", "is_here"),
    [
        *(("/run/postgresql", "", True), ("localhost", "127.0.0.1", True), ("localhost", "::1", True)),
        *(("db.example.com", "10.0.0.1", False), ("db.example.com", "", False)),
    ],
)
def test_a_server_elsewhere_has_no_process_here(server_url: str, host: str, address: str, is_here: bool) -> None:
    with psycopg.connect(server_url) as real:
        pid = real.info.backend_pid
        conn: Any = SimpleNamespace(info=SimpleNamespace(host=host, hostaddr=address, backend_pid=pid))

        assert (backend(conn) is not None) == is_here


def test_another_program_under_the_servers_number_or_none_is_no_server() -> None:
    with psutil.Popen(["true"]) as ended:
        ended.wait()
    for pid in (os.getpid(), ended.pid):
        conn: Any = SimpleNamespace(info=SimpleNamespace(host="/tmp", hostaddr="", backend_pid=pid))
        assert backend(conn) is None


def test_a_server_elsewhere_has_no_reading(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "backend", lambda _: None)

    assert postgres_cpu_seconds(server_url) is None


@pytest.mark.parametrize(
    ("before", "after", "each"), [(1.0, 3.0, 500_000), (0.0, 0.0, 0), (None, 3.0, None), (1.0, None, None)]
)
def test_what_each_took_is_in_microseconds(before: float | None, after: float | None, each: float | None) -> None:
    assert microseconds(before, after, 4) == each
