"""The ways out: a real server and a real command, well and ill, and a verifier that is not ours."""

import asyncio
import stat
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psutil
import pytest
import svix
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from consumer.process.channels import KILL_SECONDS, NotSent, Send, SendLimits, call, channel, signed_headers
from consumer.settings.notifications import NotifySettings
from tests.support import polling
from tests.support.told import PATIENT, SHORT, Listener

NEW, OLD = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3", "whsec_b2xkb2xkb2xkb2xkb2xkb2xk"
BODY = orjson.dumps({"type": "finding.opened", "text": "Ünï", "data": {}})
ONE_MESSAGE = "msg_1"
# A busy machine starts Python within it.
LONGER = SendLimits(seconds=1, attempts=1)


def opened(settings: NotifySettings, limits: SendLimits = PATIENT, **environment: str) -> Send:
    found = channel(settings, environment, limits)
    assert found
    return found


def limits_for(trouble: int | str) -> SendLimits:
    return SHORT if trouble in {"hang", "slow"} else PATIENT


def script(folder: Path, text: str) -> NotifySettings:
    """A program whose file name and argument a shell would tear apart."""
    path = folder / "on call; $(touch hacked).py"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return NotifySettings(command=(str(path), str(folder / "out"), "$HOME;*"))


def test_an_attempt_may_take_five_seconds_and_there_are_three() -> None:
    assert SendLimits() == SendLimits(seconds=5, attempts=3, backoff_seconds=1)


