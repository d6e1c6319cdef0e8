"""What the console says of chosen subjects, results, samples and times, without a page."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from consumer.console import formats
from consumer.console.form import BadForm, Form
from consumer.console.results import Sentence, rebuild_of, sentences
from consumer.console.retry_sample import WITHOUT_STATEMENT, RetrySample
from consumer.console.subjects import ChosenSubjects
from consumer.console.system import StatementsAccess
from consumer.operations.rebuild import APPLIED, Subjects
from consumer.outbox.deliveries import Selection

NOW = datetime(2026, 11, 30, 14, 32, 8, tzinfo=UTC)
HOUR, SECOND, TICK = timedelta(hours=1), timedelta(seconds=1), timedelta(microseconds=1)
ADA, TEAM = UUID(int=1), UUID(int=77)


def form(**named: object) -> Form:
    return Form(tuple((name, str(value)) for name, value in named.items()))


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (formats.count, 0, "0"),
        (formats.count, 1_234_567, "1,234,567"),
        (formats.rate, None, "–"),
        (formats.rate, 0, "0.0"),
        (formats.rate, 98.96, "99.0"),
        (formats.rate, 99.5, "99.5"),
        (formats.rate, 100, "100"),
        (formats.rate, 100.4, "100"),
        (formats.rate, 2_000_000.0, "2,000,000"),
        (formats.duration, -5, "0 ms"),
        (formats.duration, 0.00099, "under 1 ms"),
        (formats.duration, 0.001, "1 ms"),
        (formats.duration, 0.009, "9 ms"),
        (formats.duration, 0.9994, "999 ms"),
        (formats.duration, 0.998, "998 ms"),
        (formats.duration, 1, "1 s"),
        (formats.duration, 1.9, "1 s"),
        (formats.duration, 59, "59 s"),
        (formats.duration, 60, "1 min"),
        (formats.duration, 119, "1 min 59 s"),
        (formats.duration, 3_599, "59 min 59 s"),
        (formats.duration, 3_600, "1 h"),
        (formats.duration, 3_661, "1 h 1 min"),
        (formats.duration, 3_605, "1 h 5 s"),
        (formats.duration, 86_399, "23 h 59 min"),
        (formats.duration, 86_400, "1 d"),
        (formats.duration, timedelta(days=400, hours=23, minutes=59), "400 d 23 h"),
        (formats.duration, timedelta(milliseconds=500), "500 ms"),
        (formats.skew, 0, "0 ms"),
        (formats.skew, 0.00099, "0 ms"),
        (formats.skew, 0.001, "+1 ms"),
        (formats.skew, -0.001, "−1 ms"),
        (formats.skew, 0.5, "+500 ms"),
        (formats.skew, 90.0, "+1 min 30 s"),
        (formats.size, 0, "0 bytes"),
        (formats.size, 10_000, "9 kB"),
        (formats.size, 10_001, "9 kB"),
        (formats.size, 10_000 * 1024 - 1, "9,999 kB"),
        (formats.size, 10_000 * 1024, "9 MB"),
        (formats.size, 10_000 * 1024**2 - 1, "9,999 MB"),
        (formats.size, 10_000 * 1024**2, "9 GB"),
        (formats.size, 10_000 * 1024**3, "9 TB"),
        (formats.size, 20_000 * 1024**4, "20,000 TB"),
    ],
)
def test_a_value_reads_as_people_write_it(show: Callable[[Any], str], value: object, text: str) -> None:
    assert show(value).replace("\N{NO-BREAK SPACE}", " ") == text


def test_a_time_is_told_in_utc_with_its_date_unless_it_is_today() -> None:
    east = timezone(10 * HOUR)

    assert formats.clock(None) == formats.clock(None, NOW) == "–"
    assert formats.clock(NOW) == "30 Nov, 14:32:08"
    assert formats.clock(NOW.astimezone(east)) == "30 Nov, 14:32:08"
    # There it is the first of December already.
    assert formats.clock(NOW, NOW.astimezone(east)) == "14:32:08"
    assert formats.clock(NOW.astimezone(east), NOW) == "14:32:08"
    assert formats.clock(NOW, NOW - 15 * HOUR) == "30 Nov, 14:32:08"


@pytest.mark.parametrize(
    ("ago", "text"), [(SECOND - TICK, "now"), (SECOND, "1 s ago"), (59 * SECOND, "59 s ago"), (-HOUR, "now")]
)
def test_below_a_second_it_is_now(ago: timedelta, text: str) -> None:
    assert formats.ago(NOW - ago, NOW).replace("\N{NO-BREAK SPACE}", " ") == text


def test_a_form_that_chooses_nothing_chooses_everybody() -> None:
    found = ChosenSubjects.read(form(id="x", reason="y"), NOW)

    assert found == ChosenSubjects(None, None, None)
    assert found.named == Subjects([], [])
    assert (found.conditions, found.recorded) == ([], {"user_id": None, "team_id": None})


def test_a_form_chooses_a_user_and_a_team_without_deliveries() -> None:
    found = ChosenSubjects.read(form(user=ADA, team=TEAM), NOW)

    assert found == ChosenSubjects(ADA, TEAM, None)
    assert found.named == Subjects([ADA], [TEAM])
    assert found.conditions == [("user", str(ADA)), ("team", str(TEAM))]
    assert found.recorded == {"user_id": ADA, "team_id": TEAM}
    assert ChosenSubjects.read(form(user=ADA), NOW).named == Subjects([ADA], [])
    assert ChosenSubjects.read(form(team=TEAM), NOW).named == Subjects([], [TEAM])


@pytest.mark.parametrize(
    ("fields", "since", "secret", "words"),
    [
        ({"since": "2h"}, NOW - 2 * HOUR, None, "was received since 30 Nov, 12:32:08"),
        ({"verified_by": "0DDBA11E"}, None, "0ddba11e", "was signed with the secret 0ddba11e"),
        (
            {"since": "2h", "verified_by": "0ddba11e"},
            NOW - 2 * HOUR,
            "0ddba11e",
            "was signed with the secret 0ddba11e since 30 Nov, 12:32:08",
        ),
    ],
)
def test_a_form_chooses_the_subjects_of_applied_deliveries_until_then(
    fields: dict[str, str], since: datetime | None, secret: str | None, words: str
) -> None:
    found = ChosenSubjects.read(form(**fields), NOW)

    assert found.applied == Selection(APPLIED, since=since, settled_until=NOW, verified_by=secret)
    assert found.words == words
    conditions = {"since": since.isoformat() if since else None, "verified_by": secret}
    assert dict(found.conditions) == {name: value for name, value in conditions.items() if value}
    assert found.recorded == {
        "user_id": None,
        "team_id": None,
        "since": since,
        "settled_until": NOW,
        "verified_by": secret,
    }


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"verified_by": "0ddba11"}, "A secret is named by the first 8 hex digits"),
        ({"verified_by": "0ddba11eb"}, "A secret is named by the first 8 hex digits"),
        ({"since": "0s"}, "The field since lies in the future"),
        ({"since": "2026-11-30T14:32:09"}, "The field since lies in the future"),
        ({"user": "x"}, "The field user is an id"),
    ],
)
def test_a_choice_that_can_not_be_used_is_refused_with_its_reason(fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadForm, match=sentence):
        ChosenSubjects.read(form(**fields), NOW)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({}, []),
        ({"put_back": 0, "to_rebuild": 0, "still_unusable": 0, "queued": 0}, []),
        (
            {"put_back": 1},
            [Sentence("1 put back to pending; workers apply it.", "/dead", "What is dead now")],
        ),
        (
            {"put_back": 1_200, "to_rebuild": 1_300, "still_unusable": 1_400},
            [
                Sentence("1,200 put back to pending; workers apply them.", "/dead", "What is dead now"),
                Sentence(
                    "The users and companies of 1,300 are queued; workers make them anew.", "/recovery", "What waits"
                ),
                Sentence("1,400 still unusable, so dead."),
            ],
        ),
        ({"queued": 2}, [Sentence("2 queued; workers make them anew.", "/recovery", "What waits")]),
        (
            {"users": 1, "companies": 2, "differing": {"company": 1, "profile": 1, "sign_ins": 2_000}},
            [
                Sentence(
                    "1 user and 2 companies compared. A rebuild would change 1 company, 1 profile, the sign-ins of "
                    "2,000 users."
                )
            ],
        ),
        ({"differing": {}}, [Sentence("0 users and 0 companies compared. A rebuild would change nothing.")]),
        (
            {"users": 2, "companies": 1, "differing": {"refused": 1, "company": 2}},
            [
                Sentence(
                    "2 users and 1 company compared. A rebuild would change 2 companies. 1 can't be made anew: their "
                    "rows are refused."
                )
            ],
        ),
    ],
    ids=str,
)
def test_a_result_is_told_in_sentences(result: dict[str, Any], said: list[Sentence]) -> None:
    assert sentences(result, is_finished=True) == said


def test_a_check_leads_to_the_rebuild_of_what_it_has_compared() -> None:
    chosen = {"user_id": "u", "team_id": "t", "since": "2026", "verified_by": "0d", "settled_until": "x"}

    assert rebuild_of(chosen) == "/recovery/rebuild?user=u&team=t&since=2026&verified_by=0d"
    assert rebuild_of({"team_id": None, "settled_until": "x"}) == "/recovery/rebuild"


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (RetrySample(), ["None of them is dead any more."]),
        (RetrySample(problem="It is late."), ["It is late."]),
        (
            RetrySample(1, {"applied": 1}),
            ["1 checked again: 1 would be applied.", WITHOUT_STATEMENT],
        ),
        (
            RetrySample(
                20,
                {"discarded": 5, "ignored": 4, "stale": 3, "unchanged": 2, "applied": 1},
                {"23505": 2, "23503": 2, "P0001": 7},
                {"bad_shape": 4, "nul": 5},
                locked=6,
                reread=8,
                has_statement=True,
            ),
            [
                "20 checked again: 1 would be applied, 2 would change nothing, 3 would end as stale: a newer one "
                "counts, 4 would be ignored, 5 would be discarded: the user is erased, 11 would fail again: P0001 (7), "
                "23503 (2), 23505 (2), 6 could not be tried: their rows are locked, or it takes too long, 8 can be "
                "used by this release, 9 would stay dead: nul (5), bad_shape (4)."
            ],
        ),
        (
            RetrySample(3, reread=3, problem="no worker"),
            ["3 checked again: 3 can be used by this release.", "None was applied: no worker"],
        ),
    ],
    ids=["none", "problem", "applied", "all", "not applied"],
)
def test_a_sample_says_what_would_become_of_each(sample: RetrySample, said: list[str]) -> None:
    assert sample.sentences == said


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (0, "does not load `pg_stat_statements`"),
        (1, "`CREATE EXTENSION pg_stat_statements`"),
        (2, "`ALTER EXTENSION pg_stat_statements UPDATE`"),
        (3, "`GRANT USAGE ON SCHEMA stats TO r`"),
        (4, "`GRANT SELECT ON stats.pg_stat_statements TO r; GRANT EXECUTE ON FUNCTION stats.pg_stat_statements TO r`"),
        (5, "`GRANT pg_read_all_stats TO r WITH INHERIT TRUE`"),
    ],
)
def test_the_first_that_is_missing_is_cured_first(missing: int, words: str) -> None:
    there = [place < missing for place in range(6)]
    alone = [place != missing for place in range(6)]

    assert [words in (reader(160_000, have).problem() or "") for have in (there, alone)] == [True, True]


def reader(server_version: int, have: Sequence[bool]) -> StatementsAccess:
    is_loaded, is_installed, is_current, may_enter_schema, may_select, may_read = have
    return StatementsAccess(
        is_loaded, is_installed, is_current, may_enter_schema, may_select, may_read, "r", "stats", server_version
    )


def test_an_older_server_gets_its_own_cure_and_a_ready_one_none() -> None:
    assert reader(160_000, [True] * 6).problem() is None
    older = reader(159_999, [True] * 5 + [False]).problem() or ""
    assert "`GRANT pg_read_all_stats TO r; ALTER " in older
    assert " r INHERIT`" in older
