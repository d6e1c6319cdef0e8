"""What commands print of the machinery: the endpoint, migrations, an uninstallation, jobs and followed deliveries."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import orjson
import pytest

from consumer.cli import backfill, connect, failures, follow, maintain, migrate, uninstall
from consumer.cli.migrate import MigrateReport
from consumer.operations.maintenance import JobReport
from consumer.operations.uninstall import Uninstall
from consumer.outbox.deliveries import ErrorGroup, Failed
from tests.support.printed import Printed
from tests.support.shown import TEAM_ID, USER_ID, listed_delivery

NOW = datetime(2026, 11, 29, 14, 32, 8, 7_000, tzinfo=UTC)


def test_the_first_page_of_a_backfill_tells_the_calls(printed: Printed) -> None:
    rate = {"calls_for_80000": 4_000, "hours_for_80000": 0.1, "calls_a_second": 10.0}
    backfill._show_first_page({"is_whole_list": True, "users_listed": 1_000, "calls": 2_000, **rate})
    whole = printed()
    backfill._show_first_page({"is_whole_list": False, "users_listed": 1_000, "calls": None, **rate})

    many = "80,000 users with a personal team each take 4,000 calls: 0.1 hours at 10 a second (STACK_API_RPS)."
    assert whole == ["Stack lists 1,000 users. With a personal team each a run takes 2,000 calls.", many]
    assert printed() == ["Stack lists 1,000 users on the first page, and more follow.", many]


@pytest.mark.parametrize(("made", "word"), [(True, "made now"), (False, "found")])
def test_a_connected_endpoint_is_shown_fact_by_fact(printed: Printed, word: str, *, made: bool) -> None:
    document = {"url": "https://a.b", "endpoint": "ep_1", "made": made, "secret": "0a1b2c3d", "secret_file": None}

    connect._show_connected({**document, "test_event": "received"})

    assert printed() == [
        "url https://a.b",
        f"endpoint ep_1, {word}",
        "secret its SHA-256 begins with 0a1b2c3d",
        "secret file -",
        "test event received",
    ]


def test_findings_about_an_endpoint_are_sentences_with_cures(printed: Printed) -> None:
    connect._show({"findings": []})
    sound = printed()
    connect._show({"findings": [{"sentence": "[it] is\x1b off", "cure": "Run `consumer connect`."}]})

    assert sound == ["The endpoint is as it should be."]
    assert printed() == ["[it] is\\x1b off. Run `consumer connect`."]


NOTHING = MigrateReport([], [], [], [], [], [], [], [], [])


@pytest.mark.parametrize(
    ("named", "lines"),
    [
        ({}, ["The database is up to date."]),
        ({"applied": ["0001.a", "0002.b"]}, ["applied 0001.a", "applied 0002.b"]),
        ({"pending": ["0001.a"]}, ["pending 0001.a"]),
        ({"mended": ["GRANT\x1b a"]}, ["mended GRANT\\x1b a"]),
        ({"unmended": ["GRANT a"]}, ["unmended GRANT a"]),
        ({"recorded": ["A", "B"]}, ["recorded A, B, for deliveries applied from now on"]),
        ({"adopted": ["it was x"]}, ["adopted this copy: it is the recorded one from now on (it was x)"]),
        (
            {"newer": ["0003.c", "0004.d"]},
            ["A newer release has migrated this database (0003.c, 0004.d): nothing was changed."],
        ),
        (
            {"newer": ["0003.c"], "recorded": ["A"]},
            [
                "recorded A, for deliveries applied from now on",
                "A newer release has migrated this database (0003.c): nothing else was changed.",
            ],
        ),
        (
            {"others": ["GRANT b"], "warnings": ["mind `consumer x`"]},
            ["The database is up to date.", "left as others made it: GRANT b", "warning mind `consumer x`"],
        ),
    ],
)
def test_a_migration_says_what_it_did_and_what_is_left(
    printed: Printed, named: dict[str, list[str]], lines: list[str]
) -> None:
    migrate._show(dataclasses.replace(NOTHING, **named))

    assert printed() == lines


PLANNED = Uninstall(
    ["DROP [a]"], ["DROP ROLE b"], {"c_app": ["x", "y"]}, {"consumer worker": 2, "consumer receiver": 1}
)


def test_an_uninstallation_prints_its_statements_and_why_roles_stay(printed: Printed) -> None:
    uninstall._show(PLANNED)

    assert printed() == [
        "DROP [a]",
        "DROP ROLE b",
        "-- c_app stays, for x, y: as a member it reads identity.",
        f"-- {uninstall.OPEN}",
    ]


def test_an_uninstallation_says_what_it_left(printed: Printed) -> None:
    uninstall._show_result(PLANNED, {})
    whole = printed()
    uninstall._show_result(PLANNED, {"DROP ROLE b": "is needed [still]"})

    assert whole == ["Removed. The tables of identity are yours."]
    assert printed() == [
        "Removed. The tables of identity are yours.",
        "left: DROP ROLE b is needed [still]",
        "`consumer adopt undo` takes back rights on your tables; then run what is left yourself.",
    ]
    assert uninstall._document(PLANNED, {"x": "y"}, is_dry_run=True) == {
        "is_dry_run": True,
        "statements": ["DROP [a]", "DROP ROLE b"],
        "kept_roles": {"c_app": ["x", "y"]},
        "refused": {"x": "y"},
        "connected": {"consumer worker": 2, "consumer receiver": 1},
    }


def test_an_uninstallation_is_refused_while_processes_are_connected_unless_forced() -> None:
    uninstall._refuse_connected(PLANNED, is_forced=True)
    uninstall._refuse_connected(dataclasses.replace(PLANNED, connected={}), is_forced=False)
    with pytest.raises(click.ClickException, match=r"connected \(2 consumer worker, 1 consumer receiver\)"):
        uninstall._refuse_connected(PLANNED, is_forced=False)


@pytest.mark.parametrize(
    ("report", "row"),
    [
        (JobReport("prune", "off", "A or B", NOW), ("off", "-", "set A or B to turn it on")),
        (JobReport("prune", "running", None), ("running", "-", "another process runs it")),
        (JobReport("prune", "stopped", None), ("stopped", "-", "goes on at the next call")),
        (
            JobReport("prune", "done", None, NOW, {"audit_rows_removed": 1_000, "b": 2}),
            ("done", "2026-11-29 14:32:08Z", "audit rows removed 1,000, b 2"),
        ),
        (JobReport("prune", "done", None, NOW, {"b": 2}, "a remark"), ("done", "2026-11-29 14:32:08Z", "a remark")),
        (
            JobReport("prune", "failed", None, NOW, {"b": 2}, "a remark", "an error"),
            ("failed", "2026-11-29 14:32:08Z", "an error"),
        ),
        (JobReport("prune", "not due", None, NOW), ("not due", "2026-11-29 14:32:08Z", "")),
    ],
)
def test_a_job_is_one_row(report: JobReport, row: tuple[str, str, str]) -> None:
    found = {name: str(value) for name, value in maintain._row(report).items()}

    assert found == dict(zip(("job", "state", "due", "result"), ("prune", *row), strict=True))


@pytest.mark.parametrize(
    ("seconds", "pause"), [(None, 60.0), (0.0, 5.0), (5.0, 5.0), (5.5, 5.5), (59.5, 59.5), (61.0, 60.0), (-1.0, 5.0)]
)
def test_a_watch_looks_at_a_job_within_five_to_sixty_seconds(seconds: float | None, pause: float) -> None:
    due_at = None if seconds is None else NOW + timedelta(seconds=seconds)

    assert maintain._pause(due_at, NOW) == pause


@pytest.mark.parametrize(
    ("report", "logged"),
    [
        (JobReport("prune", "done", None, NOW, {"b": 2}, "r"), []),
        (
            JobReport("prune", "done", None, NOW, {"b": 2}, "r", is_news=True),
            [("INFO", "maintenance_done", {"job": "prune", "b": 2, "remark": "r"})],
        ),
        (
            JobReport("prune", "failed", None, NOW, {"b": 2}, "r", "e", is_news=True),
            [("ERROR", "maintenance_failed", {"job": "prune", "error": "e"})],
        ),
    ],
    ids=["no news", "done", "failed"],
)
def test_a_watch_logs_what_is_news(
    caplog: pytest.LogCaptureFixture, report: JobReport, logged: list[tuple[str, str, dict[str, object]]]
) -> None:
    with caplog.at_level("INFO", "consumer"):
        maintain._log(report)

    found = [(each.levelname, each.getMessage(), vars(each)) for each in caplog.records]
    assert [
        (level, name, {key: facts[key] for key in kept})
        for (level, name, facts), (_, _, kept) in zip(found, logged, strict=True)
    ] == logged


def test_failures_are_listed_by_group_and_one_by_one(printed: Printed) -> None:
    later = NOW + timedelta(hours=1)
    failures.show_errors([ErrorGroup("dead", "23505", None, 1_000, NOW, later, "Twice", "msg_1")])
    group = printed()
    failures.show_each([Failed("msg_1", "dead", "23505", "x.y", USER_ID, 3, NOW, "Twice")])

    assert group == [
        "error type state count first last latest message id reason",
        "23505 - dead 1,000 2026-11-29 14:32:08Z 2026-11-29 15:32:08Z msg_1 Twice",
    ]
    assert printed() == [
        "message id error type user attempts failed reason",
        f"msg_1 23505 x.y {USER_ID} 3 2026-11-29 14:32:08Z Twice",
    ]


@pytest.mark.parametrize(
    ("named", "line"),
    [
        ({"at": NOW + timedelta(seconds=2)}, f"14:32:10.007 stack user.updated {USER_ID} applied 2.0 s"),
        (
            {"at": None, "state": "pending", "user_id": None, "team_id": TEAM_ID, "changed_fields": ["a", "b"]},
            f"14:32:08.007 stack user.updated {TEAM_ID} pending a, b",
        ),
        (
            {"at": NOW, "state": "dead", "error_code": "c", "user_id": None, "event_type": None},
            "14:32:08.007 stack - - dead c 0 ms",
        ),
    ],
)
def test_a_followed_delivery_is_one_line(printed: Printed, named: dict[str, Any], line: str) -> None:
    follow._as_text(listed_delivery(received_at=NOW, **named))

    assert printed() == [line]


def test_a_followed_delivery_as_json_has_what_it_changed(capsys: pytest.CaptureFixture[str]) -> None:
    follow._as_json(listed_delivery(received_at=NOW, changed_fields=("a",)))

    document = orjson.loads(capsys.readouterr().out)
    assert (document["seq"], document["user_id"], document["changed_fields"]) == (7, str(USER_ID), ["a"])
