"""Which of the tests that cover a place come first: what is about it notices its mutants sooner than what is quick."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.mutants.areas import OF_ALL_MODULES, OF_THE_SCHEMA
from tests.mutants.mutant import Mutant

WORD = re.compile(r"[A-Za-z_]\w\w+")


@dataclass(frozen=True)
class Order:
    """Puts tests into an order by their recorded *seconds* and what their files hold."""

    seconds: Mapping[str, float]
    read: Callable[[str], str]

    def nearest(self, mutant: Mutant, tests: Iterable[str]) -> list[str]:
        """Tests about the place come first, of a migration those of the schema; then each file's fastest in turn."""
        tests = list(tests)
        if mutant.is_migration:
            near: tuple[str, ...] = tuple(f"tests/{name}.py::" for name in OF_THE_SCHEMA)
        else:
            stem, files = Path(mutant.file).stem, {file_of(test) for test in tests}
            naming = (f"{file}::" for file in files if named(mutant).search(self.read(file)))
            near = (stem, Path(mutant.file).parent.name, OF_ALL_MODULES, f"[{stem}]", *naming)
        fastest = sorted(tests, key=lambda test: self.seconds[test])
        met: Counter[str] = Counter()
        turns: dict[str, int] = {}
        for test in fastest:
            turns[test] = met[file_of(test)]
            met[file_of(test)] += 1
        return sorted(fastest, key=lambda test: (not any(name in test for name in near), turns[test]))

    def likeliest(self, mutant: Mutant, tests: Iterable[str]) -> list[str]:
        """All tests of the file first that shares most words with the changed lines and those around them.

        A word counts the less, the more files hold it.
        """
        found = set(WORD.findall(mutant.surroundings()))
        shares = {file: sum(1 / self._held[word] for word in found & words) for file, words in self._words.items()}
        return sorted(tests, key=lambda test: (-shares[file_of(test)], file_of(test), self.seconds[test]))

    @cached_property
    def _words(self) -> dict[str, set[str]]:
        return {file: set(WORD.findall(self.read(file))) for file in {file_of(test) for test in self.seconds}}

    @cached_property
    def _held(self) -> Counter[str]:
        return Counter(word for words in self._words.values() for word in words)


def file_of(test: str) -> str:
    return test.partition("::")[0]


def named(mutant: Mutant) -> re.Pattern[str]:
    """Return what a test file holds that imports the mutated module, or names the mutated query."""
    if mutant.is_sql:
        return re.compile(re.escape(f'"{mutant.query}"'))
    package, stem = Path(mutant.file).parent.as_posix().replace("/", r"\."), Path(mutant.file).stem
    return re.compile(rf"\b{package}\.{stem}\b|from {package} import (?:\([^)]*|[^\n]*)\b{stem}\b")
