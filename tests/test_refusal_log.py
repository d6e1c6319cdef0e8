"""How much a stranger can write into the log: a few lines a minute, whatever they send."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from consumer.receiver.refusal_log import LINES_MAX, RefusalLog

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_flood_is_the_first_lines_of_a_minute_and_one_that_says_so(caplog: pytest.LogCaptureFixture) -> None:
    refusals = RefusalLog("stack")

    for second in range(59):
        for _ in range(10):
            refusals.log("no_match", NOW + timedelta(seconds=second))

    assert Counter(record.msg for record in caplog.records) == {"delivery_refused": LINES_MAX, "refusals_muted": 1}


@pytest.mark.parametrize("later", [timedelta(seconds=60), timedelta(days=-1)], ids=["a minute on", "clock set back"])
def test_the_next_minute_is_heard_again(later: timedelta, caplog: pytest.LogCaptureFixture) -> None:
    refusals = RefusalLog("stack")
    for _ in range(2 * LINES_MAX):
        refusals.log("no_match", NOW)
    caplog.clear()

    refusals.log("too_old", NOW + later)

    (record,) = caplog.records
    assert (record.msg, vars(record)["source"], vars(record)["reason"]) == ("delivery_refused", "stack", "too_old")
