"""A fault that does not strike in time is tried once more before the run counts as invalid; no storm is needed here."""

import pytest

from tests.faults.report import INVALID, WRONG, Episode, Report, show
from tests.faults.torture import struck

NAME = "F01 receiver killed"


def judged(*tries: Episode) -> tuple[Report, int]:
    """Return a report of one fault that goes like this at each try, and how many tries it took."""
    left = list(tries)
    episode = struck(lambda: left.pop(0))
    return Report(seed=1, receivers=1, episodes=[episode]), len(tries) - len(left)


def test_a_fault_that_strikes_is_not_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    report, tries = judged(Episode(NAME, fired=1), Episode(NAME, fired=1))

    assert (report.exit_code, tries, report.episodes[0].tries) == (0, 1, 1)
    assert capsys.readouterr().err == ""


def test_a_fault_that_does_not_strike_is_tried_once_more_and_that_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    report, tries = judged(Episode(NAME, seconds=2.0), Episode(NAME, fired=1, seconds=3.0))
    said = capsys.readouterr().err
    show(report)

    assert (report.exit_code, tries, report.episodes[0].seconds) == (0, 2, 5.0)
    assert said == f"{NAME} did not strike in time: it is tried once more.\n"
    assert f"{NAME}: tried once more" in capsys.readouterr().out


def test_a_fault_that_does_not_strike_twice_makes_the_run_invalid() -> None:
    report, tries = judged(Episode(NAME), Episode(NAME), Episode(NAME, fired=1))

    assert (report.exit_code, tries) == (INVALID, 2)


@pytest.mark.parametrize(
    "first", [Episode(NAME, broken="lost"), Episode(NAME, gap_seconds=9.0)], ids=["broken", "a long gap"]
)
def test_what_went_wrong_is_not_hidden_by_a_second_try(first: Episode) -> None:
    report, tries = judged(first, Episode(NAME, fired=1))

    assert (report.exit_code, tries) == (WRONG, 1)


def test_what_goes_wrong_at_the_second_try_is_told() -> None:
    report, tries = judged(Episode(NAME), Episode(NAME, broken="lost"))

    assert (report.exit_code, tries) == (WRONG, 2)
