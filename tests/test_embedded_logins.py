"""The embedded server has a login for each kind of process, and none of them is its superuser."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from consumer.cli.embedded_logins import LOGINS, EmbeddedLogin, embedded_uris
from consumer.embedded.server import server
from consumer.postgres import migrations
from tests.support.cli import arrive, call, examined
from tests.support.databases import record_settings, rows
from tests.support.factories import user_updated
from tests.support.processes import is_ready, ports, running, until

PROCESSES: tuple[EmbeddedLogin, ...] = ("receiver", "worker", "operator", "migrate")
POWERS = """
    SELECT rolname AS name, rolsuper OR rolbypassrls OR rolreplication AS is_powerful
    FROM pg_roles WHERE rolname = session_user
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as parent:
        # Started by root, the server runs as another user, who has to come through.
        Path(parent).chmod(0o711)
        yield Path(parent) / "data"


@pytest.mark.parametrize("prefix", ["consumer", "other"])
def test_each_kind_of_process_has_a_login_of_its_own_without_powers(folder: Path, prefix: str) -> None:
    with embedded_uris(folder, prefix, create=True) as uris:
        migrations.apply(uris["migrate"], prefix)
        logins = [rows(uris[kind], POWERS)[0] for kind in PROCESSES]
        members = rows(
            uris["superuser"],
            "SELECT m.rolname AS login, array_agg(r.rolname::text ORDER BY r.rolname) AS roles FROM pg_auth_members "
            "JOIN pg_roles AS m ON member = m.oid JOIN pg_roles AS r ON roleid = r.oid "
            "WHERE m.rolname LIKE '%_login' AND m.rolname NOT LIKE '%migrator%' GROUP BY 1",
        )

    assert len({login["name"] for login in logins}) == len(PROCESSES)
    assert not any(login["is_powerful"] for login in logins)
    assert {row["login"]: row["roles"] for row in members} == {
        f"{prefix}_receiver_login": [f"{prefix}_receiver"],
        f"{prefix}_worker_login": [f"{prefix}_worker"],
        f"{prefix}_operator_login": sorted([f"{prefix}_operator", "pg_read_all_stats"]),
    }


SESSIONS = {
    ("consumer receiver", "consumer_receiver_login"),
    ("consumer receiver report", "consumer_receiver_login"),
    ("consumer worker", "consumer_worker_login"),
    ("consumer worker report", "consumer_worker_login"),
    ("consumer maintenance report", "consumer_operator_login"),
}


def sessions(uri: str) -> set[tuple[str, str]]:
    """Return the name and login of each session but this one."""
    found = rows(
        uri,
        "SELECT application_name, usename FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )
    return {(row["application_name"], row["usename"]) for row in found}


def problems(folder: Path) -> dict[str, str]:
    """Return what the doctor finds, by the names of its checks."""
    _, checks = examined(None, CONSUMER_DATA_DIR=str(folder))
    return {name: check["finding"] for name, check in checks.items() if check["state"] != "ok"}


def test_inside_up_every_session_of_ours_is_one_of_a_login_of_its_own(folder: Path, tmp_path: Path) -> None:
    port, ops_port = ports(2)
    settings = {"CONSUMER_DATA_DIR": str(folder), "PORT": str(port), "OPS_PORT": str(ops_port)}
    with running(tmp_path, settings, "up") as group:
        until(lambda: is_ready(ops_port) and is_ready(ops_port + 1))
        until(lambda: group.said("Database"))
        with server(folder, create=False) as uri:
            until(lambda: sessions(uri) >= SESSIONS)
            # The jobs of maintenance come and go.
            assert sessions(uri) <= SESSIONS | {("consumer operator", "consumer_operator_login")}
        # A worker that began before the first migration says so until its next report.
        until(lambda: problems(folder) == {})

    assert "consumer_migrator_login@" in group.said("Database")


def test_a_database_from_before_the_logins_goes_on(folder: Path) -> None:
    with server(folder, create=True) as uri:
        migrations.apply(uri, "consumer")
        record_settings(uri)
        arrive(uri, user_updated())

    applied = call(None, "work", "--drain", "--embedded", CONSUMER_DATA_DIR=str(folder))
    migrated = call(None, "migrate", CONSUMER_DATA_DIR=str(folder))
    with server(folder, create=False) as uri:
        owners = rows(uri, "SELECT DISTINCT relowner::regrole::text AS name FROM pg_class WHERE relnamespace IN "
            "('consumer'::regnamespace, 'identity'::regnamespace)")  # fmt: skip
        profiles = rows(uri, "SELECT user_id FROM identity.profiles")

    assert (applied.exit_code, migrated.exit_code, len(profiles)) == (0, 0, 1), (applied.output, migrated.output)
    assert owners == [{"name": "consumer_migrator_login"}]


def test_processes_that_start_together_make_the_logins_once(folder: Path) -> None:
    with server(folder, create=True):

        def start(_: int) -> set[str]:
            with embedded_uris(folder, "consumer", create=False) as uris:
                return set(uris)

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(start, range(6))) == [set(LOGINS)] * 6


def test_tables_that_the_superuser_made_are_adopted(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "projection.sql"
    with embedded_uris(folder, "consumer", create=True) as uris:
        migrations.apply(uris["migrate"], "consumer")
        record_settings(uris["superuser"])
        with psycopg.connect(uris["superuser"]) as conn:
            conn.execute("CREATE TABLE public.users (id uuid PRIMARY KEY, email text NOT NULL UNIQUE)")
        where = {"CONSUMER_DATA_DIR": str(folder), "CONSUMER_PROJECTION_SQL": None}
        plan = call(None, "adopt", "plan", "--write", str(file), **where)
        granted = call(None, "adopt", "grant", **where)
        arrive(uris["superuser"], user_updated(primary_email="ada@example.com"))
        compared = call(None, "adopt", "compare", **where)
        worked = call(None, "work", "--drain", "--embedded", **where | {"CONSUMER_PROJECTION_SQL": str(file)})
        written = rows(uris["superuser"], "SELECT email FROM public.users")

    assert (plan.exit_code, granted.exit_code, compared.exit_code) == (0, 0, 0), granted.output
    assert (worked.exit_code, written) == (0, [{"email": "ada@example.com"}])
