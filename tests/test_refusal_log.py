"""How much a stranger can write into the log: a few lines a minute, whatever they send."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.receiver.refusal_log import RefusalLog

NOW = datetime(2026, 1, 2, tzinfo=UTC)
REFUSED = "consumer_deliveries_refused_total"


class StillClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def refusals(clock: StillClock) -> RefusalLog:
    return RefusalLog(Metrics(EVENT_TYPES), clock)


def test_a_flood_is_counted_in_full_and_is_five_lines_of_a_minute_and_one_that_says_so(
    refusals: RefusalLog, clock: StillClock, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(59):
        clock.now = NOW + timedelta(seconds=second)
        for _ in range(10):
            refusals.record("no_match", "stack")

    assert [record.msg for record in caplog.records] == ["delivery_refused"] * 5 + ["refusals_muted"]
    assert vars(caplog.records[-1])["until"] == NOW + timedelta(minutes=1)
    assert refusals.metrics.registry.get_sample_value(REFUSED, {"reason": "no_match"}) == 590


@pytest.mark.parametrize("later", [timedelta(seconds=60), timedelta(days=-1)], ids=["a minute on", "clock set back"])
def test_the_next_minute_is_heard_again(
    later: timedelta, refusals: RefusalLog, clock: StillClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(30):
        refusals.record("no_match", "stack")
    caplog.clear()

    clock.now += later
    refusals.record("no_match", "stack")

    (record,) = caplog.records
    assert (record.msg, vars(record)["source"], vars(record)["reason"]) == ("delivery_refused", "stack", "no_match")


def test_a_flood_of_one_kind_hides_no_other(refusals: RefusalLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(30):
        refusals.record("missing_header", "stack")
    caplog.clear()

    refusals.record("no_match", "stack")
    refusals.record("missing_header", "app")
    refusals.record("not_found")

    assert Counter((record.msg, vars(record)["source"], vars(record)["reason"]) for record in caplog.records) == {
        ("delivery_refused", "stack", "no_match"): 1,
        ("delivery_refused", "app", "missing_header"): 1,
        ("delivery_refused", None, "not_found"): 1,
    }
