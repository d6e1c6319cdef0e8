"""What the doctor says of a server and its queue: each finding word by word, and each limit to the last unit."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from consumer.doctor import check
from consumer.doctor.check import CURES, Check
from consumer.doctor.installation import _errors, check_queue, connected
from consumer.doctor.preflight import POOLED_CURE, judge_preflight
from consumer.doctor.server import is_pooled, judge_room, judge_server
from consumer.outbox.deliveries import ErrorGroup
from consumer.postgres.preflight import Preflight
from consumer.postgres.refusals import MIGRATORS_LOGIN, Refusal
from tests.test_doctor_server import CALM, HEALTHY

NO_TIME = timedelta()


def told(checks: list[Check]) -> dict[str, tuple[str, str]]:
    """Return state and finding of each check, and see that those that are not ok have their own cure."""
    assert [each.cure for each in checks] == [None if each.state == "ok" else CURES[each.name] for each in checks]
    return {each.name: (each.state, each.finding) for each in checks}


def test_a_check_has_a_cure_only_if_it_does_not_hold() -> None:
    for holds in (True, False):
        state = "ok" if holds else None
        cures = (None, None) if holds else ("mend it", CURES["roles"])
        failing = check.fail_unless(holds, "roles", "found", "mend it"), check.fail_unless(holds, "roles", "found")
        warning = check.warn_unless(holds, "roles", "found", "mend it"), check.warn_unless(holds, "roles", "found")

        assert failing == tuple(Check("roles", state or "failing", "found", cure) for cure in cures)  # type: ignore[arg-type]
        assert warning == tuple(Check("roles", state or "warning", "found", cure) for cure in cures)  # type: ignore[arg-type]


def test_a_healthy_server_is_described() -> None:
    assert told(judge_server(HEALTHY, skew=timedelta(seconds=-1.26))) == {
        "server version": ("ok", "PostgreSQL 18.6"),
        "encoding": ("ok", "UTF8"),
        "writable": ("ok", "yes"),
        "durability": ("ok", "fsync is on, full_page_writes is on"),
        "synchronous_commit": ("ok", "on"),
        "clocks": ("ok", "the database's and this host's are 1.3 s apart"),
    }


@pytest.mark.parametrize(
    ("values", "name", "state", "finding"),
    [
        ({"version_number": 149_999}, "server version", "failing", "PostgreSQL 18.6"),
        ({"version_number": 150_000}, "server version", "ok", "PostgreSQL 18.6"),
        ({"encoding": "LATIN1"}, "encoding", "failing", "LATIN1"),
        ({"is_standby": True, "is_read_only": True}, "writable", "failing", "a standby"),
        ({"is_standby": True}, "writable", "failing", "a standby"),
        ({"is_read_only": True}, "writable", "failing", "read-only"),
        ({"has_fsync": False}, "durability", "failing", "fsync is off, full_page_writes is on"),
        ({"has_full_page_writes": False}, "durability", "failing", "fsync is on, full_page_writes is off"),
        ({"synchronous_commit": "off"}, "synchronous_commit", "warning", "off"),
        ({"synchronous_commit": "local"}, "synchronous_commit", "ok", "local"),
    ],
)
def test_what_is_wrong_with_a_server_is_told(values: dict[str, Any], name: str, state: str, finding: str) -> None:
    found = told(judge_server(replace(HEALTHY, **values), skew=NO_TIME))

    assert found[name] == (state, finding)
    assert [other for other, (judged, _) in found.items() if judged != "ok"] == ([name] if state != "ok" else [])


@pytest.mark.parametrize(("skew", "state"), [(5, "ok"), (-5, "ok"), (5.001, "warning"), (-5.001, "warning")])
def test_clocks_may_be_five_seconds_apart(skew: float, state: str) -> None:
    assert told(judge_server(HEALTHY, skew=timedelta(seconds=skew)))["clocks"][0] == state


def test_the_room_of_a_calm_server_is_described() -> None:
    found = replace(HEALTHY, database_bytes=1_234_567_890, outbox_bytes=1_499_999)

    assert told(judge_room(found, CALM, unvacuumed=[])) == {
        "autovacuum": ("ok", "on"),
        "old transactions": ("ok", "none"),
        "prepared transactions": ("ok", "0"),
        "oldest snapshot": ("ok", "0 transactions ago"),
        "connections": ("ok", "9 of 100"),
        "size": ("ok", "1,235 MB, of which the outbox 1 MB"),
    }


@pytest.mark.parametrize(
    ("values", "name", "state", "finding"),
    [
        (
            {"transaction_seconds": 300, "transaction_application": "psql"},
            "old transactions",
            "ok",
            "the oldest is 300 s old, of psql",
        ),
        (
            {"transaction_seconds": 300.6, "transaction_application": ""},
            "old transactions",
            "warning",
            "the oldest is 301 s old, of an unnamed client",
        ),
        ({"prepared_transactions": 1}, "prepared transactions", "warning", "1"),
        ({"xmin_age": 1_000_000}, "oldest snapshot", "ok", "1,000,000 transactions ago"),
        ({"xmin_age": 1_000_001}, "oldest snapshot", "warning", "1,000,001 transactions ago"),
        ({"connections": 90}, "connections", "ok", "90 of 100"),
        ({"connections": 91}, "connections", "warning", "91 of 100"),
    ],
)
def test_what_slows_the_queue_is_told_with_its_size(
    values: dict[str, Any], name: str, state: str, finding: str
) -> None:
    found = told(judge_room(HEALTHY, replace(CALM, **values), unvacuumed=[]))

    assert found[name] == (state, finding)
    assert [other for other, (judged, _) in found.items() if judged != "ok"] == ([name] if state != "ok" else [])


@pytest.mark.parametrize(
    ("has_autovacuum", "unvacuumed", "expected"),
    [
        (True, [], ("ok", "on")),
        (False, [], ("warning", "off")),
        (True, ["a", "b"], ("warning", "off for a, b")),
        (False, ["a"], ("warning", "off for a")),
    ],
)
def test_vacuum_must_run_for_every_table(has_autovacuum: bool, unvacuumed: list[str], expected: Any) -> None:
    found = replace(HEALTHY, has_autovacuum=has_autovacuum)

    assert told(judge_room(found, CALM, unvacuumed=unvacuumed))["autovacuum"] == expected


@pytest.mark.parametrize(("backend_pid", "expected"), [(1, False), (2, True)])
def test_a_pooler_is_told_by_the_process_that_answers(backend_pid: int, expected: bool) -> None:
    conn = SimpleNamespace(info=SimpleNamespace(backend_pid=1))

    assert is_pooled(conn, replace(HEALTHY, backend_pid=backend_pid)) == expected  # type: ignore[arg-type]


def group(code: str, error: str, deliveries: int) -> ErrorGroup:
    return ErrorGroup("retrying", code, "user.updated", deliveries, HEALTHY.now, HEALTHY.now, error, "msg_1")


def test_errors_are_counted_and_the_rare_ones_summed_up() -> None:
    groups = [group("1", "a", 1), group("2", "b", 1000), group("3", "c", 3), group("1", "a", 4), group("4", "d", 2)]

    assert _errors(groups[:1]) == "1 of 1, a"
    assert _errors(groups[:3]) == "1,000 of 2, b; 3 of 3, c; 1 of 1, a"
    assert _errors(groups) == "1,000 of 2, b; 5 of 1, a; 3 of 3, c; 1 other error"
    assert _errors([*groups, group("5", "e", 1)]) == "1,000 of 2, b; 5 of 1, a; 3 of 3, c; 2 other errors"
    assert _errors([]) == ""


def test_the_number_of_workers_is_unknown_behind_a_pooler() -> None:
    assert [connected(number) for number in (None, 0, 2)] == ["unknown behind a pooler", "0 connected", "2 connected"]


class Stats:
    """A queue as it is read."""

    def __init__(self, due: float, pending: int = 0, dead: int = 0) -> None:
        self.oldest_due_seconds, self.pending, self.retrying, self.dead = due, pending, 1_500, dead


@pytest.mark.parametrize(
    ("due", "pending", "workers", "judged", "queue"),
    [
        (60.0, 0, 0, "ok", "ok"),
        (60.0, 1, 0, "warning", "ok"),
        (60.0, 1, None, "ok", "ok"),
        (60.0, 1, 1, "ok", "ok"),
        (60.5, 0, 0, "failing", "warning"),
        (60.5, 1, 0, "failing", "warning"),
        (60.5, 1, None, "ok", "warning"),
        (60.5, 1, 1, "ok", "warning"),
    ],
)
async def test_the_queue_is_judged_by_its_age_and_its_workers(
    monkeypatch: pytest.MonkeyPatch, due: float, pending: int, workers: int | None, judged: str, queue: str
) -> None:
    async def stats(_: object) -> Stats:
        return Stats(due, pending, dead=1_001)

    async def errors(_: object, states: tuple[str, ...], *, limit: int) -> list[ErrorGroup]:
        assert (states, limit) == (("retrying",), 100)
        return []

    monkeypatch.setattr("consumer.outbox.deliveries.stats", stats)
    monkeypatch.setattr("consumer.outbox.deliveries.errors", errors)

    found = told(await check_queue(None, workers=workers))  # type: ignore[arg-type]  # Nothing is asked by it.

    assert found == {
        "workers": (judged, connected(workers)),
        "queue": (queue, f"{pending} pending, 1,500 retrying, due for up to {due:.0f} s"),
        "retries": ("ok", "none"),
        "dead letters": ("warning", "1,001"),
    }


LOOK = Preflight(applied=[], pending=[], newer=[], refusals=[], lacking=[], warnings=[], is_pooled=False)
NO_RIGHT = Refusal(MIGRATORS_LOGIN, "it may not", "grant it")
NO_ROLE = Refusal("roles", "missing", "make it")
ODD = Refusal("owner", "odd", "look at it")
OTHER = "Set MIGRATE_DATABASE_URL to the login that migrated first, or to one with these rights; or grant it."


@pytest.mark.parametrize(
    ("values", "judged", "expected"),
    [
        ({}, [], [Check(MIGRATORS_LOGIN, "ok", "ada can migrate (direct connection)")]),
        ({"refusals": [NO_RIGHT]}, [], [Check(MIGRATORS_LOGIN, "failing", "it may not", OTHER)]),
        ({"refusals": [NO_ROLE]}, [], [Check("roles", "failing", "missing", "Make it.")]),
        ({"refusals": [NO_ROLE]}, ["roles"], [Check(MIGRATORS_LOGIN, "ok", "ada can migrate (direct connection)")]),
        ({"lacking": [NO_RIGHT]}, [], [Check(MIGRATORS_LOGIN, "failing", "it may not", OTHER)]),
        # What is lacking later is told only where nothing refuses now.
        (
            {"refusals": [NO_ROLE], "lacking": [NO_RIGHT], "warnings": [ODD]},
            [],
            [Check("roles", "failing", "missing", "Make it."), Check("owner", "warning", "odd", "Look at it.")],
        ),
        (
            {"warnings": [ODD]},
            [],
            [
                Check("owner", "warning", "odd", "Look at it."),
                Check(MIGRATORS_LOGIN, "ok", "ada can migrate (direct connection)"),
            ],
        ),
        (
            {"refusals": [NO_ROLE], "is_pooled": True},
            [],
            [
                Check("roles", "failing", "missing", "Make it."),
                Check(MIGRATORS_LOGIN, "warning", "ada reaches the server through a pooler", POOLED_CURE),
            ],
        ),
    ],
)
def test_the_login_that_migrates_is_judged_by_the_look(
    values: dict[str, Any], judged: list[str], expected: list[Check]
) -> None:
    assert judge_preflight(replace(LOOK, **values), "ada", judged=judged) == expected
