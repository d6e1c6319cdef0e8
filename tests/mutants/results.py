"""What became of each mutant: a file of JSON lines that a later call goes on with, and the score that it makes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock

from rich.console import Console
from rich.table import Table

from tests.mutants.areas import NAMES
from tests.mutants.judge import NOTICED, SURVIVED, Verdict
from tests.mutants.mutant import Mutant

REQUIRED, REQUIRED_OF_AREA = 0.9, 0.8


class OtherTree(Exception):
    """A file of results is about another text of the product."""


@dataclass(frozen=True)
class Result:
    """One line of the file."""

    key: str
    seed: int
    area: str
    file: str
    line: int
    operator: str
    outcome: str
    by: str
    seconds: float
    diff: list[str]
    code: str  # the text of the product
    tests: str  # the text of the tests


def result(mutant: Mutant, verdict: Verdict, *, seed: int, code: str, tests: str) -> Result:
    return Result(
        mutant.key,
        seed,
        mutant.area,
        mutant.file,
        mutant.first_line,
        mutant.operator,
        verdict.outcome,
        verdict.by,
        verdict.seconds,
        mutant.diff(),
        code,
        tests,
    )


def read(file: Path) -> list[Result]:
    """Return the last result of each mutant; a line that was cut off by a crash is left out."""
    found: dict[str, Result] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            one = Result(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[one.key] = one
    return list(found.values())


@dataclass
class ResultFile:
    """Results that are kept as soon as they are known."""

    path: Path
    code: str
    tests: str
    known: dict[str, Result] = field(init=False)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.known = {one.key: one for one in read(self.path)}
        if any(one.code != self.code for one in self.known.values()):
            raise OtherTree(
                f"{self.path} is about another text of the product: remove it, or name another with --resume."
            )

    def settled(self, mutant: Mutant) -> Result | None:
        """Return what is known of a mutant; who survived other tests than the present ones is planted again."""
        one = self.known.get(mutant.key)
        return None if one is None or (one.outcome == SURVIVED and one.tests != self.tests) else one

    def add(self, one: Result) -> None:
        with self._lock:
            self.known[one.key] = one
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as lines:
                lines.write(json.dumps(asdict(one)) + "\n")


def score(results: Iterable[Result]) -> dict[str, tuple[int, int]]:
    """Return by area how many were noticed, and of how many."""
    found = dict.fromkeys(NAMES, (0, 0))
    for one in results:
        if one.outcome in (NOTICED, SURVIVED):
            noticed, all_of = found[one.area]
            found[one.area] = (noticed + (one.outcome == NOTICED), all_of + 1)
    return {name: pair for name, pair in found.items() if pair[1]}


def is_enough(results: Sequence[Result]) -> bool:
    """Whether the score reaches what is required, in all and in each area."""
    by_area = score(results)
    noticed, all_of = (sum(pair[place] for pair in by_area.values()) for place in (0, 1))
    return bool(all_of) and noticed / all_of >= REQUIRED and all(n / a >= REQUIRED_OF_AREA for n, a in by_area.values())


def show(console: Console, results: Sequence[Result]) -> None:
    """Print the survivors, then the score by area."""
    for one in sorted(results, key=lambda one: (NAMES.index(one.area), one.file, one.line)):
        if one.outcome == SURVIVED:
            lines = "\n".join(f"    {line}" for line in one.diff)
            console.print(
                f"\n{one.area}: {one.file}:{one.line} ({one.operator})\n{lines}", markup=False, highlight=False
            )
    table = Table("area", "noticed", "of", "share")
    by_area = score(results)
    noticed, all_of = (sum(pair[place] for pair in by_area.values()) for place in (0, 1))
    for name, (n, a) in [*by_area.items(), ("in all", (noticed, all_of))]:
        table.add_row(name, str(n), str(a), f"{n / a:.0%}" if a else "-")
    console.print()
    console.print(table)
