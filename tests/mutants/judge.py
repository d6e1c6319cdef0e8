"""Whether the tests notice a mutant: first those that cover its place, then the others."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.mutants.areas import OF_ALL_MODULES, table_tests
from tests.mutants.coverage_map import CoverageMap
from tests.mutants.mutant import Mutant
from tests.mutants.order import Order
from tests.mutants.tree import Run, Tree, Unusable
from tests.support.hashes import HASH_FILE, rehashed

# Of one run of pytest, and the recorded seconds of the tests that are put into it: what a busy machine takes longer
# must not pass for a mutant that hangs.
COVERING_SECONDS, COVERING_FILL = 90.0, 45.0
REST_SECONDS, REST_FILL = 240.0, 120.0
LAWS_SECONDS, LAWS_FILL = 200.0, 100.0
# What pytest itself takes for a test, beside the recorded seconds.
TEST_OVERHEAD_SECONDS = 0.01
CHECK_SECONDS = 60.0
# The laws look at rows, and no other area decides what a row holds.
AREAS_OF_ROWS = ("effects", "rehome", "rebuild", "bisection", "loop", "outbox", "policies", "migrations")
IMPORT = "import importlib, sys; importlib.import_module(sys.argv[1])"
SCHEMA_MODULE = "tests.support.schema"
SCHEMA_FILE = "sql/schema.sql"
# They change rows, not what pg_dump shows of a schema, or it shows nothing of owners.
INVISIBLE = re.compile(r"UPDATE|INSERT|DELETE|DO|WITH|ALTER FUNCTION|ALTER VIEW|ALTER TABLE \S+ OWNER")
OBJECT = re.compile(r"\b(?:consumer|consumer_masked|identity)\.\w+")
NOTICED, SURVIVED, UNFIT = "noticed", "survived", "unfit"


class OutOfTime(Exception):
    """The whole run's time is over."""


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant."""

    outcome: str
    by: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Judge:
    """Plant mutants in one copy of the tree."""

    tree: Tree
    coverage: CoverageMap
    deadline: float  # by time.monotonic()

    def judge(self, mutant: Mutant) -> Verdict:
        """Plant a mutant, run the tests, and put the file back."""
        begun = time.monotonic()
        texts = self._texts(mutant)
        if mutant.is_migration:
            schema = self._schema(mutant)
            if schema is None or (schema == self.tree.read(SCHEMA_FILE) and not INVISIBLE.match(mutant.statement)):
                return Verdict(UNFIT)
            texts[SCHEMA_FILE] = schema
        elif not self._fits(mutant):
            return Verdict(UNFIT)
        noticed_by = next(filter(None, (self._noticed(texts, *each) for each in self.rounds(mutant))), None)
        outcome = SURVIVED if noticed_by is None else NOTICED
        return Verdict(outcome, noticed_by or "", round(time.monotonic() - begun, 1))

    def rounds(self, mutant: Mutant) -> Iterator[tuple[list[str], float]]:
        """Yield tests that cover the place, then others; as many as there is time for, and the seconds they may take.

        A test that runs the place nowhere can't notice it, but for the laws, which look at every row.
        """
        covering = self._covering(mutant)
        first = list(_within(self._order.nearest(mutant, covering), self.coverage.seconds, COVERING_FILL))
        yield first, COVERING_SECONDS
        rest = self._order.likeliest(mutant, covering.difference(first))
        yield list(_within(rest, self.coverage.seconds, REST_FILL)), REST_SECONDS
        if mutant.area in AREAS_OF_ROWS:
            laws = [test for test in self.coverage.seconds if "/laws/" in test and test not in first]
            yield list(_within(laws, self.coverage.seconds, LAWS_FILL)), LAWS_SECONDS

    @cached_property
    def _order(self) -> Order:
        return Order(self.coverage.seconds, self.tree.read)

    def _covering(self, mutant: Mutant) -> set[str]:
        by_table = {test for file in table_tests(mutant.file) for test in self._of_file(file)}
        if mutant.is_migration:
            return by_table | self._of_objects(mutant.statement)
        if mutant.is_sql:
            return set(self.coverage.queries.get(mutant.query, ())) | self._named(f"[{mutant.query}]")
        covering = self.coverage.covering(mutant.file, range(mutant.first_line, mutant.last_line + 1))
        return covering | by_table | set(self._of_file(OF_ALL_MODULES))

    def _of_file(self, file: str) -> list[str]:
        return [test for test in self.coverage.seconds if test.startswith(f"{file}::")]

    def _named(self, ending: str) -> set[str]:
        return {test for test in self.coverage.seconds if test.endswith(ending)}

    def _of_objects(self, statement: str) -> set[str]:
        """Return the tests that ran a query which names an object of the statement."""
        names = set(OBJECT.findall(statement))
        found: set[str] = set()
        for query, tests in self.coverage.queries.items():
            file = self.tree.root / "sql" / "queries" / f"{query}.sql"
            # A test may have had a query of its own.
            if file.exists() and names & set(OBJECT.findall(file.read_text())):
                found |= set(tests)
        return found

    def _fits(self, mutant: Mutant) -> bool:
        """Whether the module can be imported, or the server plans the query."""
        with self.tree.changed({mutant.file: mutant.after}):
            if mutant.is_sql:
                planned = [f"tests/test_sql.py::test_the_server_plans_the_query[{mutant.query}]"]
                if planned[0] not in self.coverage.seconds:
                    return True
                return self._run(planned, CHECK_SECONDS).has_passed
            module = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            return module.endswith("__main__") or self.tree.python("-c", IMPORT, module, seconds=CHECK_SECONDS)[0] == 0

    def _texts(self, mutant: Mutant) -> dict[str, str]:
        """Return the mutated file, and with a migration its hash: else `migrate` would refuse every mutant."""
        texts = {mutant.file: mutant.after}
        if mutant.is_migration:
            texts[HASH_FILE] = rehashed(self.tree.read(HASH_FILE), Path(mutant.file).name, mutant.after)
        return texts

    def _schema(self, mutant: Mutant) -> str | None:
        """Return schema.sql as the mutated migrations make it, None when they can't be applied."""
        before = self.tree.read(SCHEMA_FILE)
        with self.tree.changed(self._texts(mutant) | {SCHEMA_FILE: before}):
            exit_code, _ = self.tree.python("-m", SCHEMA_MODULE, seconds=CHECK_SECONDS)
            return self.tree.read(SCHEMA_FILE) if exit_code == 0 else None

    def _noticed(self, texts: dict[str, str], tests: Sequence[str], seconds: float) -> str | None:
        """Return by which test a mutant is noticed, None when by none.

        A test must fail twice, because a busy machine fails a test now and then, and pass without the mutant; so must
        the tests of a run that does not end.
        """
        left = list(tests)
        while left:
            with self.tree.changed(texts):
                run = self._run(left, seconds)
            if run.has_passed:
                return None
            if not run.is_over or not run.failed:
                # Without a failed test none has run: the mutant stops pytest itself, and then any one test tells.
                clean = self._run(left[:1] if run.is_over else left, seconds)
                if clean.has_passed:
                    return f"time-out of {len(left)} tests" if not run.is_over else f"exit code {run.exit_code}"
                if not clean.is_over:
                    # The machine is too slow for so many tests today; what one alone would notice counts as unnoticed.
                    left = left[: len(left) // 2]
                    continue
                raise Unusable(f"These tests do not pass without a mutant:\n{clean.output[-2000:]}")
            failed = run.failed[0]
            if self._is_real(texts, failed, seconds):
                return failed
            left = left[left.index(failed) + 1 :]
        return None

    def _is_real(self, texts: dict[str, str], failed: str, seconds: float) -> bool:
        """Whether a test fails because of the mutant: alone too, and not without it; a file without a test does."""
        if "::" not in failed:
            return True
        with self.tree.changed(texts):
            if self._run([failed], seconds).has_passed:
                return False
        return self._run([failed], seconds).has_passed

    def _run(self, tests: Sequence[str], seconds: float) -> Run:
        left = self.deadline - time.monotonic()
        if left < 1:
            raise OutOfTime
        run = self.tree.pytest("-x", tests=tests, seconds=min(seconds, left))
        if not run.is_over and left < seconds:
            raise OutOfTime
        return run


def _within(tests: Iterable[str], seconds: Mapping[str, float], fill: float) -> Iterator[str]:
    """Yield the tests whose recorded seconds fit together."""
    total = 0.0
    for test in tests:
        if total + (needed := seconds[test] + TEST_OVERHEAD_SECONDS) <= fill:
            total += needed
            yield test
