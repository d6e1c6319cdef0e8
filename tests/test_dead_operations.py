"""Dead letters are tried again or given up by the command line."""

import getpass
import json
import re
import tracemalloc
from uuid import uuid4

import psycopg
import pytest

from consumer.doctor.check import CURES
from consumer.verdict.queue import DEAD_CURE
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import rows
from tests.support.dead import dead_at_the_door
from tests.support.factories import delivery, user_updated
from tests.support.outbox import set_aside, states


@pytest.mark.parametrize(
    ("arguments", "queued", "unusable"),
    [
        pytest.param(["first"], {"first"}, 0, id="an id"),
        pytest.param(["first", "broken"], {"first"}, 1, id="two ids"),
        pytest.param(["--error", "23514"], {"first", "second"}, 0, id="an error"),
        pytest.param(["--error", "23514", "--limit", "1"], {"first"}, 0, id="an error and a limit"),
        pytest.param(["--limit", "2"], {"first", "second"}, 0, id="a limit"),
        pytest.param(["--type", "user.updated"], {"first", "second"}, 1, id="a type"),
        pytest.param(["--all"], {"first", "second"}, 1, id="all"),
    ],
)
def test_a_retry_puts_back_what_this_release_can_use(
    three_dead: str, arguments: list[str], queued: set[str], unusable: int
) -> None:
    done = facts(three_dead, "dead", "retry", *arguments)
    pending = {name for name, state in states(three_dead).items() if state == "pending"}
    work(three_dead)

    assert done == {"queued": len(queued), "unusable": unusable}
    assert pending == queued
    assert {name for name, state in states(three_dead).items() if state == "done"} == queued


@pytest.mark.parametrize("cure", [DEAD_CURE, CURES["dead letters"]], ids=["verdict", "doctor"])
def test_each_command_of_the_cure_of_dead_letters_works_as_it_stands(three_dead: str, cure: str) -> None:
    commands = re.findall(r"`consumer (.*?)`", cure)

    ended = [call(three_dead, *command.split()).exit_code for command in commands]

    assert (commands, ended) == (["dead list", "dead retry --all"], [0, 0])
    assert set(states(three_dead).values()) == {"pending", "dead"}


def test_a_retry_starts_to_count_again(three_dead: str) -> None:
    facts(three_dead, "dead", "retry", "first")

    [row] = rows(three_dead, "SELECT attempts FROM consumer.deliveries WHERE message_id = 'first'")
    assert row["attempts"] == 0


def test_a_discard_excludes_for_good_and_says_who_and_why(three_dead: str) -> None:
    done = facts(three_dead, "dead", "discard", "first", "broken", "--reason", " a test's ", "--by", "Grace")

    exclusions = rows(three_dead, "SELECT excluded_by, reason FROM consumer.exclusions ORDER BY seq")
    outcomes = rows(three_dead, "SELECT message_id, state, outcome FROM consumer.deliveries ORDER BY seq")
    assert done == {"discarded": 2}
    assert {exclusion["excluded_by"] for exclusion in exclusions} == {"Grace"}
    assert all(exclusion["reason"].startswith("a test's (was dead: ") for exclusion in exclusions)
    assert [tuple(row.values()) for row in outcomes if row["message_id"] != "second"] == [
        ("first", "done", "discarded"),
        ("broken", "done", "discarded"),
    ]


def test_what_a_discarded_delivery_died_of_is_still_shown(three_dead: str) -> None:
    facts(three_dead, "dead", "discard", "broken", "--reason", "a test")

    [shown] = facts(three_dead, "dead", "show", "broken")["deliveries"]
    assert shown["error"] == "a test (was dead: bad_shape, $.data.id: Required field is missing)"


def test_who_discards_is_the_shells_user_unless_told(three_dead: str) -> None:
    facts(three_dead, "dead", "discard", "first", "--reason", "a test", LOGNAME="ada")

    [exclusion] = rows(three_dead, "SELECT excluded_by FROM consumer.exclusions")
    assert exclusion["excluded_by"] == "ada"


def test_who_discards_is_the_databases_login_where_the_user_has_no_name(
    three_dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", nobody)

    facts(three_dead, "dead", "discard", "first", "--reason", "a test")

    [row] = rows(three_dead, "SELECT excluded_by = session_user AS is_login FROM consumer.exclusions")
    assert row["is_login"]


def test_neither_a_retry_nor_a_repeat_brings_a_discarded_delivery_back(three_dead: str) -> None:
    facts(three_dead, "dead", "discard", "first", "--reason", "a test")

    arrive(three_dead, user_updated()._replace(message_id="first"))
    retried = call(three_dead, "dead", "retry", "first")
    again = call(three_dead, "dead", "discard", "first", "--reason", "again")

    assert (retried.exit_code, again.exit_code) == (1, 1)
    assert "Delivery first was discarded by " in retried.stderr
    assert states(three_dead) == {"first": "done", "second": "dead", "broken": "dead"}
    assert len(rows(three_dead, "SELECT seq FROM consumer.exclusions")) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--error", "bad_shape"], {"broken"}),
        (["--type", "user.updated", "--limit", "2"], {"first", "second"}),
        (["--all"], {"first", "second", "broken"}),
    ],
)
def test_a_discard_takes_filters_too(three_dead: str, arguments: list[str], expected: set[str]) -> None:
    done = facts(three_dead, "dead", "discard", *arguments, "--reason", "a test")

    assert done == {"discarded": len(expected)}
    assert {name for name, state in states(three_dead).items() if state == "done"} == expected


