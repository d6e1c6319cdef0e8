"""`consumer maintain` as cron and `up` call it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from consumer import logs
from consumer.cli.maintain import _pause, _watch
from consumer.cli.up import UpPlan, _programs
from consumer.postgres import migrations
from consumer.settings.settings import read
from tests.support import polling
from tests.support.backfills import environment, held, named, truth, webhook
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change, record_settings, rows, scratch_database
from tests.support.factories import user_updated
from tests.support.fake_stack import FakeStack, trouble
from tests.support.fake_stack.serving import PROJECT_ID
from tests.support.processes import Running, invoke, is_ready, on, ports, running, until
from tests.support.stack_requests import one

SWITCHES = {
    "prune": "RETENTION_DAYS or AUDIT_RETENTION_DAYS",
    "activity": "STACK_PROJECT_ID and STACK_SECRET_SERVER_KEY",
    "reconcile": "STACK_PROJECT_ID and STACK_SECRET_SERVER_KEY",
    "endpoint": "STACK_PROJECT_ID and STACK_SUPER_SECRET_ADMIN_KEY",
}
FAILED = {"hours": "done", "prune": "done", "activity": "failed", "reconcile": "failed", "endpoint": "off"}
POLLS = "order_by=last_active_at"
POLLED = "SELECT FROM consumer.maintenance WHERE job = 'activity' AND ended_at IS NOT NULL"
PRUNES = {"RETENTION_DAYS": "7"}


def verified(fake: FakeStack) -> str:
    """Sign a user up who then verifies the address by a link, which sends no webhook."""
    fake.project.now = datetime.now(UTC) - timedelta(hours=1)
    user_id = named(fake, 1)[0]
    fake.project.be_active(user_id, primary_email_verified=True)
    return user_id


def states(document: dict[str, list[dict[str, object]]]) -> dict[object, object]:
    return {report["job"]: report["state"] for report in document["jobs"]}


def polls(fake: FakeStack) -> int:
    return sum(POLLS in asked.query for asked in fake.asked)


@contextmanager
def watching(folder: Path, url: str, fake: FakeStack, *arguments: str) -> Iterator[Running]:
    with running(folder, {**on(url), **environment(fake)}, *(arguments or ("maintain", "--watch"))) as process:
        yield process


def test_without_settings_it_says_which_setting_turns_each_job_on(emptied: str) -> None:
    document, said = facts(emptied, "maintain"), call(emptied, "maintain")

    assert {report["job"]: report["switch"] for report in document["jobs"]} == {"hours": None, **SWITCHES}
    assert states(document) == {"hours": "done", **dict.fromkeys(SWITCHES, "off")}
    assert said.exit_code == 0
    for switch in SWITCHES.values():
        assert f"set {switch} to turn it on" in said.stdout


@pytest.mark.parametrize("half", ["STACK_PROJECT_ID", "STACK_SECRET_SERVER_KEY"])
def test_half_a_key_turns_nothing_on(emptied: str, fake: FakeStack, half: str) -> None:
    assert states(facts(emptied, "maintain", **environment(fake, **{half: ""})))["activity"] == "off"


def test_it_does_what_is_due_and_a_second_call_says_when_the_rest_is(emptied: str, fake: FakeStack) -> None:
    user_id = verified(fake)
    arrive(emptied, webhook(fake.project.events[-1]), user_updated())
    work(emptied)
    change(emptied, "UPDATE identity.profile_audit SET at = at - interval '30 days'")
    settings = environment(fake, AUDIT_RETENTION_DAYS="7")

    first, second = facts(emptied, "maintain", **settings), facts(emptied, "maintain", **settings)
    work(emptied)

    assert (states(first), states(second)) == (
        {"hours": "done", "prune": "done", "activity": "done", "reconcile": "done", "endpoint": "off"},
        {"hours": "not due", "prune": "not due", "activity": "not due", "reconcile": "not due", "endpoint": "off"},
    )
    counts = {report["job"]: report["counts"] for report in first["jobs"]}
    assert counts == {
        "hours": {},
        "prune": {"audit_rows_removed": 2, "deliveries_removed": 0},
        "activity": {"stored": 1, "unusable": 0},
        "reconcile": {"differences": 2, "repaired": 1, "unusable": 0},
        "endpoint": {},
    }
    assert held(emptied)["profiles"][user_id] == truth(fake)["profiles"][user_id]
    due = "SELECT job, date_trunc('minute', due_at - started_at) AS after FROM consumer.maintenance"
    # Stack lacks one of the two users, and is asked again.
    assert {row["job"]: row["after"] for row in rows(emptied, due)} == {
        "hours": timedelta(minutes=1),
        "prune": timedelta(hours=23),
        "activity": timedelta(minutes=1),
        "reconcile": timedelta(minutes=5),
    }


def test_a_job_that_fails_keeps_no_other_from_running(emptied: str, fake: FakeStack) -> None:
    settings = environment(fake, STACK_SECRET_SERVER_KEY="ssk_wrong", RETENTION_DAYS="7")

    result = call(emptied, "maintain", "--json", **settings)
    said = call(emptied, "maintain", **settings)

    assert (result.exit_code, states(orjson.loads(result.stdout))) == (1, FAILED)
    sentence, other = result.stderr.splitlines()
    assert sentence.startswith("Error: activity failed: Stack refused GET /api/v1/users: INVALID_SECRET_SERVER_KEY")
    assert other.startswith("Error: reconcile failed: Stack refused GET")
    assert "ssk_wrong" not in result.stderr + said.output
    # It is tried again in a minute; until then it is told why.
    assert (said.exit_code, "INVALID_SECRET_SERVER_KEY" in said.stdout) == (0, True)


def test_a_key_that_is_no_header_fails_its_job_alone(emptied: str, fake: FakeStack) -> None:
    result = call(emptied, "maintain", "--json", **environment(fake, STACK_SECRET_SERVER_KEY="a b", RETENTION_DAYS="7"))

    assert (result.exit_code, states(orjson.loads(result.stdout))) == (1, FAILED)


def test_an_old_server_is_asked_once_a_day_and_said_to_be_too_old(emptied: str, old_fake: FakeStack) -> None:
    settings = environment(old_fake)

    document, again = facts(emptied, "maintain", **settings), facts(emptied, "maintain", **settings)

    [remark] = [report["remark"] for report in document["jobs"] if report["job"] == "activity"]
    assert remark.startswith("This server of Stack is too old")
    assert (states(document)["activity"], states(again)["activity"], polls(old_fake)) == ("done", "not due", 1)
    after = "SELECT due_at - ended_at AS after FROM consumer.maintenance WHERE job = 'activity'"
    assert rows(emptied, after) == [{"after": timedelta(days=1)}]


def test_a_document_and_a_watch_exclude_each_other(emptied: str) -> None:
    assert call(emptied, "maintain", "--watch", "--json").exit_code == 2


def test_a_job_is_looked_at_when_it_is_due_and_at_least_once_a_minute() -> None:
    now = datetime.now(UTC)

    assert _pause(now + timedelta(seconds=20), now) == 20
    assert [_pause(now + timedelta(hours=hours), now) for hours in (-1, 1)] == [5, 60]
    assert _pause(None, now) == 60


def test_a_watch_polls_again_when_it_is_due_and_ends_on_sigterm(emptied: str, fake: FakeStack, tmp_path: Path) -> None:
    verified(fake)
    with watching(tmp_path, emptied, fake) as process:
        until(lambda: '"job":"activity"' in process.text)
        exit_code = process.stop()

    assert exit_code == 0
    assert '"job":"activity","stored":1,"unusable":0' in process.text
    assert polls(fake) == 1


def test_a_watch_without_settings_counts_the_hours_and_logs_nothing_of_it(emptied: str, tmp_path: Path) -> None:
    arrive(emptied, user_updated())
    with running(tmp_path, on(emptied), "maintain", "--watch") as process:
        until(lambda: rows(emptied, "SELECT FROM consumer.hours WHERE source = 'stack' AND n = 1"))
        assert process.stop() == 0

    assert "maintenance_" not in process.text


def test_a_watch_logs_a_failure_and_goes_on(emptied: str, fake: FakeStack, tmp_path: Path) -> None:
    fake.keys["server"] = "another"
    with watching(tmp_path, emptied, fake) as process:
        until(lambda: "maintenance_failed" in process.text)
        assert process.stop() == 0

    assert '"job":"activity","error":"Stack refused GET /api/v1/users: INVALID_SECRET_SERVER_KEY' in process.text


@pytest.fixture
def apart(server_url: str) -> Iterator[str]:
    """A database of the test's own, which it may close."""
    with scratch_database(server_url, "apart") as url:
        migrations.apply(url, "consumer")
        record_settings(url)
        yield url


