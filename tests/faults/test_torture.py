"""A short torture in the suite; the long one is run by hand (docs/ARCHITECTURE.md)."""

from tests.faults.torture import torture

SECONDS = 46
# Those that take a few seconds; the seed decides on the order.
KINDS = "F01 F02 F03 F05 F06 F07 F08 F09 F10 F16 F19 F20 F39 F43 F43b F46 F48 F49"


def test_faults_of_many_kinds_lose_nothing_and_end_in_the_state_of_the_model() -> None:
    report = torture(7, SECONDS, KINDS.split())

    assert report.flaws == []
    assert [episode for episode in report.episodes if not episode.survived] == []
    assert [episode for episode in report.episodes if not episode.fired] == []
    assert {episode.fault.split()[0] for episode in report.episodes} == set(KINDS.split())
