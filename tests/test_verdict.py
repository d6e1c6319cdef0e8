"""The verdict: what an observation means, as one table, on both sides of every limit."""

from dataclasses import replace
from typing import Any

import pytest

from consumer.verdict.finding import Finding
from consumer.verdict.findings import CODES, HALTING, findings, open_findings, verdict_sentence
from consumer.verdict.observation import Observation
from tests.support.observations import DAY, MINUTE, NOW, TABLE, process, queue, seen, signatures, silent


@pytest.mark.parametrize(("observation", "found"), TABLE.values(), ids=TABLE)
def test_an_observation_means(observation: Observation, found: list[tuple[str, ...]]) -> None:
    assert [
        (each.code, each.gravity, each.subject, each.sentence, each.link) for each in findings(observation)
    ] == found


def test_the_table_has_every_code_at_each_of_its_gravities() -> None:
    found = {(each.code, each.gravity) for observation, _ in TABLE.values() for each in findings(observation)}

    assert found == {(code, gravity) for code, gravities in CODES.items() for gravity in gravities}
    assert CODES.keys() >= HALTING


def test_each_finding_but_a_note_has_a_cure_and_each_text_is_a_line() -> None:
    for observation, _ in TABLE.values():
        for each in findings(observation):
            assert (each.cure is None) == (each.gravity == "note"), each
            assert "\n" not in each.sentence + (each.cure or "")
            assert each.cure is None or each.cure.rstrip().endswith("."), each


@pytest.mark.parametrize(
    ("duty", "command"), [("receiver", "serve"), ("worker", "work"), ("maintenance", "maintain --watch")]
)
def test_the_cure_of_a_vanished_process_is_the_command_that_starts_it_again(duty: Any, command: str) -> None:
    [found] = findings(seen(processes=[process(duty, age=MINUTE)]))

    assert found.cure == f"Start it again: `consumer {command}`. Why it vanished is in its log on work-1 (pid 41)."


def test_the_gravest_come_first_in_a_steady_order() -> None:
    observation = silent("app", 9 * DAY, **signatures(10, 1), **queue(dead=10, died_lately=10, dying_since=NOW))
    observation = replace(observation, expected=["app", "stack"], oldest_xmin_seconds=9999)

    assert [each.code for each in findings(observation)] == [
        "dying",
        "xmin_held",
        "source_silent",
        "refused",
        "nothing_received",
    ]


def test_while_the_database_is_away_nothing_else_is_known() -> None:
    away = seen(away_reason="away", expected=["stack"], **queue(dead=3, due_seconds=999))

    assert [each.code for each in findings(away)] == ["database_away"]
    assert open_findings(findings(away)) == {("database_away", "failing"): True}


def finding(code: str, gravity: Any = "failing") -> Finding:
    return Finding(code, gravity, "x", "x", "x")


STOPPED = Finding("no_receiver", "note", "receivers", "nobody takes deliveries: stopped 7s ago")


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([], "Users are flowing. Nothing needs you."),
        ([finding("nothing_received", "note")], "Users are flowing. Nothing needs you."),
        ([finding("dead", "warning")], "Users are flowing. One thing needs you."),
        ([finding("dying"), finding("quiet", "warning")], "Users are flowing. Two things need you."),
        ([finding("stalled"), finding("nothing_received", "note")], "Users are not flowing. One thing needs you."),
        ([finding("no_worker", "warning")], "Users are not flowing. One thing needs you."),
        ([finding("process_silent", "warning")], "Users are flowing. One thing needs you."),
        ([STOPPED], "Nobody takes deliveries: stopped 7s ago. It may be a restart."),
        ([finding("dead", "warning"), STOPPED], "Nobody takes deliveries: stopped 7s ago. One thing needs you."),
        ([finding("no_worker"), STOPPED], "Users are not flowing. One thing needs you."),
        ([finding("dead", "warning")] * 6, "Users are flowing. Six things need you."),
        ([finding("dead", "warning")] * 7, "Users are flowing. 7 things need you."),
    ],
)
def test_one_sentence_says_whether_users_flow_and_how_much_needs_somebody(found: list[Finding], sentence: str) -> None:
    assert verdict_sentence(found) == sentence


def test_users_flow_on_beside_what_costs_only_some_of_them() -> None:
    flowing = {code for code in CODES if verdict_sentence([finding(code)]).startswith("Users are flowing.")}

    assert {code for code, gravities in CODES.items() if "failing" in gravities} & flowing == {"dying", "skew"}
    assert CODES.keys() - HALTING == flowing


def test_what_is_not_open_is_listed_too() -> None:
    listed = open_findings([finding("skew", "warning")])

    assert {labels for labels, is_open in listed.items() if is_open} == {("skew", "warning")}
    assert len(listed) == sum(map(len, CODES.values()))


def test_what_has_a_number_says_how_bad_it_is() -> None:
    [dying] = findings(seen(**queue(dead=1284, died_lately=1142, dying_since=NOW)))
    [skewed] = findings(seen(processes=[process(clock_skew_seconds=-71)]))

    assert (dying.magnitude, skewed.magnitude) == (1284, 71)
