"""The mutation command: what it plants, how it judges, and what it prints."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.mutants.__main__ import main
from tests.mutants.areas import AREAS, NAMES, OF_ALL_MODULES, TESTS, area_of, table_tests
from tests.mutants.coverage_map import LEFT_OUT, read, record
from tests.mutants.judge import NOTICED, SURVIVED, UNFIT, Judge, Verdict
from tests.mutants.mutant import Mutant
from tests.mutants.plan import equivalents, identity, make_plan, mutated_files
from tests.mutants.python_mutants import python_mutants
from tests.mutants.results import OtherTree, Result, ResultFile, result
from tests.mutants.sql_mutants import sql_mutants
from tests.mutants.tree import ROOT, copied_tree

QUERY, MIGRATION, MODULE = "sql/queries/queue/claim.sql", "sql/migrations/0009.example.sql", "consumer/worker/loop.py"
ID_TESTS = "tests/test_message_ids.py"
MESSAGE_IDS = "consumer/providers/stack/message_ids.py"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """A judge who knows the tests of ids only."""
    folder = tmp_path_factory.mktemp("map")
    with copied_tree() as tree:
        record(tree, folder, ID_TESTS)
        yield Judge(tree, read(folder, [ID_TESTS]), time.monotonic() + 120)


def sql(text: str, operator: str, file: str = QUERY) -> list[str]:
    """Return what an operator makes of a text, with single spaces."""
    return [" ".join(mutant.after.split()) for mutant in sql_mutants(file, text) if mutant.operator == operator]


def python(text: str, operator: str) -> list[str]:
    return [mutant.after.strip() for mutant in python_mutants(MODULE, text) if mutant.operator == operator]


@pytest.mark.parametrize(
    ("operator", "text", "mutated"),
    [
        ("comparison", "SELECT a WHERE b <= c", ["SELECT a WHERE b < c"]),
        ("comparison", "UPDATE a SET b = c, d = e WHERE f = g", ["UPDATE a SET b = c, d = e WHERE f <> g"]),
        ("null", "SELECT a IS DISTINCT FROM b", ["SELECT a <> b"]),
        ("null", "SELECT a IS NULL", ["SELECT a IS NOT NULL"]),
        ("null", "SELECT coalesce(a, f(b, c))", ["SELECT (a)"]),
        ("predicate", "SELECT a WHERE b AND c = d", ["SELECT a WHERE c = d", "SELECT a WHERE b"]),
        ("predicate", "SELECT (a WHERE b BETWEEN c AND d) AS e", ["SELECT (a WHERE TRUE) AS e"]),
        ("predicate", "SELECT CASE WHEN a OR b THEN c END", ["SELECT CASE WHEN a THEN c END"]),
        ("order", "SELECT a ORDER BY b, c DESC LIMIT 5", ["SELECT a LIMIT 5", "SELECT a ORDER BY b, c ASC LIMIT 5"]),
        ("order", "SELECT least(a, b), min", ["SELECT greatest(a, b), min"]),
        ("lock", "SELECT a FOR UPDATE SKIP LOCKED", ["SELECT a FOR SHARE SKIP LOCKED", "SELECT a"]),
        ("lock", "SELECT pg_advisory_xact_lock(1)", ["SELECT pg_advisory_xact_lock_shared(1)"]),
        ("skip locked", "SELECT a FOR UPDATE OF b SKIP LOCKED", ["SELECT a FOR UPDATE OF b"]),
        (
            "unit",
            "SELECT a / 1000, interval '2 hours'",
            ["SELECT a , interval '2 hours'", "SELECT a / 1000, interval '2 minutes'"],
        ),
        ("union", "SELECT a FROM b UNION ALL SELECT c FROM d ORDER BY e", ["SELECT a FROM b ORDER BY e"]),
        ("time zone", "SELECT a AT TIME ZONE 'UTC' AS b", ["SELECT a AS b"]),
        ("number", "SELECT a LIMIT 1 -- 1", ["SELECT a LIMIT 2 -- 1", "SELECT a LIMIT 0 -- 1"]),
        ("boolean", "SELECT TRUE, 'TRUE'", ["SELECT FALSE, 'TRUE'"]),
        (
            "predicate",
            "CREATE FUNCTION f() AS $$ SELECT a WHERE b; $$",
            ["CREATE FUNCTION f() AS $$ SELECT a WHERE TRUE; $$"],
        ),
    ],
)
def test_an_operator_makes_one_bug_of_one_place_of_a_query(operator: str, text: str, mutated: Sequence[str]) -> None:
    assert sql(text, operator) == list(mutated)


@pytest.mark.parametrize(
    ("operator", "text", "mutated"),
    [
        (
            "role",
            "GRANT SELECT ON a TO consumer_app;",
            ["GRANT SELECT ON a TO consumer_tenant;", "GRANT SELECT ON a TO consumer_app, consumer_tenant;"],
        ),
        (
            "verb",
            "GRANT SELECT, INSERT, UPDATE (b) ON a TO c;",
            [
                "GRANT INSERT, UPDATE (b) ON a TO c;",
                "GRANT SELECT, UPDATE (b) ON a TO c;",
                "GRANT SELECT, INSERT ON a TO c;",
                "GRANT SELECT, INSERT, UPDATE (b), DELETE ON a TO c;",
            ],
        ),
        ("grant", "REVOKE EXECUTE ON FUNCTION a FROM PUBLIC;", [""]),
        ("owner", "ALTER FUNCTION a OWNER TO b;", [""]),
        ("definer", "CREATE FUNCTION a() SECURITY DEFINER;", ["CREATE FUNCTION a() SECURITY INVOKER;"]),
        (
            "row level security",
            "ALTER TABLE a FORCE ROW LEVEL SECURITY;",
            ["ALTER TABLE a NO FORCE ROW LEVEL SECURITY;"],
        ),
        ("null", "CREATE TABLE a (b text NOT NULL);", ["CREATE TABLE a (b text );"]),
        ("number", "CREATE INDEX a ON b (c) WHERE d > 1;", []),
    ],
)
def test_an_operator_makes_one_bug_of_one_place_of_a_migration(
    operator: str, text: str, mutated: Sequence[str]
) -> None:
    assert sql(text, operator, MIGRATION) == list(mutated)


@pytest.mark.parametrize(
    ("operator", "text", "mutated"),
    [
        ("number", "x = 3", ["x = 4", "x = 2"]),
        ("unit", "x = timedelta(hours=y)", ["x = timedelta(minutes=y)"]),
        ("operator", "x = y <= z", ["x = y < z"]),
        ("not", "if x:\n    y()", ["if not (x):\n    y()"]),
        ("argument", "f(a, b=c)", ["f(a, )"]),
        ("statement", "def f():\n    g()\n    log.info('x')", ["def f():\n    pass\n    log.info('x')"]),
        ("exception", "try:\n    f()\nexcept KeyError:\n    g()", ["try:\n    f()\nexcept ():\n    g()"]),
        ("iteration", "for x in y:\n    f()", ["for x in ():\n    f()"]),
        ("number", "'''One: 1.'''\nimport x\ndef f(y: Literal[1]): ...\nassert 1\nlog.info(1)", []),
        ("boolean", "@dataclass(frozen=True)\nclass A: ...", []),
    ],
)
def test_an_operator_makes_one_bug_of_one_place_of_a_module(operator: str, text: str, mutated: Sequence[str]) -> None:
    assert python(text, operator) == list(mutated)


def test_every_file_in_which_bugs_are_planted_is_in_an_area_and_no_area_is_empty() -> None:
    assert {area_of(file) for file in mutated_files()} >= set(NAMES) - {"policies"}
    assert {mutant.area for mutant in sql_mutants(MIGRATION, "GRANT SELECT ON a TO consumer_app;")} == {"policies"}


def test_the_tables_name_files_that_exist() -> None:
    named = [file for prefix, _ in TESTS for file in table_tests(prefix)]
    places = [prefix for _, prefixes in AREAS for prefix in prefixes]

    assert [file for file in (*named, *LEFT_OUT, *places, OF_ALL_MODULES) if not (ROOT / file).exists()] == []


def test_a_seed_draws_the_same_mutants_again_as_many_of_each_area_and_none_that_is_known_to_change_nothing() -> None:
    text = "\n".join(f"x{number} = {number}" for number in range(9))
    mutants = [*python_mutants(MODULE, text), *python_mutants("bench/a.py", text)]
    known = {identity(MODULE, mutants[0].diff())}

    def drawn(seed: int) -> list[Mutant]:
        plan = make_plan(mutants, seed=seed, count=5, areas=["loop", "bench"], known=known)
        return list(iter(plan.take, None))

    assert drawn(1) == drawn(1) != drawn(2)
    assert sorted(mutant.area for mutant in drawn(1)) == ["bench", "bench", "loop", "loop", "loop"]
    assert known == {(MODULE, "x0 = 0", "x0 = 1")}
    assert not any(identity(mutant.file, mutant.diff()) in known for seed in range(20) for mutant in drawn(seed))


def test_the_list_of_mutants_that_change_nothing_fits_the_code() -> None:
    for file, old, _ in equivalents():
        lines = [line.strip() for line in (ROOT / file).read_text().splitlines()]

        assert all(line in lines for line in old.split("\n"))


@pytest.mark.parametrize(
    ("file", "old", "new", "verdict"),
    [
        pytest.param(MESSAGE_IDS, "milliseconds=4", "milliseconds=5", NOTICED, id="the step of an id"),
        pytest.param("consumer/deadline.py", "import asyncio", "import asyncio  # ", SURVIVED, id="untested"),
        pytest.param(MESSAGE_IDS, "SECONDS_MAX = 2**32 - 1", "SECONDS_MAX = nothing", UNFIT, id="fails at once"),
    ],
)
def test_a_bug_is_noticed_by_the_tests_or_survives_them(
    judge: Judge, file: str, old: str, new: str, verdict: str
) -> None:
    text = judge.tree.read(file)
    assert old in text
    planted = Mutant(file, "receiver", "example", 1, 1, text, lambda: text.replace(old, new))

    judged = judge.judge(planted)

    assert judged.outcome == verdict
    assert judged.by.startswith(ID_TESTS if verdict == NOTICED else "")
    assert judge.tree.read(file) == text


def test_a_record_names_the_tests_that_run_a_line(judge: Judge, tmp_path: Path) -> None:
    record(judge.tree, tmp_path, ID_TESTS)

    known = read(tmp_path, [ID_TESTS])

    lines = judge.tree.read(MESSAGE_IDS).splitlines()
    inside = next(number for number, line in enumerate(lines, start=1) if line.startswith("    return "))
    tests = known.covering(MESSAGE_IDS, [inside])
    assert tests
    assert tests < {*known.seconds} == {test for test in known.seconds if test.startswith(ID_TESTS)}


def test_a_run_never_writes_where_a_server_of_a_stopped_run_may_still_write(judge: Judge) -> None:
    folders = []

    for _ in range(2):
        judge.tree.pytest("--version", seconds=60)
        folders.append(judge.tree.scratch)

    assert folders[0] != folders[1]
    assert not folders[0].exists()


def test_results_are_kept_and_a_survivor_is_planted_again_once_the_tests_are_others(tmp_path: Path) -> None:
    first, second = list(python_mutants(MODULE, "x = 3"))
    file = ResultFile(tmp_path / "results.jsonl", code="c", tests="t")
    file.add(result(first, Verdict(SURVIVED), seed=1, code="c", tests="t"))
    file.add(result(second, Verdict(NOTICED, "tests/a.py::b"), seed=1, code="c", tests="t"))

    again, others = (ResultFile(file.path, code="c", tests=tests) for tests in "tu")

    assert (again.settled(first), others.settled(first)) == (again.known[first.key], None)
    assert again.settled(second) == others.settled(second) != None  # noqa: E711
    with pytest.raises(OtherTree):
        ResultFile(file.path, code="d", tests="t")


@pytest.mark.parametrize(("noticed", "exit_code"), [(9, 0), (8, 1)])
def test_the_report_names_the_survivors_and_says_by_its_exit_code_whether_the_score_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], noticed: int, exit_code: int
) -> None:
    file = tmp_path / "results.jsonl"
    outcomes = [NOTICED] * noticed + [SURVIVED] * (10 - noticed)
    lines = [
        Result(str(key), 1, "loop", MODULE, key, "number", outcome, "", 1.0, ["-a = 1", "+a = 2"], "c", "t")
        for key, outcome in enumerate(outcomes)
    ]
    # A survivor that is listed by now counts no longer.
    listed, old, new = min(equivalents())
    diff = [*(f"-{line}" for line in old.split("\n")), *(f"+{line}" for line in new.split("\n"))]
    lines.append(Result("listed", 1, "loop", listed, 1, "number", SURVIVED, "", 1.0, diff, "c", "t"))
    file.write_text("".join(json.dumps(asdict(line)) + "\n" for line in lines) + '{"cut off')

    assert main(["--report", str(file)]) == exit_code

    printed = capsys.readouterr().out
    assert f"{MODULE}:9 (number)\n    -a = 1\n    +a = 2" in printed
    assert f"{noticed * 10}%" in printed
