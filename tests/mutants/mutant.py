"""One random bug: a change of one place of one file."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from difflib import unified_diff
from functools import cached_property

# Lines on each side of a place, which tell what it is about.
AROUND = 3


@dataclass(frozen=True)
class Mutant:
    """What an operator does to one place; its text is made when it is asked for."""

    file: str
    area: str
    operator: str
    first_line: int
    last_line: int
    before: str
    render: Callable[[], str]
    statement: str = ""  # of a migration: the one that holds the place

    @cached_property
    def after(self) -> str:
        return self.render()

    @property
    def key(self) -> str:
        """A name that stays the same while the file does."""
        return hashlib.sha256(f"{self.file}\0{self.after}".encode()).hexdigest()[:12]

    @property
    def is_sql(self) -> bool:
        return self.file.endswith(".sql")

    @property
    def is_migration(self) -> bool:
        return self.file.startswith("sql/migrations/")

    @property
    def query(self) -> str:
        """The name of a query's file, as `query()` takes it."""
        return self.file.removeprefix("sql/queries/").removesuffix(".sql")

    def diff(self) -> list[str]:
        """Return the lines that the mutant takes away and those it brings, marked with - and +."""
        return self._diff(0)

    def surroundings(self) -> str:
        """Return these lines and some on both sides."""
        return "\n".join(self._diff(AROUND))

    def _diff(self, around: int) -> list[str]:
        lines = unified_diff(self.before.splitlines(), self.after.splitlines(), lineterm="", n=around)
        return [line for line in list(lines)[2:] if not line.startswith("@@")]
