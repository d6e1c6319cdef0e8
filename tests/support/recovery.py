"""The pages of docs/recovery, and their commands as an operator runs them."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from click.testing import Result

from tests.support.cli import call
from tests.support.processes import ROOT, environment
from tests.support.schema import PG_DUMP

FOLDER = ROOT / "docs" / "recovery"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")
PARTS = ("You see", "Run", "Done when", "Not mended")
ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)")
COMMANDS_SECONDS = 60
PROGRAMS = Path(str(PG_DUMP)).parent


def lines(page: str, part: str) -> list[str]:
    """Return the lines of the code blocks in one part of a page."""
    text = (FOLDER / f"{page}.md").read_text()
    [section] = re.findall(rf"^## {part}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", section, re.DOTALL | re.MULTILINE)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@dataclass
class Drill:
    """An operator at a page; *values* is what the page leaves to be filled in."""

    url: str
    page: str
    values: dict[str, str]
    folder: Path
    settings: Mapping[str, str]

    def run(self, part: str = "Run") -> Iterator[tuple[str, Result]]:
        """Run the commands of one part one by one; yield each `consumer` command and its result."""
        for line in lines(self.page, part):
            if assigned := ASSIGNMENT.fullmatch(line):
                self._assign(*assigned.groups())
            elif line.startswith("consumer "):
                words = [Template(word).substitute(self.values) for word in shlex.split(line)]
                yield line, call(self.url, *words[1:], **self.settings)
            else:
                self._shell(line)

    def codes(self, part: str = "Run") -> list[int]:
        """Run a whole part, and return the exit code of each `consumer` command."""
        return [result.exit_code for _, result in self.run(part)]

    def _assign(self, name: str, text: str) -> None:
        if text.startswith("$("):
            self.values[name] = self._shell(f"echo {text}").strip()
        assert name in self.values, f"the test says nothing of {name}"

    def _shell(self, line: str) -> str:
        variables = {**environment({}), **self.values, "DATABASE_URL": self.url}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self.folder,
            env={**variables, "PATH": f"{PROGRAMS}:{variables['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMANDS_SECONDS,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout


def drill(url: str, page: str, folder: Path, settings: Mapping[str, str] | None = None, /, **values: str) -> Drill:
    """Open a page as an operator of the database, with more *settings* than the usual ones."""
    return Drill(url, page, values, folder, settings or {})
