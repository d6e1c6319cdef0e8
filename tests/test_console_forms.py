"""What the console reads of addresses and forms: filters, choices and confirmations, without a page."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from consumer.console.chosen import chosen, is_none_selected
from consumer.console.conditions import Condition, Value, conditions
from consumer.console.confirm import ActionPage, Confirmed, Question, answer
from consumer.console.filters import CHARACTERS_MAX, AddressFilter, Chip, read_before, read_filter, read_seq
from consumer.console.form import BadForm, Form
from consumer.lookup.listing import ListFilter
from consumer.outbox.deliveries import Selection

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADA, TEAM = UUID(int=1), UUID(int=77)
# One value for each field of a filter.
ALL = {
    "state": "dead",
    "type": "user.updated",
    "outcome": "stale",
    "source": "app",
    "user": str(ADA),
    "team": str(TEAM),
    "error": "23505",
    "verified_by": "0ddba11e",
    "since": "2h",
    "until": "2026-11-30T11:00:00",
}


def form(*fields: tuple[str, object], **named: object) -> Form:
    return Form((*((name, str(value)) for name, value in fields), *((name, str(named[name])) for name in named)))


def refused(read: Callable[[], object]) -> str:
    with pytest.raises(BadForm) as raised:
        read()
    return str(raised.value)


def test_each_field_of_a_filter_is_a_condition_of_its_own() -> None:
    wanted = {
        "state": {"states": ["dead"]},
        "type": {"event_type": "user.updated"},
        "outcome": {"outcome": "stale"},
        "source": {"source": "app"},
        "user": {"user_ids": [ADA]},
        "team": {"team_id": TEAM},
        "error": {"error_code": "23505"},
        "verified_by": {"verified_by": "0ddba11e"},
        "since": {"since": NOW - 2 * HOUR},
        "until": {"until": NOW - HOUR},
    }

    found = {name: read_filter(form((name, value))).wanted(NOW) for name, value in ALL.items()}

    assert found == {name: ListFilter(**values) for name, values in wanted.items()}  # type: ignore[arg-type]
    assert read_filter(form()).wanted(NOW) == ListFilter()


def test_a_chip_leads_to_the_list_without_its_condition() -> None:
    assert AddressFilter({"source": "app", "type": "user.*"}).chips("/x") == [
        Chip("source is", "Your backend", "/x?type=user.%2A"),
        Chip("event is", "user.*", "/x?source=app"),
    ]
    assert AddressFilter({"error": "stack"}).chips("/x") == [Chip("error is", "stack", "/x")]
    assert AddressFilter({"error": "1"}).address("/x", before=7, by=None) == "/x?error=1&before=7"


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        (("error", "x" * (CHARACTERS_MAX + 1)), "The field error is too long."),
        (("state", "gone"), "The field state is one of pending, retrying, dead, done."),
        (("outcome", "dead"), "The field outcome is one of applied, unchanged, stale, ignored, discarded."),
        (("source", "x"), "The field source is one of stack, app, backfill, reconcile, operator."),
        (("user", "x"), "The field user is an id, a UUID."),
        (("team", "x"), "The field team is an id, a UUID."),
        (("by", "x"), "There is no filter by. There are state, type, outcome, source, user, team, error,"),
        (("z" * 41, "x"), f"There is no filter {'z' * 40}. There are"),
        (("since", "x"), "A time is ISO 8601 in UTC (2026-01-31T12:00:00) or how long ago"),
        (("until", "2026-13-01"), "A time is ISO 8601 in UTC (2026-01-31T12:00:00) or how long ago"),
    ],
)
def test_a_field_that_can_not_be_used_is_named(field: tuple[str, str], sentence: str) -> None:
    assert refused(lambda: read_filter(form(field))).startswith(sentence)


def test_the_longest_value_and_the_other_fields_of_a_page_are_read() -> None:
    assert read_filter(form(error="x" * CHARACTERS_MAX, before=7)).values == {"error": "x" * CHARACTERS_MAX}
    assert read_filter(form(by="x", type="y"), {"by"}).values == {"type": "y"}
    assert refused(lambda: read_filter(form(before=7), {"by"})).startswith("There is no filter before.")


@pytest.mark.parametrize("text", ["9" * 19, "-1", "", "1.0", "²", "٣"])
def test_a_text_that_is_no_number_of_a_delivery_is_refused(text: str) -> None:
    with pytest.raises(BadForm):
        read_seq(text)


def test_the_largest_number_of_a_delivery_has_eighteen_digits() -> None:
    assert read_seq("9" * 18) == 10**18 - 1
    assert (read_before(form()), read_before(form(before=7))) == (None, 7)


def test_an_action_takes_what_its_form_chooses_as_it_was_then() -> None:
    found = chosen(form(*ALL.items(), ("seq", 7), ("seq", 5)), ("done", "dead"), NOW, is_discarded=True)

    assert found.selection == Selection(
        ("dead",),
        since=NOW - 2 * HOUR,
        until=NOW - HOUR,
        settled_until=NOW,
        source="app",
        outcome="stale",
        event_type="user.updated",
        user_id=ADA,
        team_id=TEAM,
        seqs=(7, 5),
        error_code="23505",
        verified_by="0ddba11e",
        is_discarded=True,
    )
    assert dict(found.conditions[:-2]) == ALL | {
        "since": "2026-11-30T10:00:00+00:00",
        "until": "2026-11-30T11:00:00+00:00",
    }
    assert found.conditions[-2:] == [("seq", "7"), ("seq", "5")]


def test_an_action_without_a_choice_takes_all_of_its_states() -> None:
    found = chosen(form(), ("done", "dead"), NOW, is_discarded=False)

    assert found.selection == Selection(("done", "dead"), settled_until=NOW)
    assert found.conditions == []
    assert chosen(form(state="pending"), ("done",), NOW, is_discarded=False).selection.states == ()


@pytest.mark.parametrize(
    ("fields", "is_none"),
    [({}, False), ({"seq": 7}, False), ({"selected": 1}, True), ({"selected": 1, "seq": 7}, False)],
)
def test_of_a_list_that_lets_people_select_nothing_selected_is_nothing(fields: dict[str, int], is_none: bool) -> None:
    asked = form(**fields)

    assert is_none_selected(asked) is is_none
    assert chosen(asked, ("dead",), NOW, is_discarded=False).selection.states == (() if is_none else ("dead",))


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"user_id": str(ADA)}, Condition("user", [Value(str(ADA), f"/users/{ADA}")])),
        ({"team_id": str(TEAM)}, Condition("team", [Value(str(TEAM), f"/companies/{TEAM}")])),
        ({"seqs": [1, 2]}, Condition("delivery", [Value("1", "/deliveries/1"), Value("2", "/deliveries/2")])),
        ({"seqs": [*range(5)]}, Condition("delivery", [Value(f"{n}", f"/deliveries/{n}") for n in range(5)])),
        ({"seqs": [*range(7)]}, Condition("delivery", [Value(f"{n}", f"/deliveries/{n}") for n in range(5)], 2)),
        ({"states": ("dead", "done")}, Condition("state", [Value("dead"), Value("done")])),
        ({"is_discarded": True}, Condition("discarded", ())),
        ({"is_discarded": False}, Condition("discarded", [Value("false")])),
        ({"source": "app"}, Condition("source", [Value("Your backend")])),
        ({"source": "unheard"}, Condition("source", [Value("unheard")])),
        ({"error_code": "app"}, Condition("error", [Value("app")])),
        ({"since": NOW.isoformat()}, Condition("since", [Value(NOW)])),
        ({"until": NOW.isoformat()}, Condition("received before", [Value(NOW)])),
        ({"settled_until": "soon"}, Condition("until", [Value("soon")])),
        ({"at": NOW.isoformat()}, Condition("at", [Value(NOW.isoformat())])),
        ({"some_field": {"a": 1}}, Condition("some field", [Value('{"a": 1}')])),
    ],
    ids=str,
)
def test_a_condition_is_told_in_words_with_the_pages_it_names(chosen: dict[str, object], found: Condition) -> None:
    assert conditions(chosen) == [found]


def test_a_field_that_stands_twice_in_a_form_is_one_condition() -> None:
    assert conditions([("seq", "1"), ("type", "x"), ("seq", "2")]) == [
        Condition("delivery", [Value("1", "/deliveries/1"), Value("2", "/deliveries/2")]),
        Condition("event", [Value("x")]),
    ]


PLAIN = ActionPage("/x", "retry", "Retry", "", "/")
WITH_REASON = ActionPage("/x", "discard", "Discard", "", "/", asks_reason=True)
ANSWER = {"id": ADA, "seen_at": NOW.isoformat(), "seen_count": 7, "number": "1,000", "reason": "why"}


@pytest.mark.parametrize(
    ("page", "seen", "count", "number", "reason", "status"),
    [
        (PLAIN, 7, 7, "", None, None),
        (PLAIN, 7, 8, "", None, 409),
        (PLAIN, 7, 1, "", None, None),
        (PLAIN, 7, 0, "", None, 409),
        (PLAIN, 100, 100, "", None, None),
        (PLAIN, 101, 101, "", None, 422),
        (PLAIN, 101, 101, "100", None, 422),
        (PLAIN, 101, 99, "101", None, None),
        (PLAIN, 1234, 1234, "1,234", None, None),
        (WITH_REASON, 7, 7, "", None, 422),
        (WITH_REASON, 7, 7, "", "x", None),
        (WITH_REASON, 7, 7, "", "x" * 1000, None),
        (WITH_REASON, 7, 7, "", "x" * 1001, 422),
        (WITH_REASON, 101, 101, "", "x", 422),
        (PLAIN, 7, 7, "", "x" * 1001, None),
    ],
)
def test_an_action_is_refused_for_more_than_was_seen_nothing_a_missing_reason_or_a_wrong_number(
    page: ActionPage, seen: int, count: int, number: str, reason: str | None, status: int | None
) -> None:
    problem = Confirmed(ADA, NOW, seen, number, reason).problem(page, count)

    assert (problem and problem[0]) == status


def test_a_refusal_names_both_numbers_or_what_was_to_be_typed() -> None:
    confirmed = Confirmed(ADA, NOW, 1_000, "", None)

    assert confirmed.problem(PLAIN, 1_001) == (
        409,
        "1,001 match now; there were 1,000 when the page was made. Look at them anew.",
    )
    assert confirmed.problem(PLAIN, 0) == (409, "Nothing matches any more, so nothing was done.")
    assert confirmed.problem(PLAIN, 1_000) == (422, "Nothing was done: the number to type is 1,000.")
    assert confirmed.problem(WITH_REASON, 1_000) == (
        422,
        "Nothing was done: a reason has from 1 to 1,000 characters.",
    )


def test_an_answer_is_read_as_its_page_has_made_it() -> None:
    assert answer(form(**ANSWER)) == Confirmed(ADA, NOW, 7, "1,000", "why")
    assert answer(form(**{**ANSWER, "reason": ""})).reason is None


@pytest.mark.parametrize(
    "change",
    [{"id": "x"}, {"seen_at": "x"}, {"seen_at": "2026-11-30T12:00:00"}, {"seen_count": "x"}, {"seen_count": ""}],
)
def test_an_answer_that_no_page_has_made_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(BadForm):
        answer(form(**{**ANSWER, **change}))


@pytest.mark.parametrize(("count", "is_asked"), [(100, False), (101, True)])
def test_above_a_hundred_a_number_is_asked_for(count: int, is_asked: bool) -> None:
    assert Question(count, "x", (), (), NOW).asks_number is is_asked