async def test_a_watch_outlives_an_outage(
    server_url: str, apart: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("consumer.cli.maintain.LOOK_SECONDS_MAX", 0.05)
    monkeypatch.setattr("consumer.cli.maintain.LOOK_SECONDS_MIN", 0.05)
    stop, name = asyncio.Event(), conninfo_to_dict(apart)["dbname"]
    watch = asyncio.create_task(_watch(read({**on(apart), **environment(fake)})[0], apart, stop))
    with psycopg.connect(server_url, autocommit=True) as server:
        await polling.until(lambda: rows(apart, POLLED))
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await polling.until(lambda: logs.DATABASE_LOST in caplog.messages)
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    change(apart, "UPDATE consumer.maintenance SET due_at = now() - interval '1 hour'")
    await polling.until(lambda: polls(fake) > 1)

    stop.set()
    await watch


def test_a_call_that_is_stopped_rolls_its_page_back_and_leaves_the_job_due(
    emptied: str, fake: FakeStack, tmp_path: Path
) -> None:
    verified(fake)
    fake.troubles.append(trouble.slow(30))
    with watching(tmp_path, emptied, fake, "maintain") as process:
        until(lambda: fake.asked)
        exit_code = process.stop()
    after = facts(emptied, "maintain", **environment(fake))

    assert (exit_code, "stopped" in process.text) == (0, True)
    assert states(after)["activity"] == "done"


def test_a_watch_waits_for_its_migrations(server_url: str, fake: FakeStack, tmp_path: Path) -> None:
    """`up` starts all its processes at once, and migrates meanwhile."""
    verified(fake)
    (port,) = ports(1)
    with (
        scratch_database(server_url, "maintained") as url,
        running(tmp_path, {**on(url, OPS_PORT=0), **environment(fake)}, "up", "--port", str(port)) as group,
    ):
        until(lambda: is_ready(port))
        until(lambda: rows(url, "SELECT FROM identity.profiles WHERE email_verified"))
        assert group.child("maintain") is not None
        assert group.stop() == 0

    assert "process_died" not in group.text


def test_up_maintains_the_embedded_database(tmp_path: Path) -> None:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Started by root, the server runs as another user, who has to come through.
        Path(folder).chmod(0o711)
        settings = {"CONSUMER_DATA_DIR": str(Path(folder) / "data"), **PRUNES}
        with running(tmp_path, {**settings, "PORT": str(ports(1)[0]), "OPS_PORT": "off"}, "up") as group:
            until(lambda: group.said("Webhook URL"))
            until(lambda: orjson.loads(invoke(tmp_path, settings, "status", "--json").stdout)["maintenance"])
            assert group.stop() == 0


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        pytest.param({"DATABASE_URL": "dbname=x"}, ["receiver", "worker", "maintenance"], id="one database"),
        pytest.param(
            {f"{kind}_DATABASE_URL": "dbname=x" for kind in ("RECEIVER", "WORKER", "MIGRATE")},
            ["receiver", "worker"],
            id="the operator has no database",
        ),
    ],
)
def test_up_runs_maintenance_where_it_has_a_database(settings: dict[str, str], names: list[str]) -> None:
    plan = UpPlan(read(settings)[0], ops_ports=(), migrate_conninfo="", secret_files={})

    assert [program.name for program in _programs(plan)] == names


def test_another_project_is_refused_by_the_job_alone(emptied: str, fake: FakeStack) -> None:
    one(fake.project.sign_up())
    facts(emptied, "backfill", **environment(fake))
    change(emptied, f"UPDATE consumer.project SET project_id = 'x{PROJECT_ID}'")

    result = call(emptied, "maintain", "--json", **environment(fake, RETENTION_DAYS="1"))

    assert (result.exit_code, states(orjson.loads(result.stdout))) == (1, FAILED)
    assert "holds the users of project" in result.stderr


def test_status_tells_the_last_run_and_what_failed(emptied: str, fake: FakeStack) -> None:
    settings = environment(fake, STACK_SECRET_SERVER_KEY="ssk_wrong")
    call(emptied, "maintain", **settings)

    document, said = facts(emptied, "status", **settings), call(emptied, "status", **settings).stdout

    assert [each["job"] for each in document["maintenance"]] == ["activity", "hours", "reconcile"]
    finding, _ = [each for each in document["findings"] if each["code"] == "maintenance_failed"]
    assert (finding["subject"], "consumer maintain" in finding["cure"]) == ("activity", True)
    assert "activity: failed: Stack refused" in said
