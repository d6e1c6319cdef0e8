"""`consumer maintain` tells of findings: by real processes, a test at a command, and what the doctor says of it."""

import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from consumer import logs
from consumer.process.channels import SendLimits
from tests.support.cli import arrive, call, examined
from tests.support.databases import rows
from tests.support.dead import dead_at_the_door
from tests.support.factories import user_updated
from tests.support.outbox import set_aside
from tests.support.processes import on, running, until
from tests.support.told import Listener

SECRET = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3"
CANARIES: dict[str, Any] = {
    "display_name": "Canary Cage",
    "primary_email": "canary@example.com",
    "profile_image_url": "https://example.com/canary.png",
    "server_metadata": {"canary": "canary"},
}
WRITE = "import os, sys; open(sys.argv[1], 'a').write(sys.stdin.read() + repr('NOTIFY_COMMAND' in os.environ) + '\\n')"


def die(url: str) -> None:
    """Canaries die in two ways, and one lives."""
    dying = [user_updated(**CANARIES) for _ in range(11)]
    arrive(url, user_updated(**CANARIES), *dying, dead_at_the_door("broken", orjson.dumps(CANARIES)))
    set_aside(url, dying)


def test_a_watch_tells_of_findings_without_personal_data(emptied: str, listener: Listener, tmp_path: Path) -> None:
    die(emptied)
    console = "https://ops.example.com/users"
    secrets = {"NOTIFY_SECRET": SECRET, "HEARTBEAT_URL": listener.url, "CONSOLE_URL": console}
    settings = on(emptied, NOTIFY_URL=listener.url, **secrets)

    with running(tmp_path, settings, "maintain", "--watch") as process:
        until(lambda: ("finding.opened", "dying") in listener.said(), seconds=60)
        assert process.stop() == 0

    [dying] = [
        each.json["data"] for each in listener.heard if each.method == "POST" and each.json["data"]["code"] == "dying"
    ]
    assert dying["url"] == f"{console}/dead"

    for heard in listener.heard:
        assert Webhook(SECRET).verify(heard.body, heard.headers)["text"]
        assert b"anary" not in heard.body
    assert not {text for text in ("anary", "s3cr3t", SECRET) if text in process.text}
    assert '"event":"notification_sent"' in process.text
    assert "anary" not in str(rows(emptied, "SELECT findings FROM consumer.reports WHERE findings IS NOT NULL"))


def test_a_watch_tells_a_command_and_calls_while_it_is_well(emptied: str, listener: Listener, tmp_path: Path) -> None:
    arrive(emptied, dead_at_the_door("broken"))
    (tmp_path / "write.py").write_text(WRITE)
    command = f"{sys.executable} {tmp_path / 'write.py'} {tmp_path / 'out'}"

    with running(
        tmp_path, on(emptied, NOTIFY_COMMAND=command, HEARTBEAT_URL=listener.url), "maintain", "--watch"
    ) as process:
        until(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_text().endswith("\n"), seconds=60)
        assert process.stop() == 0

    told = (tmp_path / "out").read_text().splitlines()
    assert '"code":"dead"' in "".join(told)
    assert all(line.endswith("False") for line in told)
    assert [each.method for each in listener.heard] == ["GET"]


def test_a_watch_ends_while_nobody_answers_it(emptied: str, listener: Listener, tmp_path: Path) -> None:
    arrive(emptied, dead_at_the_door("broken"))
    listener.behaviours = ["hang", "hang", "hang"]

    with running(tmp_path, on(emptied, NOTIFY_URL=listener.url), "maintain", "--watch") as process:
        until(lambda: listener.heard, seconds=60)
        began = time.monotonic()
        assert process.stop() == 0

    # Less than the time that an attempt may take.
    assert time.monotonic() - began < SendLimits().seconds


