"""The doctor on the server: its settings, its room, and what slows the queue."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from consumer.cli import secret
from consumer.doctor.check import Check
from consumer.doctor.server import (
    CONNECTIONS_SHARE_MAX,
    SKEW_MAX,
    TRANSACTION_MAX,
    XMIN_AGE_MAX,
    Activity,
    Server,
    activity,
    judge_room,
    judge_server,
)
from consumer.embedded import server as embedded
from consumer.postgres import migrations
from consumer.postgres.connections import connect, operator_access
from consumer.verdict.database import DISK_FREE_MIN
from tests.support.cli import examined
from tests.support.databases import record_settings
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


async def test_the_oldest_snapshot_of_any_session_holds_vacuum_back(emptied: str) -> None:
    begin, burn = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1", "SELECT pg_current_xact_id()"
    with psycopg.connect(emptied, autocommit=True) as old, psycopg.connect(emptied, autocommit=True) as young:
        old.execute(begin)
        for _ in range(20):
            young.execute(burn)
        young.execute(begin)
        async with await connect(emptied, operator_access("consumer")) as conn:
            found = await activity(conn)

    assert found.xmin_age >= 20


def test_a_pooler_in_front_of_the_migrations_is_a_warning(emptied: str) -> None:
    with pooled(emptied) as url:
        _, checks = examined(emptied, MIGRATE_DATABASE_URL=url)

    found = checks["migrator's login"]
    assert (found["state"], found["finding"]) == ("warning", "postgres reaches the server through a pooler")
    assert "MIGRATE_DATABASE_URL" in found["cure"]


@pytest.fixture(scope="module")
def embedded_folder() -> Iterator[Path]:
    """A data directory as `consumer up` leaves it."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as parent:
        # The server runs as another user when the tests run as root.
        Path(parent).chmod(0o755)
        folder = Path(parent) / "data"
        with embedded.server(folder, create=True) as url:
            migrations.apply(url, "consumer")
            record_settings(url)
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
