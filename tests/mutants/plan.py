"""Which mutants are planted: the areas take turns, and in each area the seed decides."""

import random
import tomllib
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from tests.mutants.areas import LEFT_OUT, NAMES
from tests.mutants.mutant import Mutant
from tests.mutants.python_mutants import python_mutants
from tests.mutants.sql_mutants import sql_mutants
from tests.mutants.tree import tracked_files

EQUIVALENT = Path(__file__).with_name("equivalent.toml")


def mutated_files() -> list[str]:
    """Return the files in which bugs are planted."""
    return [
        file
        for file in tracked_files()
        if not file.startswith(LEFT_OUT)
        and (
            (file.startswith(("consumer/", "bench/")) and file.endswith(".py"))
            or (file.startswith(("sql/queries/", "sql/migrations/")) and file.endswith(".sql"))
        )
        and not file.endswith((".rollback.sql", "__init__.py"))
    ]


def all_mutants(read: Callable[[str], str]) -> Iterator[Mutant]:
    """Yield every mutant of the tree."""
    for file in mutated_files():
        yield from (sql_mutants if file.endswith(".sql") else python_mutants)(file, read(file))


def equivalents() -> set[tuple[str, str, str]]:
    """Return (file, old, new) of the mutants that are known to change nothing; each has a reason."""
    listed = tomllib.loads(EQUIVALENT.read_text()).get("mutant", [])
    assert all(entry["reason"].strip() for entry in listed)
    return {(entry["file"], entry["old"], entry["new"]) for entry in listed}


def identity(file: str, diff: Sequence[str]) -> tuple[str, str, str]:
    """Return (file, old, new) of a mutant as equivalent.toml has it."""
    old, new = ([line[1:].strip() for line in diff if line[0] == mark] for mark in "-+")
    return file, "\n".join(old), "\n".join(new)


def is_sound(mutant: Mutant) -> bool:
    """Whether the mutant differs, and Python can compile it."""
    if mutant.after == mutant.before:
        return False
    if mutant.is_sql:
        return True
    try:
        compile(mutant.after, mutant.file, "exec")
    except (SyntaxError, ValueError):
        return False
    return True


@dataclass
class Plan:
    """Hand out mutants until each area has its share of those that could be judged."""

    candidates: dict[str, list[Mutant]]
    quotas: dict[str, int]
    known: Container[tuple[str, str, str]]
    taken: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def take(self) -> Mutant | None:
        """Return the next mutant, of the area that lacks most; None when all have theirs or no candidate is left."""
        with self._lock:
            while True:
                lacking = {
                    name: quota - self.taken[name] for name, quota in self.quotas.items() if self.candidates[name]
                }
                area = max(lacking, key=lambda name: lacking[name], default=None)
                if area is None or lacking[area] <= 0:
                    return None
                mutant = self.candidates[area].pop(0)
                # Only now: to compile and compare every mutant of the product takes minutes.
                if is_sound(mutant) and identity(mutant.file, mutant.diff()) not in self.known:
                    self.taken[area] += 1
                    return mutant

    def give_back(self, mutant: Mutant) -> None:
        """Let another of its area take the place of a mutant that could not be judged."""
        with self._lock:
            self.taken[mutant.area] -= 1


def make_plan(
    mutants: Sequence[Mutant], *, seed: int, count: int, areas: Sequence[str], known: Container[tuple[str, str, str]]
) -> Plan:
    """Draw from each area as many as from any other, and never two of one line."""
    shares = {name: count // len(areas) + (place < count % len(areas)) for place, name in enumerate(areas)}
    candidates = {}
    for area in areas:
        drawn = [mutant for mutant in mutants if mutant.area == area]
        random.Random(f"{seed} {area}").shuffle(drawn)
        first_of_line = {(mutant.file, mutant.first_line): mutant for mutant in reversed(drawn)}
        candidates[area] = [mutant for mutant in drawn if first_of_line[mutant.file, mutant.first_line] is mutant]
    return Plan(candidates, shares, known)


def chosen_areas(names: Sequence[str]) -> list[str]:
    """Return the areas to draw from; ValueError for a name that is none."""
    if unknown := set(names) - set(NAMES):
        raise ValueError(f"There is no area {', '.join(sorted(unknown))}. The areas are: {', '.join(NAMES)}.")
    return [name for name in NAMES if not names or name in names]
