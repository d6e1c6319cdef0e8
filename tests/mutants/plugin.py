"""A pytest plugin of one run: which tests run and in which order, and a record of what they did.

The environment says what to do. MUTANTS_SELECT names a JSON file with the ids of the tests to run, in their order.
MUTANTS_RECORD names the JSON file to write: the seconds of each test that passed, the first test that failed, and the
tests that ran each SQL query.
"""

import json
import os
from collections import defaultdict
from functools import wraps
from pathlib import Path

import pytest

from consumer.postgres import queries

SELECT, RECORD = os.environ.get("MUTANTS_SELECT"), os.environ.get("MUTANTS_RECORD")

_seconds: dict[str, float] = defaultdict(float)
_passed: set[str] = set()
_failed: list[str] = []
_queries: dict[str, set[str]] = defaultdict(set)
_now_running = ""

_query = queries.query


@wraps(_query)
def _noting_query(name: str) -> bytes:
    text = _query(name)
    if _now_running:
        _queries[name].add(_now_running)
    return text


# The modules of the product import the function by name, later than this module.
_noting_query.cache_clear = _query.cache_clear  # type: ignore[attr-defined]
queries.query = _noting_query  # type: ignore[assignment]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if SELECT is None:
        return
    wanted = {name: place for place, name in enumerate(json.loads(Path(SELECT).read_text()))}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in wanted])
    items[:] = sorted((item for item in items if item.nodeid in wanted), key=lambda item: wanted[item.nodeid])


def pytest_runtest_logstart(nodeid: str) -> None:
    global _now_running  # noqa: PLW0603
    _now_running = nodeid


def pytest_runtest_logfinish() -> None:
    global _now_running  # noqa: PLW0603
    _now_running = ""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += report.duration
    if report.failed:
        _failed.append(report.nodeid)
        _passed.discard(report.nodeid)
    elif report.when == "call" and report.passed:
        _passed.add(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    if RECORD is None:
        return
    record = {
        "seconds": {name: round(_seconds[name], 3) for name in sorted(_passed)},
        "failed": _failed,
        "queries": {name: sorted(tests) for name, tests in sorted(_queries.items())},
    }
    Path(RECORD).write_text(json.dumps(record))
