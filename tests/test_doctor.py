"""The doctor: a healthy installation passes, and each thing that is wrong is named with its cure."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from consumer.cli import secret
from consumer.cli.doctor import DISK_FREE_MIN
from consumer.doctor.check import Check
from consumer.doctor.server import (
    CONNECTIONS_SHARE_MAX,
    SKEW_MAX,
    TRANSACTION_MAX,
    XMIN_AGE_MAX,
    Activity,
    Server,
    judge_room,
    judge_server,
)
from consumer.embedded import server as embedded
from consumer.postgres import migrations
from consumer.postgres.connections import connect, worker_access
from tests.support import outbox
from tests.support.cli import arrive, call, examined
from tests.support.databases import schema_change, scratch_database, shape
from tests.support.factories import edited, user_updated
from tests.support.outbox import set_aside
from tests.support.pooler import pooled

HEALTHY = Server(
    version="18.6",
    version_number=180_006,
    started_at=datetime(2026, 11, 1, tzinfo=UTC),
    database="stack",
    database_oid=16_384,
    login="consumer",
    is_superuser=False,
    encoding="UTF8",
    backend_pid=1,
    is_standby=False,
    is_read_only=False,
    has_fsync=True,
    has_full_page_writes=True,
    synchronous_commit="on",
    has_autovacuum=True,
    connections_max=100,
    database_bytes=1,
    outbox_bytes=1,
    may_migrate=True,
    now=datetime(2026, 11, 24, tzinfo=UTC),
)
CALM = Activity(
    connections=9,
    workers=1,
    transaction_seconds=0,
    transaction_application=None,
    prepared_transactions=0,
    xmin_age=0,
)


def unwell(checks: list[Check]) -> list[tuple[str, str]]:
    assert all(check.cure for check in checks if check.state != "ok")
    return [(check.name, check.state) for check in checks if check.state != "ok"]


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


@pytest.mark.parametrize(
    ("doing", "undoing", "name", "finding"),
    [
        pytest.param(
            "ALTER TABLE identity.profiles NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE identity.profiles FORCE ROW LEVEL SECURITY",
            "row-level security",
            "not forced on identity.profiles",
            id="not forced",
        ),
        pytest.param(
            "ALTER TABLE identity.companies DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE identity.companies ENABLE ROW LEVEL SECURITY",
            "row-level security",
            "not forced on identity.companies",
            id="switched off",
        ),
        pytest.param(
            "ALTER POLICY tenant ON identity.profiles TO consumer_definer",
            "ALTER POLICY tenant ON identity.profiles TO consumer_tenant",
            "policies",
            "none on identity.profiles for consumer_tenant",
            id="a policy that is gone",
        ),
        pytest.param(
            "CREATE POLICY handy ON identity.profiles USING (TRUE)",
            "DROP POLICY handy ON identity.profiles",
            "policies",
            "not ours: handy on identity.profiles for PUBLIC",
            id="a policy for everybody",
        ),
        pytest.param(
            "CREATE POLICY handy ON identity.profiles TO consumer_tenant USING (TRUE)",
            "DROP POLICY handy ON identity.profiles",
            "policies",
            "not ours: handy on identity.profiles for consumer_tenant",
            id="a policy that shows a tenant everybody",
        ),
        pytest.param(
            "ALTER POLICY definer ON identity.company_members TO consumer_operator",
            "ALTER POLICY definer ON identity.company_members TO consumer_definer",
            "policies",
            "none on identity.company_members for consumer_definer",
            id="a policy that functions need",
        ),
        pytest.param(
            "CREATE ROLE shop LOGIN BYPASSRLS IN ROLE consumer_tenant",
            "DROP ROLE shop",
            "application's logins",
            "pass row-level security: shop",
            id="an application that passes the policies",
        ),
        pytest.param(
            "CREATE ROLE shops IN ROLE consumer_app; CREATE ROLE shop LOGIN SUPERUSER IN ROLE shops",
            "DROP ROLE shop; DROP ROLE shops",
            "application's logins",
            "pass row-level security: shop",
            id="an application that is a superuser",
        ),
        pytest.param(
            "GRANT SELECT ON consumer.outbox TO PUBLIC",
            "REVOKE SELECT ON consumer.outbox FROM PUBLIC",
            "grants",
            "consumer.outbox to PUBLIC",
            id="a table to everybody",
        ),
        pytest.param(
            "GRANT SELECT (body) ON consumer.outbox TO PUBLIC",
            "REVOKE SELECT (body) ON consumer.outbox FROM PUBLIC",
            "grants",
            "consumer.outbox.body to PUBLIC",
            id="a column to everybody",
        ),
        pytest.param(
            "GRANT USAGE ON SCHEMA identity TO PUBLIC",
            "REVOKE USAGE ON SCHEMA identity FROM PUBLIC",
            "grants",
            "schema identity to PUBLIC",
            id="a schema to everybody",
        ),
        pytest.param(
            "CREATE FUNCTION identity.open() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "DROP FUNCTION identity.open",
            "grants",
            "identity.open() to PUBLIC",
            id="a function nobody revoked",
        ),
        pytest.param(
            "CREATE ROLE authenticated; GRANT SELECT ON identity.profiles TO authenticated",
            "DROP OWNED BY authenticated; DROP ROLE authenticated",
            "grants",
            "identity.profiles to authenticated",
            id="a table to every visitor",
        ),
        pytest.param(
            "ALTER ROLE consumer_tenant BYPASSRLS",
            "ALTER ROLE consumer_tenant NOBYPASSRLS",
            "privileges of roles",
            "too many: consumer_tenant",
            id="a role that sees every tenant",
        ),
        pytest.param(
            "UPDATE consumer._yoyo_migration SET migration_id = 'other' WHERE migration_id = '0002.identity'",
            "UPDATE consumer._yoyo_migration SET migration_id = '0002.identity' WHERE migration_id = 'other'",
            "migrations",
            "pending: 0002.identity",
            id="a missing migration",
        ),
    ],
)
def test_what_breaks_isolation_or_the_schema_fails(
    emptied: str, doing: str, undoing: str, name: str, finding: str
) -> None:
    with schema_change(emptied, doing, undoing):
        exit_code, checks = examined(emptied)

    assert exit_code == 1
    assert checks[name]["finding"] == finding
    assert [failing for failing, check in checks.items() if check["state"] == "failing"] == [name]


@pytest.mark.parametrize(
    ("doing", "undoing", "name", "finding"),
    [
        pytest.param(
            "ALTER TABLE consumer.pending SET (autovacuum_enabled = off)",
            "ALTER TABLE consumer.pending RESET (autovacuum_enabled)",
            "autovacuum",
            "off for consumer.pending",
            id="a table without vacuum",
        ),
        pytest.param(
            "INSERT INTO consumer._yoyo_migration (migration_hash, migration_id) VALUES ('later', '9999.later')",
            "DELETE FROM consumer._yoyo_migration WHERE migration_id = '9999.later'",
            "migrations",
            "this release does not carry 9999.later",
            id="a later release's migration",
        ),
    ],
)
def test_what_only_needs_a_look_does_not_fail(emptied: str, doing: str, undoing: str, name: str, finding: str) -> None:
    with schema_change(emptied, doing, undoing):
        exit_code, checks = examined(emptied)

    assert exit_code == 0
    assert (checks[name]["state"], checks[name]["finding"]) == ("warning", finding)


def test_a_table_that_somebody_added_to_the_users_data_fails_for_its_rows_and_its_policies(emptied: str) -> None:
    with schema_change(emptied, "CREATE TABLE identity.forgotten ()", "DROP TABLE identity.forgotten"):
        exit_code, checks = examined(emptied)

    assert exit_code == 1
    assert checks["row-level security"]["finding"] == "not forced on identity.forgotten"
    assert "none on identity.forgotten for consumer_tenant" in checks["policies"]["finding"]


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
    with scratch_database(server_url, "consumer_doctor") as url:
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
    assert checks["worker's login"]["finding"] == "the role other_worker does not exist"
    assert checks["migrations"]["state"] == "failing"


@pytest.fixture
def logins(emptied: str) -> Iterator[dict[str, str]]:
    """A login for each process that may be that process and nothing else."""
    duties = ("receiver", "worker", "operator")
    with psycopg.connect(emptied, autocommit=True) as conn:
        for duty in duties:
            conn.execute(f"DROP ROLE IF EXISTS consumer_test_{duty}")
            conn.execute(f"CREATE ROLE consumer_test_{duty} LOGIN NOINHERIT PASSWORD 'pw' IN ROLE consumer_{duty}")
        yield {duty: make_conninfo(emptied, user=f"consumer_test_{duty}", password="pw") for duty in duties}
        for duty in duties:
            conn.execute(f"DROP ROLE consumer_test_{duty}")


def test_separate_logins_without_any_other_right_pass_without_a_warning(emptied: str, logins: dict[str, str]) -> None:
    exit_code, checks = examined(
        logins["operator"],
        RECEIVER_DATABASE_URL=logins["receiver"],
        WORKER_DATABASE_URL=logins["worker"],
        MIGRATE_DATABASE_URL=emptied,
    )

    assert exit_code == 0
    assert {check["state"] for check in checks.values()} == {"ok"}
    assert checks["worker's login"]["finding"] == "consumer_test_worker acts as consumer_worker"


def test_a_login_without_its_role_fails_with_the_grant_that_cures_it(emptied: str, logins: dict[str, str]) -> None:
    exit_code, checks = examined(
        logins["operator"],
        RECEIVER_DATABASE_URL=logins["receiver"],
        WORKER_DATABASE_URL=logins["receiver"],
        MIGRATE_DATABASE_URL=logins["worker"],
    )

    assert exit_code == 1
    assert checks["worker's login"]["cure"] == "GRANT consumer_worker TO consumer_test_receiver;"
    assert checks["migrator's login"]["finding"] == "consumer_test_worker does not own the schema, direct"
    assert {name for name, check in checks.items() if check["state"] == "failing"} == {
        "worker's login",
        "migrator's login",
    }


def test_a_login_that_all_share_is_first_told_to_be_several(emptied: str, logins: dict[str, str]) -> None:
    _, checks = examined(logins["operator"])

    assert checks["receiver's login"]["cure"].startswith("Set RECEIVER_DATABASE_URL ")
    assert checks["worker's login"]["cure"].startswith("Set WORKER_DATABASE_URL ")
    assert checks["worker's login"]["cure"].endswith("GRANT consumer_worker TO consumer_test_operator;")
    assert checks["migrator's login"]["cure"].startswith("Set MIGRATE_DATABASE_URL ")


def test_behind_a_pooler_nobody_says_that_there_is_no_worker(emptied: str) -> None:
    with pooled(emptied) as url:
        _, checks = examined(url, MIGRATE_DATABASE_URL=emptied)

    assert (checks["workers"]["state"], checks["workers"]["finding"]) == ("ok", "unknown behind a pooler")


def test_an_operator_without_its_role_still_learns_the_rest(emptied: str, logins: dict[str, str]) -> None:
    exit_code, checks = examined(logins["receiver"], MIGRATE_DATABASE_URL=emptied, WORKER_DATABASE_URL=logins["worker"])

    assert exit_code == 1
    assert checks["operator's login"]["cure"] == "GRANT consumer_operator TO consumer_test_receiver;"
    assert checks["row-level security"]["state"] == "ok"
    assert checks["migrations"]["cure"] == checks["queue"]["cure"] == "See above."


def test_a_read_only_session_fails(emptied: str) -> None:
    exit_code, checks = examined(make_conninfo(emptied, options="-c default_transaction_read_only=on"))

    assert exit_code == 1
    assert (checks["writable"]["state"], checks["writable"]["finding"]) == ("failing", "read-only")


def test_an_unreachable_database_fails_without_the_password(tmp_path: Path) -> None:
    result = call(f"postgresql://nobody:hunter2@/none?host={tmp_path}", "doctor")

    assert result.exit_code == 1
    assert "failing  database " in result.stdout
    assert "hunter2" not in result.output


def test_a_password_that_is_not_percent_encoded_is_named_as_the_likely_cause() -> None:
    result = call("postgresql://nobody:p@hunter2@127.0.0.1:1/none", "doctor")

    assert "if the password has @ : / # or %, write it percent-encoded" in result.stdout
    assert "hunter2" not in result.output


def test_a_process_that_cannot_reach_its_database_fails(emptied: str, tmp_path: Path) -> None:
    away = f"postgresql://nobody@/none?host={tmp_path}"

    exit_code, checks = examined(emptied, WORKER_DATABASE_URL=away, MIGRATE_DATABASE_URL=away)

    assert exit_code == 1
    assert checks["worker's login"]["cure"] == "Correct WORKER_DATABASE_URL."
    assert checks["migrator's login"]["cure"] == "Correct MIGRATE_DATABASE_URL."


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


@pytest.mark.parametrize(
    ("found", "skew", "expected"),
    [
        pytest.param(HEALTHY, timedelta(), [], id="healthy"),
        pytest.param(replace(HEALTHY, version_number=140_099), timedelta(), [("server version", "failing")], id="14"),
        pytest.param(replace(HEALTHY, version_number=150_000), timedelta(), [], id="15"),
        pytest.param(replace(HEALTHY, encoding="SQL_ASCII"), timedelta(), [("encoding", "failing")], id="encoding"),
        pytest.param(replace(HEALTHY, is_standby=True), timedelta(), [("writable", "failing")], id="standby"),
        pytest.param(replace(HEALTHY, has_fsync=False), timedelta(), [("durability", "failing")], id="fsync"),
        pytest.param(
            replace(HEALTHY, has_full_page_writes=False), timedelta(), [("durability", "failing")], id="pages"
        ),
        pytest.param(
            replace(HEALTHY, synchronous_commit="off"), timedelta(), [("synchronous_commit", "warning")], id="commit"
        ),
        pytest.param(HEALTHY, SKEW_MAX + timedelta(seconds=1), [("clocks", "warning")], id="ahead"),
        pytest.param(HEALTHY, -SKEW_MAX - timedelta(seconds=1), [("clocks", "warning")], id="behind"),
        pytest.param(HEALTHY, SKEW_MAX, [], id="as far apart as may be"),
    ],
)
def test_a_server_is_judged(found: Server, skew: timedelta, expected: list[tuple[str, str]]) -> None:
    assert unwell(judge_server(found, skew=skew)) == expected


@pytest.mark.parametrize(
    ("found", "active", "expected"),
    [
        pytest.param(HEALTHY, CALM, [], id="calm"),
        pytest.param(replace(HEALTHY, has_autovacuum=False), CALM, ["autovacuum"], id="autovacuum"),
        pytest.param(
            HEALTHY,
            replace(CALM, transaction_seconds=TRANSACTION_MAX.total_seconds() + 1, transaction_application="psql"),
            ["old transactions"],
            id="an old transaction",
        ),
        pytest.param(HEALTHY, replace(CALM, prepared_transactions=1), ["prepared transactions"], id="prepared"),
        pytest.param(HEALTHY, replace(CALM, xmin_age=XMIN_AGE_MAX + 1), ["oldest snapshot"], id="an old snapshot"),
        pytest.param(
            HEALTHY, replace(CALM, connections=int(100 * CONNECTIONS_SHARE_MAX) + 1), ["connections"], id="full"
        ),
    ],
)
def test_what_slows_the_queue_needs_a_look(found: Server, active: Activity, expected: list[str]) -> None:
    assert unwell(judge_room(found, active, unvacuumed=[])) == [(name, "warning") for name in expected]


def test_an_old_transaction_is_seen_with_its_application(emptied: str) -> None:
    with psycopg.connect(emptied, application_name="a report") as holder:
        holder.execute("SELECT 1")
        holder.execute("SELECT pg_sleep(0.01)")

        _, checks = examined(emptied)

    assert checks["old transactions"]["finding"] == "the oldest is 0 s old, of a report"


def test_a_pooler_in_front_of_the_migrations_fails(emptied: str) -> None:
    with pooled(emptied) as url:
        exit_code, checks = examined(emptied, MIGRATE_DATABASE_URL=url)

    assert exit_code == 1
    assert (checks["migrator's login"]["state"], checks["migrator's login"]["finding"]) == (
        "failing",
        "through a pooler",
    )
    assert "MIGRATE_DATABASE_URL" in checks["migrator's login"]["cure"]


@pytest.fixture(scope="module")
def embedded_folder() -> Iterator[Path]:
    """A data directory as `consumer up` leaves it."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as parent:
        # The server runs as another user when the tests run as root.
        Path(parent).chmod(0o755)
        folder = Path(parent) / "data"
        with embedded.server(folder, create=True) as url:
            migrations.apply(url, "consumer")
            shape(url)
            secret.keep(folder, "stack")
            yield folder


def test_the_embedded_installation_that_up_made_passes_without_a_warning(embedded_folder: Path) -> None:
    exit_code, checks = examined(None, CONSUMER_DATA_DIR=str(embedded_folder), STACK_WEBHOOK_SECRETS=None)

    assert exit_code == 0
    assert {check["state"] for check in checks.values()} == {"ok"}
    assert checks["webhook secrets"]["finding"] == "the ones that `consumer up` made"
    assert checks["disk"]["finding"].endswith("free")


def test_a_disk_that_is_nearly_full_needs_a_look(embedded_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(embedded_folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=DISK_FREE_MIN - 1))

    exit_code, checks = examined(None, CONSUMER_DATA_DIR=str(embedded_folder))

    assert exit_code == 0
    assert (checks["disk"]["state"], checks["disk"]["finding"]) == ("warning", "1023 MB free")
