"""What docs/SIZING.md counts with: the measured sizes, and what the code opens."""

import re

import pytest

from bench import sizes
from bench.support import database
from consumer.cli.serve import CONNECTIONS
from tests.support.cli import call
from tests.support.names import own
from tests.support.processes import ROOT

PAGE = (ROOT / "docs" / "SIZING.md").read_text()
CELLS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
PROCESSES = {"receiver": "serve", "worker": "work"}


def number(text: str) -> float:
    return float(text.replace(",", ""))


EACH = {row[0]: number(row[1]) for row in CELLS if ": " in row[0] and len(row) == 2}


@pytest.mark.slow
def test_the_command_measures_every_row_that_the_page_counts(server_url: str) -> None:
    with database(server_url, own("sizes")) as url:
        measured = sizes.measure(url, 60)

    assert measured.keys() == EACH.keys()
    # A batch that creates and updates a user writes one row of the audit.
    assert [count for count, _ in measured.values()] == [120, 60, 60, 60, 60, 60, 60]
    assert all(size > 100 for _, size in measured.values())


@pytest.mark.parametrize("users", sizes.INSTALLATIONS)
def test_the_page_multiplies_what_it_measured(users: int) -> None:
    [row] = [row for row in CELLS if row[0] == f"{users:,}" and len(row) == 5 and row[1][0].isdigit() and "." in row[1]]
    counted = [value for value in sizes.installation(users, EACH, sizes.YEAR).values() if isinstance(value, float)]

    assert [number(cell) for cell in row[1:]] == pytest.approx(counted, rel=0.02)


@pytest.mark.slow
def test_the_processes_hold_as_many_connections_as_the_page_says(server_url: str) -> None:
    with database(server_url, own("sessions")) as url:
        assert call(url, "migrate").exit_code == 0
        held = {name: sizes.connections(url, command) for name, command in PROCESSES.items()}
    told = {row[0]: int(row[1]) for row in CELLS if row[0] in PROCESSES}

    # And one for the reports.
    assert held == told == {"receiver": CONNECTIONS + 1, "worker": 1 + 1}


def test_the_connections_of_a_small_installation_add_up() -> None:
    told = {row[0]: int(row[1]) for row in CELLS if row[0] in PROCESSES}
    [most] = re.findall(r"worker need (\d+) at most", PAGE)

    # Each starting, the worker's metrics read, a migration and a command at the same time.
    assert int(most) == 2 * (told["receiver"] + 1) + told["worker"] + 2 + 2 + 1


@pytest.mark.parametrize("command", ["bench.ingest", "bench.drain", "bench.rebuild", "bench.hostile", "bench.startup"])
def test_a_figure_that_performance_has_too_is_the_same(command: str) -> None:
    """A figure stands before the command that prints it, or in the row of a table."""
    performance = (ROOT / "docs" / "PERFORMANCE.md").read_text()
    before = re.findall(rf"(\d[\d,]+) (?:MB|bytes|deliveries|updates)[^`]*`python -m {command}", PAGE)

    assert before
    assert [figure for figure in before if f" {figure} " not in performance] == []


def test_every_figure_s_command_exists() -> None:
    named = set(re.findall(r"`python -m bench\.(\w+)", PAGE))

    assert len(named) >= 7
    assert [name for name in named if not (ROOT / "bench" / f"{name}.py").exists()] == []
