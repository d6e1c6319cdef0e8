"""The doctor: a healthy installation passes, and each thing that is wrong is named with its cure."""

import asyncio
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from consumer.postgres.connections import connect, worker_access
from tests.support import outbox
from tests.support.cli import arrive, call, examined
from tests.support.databases import scratch_database
from tests.support.factories import edited, user_updated
from tests.support.outbox import set_aside


def test_a_healthy_installation_passes(emptied: str) -> None:
    exit_code, checks = examined(emptied)

    assert exit_code == 0
    assert {name for name, check in checks.items() if check["state"] == "failing"} == set()
    assert {name for name, check in checks.items() if check["state"] == "warning"} == {
        "receiver's login",
        "worker's login",
        "operator's login",
    }
    assert all((check["cure"] is None) == (check["state"] == "ok") for check in checks.values())
    assert "postgres" in checks["roles that bypass row-level security"]["finding"]


def test_each_check_is_one_line_without_colour_in_a_pipe(emptied: str) -> None:
    result = call(emptied, "doctor")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(examined(emptied)[1])
    assert "\x1b" not in result.stdout


def test_retries_need_a_look_and_name_their_error(emptied: str) -> None:
    waiting = [user_updated(), user_updated()]
    arrive(emptied, *waiting)
    set_aside(emptied, waiting, "retrying", "23505")

    exit_code, checks = examined(emptied)

    assert exit_code == 0
    assert (checks["retries"]["state"], checks["retries"]["finding"]) == ("warning", "2 of 23505, CheckViolation")
    assert "consumer replay --state retrying --all" in checks["retries"]["cure"]


def test_retries_are_counted_by_error_whatever_their_types_and_the_rest_is_summed_up(emptied: str) -> None:
    user_id = uuid4()
    codes = {"23505": [user_updated(user_id), edited(user_id, role_type="owner"), user_updated()]}
    codes |= {code: [user_updated()] for code in ("22012", "23503", "23514")}
    for code, waiting in codes.items():
        arrive(emptied, *waiting)
        set_aside(emptied, waiting, "retrying", code)

    finding = examined(emptied)[1]["retries"]["finding"].split("; ")

    assert finding[0] == "3 of 23505, CheckViolation"
    assert (len(finding), finding[3]) == (4, "1 other error")


def test_no_worker_needs_a_look_as_soon_as_something_waits(emptied: str) -> None:
    before = examined(emptied)[1]["workers"]
    arrive(emptied, user_updated())

    exit_code, checks = examined(emptied)

    assert (before["state"], before["finding"]) == ("ok", "0 connected")
    assert (exit_code, checks["workers"]["state"], checks["workers"]["finding"]) == (0, "warning", "0 connected")


def test_dead_letters_need_a_look(emptied: str) -> None:
    delivery = user_updated()
    arrive(emptied, delivery)
    set_aside(emptied, [delivery])

    exit_code, checks = examined(emptied)

    assert exit_code == 0
    assert (checks["dead letters"]["state"], checks["dead letters"]["finding"]) == ("warning", "1")


async def test_a_late_queue_without_a_worker_fails_and_with_one_needs_a_look(emptied: str) -> None:
    await outbox.arrive(emptied, user_updated())
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE consumer.outbox SET received_at = now() - interval '2 minutes'")

    without, without_checks = await asyncio.to_thread(examined, emptied)
    async with await connect(emptied, worker_access("consumer")):
        beside, beside_checks = await asyncio.to_thread(examined, emptied)

    assert (without, without_checks["workers"]["state"], without_checks["queue"]["state"]) == (1, "failing", "warning")
    assert (beside, beside_checks["workers"]["state"], beside_checks["queue"]["state"]) == (0, "ok", "warning")


def test_settings_that_shaped_other_rows_fail(emptied: str) -> None:
    exit_code, checks = examined(emptied, DEFAULT_ROLE="guest")

    assert exit_code == 1
    assert checks["recorded settings"]["state"] == "failing"
    assert checks["recorded settings"]["finding"].startswith("DEFAULT_ROLE")