async def test_a_receiver_verifies_it_by_either_library(listener: Listener) -> None:
    await opened(NotifySettings(url=listener.url, secrets=(NEW,)))(ONE_MESSAGE, BODY)

    [heard] = listener.heard
    assert (heard.method, heard.body, heard.headers["content-type"]) == ("POST", BODY, "application/json")
    assert heard.headers["webhook-id"] == ONE_MESSAGE
    assert Webhook(NEW).verify(heard.body, heard.headers) == orjson.loads(BODY)
    svix.Webhook(NEW).verify(heard.body, heard.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(heard.body, heard.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(heard.body.replace(b"opened", b"closed"), heard.headers)


def test_during_a_rotation_both_secrets_verify_it() -> None:
    headers = signed_headers((NEW, OLD), ONE_MESSAGE, datetime.now(UTC), BODY)

    assert Webhook(NEW).verify(BODY, headers) == Webhook(OLD).verify(BODY, headers) == orjson.loads(BODY)


async def test_a_chat_without_a_secret_gets_no_signature(listener: Listener) -> None:
    await opened(NotifySettings(url=listener.url))(ONE_MESSAGE, BODY)

    assert "webhook-signature" not in listener.heard[0].headers


@pytest.mark.parametrize("trouble", [500, 503, 429, "close", "hang", "slow"])
async def test_a_passing_trouble_is_met_by_another_attempt_with_the_same_id(
    listener: Listener, trouble: int | str
) -> None:
    listener.behaviours = [trouble, trouble]

    await opened(NotifySettings(url=listener.url, secrets=(NEW,)), limits_for(trouble))(ONE_MESSAGE, BODY)

    assert [each.headers["webhook-id"] for each in listener.heard] == [ONE_MESSAGE] * 3


@pytest.mark.parametrize("trouble", [500, 429, "close", "hang", "slow"])
async def test_after_three_attempts_it_is_given_up(listener: Listener, trouble: int | str) -> None:
    listener.behaviours = [trouble] * 4

    with pytest.raises(NotSent) as raised:
        await opened(NotifySettings(url=listener.url), limits_for(trouble))(ONE_MESSAGE, BODY)

    assert len(listener.heard) == 3
    assert str(raised.value).startswith("NOTIFY_URL ")


async def test_an_answer_that_trickles_ends_with_the_time_of_an_attempt(listener: Listener) -> None:
    listener.behaviours = ["slow"]

    with pytest.raises(NotSent, match=r"NOTIFY_URL did not answer \(TimeoutError\)"):
        await opened(NotifySettings(url=listener.url), replace(SHORT, attempts=1))(ONE_MESSAGE, BODY)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(listener: Listener, status: int) -> None:
    listener.behaviours = [status]

    with pytest.raises(NotSent, match=rf"NOTIFY_URL answered {status}: a redirect is not followed"):
        await opened(NotifySettings(url=listener.url))(ONE_MESSAGE, BODY)

    assert len(listener.heard) == 1


@pytest.mark.parametrize("status", [304, 400, 403, 404, 410])
async def test_a_refusal_is_not_repeated_at_once(listener: Listener, status: int) -> None:
    listener.behaviours = [status]

    with pytest.raises(NotSent, match=f"NOTIFY_URL answered {status}"):
        await opened(NotifySettings(url=listener.url))(ONE_MESSAGE, BODY)

    assert len(listener.heard) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/s3cr3t", "http://s3cr3t..example/", "http://s3cr3t.invalid/"])
async def test_no_error_shows_the_address(url: str) -> None:
    with pytest.raises(NotSent) as raised:
        await opened(NotifySettings(url=url))(ONE_MESSAGE, BODY)

    assert "s3cr3t" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


async def test_a_heartbeat_is_a_get_without_a_body(listener: Listener) -> None:
    listener.behaviours = [500]

    await call(listener.url, PATIENT)

    assert [(each.method, each.body) for each in listener.heard] == [("GET", b"")] * 2
    assert listener.heard[0].path in listener.url


async def test_a_command_gets_the_json_and_no_shell_sees_its_words(tmp_path: Path) -> None:
    write = "import sys; open(sys.argv[1], 'w').write(repr((sys.stdin.read(), sys.argv[2]))); print('x' * 10**6)"

    await opened(script(tmp_path, write))(ONE_MESSAGE, BODY)

    assert (tmp_path / "out").read_text() == repr((BODY.decode(), "$HOME;*"))
    assert not (tmp_path / "hacked").exists()


async def test_a_command_gets_the_environment_that_it_is_given_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:s3cr3t@h/d")
    write = "import os, sys; open(sys.argv[1], 'w').write(repr('DATABASE_URL' in os.environ) + os.environ['TEAM'])"

    await opened(script(tmp_path, write), TEAM="a")(ONE_MESSAGE, BODY)

    assert (tmp_path / "out").read_text() == "Falsea"


async def test_a_command_that_reads_nothing_is_well(tmp_path: Path) -> None:
    await opened(script(tmp_path, ""))(ONE_MESSAGE, BODY * 10_000)


async def test_a_command_that_fails_is_run_three_times(tmp_path: Path) -> None:
    write = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit(3)"

    with pytest.raises(NotSent, match="NOTIFY_COMMAND ended with exit code 3"):
        await opened(script(tmp_path, write))(ONE_MESSAGE, BODY)

    assert (tmp_path / "out").read_text() == "xxx"


@pytest.mark.parametrize("command", ["/nonexistent/s3cr3t", "/etc/passwd", "/"])
async def test_a_command_that_cannot_be_started_is_said_so(command: str) -> None:
    with pytest.raises(NotSent, match=r"NOTIFY_COMMAND can't be started \((FileNotFound|Permission)Error\)"):
        await opened(NotifySettings(command=(command,)))(ONE_MESSAGE, BODY)


async def test_a_command_that_hangs_ends_with_its_children_and_leaves_no_zombie(tmp_path: Path) -> None:
    sleep = "child = subprocess.Popen(['sleep', '60']); open(sys.argv[1], 'w').write(str(child.pid)); child.wait()"
    before = children()

    with pytest.raises(NotSent, match=r"NOTIFY_COMMAND ran for over 1 s"):
        await opened(script(tmp_path, f"import subprocess, sys; {sleep}"), LONGER)(ONE_MESSAGE, BODY)

    assert children() <= before
    grandchild = int((tmp_path / "out").read_text())
    await polling.until(lambda: not is_running(grandchild))
    assert KILL_SECONDS == 1


async def test_a_stop_kills_the_command(tmp_path: Path) -> None:
    write = "import sys, time; open(sys.argv[1], 'w').write('x'); time.sleep(60)"
    before = children()
    send = opened(script(tmp_path, write), SendLimits())
    sending = asyncio.ensure_future(send(ONE_MESSAGE, BODY))
    await polling.until((tmp_path / "out").exists)

    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)

    assert children() <= before


def children() -> set[psutil.Process]:
    """Return the processes below this one, among them a server or a browser of the whole session."""
    return set(psutil.Process().children(recursive=True))


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that nobody waits for yet does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
