"""A short torture in the suite; the long one is run by hand (docs/ARCHITECTURE.md)."""

import pytest

from tests.faults.crashes import can_trace
from tests.faults.torture import torture

SECONDS = 46
# Those that take a few seconds; the seed decides on the order.
KINDS = "F01 F02 F03 F05 F06 F07 F08 F09 F10 F16 F19 F20 F39 F43 F43b F46 F48 F49"


@pytest.mark.slow
def test_faults_of_many_kinds_lose_nothing_and_end_in_the_state_of_the_model() -> None:
    report = torture(7, SECONDS, KINDS.split())

    assert report.flaws == []
    assert [episode for episode in report.episodes if not episode.survived] == []
    assert [episode for episode in report.episodes if not episode.fired] == []
    assert {episode.fault.split()[0] for episode in report.episodes} == set(KINDS.split())


@pytest.mark.skipif(not can_trace(), reason="a system call is made to fail by strace, for root")
def test_a_log_that_a_disk_refuses_to_keep_loses_nothing_that_was_acknowledged() -> None:
    report = torture(7, 4, ["F42"])

    assert (report.exit_code, report.flaws) == (0, [])
