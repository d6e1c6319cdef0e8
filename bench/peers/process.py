"""A subject's processes: started, let go at one moment, and ended or killed."""

import os
import select
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import urlencode

import psutil
from psycopg.conninfo import conninfo_to_dict

from bench.cpu import cpu_seconds
from bench.peers.subjects import Subject

ROOT = Path(__file__).parent.parent.parent
READY_SECONDS_MAX = 60.0
END_SECONDS_MAX = 10.0
# What libpq, asyncpg and node-postgres all understand.
VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
}


class SubjectFailed(Exception):
    """A subject's program ended or said nothing when it should have spoken."""


def environment(conninfo: str, **extra: str) -> dict[str, str]:
    """Return ours without its PG… variables, with those of this database."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value is not None}
    variables = {VARIABLES[name]: value for name, value in parts.items() if name in VARIABLES}
    url = "postgresql:///?" + urlencode(parts)
    return {**kept, **variables, "PEERS_URL": url, "PYTHONPATH": str(ROOT), **extra}


def command(program: str, subject: Subject, *arguments: str) -> list[str]:
    """Return how to call a subject's program."""
    folder = "bench/peers/workers"
    if subject.runtime == "node":
        return [program, f"{folder}/{subject.program}.mjs", *arguments, *subject.arguments]
    return [program, "-m", f"{folder.replace('/', '.')}.{subject.program}", *arguments, *subject.arguments]


class Crew:
    """One or several processes of the same program; open it with `crew`."""

    def __init__(self, processes: Sequence["subprocess.Popen[bytes]"], errors: IO[bytes]) -> None:
        self._processes = processes
        self._errors = errors

    def hear(self, word: str, seconds: float) -> list[str]:
        """Wait until every process has said this word; return what each said after it."""
        return [self._line(process, word, seconds) for process in self._processes]

    def shoot(self) -> None:
        """Let them work."""
        for process in self._processes:
            assert process.stdin, "it is a pipe"
            process.stdin.write(b"go\n")
            process.stdin.flush()

    def cpu_seconds(self) -> float:
        """Return the processor time that they have used."""
        return sum(cpu_seconds(psutil.Process(process.pid)) for process in self._processes)

    def is_at_work(self) -> bool:
        """Tell whether one of them has not said anything since it was ready."""
        return any(not _has_spoken(process, 0) for process in self._processes)

    def terminate(self) -> None:
        """Ask them to end, and wait until they have."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(END_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """Kill them, and wait until they are gone."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def _line(self, process: "subprocess.Popen[bytes]", word: str, seconds: float) -> str:
        assert process.stdout, "it is a pipe"
        if not _has_spoken(process, seconds):
            raise SubjectFailed(f"it was not {word} after {seconds:.0f} s")
        said, _, rest = process.stdout.readline().decode().strip().partition(" ")
        if said != word:
            raise SubjectFailed(self._last_words() or f"it ended before it was {word}")
        return rest

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else ""


def _has_spoken(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Wait until it says something or ends."""
    assert process.stdout, "it is a pipe"
    return bool(select.select([process.stdout], [], [], seconds)[0])


@contextmanager
def crew(called: list[str], variables: Mapping[str, str], count: int) -> Iterator[Crew]:
    """Start *count* processes, and kill what is left of them at the end."""
    with TemporaryFile() as errors:
        processes = [
            subprocess.Popen(
                called, cwd=ROOT, env=dict(variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
            for _ in range(count)
        ]
        started = Crew(processes, errors)
        try:
            yield started
        finally:
            started.kill()
            for process in processes:
                for pipe in (process.stdin, process.stdout):
                    if pipe:
                        pipe.close()


def finish(called: list[str], variables: Mapping[str, str], seconds: float) -> None:
    """Run a program to its end; SubjectFailed with its last words when it fails."""
    try:
        done = subprocess.run(
            called,
            cwd=ROOT,
            env=dict(variables),
            capture_output=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise SubjectFailed(f"it had not ended after {seconds:.0f} s") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise SubjectFailed(lines[-1] if lines else f"it ended with {done.returncode}")
