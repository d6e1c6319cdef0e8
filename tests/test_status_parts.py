"""What `consumer status` prints of each fact, and what the settings say of sources and notifications."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consumer.cli import notify, secret, sources, status
from consumer.cli.status import Database, Status
from consumer.outbox.deliveries import ErrorGroup, Stats
from consumer.settings.notifications import NotifySettings
from consumer.settings.settings import Settings
from consumer.verdict.finding import Finding
from consumer.verdict.observation import Observation
from tests.support.printed import Printed

NOW = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
STATS = Stats(1, 2, 3, 4_000, 0.0, 60, 120)


def made(**named: Any) -> Status:
    facts: dict[str, Any] = {
        "verdict": "ok",
        "queue": STATS,
        "rates": None,
        "last_received": {},
        "findings": [],
        "last_errors": [],
        "more_errors": 0,
        "migrations": {"applied": ["0001.a", "0002.b"], "pending": []},
        "maintenance": [],
        "database": Database("shop", "18.1", 20_480, 0.25, 2),
    }
    return Status(**{**facts, **named})


def seen(**named: Any) -> Observation:
    return Observation(NOW, **named)


def test_status_ends_with_facts_of_sources_migrations_and_the_database(printed: Printed) -> None:
    known = seen(expected=("stack",), last_received={"app": NOW - timedelta(hours=2)})

    status._show(made(), known)
    plain = printed()
    status._show(
        made(
            migrations={"applied": ["0001.a"], "pending": ["0002.b", "0003.c"]},
            database=Database("shop", "18.1", 20_480, 0.25, None),
        ),
        seen(),
    )

    assert plain[-6:] == [
        "done 4,000",
        "last from app 2026-11-29 12:32:08Z, 2h ago",
        "last from stack nothing received yet",
        "migrations 2 applied, 0 pending",
        "workers 2 connected",
        "database shop on PostgreSQL 18.1, 20 kB, answers in 0.25 ms",
    ]
    pending = printed()
    assert "migrations 1 applied, 2 pending 0002.b 0003.c" in pending
    assert not any(line.startswith("last from") for line in pending)


def test_status_shows_each_finding_that_has_a_cure_and_the_last_errors(printed: Printed) -> None:
    findings = [
        Finding("a", "failing", "worker", "it [stands]", "Run `consumer work`."),
        Finding("b", "note", "stack", "it is quiet"),
    ]
    errors = [ErrorGroup("dead", "23505", "x.y", 2, NOW, NOW, "Twice", "msg_1")]

    status._show(made(findings=findings, last_errors=errors, more_errors=3), seen())

    lines = printed()
    assert lines[1:3] == ["failing worker: it [stands]", "→ Run `consumer work`."]
    assert not any("it is quiet" in line for line in lines[1:])
    assert "23505 x.y dead 2 2026-11-29 14:32:08Z 2026-11-29 14:32:08Z msg_1 Twice" in lines
    assert "and 3 more: `consumer dead list` shows those that are dead" in lines
    status._show(made(), seen())
    assert not any(line.startswith(("failing", "error", "and ")) for line in printed())


def test_a_delivery_after_the_clock_was_read_is_no_time_ago() -> None:
    found = sources.last_deliveries(seen(last_received={"app": NOW + timedelta(seconds=3)}, expected=["stack", "app"]))

    assert found == {"app": "2026-11-29 14:32:11Z, 0.0s ago", "stack": "nothing received yet"}


def test_the_settings_say_what_is_expected(tmp_path: Path) -> None:
    embedded = Settings(data_dir=tmp_path, stack_webhook_secrets=(secret.new(),), silence_hours=5)
    elsewhere = Settings(database_url="x", silence_hours=0, retention_days=1)

    one, other = sources.expectations(embedded), sources.expectations(elsewhere)

    assert (one.sources, one.jobs, one.silence_max) == (["stack"], ["hours"], timedelta(hours=5))
    assert (one.disk_free_bytes or 0) > 0
    assert (other.sources, other.jobs, other.silence_max, other.disk_free_bytes) == ([], ["hours", "prune"], None, None)


@pytest.mark.parametrize(
    ("address", "host"),
    [("https://a.b/secret", "https://a.b"), ("http://u:p@a.b:81/x", "http://a.b:81"), (None, "://None")],
)
def test_only_the_host_of_an_address_is_shown(address: str | None, host: str) -> None:
    assert notify._host(address) == host


def test_the_way_of_notifications_is_told_without_a_secret() -> None:
    def way(**named: Any) -> str:
        return notify._way(Settings(notify=NotifySettings(**named)))

    assert way(command=("run",), url="https://a.b/s") == "to NOTIFY_COMMAND"
    assert way(url="https://a.b/s", secrets=("s",)) == "to https://a.b, signed"
    assert way(url="https://a.b/s") == "to https://a.b, not signed, because NOTIFY_SECRET is not set"


@pytest.mark.parametrize(
    ("named", "notifications", "heartbeat"),
    [
        (
            {},
            ("ok", "nobody is told of findings: NOTIFY_URL and NOTIFY_COMMAND are not set"),
            ("ok", "none: HEARTBEAT_URL is not set"),
        ),
        (
            {"command": ("no-such-program",), "heartbeat_url": "https://h/x"},
            ("warning", "NOTIFY_COMMAND names no program that can be run"),
            ("ok", "calls https://h while no finding fails"),
        ),
        (
            {"command": ("sh", "-c"), "heartbeat_url": "http://h/x"},
            ("ok", "sent to NOTIFY_COMMAND"),
            ("warning", "calls http://h while no finding fails, unencrypted"),
        ),
        (
            {"url": "http://a.b/s", "heartbeat_url": "http://localhost/x"},
            ("warning", "sent to http://a.b, not signed, because NOTIFY_SECRET is not set, unencrypted"),
            ("ok", "calls http://localhost while no finding fails"),
        ),
        (
            {"url": "https://a.b/s", "secrets": ("s",)},
            ("ok", "sent to https://a.b, signed"),
            ("ok", "none: HEARTBEAT_URL is not set"),
        ),
    ],
)
def test_the_doctor_judges_the_ways_of_notifications(
    named: dict[str, Any], notifications: tuple[str, str], heartbeat: tuple[str, str]
) -> None:
    found = notify.check_notify(Settings(notify=NotifySettings(**named)))

    assert [(each.name, each.state, each.finding) for each in found] == [
        ("notifications", *notifications),
        ("heartbeat", *heartbeat),
    ]
    assert all(bool(each.cure) is (each.state == "warning") for each in found)
