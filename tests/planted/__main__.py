"""The proof can fail: `python -m tests.planted [PART OF A NAME…]` plants each bug in a copy and runs its test.

Each processor has two copies. Every test passes first without a bug. Exits 1 if a bug goes unnoticed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.planted.bug import Bug
from tests.planted.bugs import BUGS
from tests.support import hashes

ROOT = Path(__file__).parents[2]
COPIED = (
    *("consumer", "sql", "tests", "tools", "docs", "deploy", ".github"),
    *("pyproject.toml", "requirements.lock", "README.md", "LICENSE", ".env.example"),
    *("Dockerfile", ".dockerignore", "compose.yaml"),
)
# For each test: the slowest takes a tenth; one that hangs has noticed as well.
PATIENCE_SECONDS = 180
PASSED, FAILED = 0, 1
# Half of a test's time its process waits for a server to start and to stop.
TREES = 2 * (os.cpu_count() or 1)


def copy_tree(target: Path) -> None:
    """Copy what the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def run(tree: Path, tests: Sequence[str], *options: str, is_shown: bool = False) -> int:
    """Return pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *options, *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    output = None if is_shown else subprocess.DEVNULL
    seconds = len(tests) * PATIENCE_SECONDS
    try:
        return subprocess.run(
            command, cwd=tree, env=environment, check=False, timeout=seconds, stdout=output, stderr=output
        ).returncode
    except subprocess.TimeoutExpired:
        return FAILED


def is_caught(tree: Path, bug: Bug) -> bool:
    """Plant, test, and put the file back."""
    file = tree / bug.file
    text = file.read_text()
    assert bug.old in text, f"{bug.name}: {bug.file} reads otherwise now"
    file.write_text(text.replace(bug.old, bug.new))
    # The hash of an edited migration is written too, because `migrate` would refuse every bug otherwise.
    hashes.write(tree / "sql" / "migrations")
    try:
        return run(tree, [bug.test], "--numprocesses", "0") == FAILED
    finally:
        file.write_text(text)
        hashes.write(tree / "sql" / "migrations")


def caught_in(trees: Sequence[Path], bugs: Sequence[Bug]) -> list[bool]:
    """Return for each bug whether its test noticed it; as many are planted at a time as there are trees."""
    free: Queue[Path] = Queue()
    for tree in trees:
        free.put(tree)

    def plant(bug: Bug) -> bool:
        tree = free.get()
        try:
            is_noticed = is_caught(tree, bug)
        finally:
            free.put(tree)
        print(f"{'caught' if is_noticed else 'NOT CAUGHT'}: {bug.name}", file=sys.stderr, flush=True)
        return is_noticed

    with ThreadPoolExecutor(len(trees)) as pool:
        return list(pool.map(plant, bugs))


def main() -> int:
    bugs = [bug for bug in BUGS if not sys.argv[1:] or any(part in bug.name for part in sys.argv[1:])]
    if not bugs:
        print("No planted bug has such a name.", file=sys.stderr)
        return 2
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        trees = [Path(folder, str(number)) for number in range(min(TREES, len(bugs)))]
        for tree in trees:
            copy_tree(tree)
        if (
            run(trees[0], sorted({bug.test for bug in bugs}), "--numprocesses", str(TREES // 2), is_shown=True)
            != PASSED
        ):
            print("The tests do not pass without a bug.", file=sys.stderr)
            return 1
        caught = caught_in(trees, bugs)
    table = Table("planted bug", "noticed by", "caught")
    for bug, is_noticed in zip(bugs, caught, strict=True):
        table.add_row(bug.name, bug.test.split("::")[-1], "yes" if is_noticed else "NO")
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    print(f"{sum(caught)} of {len(bugs)} caught")
    return 0 if all(caught) else 1


if __name__ == "__main__":
    sys.exit(main())
