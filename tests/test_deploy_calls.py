"""The units of systemd allow the system calls that our processes make."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from tests.faults.crashes import can_trace
from tests.support import deploy
from tests.support.databases import scratch_database
from tests.support.processes import ask, deliver, environment, is_ready, on, ports, until

pytestmark = pytest.mark.skipif(
    not can_trace() or not shutil.which("systemd-analyze"), reason="it takes strace, for root, and systemd-analyze"
)

COMMANDS = ("migrate", "serve", "work", "console", "maintain")


def groups() -> Mapping[str, list[str]]:
    """Return the names in each of systemd's groups of system calls, groups among them."""
    listing = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\x1b\[[0-9;]*m", "", listing).splitlines():
        if line.startswith("@"):
            members = found.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#") and found:
            members.append(line.strip())
    return found


def calls(found: Mapping[str, list[str]], name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    return set().union(*(calls(found, member) for member in found[name]))


def allowed() -> set[str]:
    """Return what the SystemCallFilter lines allow, in their order."""
    found, result = groups(), set[str]()
    for line in deploy.unit(deploy.SYSTEMD / "consumer-.service.d" / "hardening.conf")["SystemCallFilter"]:
        named = set().union(*(calls(found, name) for name in line.removeprefix("~").split()))
        result = result - named if line.startswith("~") else result | named
    return result


@pytest.fixture
def database(server_url: str) -> Iterator[str]:
    with scratch_database(server_url, "calls") as url:
        yield url


@pytest.mark.slow
def test_a_unit_allows_every_call_of_its_process(database: str, tmp_path: Path) -> None:
    port, ops_port, console_port = ports(3)
    settings = environment(
        on(database, PORT=port, OPS_PORT=ops_port, CONSOLE_PORT=console_port, CONSOLE_SECRET="0" * 32)
    )

    def trace(command: str, until_then: Callable[[], object] = lambda: None) -> int:
        """Run a command to its end, or until a time when it is asked to end; return its exit code."""
        traced = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(tmp_path / command)]
        own = [sys.executable, "-m", "consumer", command]
        process = subprocess.Popen([*traced, *own], cwd=tmp_path, env=settings, stderr=subprocess.DEVNULL)
        family = psutil.Process(process.pid)
        try:
            if until_then():
                # strace takes SIGTERM for its own end and lets go of the process, so the process is asked itself.
                [child] = family.children()
                child.terminate()
            return process.wait(120)
        finally:
            for member in [*family.children(), family] if process.poll() is None else ():
                member.kill()

    def stored() -> bool:
        return until(lambda: is_ready(ops_port), 60) and deliver(port).status == 204

    codes = [trace("migrate"), trace("serve", stored), trace("work", lambda: until(lambda: is_ready(ops_port), 60))]
    codes.append(trace("console", lambda: until(lambda: ask(console_port, "/livez")[0] == 200, 60)))
    codes.append(trace("maintain"))
    made = {name: set(re.findall(r"^\d+ +(\w+)\(", (tmp_path / name).read_text(), re.MULTILINE)) for name in COMMANDS}

    assert codes == [0] * len(COMMANDS)
    assert {name: sorted(found - allowed()) for name, found in made.items() if found - allowed()} == {}
    assert "openat" in made["serve"]