def test_settings_nobody_recorded_fail(emptied: str) -> None:
    with psycopg.connect(emptied) as conn:
        conn.execute("DELETE FROM consumer.settings")

    exit_code, checks = examined(emptied)

    assert exit_code == 1
    assert checks["recorded settings"]["cure"] == "Run `consumer migrate`."


@pytest.mark.parametrize("prefix", ["consumer", "new"], ids=["roles of another database", "no roles"])
def test_a_database_that_nobody_migrated_fails_once_with_one_cure(server_url: str, prefix: str) -> None:
    with scratch_database(server_url, "doctor") as url:
        exit_code, checks = examined(url, ROLE_PREFIX=prefix)

    assert exit_code == 1
    assert [name for name, check in checks.items() if check["state"] == "failing"] == ["migrations"]
    assert (checks["migrations"]["finding"], checks["migrations"]["cure"]) == (
        "not migrated yet",
        "Run `consumer migrate`.",
    )


def test_roles_under_a_prefix_that_nobody_migrated_with_fail(emptied: str) -> None:
    exit_code, checks = examined(emptied, ROLE_PREFIX="other")

    assert exit_code == 1
    assert checks["roles"]["finding"].startswith("missing: other_app, ")
    assert checks["roles"]["cure"].startswith("Correct ROLE_PREFIX, or run `consumer migrate`")
    assert checks["policies"]["finding"] == "can't be checked without the roles"
    assert checks["worker's login"]["finding"] == "The role other_worker does not exist"
    assert checks["worker's login"]["cure"].startswith("ROLE_PREFIX is wrong, or nothing is migrated")
    assert checks["migrations"]["state"] == "failing"


def test_a_refused_password_has_its_own_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise psycopg.OperationalError('FATAL:  password authentication failed for user "ada"')

    monkeypatch.setattr("consumer.cli.doctor.connect", refuse)

    _, checks = examined("postgresql://ada:wrong@127.0.0.1/app")

    assert checks["database"]["cure"] == "Correct the password in DATABASE_URL."


def test_a_password_that_is_not_percent_encoded_is_named_as_the_likely_cause() -> None:
    result = call("postgresql://nobody:p@hunter2@127.0.0.1:1/none", "doctor")

    assert "if the password has @ : / # or %, write it percent-encoded" in result.stdout
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("environment", "name", "finding"),
    [
        pytest.param({"PORT": "http"}, "settings", "PORT must be a whole number, not 'http'.", id="a bad setting"),
        pytest.param(
            {"STACK_WEBHOOK_SECRETS": ""}, "webhook secrets", "STACK_WEBHOOK_SECRETS is not set", id="no secret"
        ),
        pytest.param(
            {"STACK_WEBHOOK_SECRETS": "whsec_eA=="}, "settings", "STACK_WEBHOOK_SECRETS: ", id="a short secret"
        ),
        pytest.param({"APP_WEBHOOK_SECRETS": "whsec_?"}, "settings", "APP_WEBHOOK_SECRETS: ", id="no base64"),
        pytest.param({"DATABASE_URL": "host=a b"}, "settings", "DATABASE_URL is not", id="no connection string"),
        pytest.param({"DATABASE_URL": None}, "database settings", "DATABASE_URL is not set", id="no database"),
    ],
)
def test_what_is_wrong_with_the_settings_is_a_finding_too(
    emptied: str, tmp_path: Path, environment: dict[str, str | None], name: str, finding: str
) -> None:
    url = environment.pop("DATABASE_URL", emptied)

    exit_code, checks = examined(url, CONSUMER_DATA_DIR=str(tmp_path), **environment)

    assert exit_code == 1
    assert checks[name]["state"] == "failing"
    assert checks[name]["finding"].startswith(finding)
    assert "whsec_" not in checks[name]["finding"]


def test_a_parameter_that_had_to_be_dropped_needs_a_look(emptied: str) -> None:
    parts = conninfo_to_dict(emptied)
    url = f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}&schema=public"

    exit_code, checks = examined(url)

    assert exit_code == 0
    assert checks["settings"]["state"] == "warning"
    assert "schema" in checks["settings"]["finding"]
