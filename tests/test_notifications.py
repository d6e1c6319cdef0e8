"""What is told and when: a pure function of what was told before, and of what is open."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest

from consumer.process.notifications import (
    CLAIM_TIME,
    QUIET_TIME,
    FindingStates,
    Notification,
    NotificationKind,
    body,
    claim,
    settle,
)
from consumer.verdict.finding import Finding

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DEAD = Finding("dead", "warning", "deliveries", "12 deliveries are dead", "Look at them.", link="/dead", magnitude=12)
STALLED = Finding("stalled", "failing", "queue", "nothing is applied", "Start a worker.")
NOTE = Finding("nothing_received", "note", "app", "nothing received yet")


class Story:
    """What is told in the course of time; `failing` while nobody takes it."""

    def __init__(self) -> None:
        self.states: FindingStates = {}
        self.now = NOW
        self.is_failing = False
        self.attempts: list[Notification] = []

    def look(self, *found: Finding, after: timedelta = timedelta(0)) -> list[tuple[str, str]]:
        """Return what is told, as kind and code, when these are open *after* the look before."""
        self.now += after
        said: list[tuple[str, str]] = []
        while True:
            self.states, due = claim(self.states, found, self.now, uuid4())
            if due is None:
                break
            self.attempts.append(due)
            said.append((due.kind, due.finding.code))
            if not self.is_failing:
                self.states = settle(self.states, due, self.now)
        return said


def dead(count: int) -> Finding:
    return replace(DEAD, magnitude=count)


def test_a_finding_is_told_when_it_opens_and_when_it_closes() -> None:
    story = Story()

    assert story.look(DEAD) == [("opened", "dead")]
    assert story.look(DEAD, after=2 * HOUR) == []
    assert story.look(after=HOUR) == [("closed", "dead")]
    assert story.look(after=HOUR) == []
    assert story.states == {}


def test_the_gravest_is_told_first_and_a_note_never() -> None:
    assert Story().look(STALLED, DEAD, NOTE) == [("opened", "stalled"), ("opened", "dead")]


@pytest.mark.parametrize(
    ("count", "said"),
    [
        pytest.param(119, [], id="almost ten times"),
        pytest.param(120, [("worse", "dead")], id="ten times what was told"),
    ],
)
def test_ten_times_what_was_told_is_worse(count: int, said: Sequence[tuple[str, str]]) -> None:
    story = Story()
    story.look(dead(12))

    assert story.look(dead(count), after=HOUR) == said
    # From then on, ten times that.
    assert story.look(dead(1_199), after=HOUR) == ([] if said else [("worse", "dead")])


def test_of_none_ten_are_worse() -> None:
    story = Story()
    story.look(dead(0))

    assert story.look(dead(9), after=HOUR) == []
    assert story.look(dead(10), after=HOUR) == [("worse", "dead")]


def test_what_fails_and_only_warned_before_is_worse() -> None:
    story = Story()
    story.look(DEAD)

    assert story.look(replace(DEAD, gravity="failing"), after=HOUR) == [("worse", "dead")]
    assert story.look(DEAD, after=HOUR) == []


def test_a_finding_is_told_once_an_hour_however_it_flaps() -> None:
    story = Story()
    assert QUIET_TIME == HOUR

    assert story.look(dead(1)) == [("opened", "dead")]
    assert story.look(dead(1_000), after=MOMENT) == []
    assert story.look(after=timedelta(minutes=30)) == []
    assert story.look(dead(1), after=timedelta(minutes=30) - 2 * MOMENT) == []
    assert story.look(after=MOMENT) == [("closed", "dead")]
    assert story.look(dead(1), after=HOUR - MOMENT) == []
    assert story.look(dead(1), after=MOMENT) == [("opened", "dead")]


def test_what_fails_now_and_only_warned_before_is_told_at_once() -> None:
    story = Story()
    failing = replace(DEAD, gravity="failing")
    story.look(DEAD)

    assert story.look(failing, after=MOMENT) == [("worse", "dead")]
    assert story.look(DEAD, after=MOMENT) == []
    assert story.look(failing, after=MOMENT) == []
    assert story.look(after=MOMENT) == []


def test_what_fails_after_it_was_told_as_over_is_told_at_once() -> None:
    story = Story()
    story.look(STALLED)
    story.look(after=HOUR)

    assert story.look(STALLED, after=MOMENT) == [("opened", "stalled")]
    assert story.look(after=MOMENT) == []
    assert story.look(STALLED, after=MOMENT) == []


def test_what_is_fresh_is_not_told_yet_but_not_over_either() -> None:
    fresh = {("dead", DEAD.subject)}
    states, due = claim({}, [DEAD], NOW, uuid4(), fresh)
    assert (states, due) == ({}, None)
    story = Story()
    story.look(DEAD)

    assert claim(story.states, [DEAD], NOW + HOUR, uuid4(), fresh) == (story.states, None)


def test_each_finding_has_an_hour_of_its_own() -> None:
    story = Story()
    other = replace(STALLED, subject="another")

    assert story.look(STALLED) == [("opened", "stalled")]
    assert story.look(STALLED, other, after=MOMENT) == [("opened", "stalled")]
    assert story.attempts[-1].finding == other


def test_dead_letters_are_not_over_while_more_die() -> None:
    story = Story()
    dying = replace(DEAD, code="dying", gravity="failing", magnitude=130)
    story.look(DEAD)

    assert story.look(dying, after=HOUR) == [("opened", "dying")]
    assert story.look(dead(130), after=HOUR) == [("worse", "dead"), ("closed", "dying")]


def test_a_silence_is_not_over_while_its_history_tells_of_it() -> None:
    story = Story()
    silent = Finding("source_silent", "warning", "stack", "nothing received for 25 h", "Look.")
    story.look(silent)

    assert story.look(replace(silent, code="quiet"), after=HOUR) == [("opened", "quiet")]
    assert story.look(after=HOUR) == [("closed", "source_silent"), ("closed", "quiet")]


def test_several_of_one_subject_are_told_as_the_gravest() -> None:
    story = Story()

    story.look(replace(DEAD, gravity="failing", sentence="worst"), DEAD)

    assert [each.finding.sentence for each in story.attempts] == ["worst"]


def test_what_nobody_took_is_told_again_after_a_minute_with_the_same_id() -> None:
    story = Story()
    story.is_failing = True
    story.look(DEAD)
    assert story.look(DEAD, after=CLAIM_TIME - MOMENT) == []
    story.is_failing = False

    assert story.look(DEAD, after=MOMENT) == [("opened", "dead")]
    first, second = story.attempts
    assert (first.message_id, CLAIM_TIME) == (second.message_id, timedelta(minutes=1))
    assert story.look(DEAD, after=CLAIM_TIME) == []


def test_what_closes_while_nobody_takes_it_is_told_as_over() -> None:
    """An attempt without an answer may have arrived."""
    story = Story()
    story.is_failing = True
    story.look(DEAD)
    story.look(after=CLAIM_TIME)
    story.is_failing = False

    assert story.look(after=CLAIM_TIME) == [("closed", "dead")]
    opened, closed, again = story.attempts
    assert opened.message_id != closed.message_id == again.message_id


def test_what_opens_again_while_nobody_took_its_end_is_told_as_open() -> None:
    story = Story()
    story.look(DEAD)
    story.is_failing = True
    assert story.look(after=HOUR) == [("closed", "dead")]
    story.is_failing = False

    assert story.look(DEAD, after=CLAIM_TIME) == [("opened", "dead")]
    assert len({each.message_id for each in story.attempts}) == 3


def test_that_it_fails_again_does_not_wait_and_its_end_does() -> None:
    story = Story()
    story.look(STALLED)
    story.look(after=HOUR)
    story.is_failing = True
    assert story.look(STALLED, after=CLAIM_TIME) == [("opened", "stalled")]
    story.is_failing = False

    assert story.look(after=CLAIM_TIME) == []
    assert story.look(after=HOUR) == [("closed", "stalled")]


def test_what_is_refused_again_and_again_holds_nothing_else_up() -> None:
    story = Story()
    story.is_failing = True
    assert story.look(STALLED) == [("opened", "stalled")]
    story.is_failing = False

    assert story.look(STALLED, DEAD, after=CLAIM_TIME) == [("opened", "dead"), ("opened", "stalled")]


def test_the_end_names_when_it_opened() -> None:
    story = Story()
    story.look(DEAD)
    story.look(after=2 * HOUR)
    story.look(DEAD, after=2 * HOUR)

    assert [each.opened_at for each in story.attempts] == [NOW, NOW, NOW + 4 * HOUR]


def document(finding: Finding, kind: NotificationKind = "opened") -> dict[str, object]:
    notification = Notification("msg_1", kind, finding, NOW)
    found = orjson.loads(body(notification, NOW + MOMENT, "db:5432/app", "https://ops.example.com"))
    assert isinstance(found, dict)
    return found


def test_a_body_is_that_of_a_standard_webhook_with_a_text_for_chats() -> None:
    assert document(DEAD) == {
        "type": "finding.opened",
        "timestamp": "2026-11-29T12:00:00.000001Z",
        "text": "Warning: deliveries: 12 deliveries are dead. Look at them. (db:5432/app) https://ops.example.com/dead",
        "data": {
            "code": "dead",
            "gravity": "warning",
            "subject": "deliveries",
            "sentence": "12 deliveries are dead",
            "cure": "Look at them.",
            "magnitude": 12,
            "opened_at": "2026-11-29T12:00:00Z",
            "database": "db:5432/app",
            "url": "https://ops.example.com/dead",
        },
    }


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("worse", "Worse: queue: nothing is applied. Start a worker. (db:5432/app)"),
        ("closed", "Over: queue: nothing is applied (db:5432/app)"),
        ("test", "Test: queue: nothing is applied. Start a worker. (db:5432/app)"),
    ],
)
def test_a_text_says_first_what_became_of_it(kind: NotificationKind, text: str) -> None:
    assert document(STALLED, kind=kind)["text"] == text


def test_a_text_calls_nobody_and_has_a_length_that_chats_take() -> None:
    text = document(replace(STALLED, sentence="held by <!channel> <http://a|b> @here" + "x" * 9_000))["text"]

    assert isinstance(text, str)
    assert not set("<>@") & set(text)
    assert len(text) == 2_000
