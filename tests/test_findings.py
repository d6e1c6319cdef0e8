"""Findings: what an observation means, as a table; and what `status` and `doctor` make of it."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from consumer.cli import secret
from consumer.operations.maintenance import LastRun
from consumer.settings.settings import Settings
from consumer.verdict.finding import Finding
from consumer.verdict.findings import findings
from consumer.verdict.observation import Observation
from tests.support.cli import arrive, call, examined, facts, work
from tests.support.factories import delivery, user_updated
from tests.support.processes import APP_SECRET

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def due(ago: timedelta, error: str | None = None) -> Observation:
    """A job that is on and was due so long ago."""
    last = LastRun("prune", NOW - DAY, NOW - DAY, NOW - ago, {}, None, error)
    return replace(seen(), jobs=["prune"], last_runs={"prune": last})


def seen(*expected: str, **ages: timedelta) -> Observation:
    return Observation(at=NOW, expected=expected, last_received={source: NOW - age for source, age in ages.items()})


@pytest.mark.parametrize(
    ("observation", "found"),
    [
        pytest.param(seen("stack", stack=timedelta(0)), [], id="just now"),
        pytest.param(seen("stack", stack=DAY), [], id="silent for exactly as long as it may be"),
        pytest.param(seen("stack", stack=DAY + MOMENT), [("source_silent", "warning", "stack")], id="a moment longer"),
        pytest.param(seen("stack"), [("nothing_received", "note", "stack")], id="never sent anything"),
        pytest.param(
            replace(seen("stack", "app"), installed_at=NOW - DAY),
            [("nothing_received", "note", "app"), ("nothing_received", "note", "stack")],
            id="installed a day ago",
        ),
        pytest.param(
            replace(seen("stack", "app"), installed_at=NOW - DAY - MOMENT),
            [("nothing_received", "warning", "stack"), ("nothing_received", "note", "app")],
            id="installed a moment longer ago, and one's own backend need not send",
        ),
        pytest.param(due(25 * HOUR), [], id="a daily cron is about to call the job"),
        pytest.param(due(25 * HOUR + MOMENT), [("maintenance_overdue", "warning", "prune")], id="it has not called it"),
        pytest.param(due(-DAY, "Away."), [("maintenance_failed", "warning", "prune")], id="the job failed"),
        pytest.param(replace(due(9 * DAY, "Away."), jobs=[]), [], id="the job is off now"),
        pytest.param(
            replace(seen(), jobs=["prune"], migrated_at=NOW - 2 * DAY),
            [("maintenance_overdue", "warning", "prune")],
            id="the job has never run",
        ),
        pytest.param(seen(app=100 * DAY), [], id="no secret any more"),
        pytest.param(seen("stack", stack=-DAY), [], id="clock was set back"),
        pytest.param(
            seen("stack", "app", stack=timedelta(0), app=2 * DAY),
            [("source_silent", "warning", "app")],
            id="one speaks for itself only",
        ),
        pytest.param(
            seen("stack", "app", stack=2 * DAY, backfill=timedelta(0)),
            [("source_silent", "warning", "stack"), ("nothing_received", "note", "app")],
            id="both, and an import is no sign of life",
        ),
        pytest.param(
            replace(seen("app", app=2 * DAY), silence_max=3 * DAY),
            [],
            id="a longer silence is allowed",
        ),
    ],
)
def test_a_source_with_a_secret_may_be_silent_for_so_long(
    observation: Observation, found: list[tuple[str, str, str]]
) -> None:
    assert [(each.code, each.gravity, each.subject) for each in findings(observation)] == found


@pytest.mark.parametrize(
    ("age", "codes"),
    [
        (None, []),
        (timedelta(0), ["disk_full"]),
        (timedelta(seconds=30) - MOMENT, ["disk_full"]),
        (timedelta(seconds=30), []),
    ],
    ids=["never", "now", "a moment before 30 s", "30 s ago"],
)
def test_a_disk_counts_as_full_until_30_s_after_its_last_refusal(age: timedelta | None, codes: list[str]) -> None:
    assert [each.code for each in findings(Observation(NOW, since_disk_full=age))] == codes


def test_a_silence_is_told_with_its_length_its_last_sign_and_a_cure() -> None:
    [found] = findings(seen("stack", stack=timedelta(hours=1500, minutes=59)))

    assert found == Finding(
        "source_silent",
        "warning",
        "stack",
        "nothing received for 1,500 h, since 2026-09-27 23:01:00Z",
        "Look in Stack's dashboard, under Webhooks: is the endpoint enabled, and its URL this receiver's? "
        "docs/recovery/lost-week.md brings in what was missed. If it may be silent for so long, raise SILENCE_HOURS.",
        "/deliveries?source=stack",
    )


def age(url: str, source: str, hours: float) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(
            "UPDATE consumer.outbox SET received_at = now() - %s * interval '1 hour' WHERE source = %s", (hours, source)
        )


@pytest.fixture
def silent(emptied: str) -> str:
    """Stack sent its last delivery 25 hours ago, the application 2 hours ago."""
    arrive(emptied, user_updated(), delivery("user.signed_in", uuid4(), "app"))
    work(emptied)
    age(emptied, "stack", 25)
    age(emptied, "app", 2)
    return emptied


def test_the_doctor_warns_of_a_silent_source_and_names_the_last_delivery_of_any(silent: str) -> None:
    exit_code, checks = examined(silent, APP_WEBHOOK_SECRETS=APP_SECRET)

    stack, app = checks["stack's last delivery"], checks["app's last delivery"]
    assert exit_code == 0
    assert (stack["state"], stack["finding"][:26]) == ("warning", "nothing received for 25 h,")
    assert "Stack's dashboard" in stack["cure"]
    # On a busy machine some seconds have passed since.
    assert (app["state"], app["cure"]) == ("ok", None)
    assert re.search(r"Z, 2h( \d+m(in)?| \d+s)? ago$", app["finding"]), app["finding"]


@pytest.mark.parametrize(("hours", "state"), [("26", "ok"), ("25", "warning"), ("1", "warning")])
def test_silence_hours_is_how_long_a_source_may_be_silent(silent: str, hours: str, state: str) -> None:
    assert examined(silent, SILENCE_HOURS=hours)[1]["stack's last delivery"]["state"] == state


@pytest.mark.parametrize("hours", ["-1", "1.5", "8761", "x"])
def test_silence_hours_is_a_whole_number_up_to_a_year(emptied: str, hours: str) -> None:
    result = call(emptied, "status", SILENCE_HOURS=hours)

    assert (result.exit_code, "SILENCE_HOURS" in result.stderr) == (2, True)


def test_a_source_without_a_secret_is_not_checked_and_its_last_delivery_is_shown(silent: str) -> None:
    age(silent, "app", 1000)

    checks, status = examined(silent)[1], facts(silent, "status")

    assert "app's last delivery" not in checks
    assert [finding["subject"] for finding in status["findings"]] == ["stack"]
    assert set(status["last_received"]) == {"stack", "app"}
    assert "last from app    2" in call(silent, "status").stdout


def test_status_tells_the_last_delivery_of_each_source_and_what_is_wrong_with_it(silent: str) -> None:
    status = facts(silent, "status", APP_WEBHOOK_SECRETS=APP_SECRET)
    printed = call(silent, "status", APP_WEBHOOK_SECRETS=APP_SECRET).stdout

    [finding] = status["findings"]
    since = (datetime.now(UTC) - datetime.fromisoformat(status["last_received"]["stack"])) / timedelta(hours=1)
    assert (finding["code"], finding["gravity"], round(since)) == ("source_silent", "warning", 25)
    assert f"warning  stack: {finding['sentence']}\n  → {finding['cure']}\n" in printed
    assert "Z, 1d 1h ago\n" in printed
    assert "Z, 2h ago\n" in printed


def test_a_new_installation_has_received_nothing_and_nothing_is_wrong_with_that(emptied: str) -> None:
    exit_code, checks = examined(emptied)
    status = facts(emptied, "status")

    assert exit_code == 0
    assert (checks["stack's last delivery"]["state"], checks["stack's last delivery"]["finding"]) == (
        "ok",
        "nothing received yet",
    )
    assert status["last_received"] == {"stack": None}
    assert [(finding["code"], finding["gravity"]) for finding in status["findings"]] == [("nothing_received", "note")]
    assert "last from stack  nothing received yet\n" in call(emptied, "status").stdout


def test_dead_deliveries_and_those_without_effect_are_a_sign_of_life_too(emptied: str) -> None:
    arrive(emptied, user_updated()._replace(error_code="bad_shape", error="$: a reason"))

    assert facts(emptied, "status")["last_received"]["stack"] is not None


@pytest.mark.parametrize(
    ("settings", "kept", "sources"),
    [
        pytest.param(
            Settings(database_url="x", stack_webhook_secrets=("s",)), ["app"], ["stack"], id="a database of yours"
        ),
        pytest.param(Settings(), ["stack", "app"], ["stack", "app"], id="those that `up` keeps"),
        pytest.param(Settings(app_webhook_secrets=("s",)), ["stack"], ["stack", "app"], id="one kept, one set"),
        pytest.param(Settings(), [], [], id="none"),
    ],
)
def test_a_source_is_expected_to_send_if_a_receiver_here_takes_its_deliveries(
    settings: Settings, kept: list[str], sources: list[str], tmp_path: Path
) -> None:
    for source in kept:
        secret.keep(tmp_path, source)

    assert secret.expected_sources(replace(settings, data_dir=tmp_path)) == sources
