"""The doctor on logins: each process may be its role and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import Identifier

from tests.support.cli import call, examined
from tests.support.databases import change
from tests.support.pooler import pooled

# The doctor looks at every login of the server that has a role of ours.
pytestmark = pytest.mark.lone_server


@pytest.fixture
def logins(emptied: str) -> Iterator[dict[str, str]]:
    """A login for each process that may be that process and nothing else."""
    duties = ("receiver", "worker", "operator")
    with psycopg.connect(emptied, autocommit=True) as conn:
        for duty in duties:
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
    assert checks["migrator's login"]["finding"].startswith("the login consumer_test_worker lacks the rights of ")
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


def test_a_process_that_cannot_reach_its_database_fails(emptied: str, tmp_path: Path) -> None:
    away = f"postgresql://nobody@/none?host={tmp_path}"

    exit_code, checks = examined(emptied, WORKER_DATABASE_URL=away, MIGRATE_DATABASE_URL=away)

    assert exit_code == 1
    assert checks["worker's login"]["cure"] == "Correct WORKER_DATABASE_URL."
    assert checks["migrator's login"]["cure"] == "Correct MIGRATE_DATABASE_URL."


@pytest.mark.parametrize("name", ["consumer-reader", "reader@example.com", 'Reader "1"'])
def test_a_login_whose_name_needs_quotes_is_cured_by_the_statement_as_printed(emptied: str, name: str) -> None:
    quoted = Identifier(name).as_string()
    change(emptied, f"CREATE ROLE {quoted} LOGIN PASSWORD 'pw'")
    try:
        url = make_conninfo(emptied, user=name, password="pw")
        _, before = examined(emptied, RECEIVER_DATABASE_URL=url)
        change(emptied, before["receiver's login"]["cure"])
        _, after = examined(emptied, RECEIVER_DATABASE_URL=url)
    finally:
        change(emptied, f"DROP ROLE {quoted}")

    assert before["receiver's login"]["cure"] == f"GRANT consumer_receiver TO {quoted};"
    assert after["receiver's login"]["state"] == "ok"


def test_a_member_that_may_not_take_its_role_is_cured_by_the_statement_as_printed(emptied: str) -> None:
    """PostgreSQL 16 and later: a plain GRANT would leave the membership as it is."""
    with psycopg.connect(emptied) as conn:
        if conn.info.server_version < 160_000:
            pytest.skip("every member may take its role")
    change(emptied, "CREATE ROLE unset LOGIN PASSWORD 'pw'; GRANT consumer_worker TO unset WITH SET FALSE")
    try:
        url = make_conninfo(emptied, user="unset", password="pw")
        _, before = examined(emptied, WORKER_DATABASE_URL=url)
        change(emptied, before["worker's login"]["cure"])
        _, after = examined(emptied, WORKER_DATABASE_URL=url)
    finally:
        change(emptied, "DROP ROLE unset")

    assert before["worker's login"]["cure"] == "GRANT consumer_worker TO unset WITH SET TRUE;"
    assert after["worker's login"]["state"] == "ok"


def test_a_migrator_that_pg_upgrade_left_without_the_admin_option_is_warned(emptied: str) -> None:
    """As a login that made the roles on PostgreSQL 15: it is their member, and since 16 may not grant them."""
    with psycopg.connect(emptied) as conn:
        if conn.info.server_version < 160_000:
            pytest.skip("CREATEROLE is enough to grant a role")
    change(emptied, 'CREATE ROLE "Up-Graded" LOGIN CREATEROLE PASSWORD \'pw\'; GRANT consumer_app TO "Up-Graded"')
    try:
        url = make_conninfo(emptied, user="Up-Graded", password="pw")
        _, before = examined(emptied, MIGRATE_DATABASE_URL=url)
        change(emptied, before["migrator's roles"]["cure"].removeprefix("As a superuser: "))
        _, after = examined(emptied, MIGRATE_DATABASE_URL=url)
    finally:
        change(emptied, 'DROP ROLE "Up-Graded"')

    assert before["migrator's roles"]["state"] == "warning"
    assert before["migrator's roles"]["finding"].startswith("Up-Graded may not grant consumer_app, ")
    assert before["migrator's roles"]["cure"].endswith(' TO "Up-Graded" WITH ADMIN TRUE;')
    assert after["migrator's roles"]["state"] == "ok"