@pytest.mark.parametrize("verb", [["retry"], ["discard", "--reason", "a test"]], ids=["retry", "discard"])
def test_an_id_that_names_nothing_dead_fails_after_the_others_are_dealt_with(three_dead: str, verb: list[str]) -> None:
    result = call(three_dead, "dead", *verb, "first", "nothing", "--json")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: nothing: unknown, not dead, or filtered out")
    assert states(three_dead)["first"] != "dead"


@pytest.mark.parametrize("verb", [["retry"], ["discard", "--reason", "a test"]], ids=["retry", "discard"])
@pytest.mark.parametrize("filters", [["--error", "23415"], ["--type", "user.created", "--limit", "1"]])
def test_a_filter_that_matches_nothing_dead_fails(three_dead: str, verb: list[str], filters: list[str]) -> None:
    result = call(three_dead, "dead", *verb, *filters)

    assert (result.exit_code, "Nothing dead matches" in result.stderr) == (1, True)


@pytest.mark.parametrize("named", [["--error", "23505"], ["waiting"]], ids=["by an error", "by its id"])
def test_a_retry_that_finds_only_retrying_ones_says_how_to_hurry_them(emptied: str, named: list[str]) -> None:
    waiting = user_updated()._replace(message_id="waiting")
    arrive(emptied, waiting)
    set_aside(emptied, [waiting], "retrying", "23505")

    result = call(emptied, "dead", "retry", *named)

    assert result.exit_code == 1
    assert result.stderr.endswith(
        "; 1 delivery retrying, which `consumer replay --state retrying` would put back at once.\n"
    )


@pytest.mark.parametrize("verb", [["retry"], ["discard", "--reason", "a test"]], ids=["retry", "discard"])
def test_nothing_dead_at_all_is_no_failure(emptied: str, verb: list[str]) -> None:
    assert call(emptied, "dead", *verb, "--all").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["retry"], id="retry what?"),
        pytest.param(["retry", "--all", "first"], id="retry all and one"),
        pytest.param(["retry", "--limit", "0"], id="retry none"),
        pytest.param(["discard", "--reason", "a test"], id="discard what?"),
        pytest.param(["discard", "first"], id="discard without a reason"),
        pytest.param(["discard", "first", "--reason", "  "], id="a blank reason"),
        pytest.param(["discard", "first", "--reason", "x" * 1001], id="an essay"),
    ],
)
def test_a_call_that_does_not_say_what_it_means_is_a_usage_error(three_dead: str, arguments: list[str]) -> None:
    before = states(three_dead)

    result = call(three_dead, "dead", *arguments)

    assert result.exit_code == 2
    assert states(three_dead) == before


def test_a_delivery_that_someone_holds_is_not_discarded_under_their_hands(three_dead: str) -> None:
    with psycopg.connect(three_dead) as holder:
        holder.execute("SELECT seq FROM consumer.failures WHERE error_code = 'bad_shape' FOR UPDATE")

        result = call(three_dead, "dead", "discard", "--all", "--reason", "a test", "--json")

    assert (result.exit_code, json.loads(result.stdout)) == (1, {"discarded": 2})
    assert states(three_dead)["broken"] == "dead"


def test_many_large_bodies_are_checked_without_holding_them_all(emptied: str) -> None:
    arrive(emptied, *[dead_at_the_door(f"large {n}", body=b"x" * 1_000_000) for n in range(30)])
    call(emptied, "dead", "list")

    tracemalloc.start()
    done = facts(emptied, "dead", "retry", "--all")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert done == {"queued": 0, "unusable": 30}
    assert peak < 20_000_000


@pytest.mark.parametrize("verb", [["retry"], ["discard", "--reason", "a test"]], ids=["retry", "discard"])
def test_an_id_of_two_sources_hides_no_missing_id(emptied: str, verb: list[str]) -> None:
    stack = dead_at_the_door("same")
    arrive(emptied, stack, stack._replace(source="app"))

    result = call(emptied, "dead", *verb, "same", "nothing")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: nothing: unknown, not dead, or filtered out.")


def test_the_first_of_many_missing_ids_are_named(emptied: str) -> None:
    result = call(emptied, "dead", "retry", *(f"typo\x1b{n}" for n in range(7)))

    named = ", ".join(f"typo\\x1b{n}" for n in range(5))
    assert result.stderr == f"Error: {named} and 2 more: unknown, not dead, or filtered out.\n"


def test_an_ignored_type_can_be_retried(emptied: str) -> None:
    unknown = delivery("meteor.fell", uuid4())._replace(user_id=None)
    arrive(emptied, unknown)
    set_aside(emptied, [unknown])

    facts(emptied, "dead", "retry", "--all")
    work(emptied)

    [row] = rows(emptied, "SELECT outcome FROM consumer.deliveries")
    assert row["outcome"] == "ignored"
