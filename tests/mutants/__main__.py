"""Plant random bugs, one at a time, and count those that the tests notice: `python -m tests.mutants --seed 1`.

docs/MUTANTS.md says what is planted and how to read the score. Exits 1 if the score is less than required.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from tests.mutants import results
from tests.mutants.areas import NAMES
from tests.mutants.coverage_map import FOLDER, SOURCES, digest, load
from tests.mutants.judge import UNFIT, Judge, OutOfTime
from tests.mutants.plan import Plan, all_mutants, chosen_areas, equivalents, identity, make_plan
from tests.mutants.tree import ROOT, Unusable, copied_tree

WIDTH = None if sys.stdout.isatty() else 160
console = Console(width=WIDTH, highlight=False)


def options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="which mutants are drawn")
    parser.add_argument("--count", type=int, default=100, help="how many are planted, spread over the areas")
    parser.add_argument("--area", action="append", default=[], help=f"only this one, repeatable: {', '.join(NAMES)}")
    parser.add_argument("--jobs", type=int, default=2, help="how many are planted at a time, each in a copy of its own")
    parser.add_argument("--minutes", type=float, default=600, help="stop after so many; a second call goes on")
    parser.add_argument("--resume", type=Path, help="the file of results, .mutants/seed-N.jsonl unless named")
    parser.add_argument("--report", type=Path, nargs="+", help="plant nothing; print the score of such files together")
    return parser.parse_args(arguments)


def say(line: str) -> None:
    console.print(line, markup=False)


def work(judge: Judge, plan: Plan, file: results.ResultFile, seed: int) -> None:
    """Plant one mutant after the other until the plan is done."""
    while mutant := plan.take():
        one = file.settled(mutant)
        if one is None:
            try:
                verdict = judge.judge(mutant)
            except Unusable as error:
                say(f"Left out, because the tests can't be trusted now: {mutant.file}:{mutant.first_line}. {error}")
                plan.give_back(mutant)
                continue
            one = results.result(mutant, verdict, seed=seed, code=file.code, tests=file.tests)
            file.add(one)
            say(f"{one.outcome:9} {one.seconds:6.1f} s  {one.file}:{one.line} ({one.operator})  {one.by}")
        if one.outcome == UNFIT:
            plan.give_back(mutant)


def plant(chosen: argparse.Namespace) -> list[results.Result]:
    """Plant what the options ask for, and return the results of these mutants."""
    deadline = time.monotonic() + 60 * chosen.minutes
    mutants = list(all_mutants(lambda name: (ROOT / name).read_text()))
    plan = make_plan(
        mutants, seed=chosen.seed, count=chosen.count, areas=chosen_areas(chosen.area), known=equivalents()
    )
    path = chosen.resume or FOLDER / f"seed-{chosen.seed}.jsonl"
    file = results.ResultFile(path, digest(SOURCES), digest(("tests/",)))
    planned = {name: list(left) for name, left in plan.candidates.items()}
    with ExitStack() as stack:
        trees = [stack.enter_context(copied_tree()) for _ in range(chosen.jobs)]
        try:
            coverage = load(trees, say)
            seconds = sum(coverage.seconds.values())
            say(f"{len(mutants)} places; {len(coverage.seconds)} tests of {seconds:.0f} s. Results go to {path}.")
            judges = [Judge(tree, coverage, deadline) for tree in trees]
            pool = stack.enter_context(ThreadPoolExecutor(chosen.jobs))
            for running in [pool.submit(work, judge, plan, file, chosen.seed) for judge in judges]:
                running.result()
        except OutOfTime:
            say("The time is over; the same command goes on.")
        except BaseException:
            for tree in trees:
                tree.abort()
            raise
    keys = {
        mutant.key for name, all_of in planned.items() for mutant in all_of[: len(all_of) - len(plan.candidates[name])]
    }
    return [one for key, one in file.known.items() if key in keys]


def main(arguments: Sequence[str]) -> int:
    chosen = options(arguments)
    if chosen.report:
        found = [one for path in chosen.report for one in results.read(path)]
    else:
        if shutil.which("git") is None:
            sys.exit("git tells which files belong to the tree; it is not on the PATH.")
        try:
            found = plant(chosen)
        except (ValueError, results.OtherTree) as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            sys.exit("Stopped; the same command goes on.")
    known = equivalents()
    found = [one for one in found if identity(one.file, one.diff) not in known]
    results.show(console, found)
    return 0 if results.is_enough(found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
