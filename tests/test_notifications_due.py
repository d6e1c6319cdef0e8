"""Which of several notifications is due, and which number is worse than another."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from consumer.process.notifications import CLAIM_TIME, QUIET_TIME, FindingState, body, claim, settle
from consumer.process.notifications import Notification as Told
from tests.test_notifications import DEAD, HOUR, MOMENT, NOW, STALLED, Story, dead


def test_what_must_wait_holds_up_nothing_behind_it() -> None:
    story = Story()
    story.look(dead(1))

    assert story.look(dead(1_000), STALLED, after=MOMENT) == [("opened", "stalled")]
    assert story.look(dead(1_000), STALLED, after=HOUR) == [("worse", "dead")]


def test_what_another_process_sends_holds_up_nothing_behind_it() -> None:
    story = Story()
    story.is_failing = True
    story.look(DEAD)
    story.is_failing = False

    assert story.look(DEAD, STALLED, after=MOMENT) == [("opened", "stalled")]


@pytest.mark.parametrize(("before", "after"), [(None, None), (None, 9_999.0), (12.0, None)])
def test_without_a_number_nothing_is_worse(before: float | None, after: float | None) -> None:
    story = Story()
    story.look(replace(DEAD, magnitude=before))

    assert story.look(replace(DEAD, magnitude=after), after=HOUR) == []


def test_what_only_warns_now_is_not_worse() -> None:
    story = Story()
    story.look(replace(DEAD, gravity="failing"))

    assert story.look(DEAD, after=HOUR) == []


def test_a_number_below_one_counts_as_one() -> None:
    story = Story()
    story.look(replace(DEAD, magnitude=0.5))

    assert story.look(replace(DEAD, magnitude=9.9), after=HOUR) == []
    assert story.look(replace(DEAD, magnitude=10), after=HOUR) == [("worse", "dead")]


@pytest.mark.parametrize(
    ("state", "is_open"),
    [
        (FindingState(DEAD, NOW), False),
        (FindingState(DEAD, NOW, told="opened"), True),
        (FindingState(DEAD, NOW, told="worse"), True),
        (FindingState(DEAD, NOW, told="closed"), False),
        (FindingState(DEAD, NOW, sending="opened"), True),
        (FindingState(DEAD, NOW, sending="worse"), True),
        (FindingState(DEAD, NOW, sending="closed"), False),
        (FindingState(DEAD, NOW, told="opened", sending="closed"), True),
        (FindingState(DEAD, NOW, told="closed", sending="opened"), True),
    ],
)
def test_a_finding_may_be_believed_open_if_that_was_told_or_is_being_told(state: FindingState, is_open: bool) -> None:
    assert state.is_open == is_open


def test_a_claim_says_what_is_being_sent_and_an_arrival_what_was_told() -> None:
    key, at = ("dead", "deliveries"), NOW + MOMENT
    states, due = claim({}, [DEAD], NOW, UUID(int=7))

    assert due == Told(f"msg_{7:032x}", "opened", DEAD, NOW)
    assert states == {key: FindingState(DEAD, NOW, None, None, f"msg_{7:032x}", "opened", NOW + CLAIM_TIME)}
    assert claim(states, [DEAD], NOW + CLAIM_TIME - MOMENT, UUID(int=8)) == (states, None)
    assert settle(states, due, at) == {key: FindingState(DEAD, NOW, "opened", at)}


def test_what_is_over_is_forgotten_an_hour_after_it_was_told() -> None:
    key = ("dead", "deliveries")
    over = {key: FindingState(DEAD, NOW, "closed", NOW)}

    assert claim(over, [], NOW + QUIET_TIME - MOMENT, UUID(int=1)) == (over, None)
    assert claim(over, [], NOW + QUIET_TIME, UUID(int=1)) == ({}, None)
    assert claim({key: FindingState(DEAD, NOW)}, [], NOW, UUID(int=1)) == ({}, None)


@pytest.mark.parametrize(
    ("console_url", "link", "end"),
    [
        ("https://ops.example.com", "/dead", " (here) https://ops.example.com/dead"),
        (None, "/dead", " (here)"),
        ("https://ops.example.com", None, " (here)"),
    ],
)
def test_an_address_needs_a_console_and_a_page(console_url: str | None, link: str | None, end: str) -> None:
    sent = Told("msg_1", "opened", replace(DEAD, link=link, cure=None), NOW)

    text = body(sent, NOW, "here", console_url).decode()

    assert f'"text":"Warning: deliveries: 12 deliveries are dead{end}"' in text
    assert ('"url":null' in text) == (end == " (here)")
    assert timedelta(hours=1) == QUIET_TIME
