"""Which tests cover which place: recorded one test file after the other, and kept until it or the product changes."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from coverage import CoverageData

from tests.mutants.tree import FAILED, NOTHING_RAN, PASSED, ROOT, Tree, Unusable, tracked_files

FOLDER = ROOT / ".mutants"
# The text of a planted bug, the text of documents, and the long storm: none of them is a test of the place.
LEFT_OUT = (
    "tests/test_planted.py",
    "tests/test_mutants.py",
    "tests/test_mutants_judge.py",
    "tests/test_docs.py",
    "tests/test_house.py",
    "tests/test_locks.py",
    "tests/test_setup.py",
    "tests/test_wheel.py",
    "tests/faults/test_torture.py",
)
SOURCES = ("consumer/", "sql/", "bench/")
# A change of this command changes no test.
OWN = ("tests/mutants/", "tests/test_mutants")
IMPORTED = re.compile(r"^from (tests\.\S*\btest_\w+) import ", re.MULTILINE)
FILE_SECONDS = 600.0
# The context of what runs while no test does.
OUTSIDE_TESTS = ""
CONFIG = """[run]
source = consumer, bench
relative_files = true
data_file = {data_file}
disable_warnings = module-not-imported, no-data-collected, module-not-measured
"""


def digest(folders: Sequence[str]) -> str:
    """Return a name for what lies under the folders now."""
    return _digest(file for file in tracked_files() if file.startswith(tuple(folders)))


def _digest(files: Iterable[str]) -> str:
    summary = hashlib.sha256()
    for file in files:
        if not file.startswith(OWN):
            summary.update(file.encode() + b"\0" + (ROOT / file).read_bytes() + b"\0")
    return summary.hexdigest()[:16]


def _is_test_file(file: str) -> bool:
    return file.startswith("tests/") and Path(file).name.startswith("test_") and file.endswith(".py")


def files_with_tests() -> list[str]:
    """Return the test files that may notice a mutant."""
    return [file for file in tracked_files() if _is_test_file(file) and file not in LEFT_OUT]


@dataclass(frozen=True)
class CoverageMap:
    """What each test did without a mutant."""

    seconds: Mapping[str, float]  # of each test that passes
    queries: Mapping[str, Sequence[str]]
    data: Sequence[CoverageData]

    def covering(self, file: str, lines: Collection[int]) -> set[str]:
        """Return the tests that run any of the lines; those of the file for what a module does when it is imported.

        Only what is asked for is read: all lines of all files with their tests would fill gigabytes.
        """
        of_lines: set[str] = set()
        of_file: set[str] = set()
        is_imported = False
        for data in self.data:
            for line, contexts in data.contexts_by_lineno(file).items():
                tests = {test for context in contexts if (test := context.rpartition("|")[0]) in self.seconds}
                of_file |= tests
                if line in lines:
                    of_lines |= tests
                    is_imported |= OUTSIDE_TESTS in contexts
        return of_file if is_imported or not of_lines else of_lines


def load(trees: Sequence[Tree], report: Callable[[str], None]) -> CoverageMap:
    """Return the map of the present tree; record what is missing in these copies of it, all at a time.

    A test file is recorded again if it or one that it imports has changed, all of them if anything else has.
    """
    shared = [file for file in tracked_files() if file.startswith((*SOURCES, "tests/")) and not _is_test_file(file)]
    folder = FOLDER / "maps" / _digest(shared)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [file for file in files_with_tests() if not _record_of(folder, file).exists()]
    if missing:
        report(f"Recording what {len(missing)} test files cover.")
    free: Queue[Tree] = Queue()
    for tree in trees:
        free.put(tree)

    def record_next(file: str) -> None:
        tree = free.get()
        try:
            report(f"  {file}: {record(tree, folder, file)}")
        finally:
            free.put(tree)

    with ThreadPoolExecutor(len(trees)) as pool:
        try:
            list(pool.map(record_next, missing))
        except BaseException:
            for tree in trees:
                tree.abort()
            raise
    return read(folder, files_with_tests())


def _record_of(folder: Path, file: str) -> Path:
    return folder / f"{file.replace('/', '-')}-{_digest(_with_imported(file))}.json"


def _with_imported(file: str) -> Iterator[str]:
    """Yield a test file and the test files whose names it imports."""
    yield file
    for module in IMPORTED.findall((ROOT / file).read_text()):
        yield from _with_imported(module.replace(".", "/") + ".py")


def record(tree: Tree, folder: Path, file: str) -> str:
    """Record what one test file covers, and return a remark on it."""
    target = _record_of(folder, file)
    config, data = tree.root.parent / "coverage.ini", tree.root.parent / "coverage.data"
    config.write_text(CONFIG.format(data_file=data))
    data.unlink(missing_ok=True)
    coverage = ("--cov", "--cov-context=test", f"--cov-config={config}", "--cov-report=")
    run = tree.pytest(file, *coverage, "-W", "ignore::pytest_cov.CovReportWarning", seconds=FILE_SECONDS)
    if run.exit_code not in (PASSED, FAILED, NOTHING_RAN):
        raise Unusable(f"{file} can't be recorded:\n{run.output[-2000:]}")
    if data.exists():
        target.with_suffix(".coverage").write_bytes(data.read_bytes())
    record = {"seconds": run.seconds, "queries": run.queries, "failed": run.failed, "is_over": run.is_over}
    target.write_text(json.dumps({name: _plain(value) for name, value in record.items()}))
    if run.has_passed:
        return f"{len(run.seconds)} tests"
    return f"{len(run.seconds)} tests; not used, because they fail without a mutant: {', '.join(run.failed) or 'all'}"


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


def read(folder: Path, files: Sequence[str]) -> CoverageMap:
    """Return the map of recorded test files."""
    seconds: dict[str, float] = {}
    queries: dict[str, list[str]] = {}
    data = []
    for file in files:
        path = _record_of(folder, file)
        record = json.loads(path.read_text())
        seconds |= record["seconds"]
        for name, tests in record["queries"].items():
            queries.setdefault(name, []).extend(test for test in tests if test in record["seconds"])
        if path.with_suffix(".coverage").exists():
            known = CoverageData(str(path.with_suffix(".coverage")))
            known.read()
            data.append(known)
    return CoverageMap(seconds, queries, data)
