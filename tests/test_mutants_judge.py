"""Which verdict a mutant gets by what its tests do with it and without, and which tests those are."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from coverage import CoverageData

from tests.mutants import coverage_map
from tests.mutants.coverage_map import CoverageMap
from tests.mutants.judge import LAWS_SECONDS, NOTICED, REST_SECONDS, SURVIVED, Judge, Verdict
from tests.mutants.mutant import Mutant
from tests.mutants.order import Order, named
from tests.mutants.tree import Run, Tree, Unusable
from tests.support.hashes import FOLDER, HASH_FILE, ROOT, hash_lines, rehashed

# The table of areas names the tests of this file, which can't be imported.
FILE, TESTS = "consumer/__main__.py", "tests/test_cli_processes.py::"
FIRST, SECOND = f"{TESTS}first", f"{TESTS}second"
PASSED, NEVER_ENDS, BROKEN = Run(True, 0), Run(False, 1), Run(True, 4)


def failed(test: str) -> Run:
    return Run(True, 1, failed=[test])


@dataclass
class ScriptedTree:
    """A tree whose runs of tests end as a script says; it notes them, each with whether the mutant was planted."""

    script: Callable[[Sequence[str], bool], Run]
    ran: list[tuple[list[str], bool]] = field(default_factory=list)
    is_planted: bool = False

    def read(self, _: str) -> str:
        return "before"

    @contextmanager
    def changed(self, _: Mapping[str, str]) -> Iterator[None]:
        self.is_planted = True
        yield
        self.is_planted = False

    def pytest(self, *_: str, tests: Sequence[str], seconds: float) -> Run:
        assert seconds > 0
        self.ran.append((list(tests), self.is_planted))
        return self.script(tests, self.is_planted)


def judged(script: Callable[[Sequence[str], bool], Run]) -> tuple[Verdict, ScriptedTree]:
    tree = ScriptedTree(script)
    judge = Judge(cast("Tree", tree), CoverageMap({FIRST: 0.1, SECOND: 0.2}, {}, []), time.monotonic() + 600)
    return judge.judge(Mutant(FILE, "operations", "example", 1, 1, "before", lambda: "after")), tree


@pytest.mark.parametrize(
    ("script", "outcome", "by"),
    [
        pytest.param(lambda _, is_planted: failed(FIRST) if is_planted else PASSED, NOTICED, FIRST, id="by a test"),
        pytest.param(lambda *_: PASSED, SURVIVED, "", id="by none"),
        pytest.param(
            lambda tests, is_planted: failed(FIRST) if is_planted and len(tests) > 1 else PASSED,
            SURVIVED,
            "",
            id="a test that fails once",
        ),
        pytest.param(
            lambda tests, _: failed(FIRST) if FIRST in tests else PASSED,
            SURVIVED,
            "",
            id="a test that fails without it",
        ),
        pytest.param(
            lambda tests, is_planted: failed(FIRST) if FIRST in tests else failed(SECOND) if is_planted else PASSED,
            NOTICED,
            SECOND,
            id="by the next test",
        ),
        pytest.param(
            lambda _, is_planted: NEVER_ENDS if is_planted else PASSED, NOTICED, "time-out of 2 tests", id="without end"
        ),
        pytest.param(lambda *_: NEVER_ENDS, SURVIVED, "", id="a machine too slow for any test"),
        pytest.param(
            lambda tests, is_planted: NEVER_ENDS if SECOND in tests else failed(FIRST) if is_planted else PASSED,
            NOTICED,
            FIRST,
            id="a machine too slow for all tests",
        ),
        pytest.param(lambda _, is_planted: BROKEN if is_planted else PASSED, NOTICED, "exit code 4", id="no test runs"),
    ],
)
def test_a_mutant_is_noticed_by_what_fails_with_it_twice_and_never_without(
    script: Callable[[Sequence[str], bool], Run], outcome: str, by: str
) -> None:
    verdict, tree = judged(script)

    assert (verdict.outcome, verdict.by) == (outcome, by)
    assert tree.ran[0] == ([FIRST, SECOND], True)


def test_tests_that_no_run_collects_without_a_mutant_either_are_a_fault_of_the_command() -> None:
    with pytest.raises(Unusable, match="do not pass without a mutant"):
        judged(lambda *_: BROKEN)


def test_a_mutant_that_stops_pytest_is_compared_with_one_test() -> None:
    _, tree = judged(lambda _, is_planted: BROKEN if is_planted else PASSED)

    assert tree.ran == [([FIRST, SECOND], True), ([FIRST], False)]


def test_the_place_s_own_tests_come_first_and_then_each_file_s_fastest_in_turn() -> None:
    seconds = {
        "tests/test_a.py::slow": 3.0,
        "tests/test_a.py::fast": 0.1,
        "tests/test_a.py::middle": 0.2,
        "tests/test_b.py::other": 2.0,
        "tests/test_claims.py::near": 9.0,
    }
    tree = cast("Tree", ScriptedTree(lambda *_: PASSED))
    judge = Judge(tree, CoverageMap(seconds, {"queue/claims": list(seconds)}, []), time.monotonic())

    (first, _), (others, _) = judge.rounds(Mutant("sql/queries/queue/claims.sql", "console", "example", 1, 1, "", str))

    assert first == [
        f"tests/test_{name}" for name in ("claims.py::near", "a.py::fast", "b.py::other", "a.py::middle", "a.py::slow")
    ]
    assert others == []


def test_who_survives_meets_the_other_tests_that_cover_the_place_and_of_a_place_of_rows_the_laws() -> None:
    covering = {"tests/test_a.py::quick": 44.0, "tests/test_a.py::slow": 50.0, "tests/test_b.py::long": 119.0}
    seconds = {**covering, "tests/test_b.py::of another place": 1.0, "tests/laws/test_c.py::law": 99.0}
    judge = Judge(
        cast("Tree", ScriptedTree(lambda *_: PASSED)), CoverageMap(seconds, {"queue/claims": list(covering)}, []), 0
    )
    mutant = Mutant("sql/queries/queue/claims.sql", "outbox", "example", 1, 1, "before", lambda: "after")

    _, others, laws = judge.rounds(mutant)
    elsewhere = list(judge.rounds(replace(mutant, area="console")))

    assert others == (["tests/test_a.py::slow"], REST_SECONDS)
    assert laws == (["tests/laws/test_c.py::law"], LAWS_SECONDS)
    assert len(elsewhere) == 2


def test_the_likeliest_tests_are_in_the_file_that_shares_the_rarest_words_with_the_place() -> None:
    texts = {"common": "claimed user", "rare": "claimed erasures", "far": "elsewhere", "none": ""}
    before = "erasures\n" + 4 * "claimed = 1\n" + "elsewhere = 2\n"
    mutant = Mutant("consumer/a.py", "x", "x", 2, 2, before, lambda: before.replace("claimed = 1", "claimed = 0", 1))
    order = Order(
        {f"{name}::{test}": seconds for name in texts for test, seconds in (("slow", 2.0), ("quick", 1.0))},
        lambda file: texts[file],
    )

    assert order.likeliest(mutant, order.seconds) == [
        f"{name}::{test}" for name in ("rare", "common", "far", "none") for test in ("quick", "slow")
    ]


@pytest.mark.parametrize(
    ("file", "text", "is_near"),
    [
        ("consumer/worker/loop.py", "from consumer.worker.loop import Worker\n", True),
        ("consumer/worker/loop.py", 'monkeypatch.setattr("consumer.worker.loop.time", clock)\n', True),
        ("consumer/worker/loop.py", "from consumer.worker import batch, loop\n", True),
        ("consumer/worker/loop.py", "from consumer.worker import (\n    batch,\n    loop,\n)\n", True),
        ("consumer/worker/loop.py", "from consumer.worker import batch\n\nloop = batch\n", False),
        ("consumer/worker/loop.py", "from consumer.worker import (\n    batch,\n)\n\nloop = batch\n", False),
        ("consumer/worker/loop.py", "from consumer.worker.loops import Worker\n", False),
        ("sql/queries/queue/claim.sql", 'query("queue/claim")\n', True),
        ("sql/queries/queue/claim.sql", 'query("queue/claims")\n', False),
    ],
)
def test_a_test_file_is_about_a_place_if_it_imports_the_module_or_names_the_query(
    file: str, text: str, *, is_near: bool
) -> None:
    assert bool(named(Mutant(file, "loop", "example", 1, 1, "", str)).search(text)) == is_near


def test_tests_about_a_place_come_before_faster_ones(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text("")
    (tmp_path / "tests/test_b.py").write_text('query("queue/claims")')
    seconds = {"tests/test_a.py::one": 0.1, "tests/test_b.py::one": 2.0, "tests/test_b.py::two": 3.0}
    judge = Judge(Tree(tmp_path, tmp_path), CoverageMap(seconds, {"queue/claims": list(seconds)}, []), 0)

    first, _ = next(judge.rounds(Mutant("sql/queries/queue/claims.sql", "console", "example", 1, 1, "", str)))

    assert first == ["tests/test_b.py::one", "tests/test_b.py::two", "tests/test_a.py::one"]


def test_of_a_migration_the_tests_of_the_whole_schema_come_first_however_many_a_file_has(tmp_path: Path) -> None:
    seconds = {
        "tests/test_migrations.py::fast": 0.1,
        "tests/test_privileges.py::fast": 0.2,
        "tests/test_privileges.py::slow": 9.0,
        "tests/test_views.py::only": 0.3,
        "tests/test_other.py::fast": 0.1,
    }
    mutant = Mutant("sql/migrations/0004.edits.sql", "policies", "verb", 1, 1, "", str, "GRANT SELECT")

    first, _ = next(Judge(Tree(tmp_path, tmp_path), CoverageMap(seconds, {}, []), 0).rounds(mutant))

    assert first == [
        *("tests/test_privileges.py::fast", "tests/test_views.py::only", "tests/test_privileges.py::slow"),
        "tests/test_migrations.py::fast",
    ]


@pytest.mark.parametrize(("line", "covering"), [(1, {FIRST, SECOND}), (2, {SECOND}), (3, {FIRST, SECOND})])
def test_what_a_module_does_at_its_import_is_covered_by_all_tests_of_the_module(line: int, covering: set[str]) -> None:
    """One of them met the import, which runs once; a line that none runs is covered by all too."""
    data = CoverageData(no_disk=True)
    for context, lines in (("", [1]), (f"{FIRST}|run", [1]), (f"{SECOND}|run", [2])):
        data.set_context(context)
        data.add_lines({FILE: lines})

    assert CoverageMap({FIRST: 0.1, SECOND: 0.2}, {}, [data]).covering(FILE, [line]) == covering


def test_a_test_file_is_recorded_again_if_it_or_one_that_it_imports_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tests").mkdir()
    files = {name: tmp_path / "tests" / f"test_{name}.py" for name in "abc"}
    monkeypatch.setattr(coverage_map, "ROOT", tmp_path)
    for file in files.values():
        file.write_text("")

    def changed(name: str, text: str) -> set[str]:
        before = {each: coverage_map._record_of(tmp_path, f"tests/test_{each}.py") for each in files}
        files[name].write_text(text)
        return {each for each in files if coverage_map._record_of(tmp_path, f"tests/test_{each}.py") != before[each]}

    assert changed("a", "from tests.test_b import x\n") == {"a"}
    assert changed("b", "x = 1\n") == {"a", "b"}
    assert changed("c", "x = 1\n") == {"c"}


def test_the_hashes_of_a_mutated_migration_stand_where_its_own_stood() -> None:
    lines = (ROOT / HASH_FILE).read_text()
    name = "0005.tenants.sql"

    mutated = rehashed(lines, name, "SELECT 1;")

    assert rehashed(lines, name, (FOLDER / name).read_text()) == hash_lines(FOLDER) == lines
    assert [line[66:] for line in mutated.splitlines()] == [line[66:] for line in lines.splitlines()]
    assert mutated != lines
