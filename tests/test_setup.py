"""`./run` and `./test` on a machine with nothing but Python.

The installer is the one thing faked: a stub `uv` that makes a `.venv` in milliseconds and notes each call.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COPIED = ("run", "test", "setup.sh", "pyproject.toml", "requirements.lock", "requirements-test.lock")
# What run and test use of a bare machine.
TOOLS = ("cat", "cksum", "dirname", "rm", "sh")
UV_TOOLS = ("chmod", "mkdir", "sleep")

UV = """#!/bin/sh
echo "uv $*" >>"$CALLS"
case "$1" in
venv)
    for venv; do :; done
    mkdir -p "$venv/bin"
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$REAL_PYTHON" >"$venv/bin/python"
    printf '#!/bin/sh\necho "consumer $*${TELL:+ by $CONSUMER_RUN}"\n' >"$venv/bin/consumer"
    chmod +x "$venv/bin/python" "$venv/bin/consumer" ;;
pip)
    sleep "${INSTALL_SECONDS:-0}"
    exit "${INSTALL_EXIT_CODE:-0}" ;;
esac
"""
# A Python that names itself as the base and has neither venv nor pip: no test may install anything.
PYTHON = """#!/bin/sh
case "$1 $2" in
"-m "*) exit 1 ;;
*_base_executable*) echo "$0" ;;
*) exec "$REAL_PYTHON" "$@" ;;
esac
"""


@dataclass
class Machine:
    """A checkout and a PATH of its own."""

    tree: Path
    bin: Path
    calls: Path

    def environment(self, **variables: str) -> dict[str, str]:
        return {"PATH": str(self.bin), "CALLS": str(self.calls), "REAL_PYTHON": sys.executable, **variables}

    def start(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.tree / command[0], *command[1:]],
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*command, **variables)
        stdout, stderr = process.communicate(timeout=30)
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)

    def installed(self) -> list[str]:
        """Return the locks installed so far, in order."""
        calls = self.calls.read_text() if self.calls.exists() else ""
        return re.findall(r"--requirement .*/(\S+)$", calls, re.MULTILINE)

    def add(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(tmp_path / "the tree", tmp_path / "bin", tmp_path / "calls")
    found.tree.mkdir()
    found.bin.mkdir()
    for name in COPIED:
        shutil.copy(ROOT / name, found.tree)
    for tool in (*TOOLS, *UV_TOOLS):
        (found.bin / tool).symlink_to(shutil.which(tool) or tool)
    found.add("python3", PYTHON)
    found.add("uv", UV)
    return found


def test_run_alone_is_up_and_arguments_are_passed_on(machine: Machine) -> None:
    assert machine.call("run").stdout == "consumer up\n"
    assert machine.call("run", "send", "user.created", "a b").stdout == "consumer send user.created a b\n"


def test_run_names_itself_so_that_the_env_file_beside_it_is_read(machine: Machine) -> None:
    assert machine.call("run", "status", TELL="yes").stdout == f"consumer status by {machine.tree}/run\n"


def test_the_set_up_is_done_once(machine: Machine) -> None:
    first = machine.call("run", "status")
    second = machine.call("run", "status")

    assert "Setting up" in first.stderr
    assert second.stderr == ""
    assert machine.installed() == ["requirements.lock"]


def test_the_tested_python_comes_before_newer_ones(machine: Machine) -> None:
    for name in ("python3.14", "python3.13", "python3.12", "python3.11"):
        machine.add(name, PYTHON)

    machine.call("run", "status")

    assert f"--python {machine.bin / 'python3.11'} " in machine.calls.read_text()


def test_a_named_python_comes_before_the_tested_one(machine: Machine) -> None:
    for name in ("python3.11", "chosen"):
        machine.add(name, PYTHON)

    machine.call("run", "status", PYTHON="chosen")

    assert f"--python {machine.bin / 'chosen'} " in machine.calls.read_text()


def test_what_is_installed_is_what_is_locked_and_nothing_is_resolved(machine: Machine) -> None:
    machine.call("run", "status")

    (line,) = [line for line in machine.calls.read_text().splitlines() if "--requirement" in line]
    assert {"--require-hashes", "--no-deps"} <= set(line.split())


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_is_installed_into_the_same_environment(machine: Machine, name: str) -> None:
    machine.call("run", "status")
    with (machine.tree / name).open("a") as file:
        file.write("# changed\n")

    machine.call("run", "status")

    assert machine.installed() == ["requirements.lock"] * 2
    assert machine.calls.read_text().count("uv venv") == 1


def test_run_and_test_share_the_environment(machine: Machine) -> None:
    machine.call("run", "status")
    machine.call("test", "--version")
    machine.call("run", "status")
    machine.call("test", "--version")

    assert machine.installed() == ["requirements.lock", "requirements-test.lock"]


def test_test_passes_its_arguments_to_pytest(machine: Machine) -> None:
    assert machine.call("test", "--version").stdout.startswith("pytest ")


def test_two_calls_at_once_set_up_once(machine: Machine) -> None:
    both = [machine.start("run", "status", INSTALL_SECONDS="0.3") for _ in range(2)]

    assert [process.communicate(timeout=30)[0] for process in both] == ["consumer status\n"] * 2
    assert machine.installed() == ["requirements.lock"]


def test_a_set_up_that_was_killed_is_done_anew(machine: Machine) -> None:
    process = machine.start("run", "status", INSTALL_SECONDS="60")
    _wait_for(lambda: machine.installed() != [])
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)

    assert machine.call("run", "status").stdout == "consumer status\n"
    assert machine.calls.read_text().count("uv venv") == 2


def test_a_set_up_that_was_killed_under_another_lock_is_done_anew_too(machine: Machine) -> None:
    machine.call("run", "status")
    process = machine.start("test", "--version", INSTALL_SECONDS="60")
    _wait_for(lambda: len(machine.installed()) == 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)

    machine.call("run", "status")

    assert machine.installed() == ["requirements.lock", "requirements-test.lock", "requirements.lock"]


def test_a_set_up_that_failed_starts_nothing_and_is_done_anew(machine: Machine) -> None:
    failed = machine.call("run", "status", INSTALL_EXIT_CODE="1")

    assert (failed.returncode, failed.stdout) == (1, "")
    assert machine.call("run", "status").stdout == "consumer status\n"


def test_a_moved_tree_is_set_up_anew(machine: Machine) -> None:
    machine.call("run", "status")
    machine.tree = machine.tree.rename(machine.tree.with_name("elsewhere"))

    assert machine.call("run", "status").stdout == "consumer status\n"
    assert machine.calls.read_text().count("uv venv") == 2


def test_a_python_that_does_not_run_or_is_too_old_is_passed_over(machine: Machine) -> None:
    machine.add("python3.11", "#!/bin/sh\necho 'no such version' >&2\nexit 127\n")
    machine.add("python3.12", "#!/bin/sh\nexit 1\n")

    finished = machine.call("run", "status")

    assert finished.stdout == "consumer status\n"
    assert "no such version" not in finished.stderr


def test_without_a_usable_python_the_cure_is_one_line(machine: Machine) -> None:
    (machine.bin / "python3").unlink()

    finished = machine.call("run", "status")

    assert finished.returncode == 1
    assert finished.stderr == (
        "This needs Python 3.11 or newer. On Debian or Ubuntu: sudo apt-get install python3 python3-venv\n"
    )


def test_without_venv_and_pip_the_cure_is_one_line(machine: Machine) -> None:
    (machine.bin / "uv").unlink()

    finished = machine.call("run", "status")

    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].endswith(
        "cannot make a virtual environment. On Debian or Ubuntu: sudo apt-get install python3-venv"
    )


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it did not happen within 10 s"
        time.sleep(0.01)
