"""The verdict: what an observation means, as one table, on both sides of every limit."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consumer.verdict.durations import duration
from consumer.verdict.finding import Finding
from consumer.verdict.findings import CODES, HALTING, findings, open_findings, verdict_sentence
from consumer.verdict.observation import Observation, QueueState, Signatures, SourceHistory
from consumer.verdict.processes import replaced
from consumer.verdict.queue import DYING_TIME
from tests.support.observations import (
    DAY,
    GONE,
    HOUR,
    MINUTE,
    MOMENT,
    NOW,
    SECOND,
    TABLE,
    history,
    process,
    queue,
    ran,
    seen,
    signatures,
    silent,
)


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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (0.96, "1.0s"),
        (1, "1s"),
        (59.9, "59s"),
        (60, "1m"),
        (3_599, "59m 59s"),
        (3_600, "1h"),
        (7_501, "2h 5m"),
        (86_399, "23h 59m"),
        (86_400, "1d"),
        (90_061, "1d 1h"),
        (1_209_661, "14d 1m"),
    ],
)
def test_a_duration_is_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_was_not_looked_at_is_no_finding() -> None:
    assert QueueState() == QueueState(False, 0, 0, 0, None, None)  # All of it.
    assert Signatures() == Signatures(0, 0, 0)
    assert SourceHistory(7) == SourceHistory(7, timedelta(0))
    found = Observation(NOW)
    assert (found.away_reason, found.installed_at, found.migrated_at, found.copy_reason) == (None,) * 4
    assert (found.since_disk_full, found.disk_free_bytes, found.too_old_reason) == (None,) * 3
    assert (found.silence_max, found.worker_sessions, found.oldest_xmin_seconds) == (DAY, 0, 0)
    assert (found.queue, found.signatures) == (QueueState(), Signatures())
    assert (found.last_received, found.histories, found.last_runs) == ({}, {}, {})
    assert timedelta(minutes=10) == DYING_TIME


def test_those_that_die_of_nothing_known_are_counted() -> None:
    [found] = findings(seen(**queue(dead=1_011, died_lately=1_010, dying_since=NOW)))

    assert found.sentence == "1,011, of which 1,010 died since 12:00:00Z"


def test_the_cure_of_a_copy_is_a_sentence() -> None:
    [found] = findings(seen(copy_reason="this is a copy"))

    assert found.cure
    assert found.cure.startswith("If it is this database that shall act from now on, run `consumer ")


@pytest.mark.parametrize(("later", "is_replaced"), [(timedelta(0), False), (MOMENT, True)])
def test_a_successor_began_after_the_last_report(later: timedelta, is_replaced: bool) -> None:
    successor = process(host="work-3", first_at=GONE.last_at + later)

    assert replaced(seen(processes=[GONE, successor])) == ({GONE.process_id} if is_replaced else set())


def test_what_is_forgotten_or_replaced_hides_no_other_that_is_silent() -> None:
    forgotten, console = process(host="work-2", age=2 * HOUR), process("console", age=MINUTE)
    silent_one = process(host="work-3", age=MINUTE, first_at=NOW - 3 * HOUR)

    found = findings(seen(processes=[forgotten, console, process(first_at=NOW - 3 * HOUR), silent_one]))

    assert [each.subject for each in found] == ["worker on work-3"]


def test_of_several_jobs_each_speaks_for_itself() -> None:
    well, failed, late = ran("hours"), ran("prune", "Away."), ran("endpoint", age=2 * DAY)
    runs = {**well.last_runs, **failed.last_runs, **late.last_runs}

    found = findings(seen(jobs=["hours", "prune", "endpoint"], last_runs=runs))

    assert [(each.code, each.subject) for each in found] == [
        ("maintenance_failed", "prune"),
        ("maintenance_overdue", "endpoint"),
    ]


@pytest.mark.parametrize(("age", "codes"), [(HOUR, []), (HOUR + MOMENT, ["source_silent"])])
def test_without_a_history_a_source_may_be_silent_for_less_than_a_day(age: timedelta, codes: list[str]) -> None:
    assert [each.code for each in findings(silent("app", age, silence_max=HOUR))] == codes


def test_each_number_that_tells_how_bad_it_is_is_that_of_its_sentence() -> None:
    found = findings(
        seen(
            expected=["app"],
            last_received={"app": NOW - HOUR},
            oldest_xmin_seconds=3_601.5,
            **history(33.0),
            **signatures(11, 1, since_accepted=12),
            **queue(dead=3, due_seconds=61.5, has_pending=True),
            processes=[process(clock_skew_seconds=-6)],
        )
    )

    assert {each.code: each.magnitude for each in found} == {
        "stalled": 61.5,
        "refused": 12,
        "skew": 6,
        "xmin_held": 3_601.5,
        "dead": 3,
        "quiet": 33,
    }
    [alone] = findings(seen(**queue(due_seconds=20 + SECOND.total_seconds())))
    assert (alone.code, alone.magnitude) == ("no_worker", 21)
