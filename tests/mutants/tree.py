"""A copy of the tree, in which bugs are planted and tests run."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import psutil

ROOT = Path(__file__).parents[2]
PASSED, FAILED, NOTHING_RAN = 0, 1, 5
# One process runs all tests of a run, in the order that the plugin gives them. As long as xdist may distribute them,
# pytest-cov records no test with a line.
PLUGINS = ("--numprocesses", "0", "--dist", "no", "-p", "no:cacheprovider", "-p", "tests.mutants.plugin")
# For pytest and the servers it started, once it is told to stop.
STOP_SECONDS = 15.0


class Unusable(Exception):
    """The tests can't be run as they should: a fault of this command or of the machine, not of a mutant."""


@dataclass(frozen=True)
class Run:
    """How one run of pytest ended."""

    is_over: bool  # False: it was stopped at its bound
    exit_code: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    failed: Sequence[str] = ()
    queries: Mapping[str, Sequence[str]] = field(default_factory=dict)
    output: str = ""

    @property
    def has_passed(self) -> bool:
        return self.is_over and self.exit_code == PASSED


class Aborted(Exception):
    """Whoever started the command wants it to stop."""


@dataclass
class Tree:
    """One copy, its files at *root*, what its tests write at *scratch*."""

    root: Path
    scratch: Path
    _process: subprocess.Popen[bytes] | None = None
    _is_aborted: bool = False

    def read(self, file: str) -> str:
        return (self.root / file).read_text()

    @contextmanager
    def changed(self, texts: Mapping[str, str]) -> Iterator[None]:
        """Give files another text for the duration."""
        before = {file: self.read(file) for file in texts}
        try:
            for file, text in texts.items():
                (self.root / file).write_text(text)
            yield
        finally:
            for file, text in before.items():
                (self.root / file).write_text(text)

    def python(self, *arguments: str, seconds: float) -> tuple[int, str]:
        """Run Python in the copy; return the exit code, as of a killed process at the bound, and the output."""
        exit_code, output = self._run(arguments, seconds, {})
        return (-signal.SIGKILL if exit_code is None else exit_code), output

    def pytest(
        self,
        *arguments: str,
        seconds: float,
        tests: Sequence[str] | None = None,
    ) -> Run:
        """Run pytest in the copy: *tests* by their ids and in this order, or what the arguments say."""
        self._clean()
        select, record = self.scratch / "select.json", self.scratch / "record.json"
        variables = {"MUTANTS_RECORD": str(record)}
        if tests is not None:
            select.write_text(json.dumps(list(tests)))
            variables["MUTANTS_SELECT"] = str(select)
            arguments = (*arguments, *dict.fromkeys(test.partition("::")[0] for test in tests))
        command = ("-m", "pytest", "-q", *PLUGINS, *arguments)
        exit_code, output = self._run(command, seconds, variables)
        if exit_code is None:
            return Run(is_over=False, exit_code=FAILED, output=output)
        noted = json.loads(record.read_text()) if record.exists() else {}
        return Run(is_over=True, exit_code=exit_code, output=output, **noted)

    def abort(self) -> None:
        """End what runs here, and let nothing begin any more."""
        self._is_aborted = True
        if self._process is not None:
            _stop(self._process)

    def _clean(self) -> None:
        """Remove what earlier runs left: Hypothesis would begin with what failed for another mutant."""
        shutil.rmtree(self.root / ".hypothesis", ignore_errors=True)
        shutil.rmtree(self.scratch, ignore_errors=True)
        # A server of a run that was stopped may still write into its folder, so each run has one of its own.
        self.scratch = Path(mkdtemp(prefix="scratch-", dir=self.root.parent))
        self.scratch.chmod(0o755)

    def _run(self, arguments: Sequence[str], seconds: float, environment: Mapping[str, str]) -> tuple[int | None, str]:
        if self._is_aborted:
            raise Aborted
        self.scratch.mkdir(mode=0o755, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if name != "TEST_DATABASE_URL"}
        variables = {
            **inherited,
            "PYTHONPATH": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.scratch),
            **environment,
        }
        said = self.root.parent / "output.txt"
        with said.open("wb") as output:
            process = self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.root,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                exit_code: int | None = process.wait(seconds)
            except subprocess.TimeoutExpired:
                exit_code = None
            finally:
                _stop(process)
        if self._is_aborted:
            raise Aborted
        return exit_code, said.read_text(errors="replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, first by asking."""
    if process.poll() is not None:
        return
    parent = psutil.Process(process.pid)
    family = [parent, *parent.children(recursive=True)]
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def tracked_files() -> list[str]:
    """Return the files of the work tree that are not ignored, as they lie there."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(file for file in listed if (ROOT / file).is_file())


@contextmanager
def copied_tree() -> Iterator[Tree]:
    """Copy the work tree for the duration."""
    with TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        # The tests' server runs as another user when the tests run as root.
        Path(folder).chmod(0o755)
        root = Path(folder) / "tree"
        for file in tracked_files():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, root / file)
        yield Tree(root, Path(folder) / "scratch")