@pytest.mark.parametrize("name", ["NOTIFY_URL", "HEARTBEAT_URL"])
def test_one_call_says_that_only_a_watch_notifies(
    emptied: str, listener: Listener, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    call(emptied, "maintain", **{name: listener.url})
    assert caplog.messages.count(logs.NOTIFY_BY_WATCH) == 1
    call(emptied, "maintain")

    assert caplog.messages.count(logs.NOTIFY_BY_WATCH) == 1
    assert listener.heard == []


def test_a_test_says_who_was_told(emptied: str, listener: Listener) -> None:
    settings = {"NOTIFY_URL": listener.url, "NOTIFY_SECRET": SECRET, "HEARTBEAT_URL": listener.url}

    said = call(emptied, "maintain", "--notify-test", **settings)

    post, get = listener.heard
    assert (said.exit_code, get.method) == (0, "GET")
    assert Webhook(SECRET).verify(post.body, post.headers)["type"] == "finding.test"
    assert f"Sent {post.headers['webhook-id']} to http://127.0.0.1:" in said.stdout
    assert "signed." in said.stdout
    assert "s3cr3t" not in said.output


def test_a_test_that_fails_says_why(emptied: str, listener: Listener) -> None:
    listener.behaviours = [410]

    said = call(emptied, "maintain", "--notify-test", NOTIFY_URL=listener.url)

    assert (said.exit_code, said.stderr) == (1, "Error: NOTIFY_URL answered 410.\n")


def test_a_test_without_anybody_to_tell_is_refused(emptied: str) -> None:
    said = call(emptied, "maintain", "--notify-test")

    assert said.exit_code == 2
    assert "there is nobody to tell" in said.stderr


@pytest.mark.parametrize("other", ["--watch", "--json"])
def test_a_test_excludes_other_work(emptied: str, other: str) -> None:
    assert call(emptied, "maintain", "--notify-test", other).exit_code == 2


@pytest.mark.parametrize(
    ("settings", "state", "finding"),
    [
        pytest.param({}, "ok", "nobody is told of findings", id="nobody"),
        pytest.param(
            {"NOTIFY_URL": "https://hooks.example.com/s3cr3t", "NOTIFY_SECRET": SECRET},
            "ok",
            "sent to https://hooks.example.com, signed",
            id="signed",
        ),
        pytest.param(
            {"NOTIFY_URL": "https://user:s3cr3t@hooks.example.com:8443/?key=s3cr3t"},
            "ok",
            "sent to https://hooks.example.com:8443, not signed, because NOTIFY_SECRET is not set",
            id="not signed",
        ),
        pytest.param(
            {"NOTIFY_URL": "http://hooks.example.com/s3cr3t", "NOTIFY_SECRET": SECRET},
            "warning",
            "sent to http://hooks.example.com, signed, unencrypted",
            id="unencrypted",
        ),
        pytest.param({"NOTIFY_URL": "http://127.0.0.1:1/", "NOTIFY_SECRET": SECRET}, "ok", "signed", id="this machine"),
        pytest.param({"NOTIFY_COMMAND": "sh -c s3cr3t"}, "ok", "sent to NOTIFY_COMMAND", id="a command"),
        pytest.param({"NOTIFY_COMMAND": "/nonexistent/s3cr3t"}, "warning", "names no program", id="no program"),
    ],
)
def test_the_doctor_judges_the_way(emptied: str, settings: dict[str, str], state: str, finding: str) -> None:
    _, checks = examined(emptied, **settings)

    found = checks["notifications"]
    assert (found["state"], finding in found["finding"]) == (state, True)
    assert "s3cr3t" not in str(checks)


@pytest.mark.parametrize(
    ("url", "state", "finding"),
    [
        ("", "ok", "none: HEARTBEAT_URL is not set"),
        ("https://hc.example.com/s3cr3t", "ok", "calls https://hc.example.com while no finding fails"),
        ("http://hc.example.com/s3cr3t", "warning", "unencrypted"),
    ],
)
def test_the_doctor_judges_the_heartbeat(emptied: str, url: str, state: str, finding: str) -> None:
    _, checks = examined(emptied, HEARTBEAT_URL=url)

    assert (checks["heartbeat"]["state"], finding in checks["heartbeat"]["finding"]) == (state, True)
    assert "s3cr3t" not in str(checks)
