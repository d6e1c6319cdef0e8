"""The start of a process: what it says while its database is not fit, how often it asks, and what it logs once."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import psycopg
import pytest

from consumer import logs
from consumer.errors import SettingsMismatch
from consumer.postgres.connections import Access, RoleRefused, receiver_access, worker_access
from consumer.process import readiness as readiness_module
from consumer.process.outage_log import Outage
from consumer.process.readiness import Readiness, not_ready_reason
from consumer.settings.settings import ShapingSettings
from tests.support.databases import schema_change, scratch_database
from tests.support.still_clock import StillLoop, advance, run_still, settle

NOWHERE = "host=127.0.0.1 port=1 dbname=x user=x"
WORKER = worker_access("consumer")
WANTED = ShapingSettings()
MOMENT = 2.0**-10
NOTHING = "nothing has been migrated: run `consumer migrate`"
AWAY = psycopg.OperationalError("Connection refused")


async def reason(url: str, access: Access = WORKER, wanted: ShapingSettings = WANTED) -> str | None:
    return await not_ready_reason(url, access, wanted)


def test_a_database_that_has_not_answered_yet_has_given_no_reason() -> None:
    readiness = Readiness(Outage("worker", NOWHERE))
    before = readiness.answer
    readiness.reason = NOTHING

    assert (before, readiness.answer) == (None, NOTHING)


@pytest.mark.parametrize("access", [receiver_access("consumer"), WORKER], ids=["receiver", "worker"])
async def test_a_migrated_database_with_our_settings_is_fit(emptied: str, access: Access) -> None:
    assert await reason(emptied, access) is None


@pytest.mark.parametrize(
    ("change", "undo", "expected"),
    [
        pytest.param(
            "CREATE TABLE public.kept AS SELECT * FROM consumer._yoyo_migration WHERE migration_id >= '0006';"
            "DELETE FROM consumer._yoyo_migration WHERE migration_id >= '0006'",
            "INSERT INTO consumer._yoyo_migration SELECT * FROM public.kept; DROP TABLE public.kept",
            "migrations are missing, the first is 0006.following: run `consumer migrate`",
            id="a migration is missing",
        ),
        pytest.param(
            "DELETE FROM consumer.settings",
            "SELECT",
            "no settings are recorded: run `consumer migrate`",
            id="no settings",
        ),
        pytest.param(
            "REVOKE USAGE ON SCHEMA consumer FROM consumer_worker",
            "GRANT USAGE ON SCHEMA consumer TO consumer_worker",
            "the database refuses the role consumer_worker (42501): see `consumer doctor`",
            id="a privilege is missing",
        ),
        pytest.param(
            "ALTER TABLE consumer._yoyo_migration RENAME TO gone",
            "ALTER TABLE consumer.gone RENAME TO _yoyo_migration",
            NOTHING,
            id="no ledger",
        ),
    ],
)
async def test_what_a_process_says_of_an_unfit_database(emptied: str, change: str, undo: str, expected: str) -> None:
    with schema_change(emptied, change, undo):
        assert await reason(emptied) == expected


async def test_a_missing_role_may_mean_a_wrong_prefix(emptied: str) -> None:
    with pytest.raises(RoleRefused, match=r"^The role nobody_knows does not exist: ROLE_PREFIX is wrong, or "):
        await reason(emptied, replace(WORKER, role="nobody_knows"))


async def test_an_empty_database_is_not_migrated(server_url: str) -> None:
    with scratch_database(server_url, "bare") as url:
        assert await reason(url) == NOTHING


async def test_other_settings_are_an_error_and_no_reason_to_wait(emptied: str) -> None:
    with pytest.raises(
        SettingsMismatch, match=r"^DEFAULT_ROLE is guest here and member in the database. Set it to member, or "
    ):
        await reason(emptied, wanted=replace(WANTED, default_role="guest"))


async def test_a_database_that_is_away_is_an_error() -> None:
    with pytest.raises(psycopg.OperationalError):
        await reason(NOWHERE)


def waited(
    monkeypatch: pytest.MonkeyPatch, answers: Sequence[str | Exception | None], url: str = NOWHERE
) -> list[str | None]:
    """Wait with a database that gives these answers, one each half second; return the reason after each of them."""
    left = list(answers)
    reasons: list[str | None] = []

    async def answer(*_: object, **__: object) -> str | None:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(readiness_module, "not_ready_reason", answer)

    async def act(_: StillLoop) -> None:
        subject = Readiness(Outage("worker", url))
        assert subject.reason == "the database has not answered yet"
        waiting = asyncio.create_task(subject.wait(url, WORKER, WANTED))
        for asked in range(1, len(answers) + 1):
            await settle()
            assert len(left) == len(answers) - asked
            reasons.append(subject.reason)
            await advance(0.5 - MOMENT)
            assert len(left) == len(answers) - asked
            assert waiting.done() == (asked == len(answers))
            await advance(MOMENT)
        await waiting

    run_still(act)
    return reasons


def test_a_process_asks_twice_a_second_and_says_why_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(monkeypatch, [AWAY, "a", "b", None]) == [
        "the database is away: Connection refused (login x)",
        "a",
        "b",
        None,
    ]


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        pytest.param(["a", None], [], id="once may be a migration that runs"),
        pytest.param(["a", "b", "a", "b", None], [], id="never twice in a row"),
        pytest.param(["a", "a", "a", "a", None], ["a"], id="twice is a line, more is no other"),
        pytest.param(["a", "a", "b", "b", "b", None], ["a", "b"], id="another reason is another line"),
        pytest.param(["a", "a", AWAY, "a", "a", None], ["a"], id="an outage in between"),
    ],
)
def test_a_reason_is_logged_when_it_is_found_twice_in_a_row(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answers: Sequence[str | Exception | None],
    lines: Sequence[str],
) -> None:
    with caplog.at_level(logging.INFO, "consumer"):
        waited(monkeypatch, answers)

    found = [record for record in caplog.records if record.getMessage() == logs.DATABASE_NOT_READY]
    assert [(record.levelname, vars(record)["reason"]) for record in found] == [("WARNING", line) for line in lines]
    outages = [record.getMessage() for record in caplog.records if record not in found]
    assert outages == ([logs.DATABASE_LOST, logs.DATABASE_BACK] if AWAY in answers else [])


def test_a_refused_role_is_one_line_and_its_return_another(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = RoleRefused("The role is missing.")

    with caplog.at_level(logging.INFO, "consumer"):
        reasons = waited(monkeypatch, [refusal, refusal, refusal, refusal, None])

    assert reasons == [*[str(refusal)] * 4, None]
    assert caplog.messages == ["database_refused", "database_back"]


def test_a_database_that_was_found_fit_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(_: StillLoop) -> None:
        subject = Readiness(Outage("worker", NOWHERE))
        subject.reason = None
        await subject.wait(NOWHERE, WORKER, WANTED)

    run_still(act)


@pytest.mark.parametrize("applies", [True, False])
def test_what_applies_deliveries_asks_whether_it_may(monkeypatch: pytest.MonkeyPatch, applies: bool) -> None:
    asked: list[object] = []

    async def answer(*values: object, applies: bool) -> None:
        asked.append((*values, applies))

    monkeypatch.setattr(readiness_module, "not_ready_reason", answer)

    async def act(_: StillLoop) -> None:
        await Readiness(Outage("worker", NOWHERE), applies=applies).wait(NOWHERE, WORKER, WANTED)

    run_still(act)
    assert asked == [(NOWHERE, WORKER, WANTED, applies)]
