"""The application's statement by the command line: run by `consumer work`, examined by `consumer doctor`."""

from pathlib import Path

import pytest

from tests.support.application import STATEMENT, people
from tests.support.cli import arrive, call, examined
from tests.support.databases import change
from tests.support.factories import user_updated


def test_the_command_line_worker_runs_the_file_that_the_variable_names(application: str, tmp_path: Path) -> None:
    file = tmp_path / "people.sql"
    file.write_bytes(STATEMENT)
    arrive(application, user_updated())

    result = call(application, "work", "--drain", CONSUMER_PROJECTION_SQL=str(file))

    assert result.exit_code == 0, result.output
    assert list(people(application).values()) == ["Ada"]


@pytest.mark.parametrize(
    ("written", "finding"),
    [
        ("SELECT 1\nFROM unnest(%(user_ids)b::uuid[])\nWHEN", "SyntaxError (42601) in line 3"),
        ("SELECT 1 / 0\nFROM unnest(%(user_ids)b::uuid[])", "DivisionByZero (22012)"),
        ("SELECT 'secret'::uuid\nFROM unnest(%(user_ids)b::uuid[])", "InvalidTextRepresentation (22P02) in line 1"),
    ],
    ids=["syntax", "division", "a value"],
)
def test_the_doctor_names_the_error_of_a_statement_and_its_line_but_no_value(
    application: str, tmp_path: Path, written: str, finding: str
) -> None:
    file = tmp_path / "people.sql"
    file.write_text(written)

    exit_code, checks = examined(application, CONSUMER_PROJECTION_SQL=str(file))

    assert (exit_code, checks["application's statement"]["finding"]) == (1, finding)


def test_the_doctor_plans_the_statement_as_the_worker(application: str, tmp_path: Path) -> None:
    file = tmp_path / "people.sql"
    file.write_bytes(STATEMENT)

    _, well = examined(application, CONSUMER_PROJECTION_SQL=str(file))
    change(application, "REVOKE INSERT ON public.people FROM consumer_worker")
    exit_code, ill = examined(application, CONSUMER_PROJECTION_SQL=str(file))

    assert well["application's statement"]["state"] == "ok"
    assert (exit_code, ill["application's statement"]["state"]) == (1, "failing")
    assert ill["application's statement"]["finding"] == "permission denied for table people (42501)"
    assert "application's statement" not in examined(application)[1]
