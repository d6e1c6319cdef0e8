"""How often a way out is tried, after which pauses, and that a command says nothing of its own."""

import asyncio
import random
import signal
from typing import Any

import pytest

from consumer.process.channels import NotSent, SendLimits, call, channel, signed_headers
from consumer.settings.notifications import NotifySettings
from tests.support.notifying import NOW, SECRET
from tests.support.told import PATIENT, SHORT, Listener

BODY = b'{"type": "finding.opened"}'
BRIEF = SendLimits(seconds=0.05, attempts=2, backoff_seconds=0)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest pauses that chance allows; nobody waits for them."""
    found: list[float] = []

    async def pause(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", pause)
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    return found


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Each start of a command."""
    found: list[tuple[str, ...]] = []
    start = asyncio.create_subprocess_exec

    async def started(*command: str, **options: Any) -> asyncio.subprocess.Process:
        found.append(command)
        return await start(*command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", started)
    return found


async def run(*command: str, limits: SendLimits = PATIENT) -> None:
    send = channel(NotifySettings(command=command), {}, limits)
    assert send
    await send("msg_1", BODY)


@pytest.mark.parametrize(
    ("limits", "longest"),
    [
        (SendLimits(), [1, 2]),
        (SendLimits(seconds=7, attempts=5, backoff_seconds=1.5), [1.5, 3, 6, 7]),
        (SendLimits(attempts=1), []),
    ],
)
async def test_each_pause_is_up_to_twice_as_long_and_no_longer_than_an_attempt(
    listener: Listener, pauses: list[float], limits: SendLimits, longest: list[float]
) -> None:
    listener.behaviours = [500] * 5

    with pytest.raises(NotSent, match=r"^HEARTBEAT_URL answered 500\.$"):
        await call(listener.url, limits)

    assert pauses == longest
    assert len(listener.heard) == limits.attempts


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_an_answer_of_success_is_the_last(listener: Listener, status: int) -> None:
    listener.behaviours = [status]

    await call(listener.url, PATIENT)

    assert len(listener.heard) == 1


@pytest.mark.parametrize(
    ("status", "is_tried_again"), [(428, False), (429, True), (430, False), (499, False), (500, True), (599, True)]
)
async def test_only_what_may_pass_is_tried_again(listener: Listener, status: int, *, is_tried_again: bool) -> None:
    listener.behaviours = [status]
    send = channel(NotifySettings(url=listener.url), {}, PATIENT)
    assert send

    if is_tried_again:
        await send("msg_1", BODY)
    else:
        with pytest.raises(NotSent, match=rf"^NOTIFY_URL answered {status}\.$"):
            await send("msg_1", BODY)

    assert [each.body for each in listener.heard] == [BODY] * (2 if is_tried_again else 1)


async def test_a_heartbeat_that_is_led_elsewhere_is_given_up_at_once(listener: Listener) -> None:
    listener.behaviours = [308]

    with pytest.raises(NotSent) as raised:
        await call(listener.url, PATIENT)

    cure = "a redirect is not followed, so set the address that it leads to"
    assert (str(raised.value), raised.value.is_temporary) == (f"HEARTBEAT_URL answered 308: {cure}.", False)
    assert len(listener.heard) == 1


async def test_a_command_that_hangs_is_run_again(starts: list[tuple[str, ...]]) -> None:
    with pytest.raises(NotSent, match=r"^NOTIFY_COMMAND ran for over 0\.05 s\.$"):
        await run("sleep", "60", limits=BRIEF)

    assert starts == [("sleep", "60")] * 2


async def test_a_command_that_hangs_has_ended_when_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def started(*command: str, **options: Any) -> asyncio.subprocess.Process:
        found.append(await start(*command, **options))
        return found[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", started)
    with pytest.raises(NotSent):
        await run("sleep", "60", limits=SendLimits(seconds=0.05, attempts=1))

    assert [process.returncode for process in found] == [-signal.SIGKILL]


async def test_a_command_that_cannot_be_started_is_tried_once(starts: list[tuple[str, ...]]) -> None:
    with pytest.raises(NotSent, match=r"^NOTIFY_COMMAND can't be started \(FileNotFoundError\)\.$"):
        await run("/nonexistent/page", "--team", "a")

    assert starts == [("/nonexistent/page", "--team", "a")]


@pytest.mark.parametrize(("code", "attempts"), [(0, 1), (1, 3), (255, 3)])
async def test_a_command_is_run_until_its_exit_code_is_0(starts: list[Any], code: int, attempts: int) -> None:
    if code:
        with pytest.raises(NotSent, match=rf"^NOTIFY_COMMAND ended with exit code {code}\.$"):
            await run("sh", "-c", f"exit {code}")
    else:
        await run("sh", "-c", f"exit {code}")

    assert len(starts) == attempts


async def test_what_a_command_prints_is_nobody_s(capfd: pytest.CaptureFixture[str]) -> None:
    await run("sh", "-c", "cat; echo an error >&2")

    assert capfd.readouterr() == ("", "")


def test_nobody_is_told_where_nobody_is_named() -> None:
    assert channel(NotifySettings(heartbeat_url="https://h/"), {}, SHORT) is None
    assert channel(NotifySettings(url="https://h/"), {}, SHORT)
    assert channel(NotifySettings(command=("page",)), {}, SHORT)


def test_each_signature_is_over_the_id_the_second_and_the_body() -> None:
    headers = signed_headers([SECRET, SECRET], "msg_1", NOW.replace(microsecond=999_999), BODY)

    names = ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"]
    assert (list(headers), headers["content-type"], headers["webhook-id"]) == (names, "application/json", "msg_1")
    assert headers["webhook-timestamp"] == "1795953600"
    one, two = headers["webhook-signature"].split(" ")
    assert one == two
    assert one.startswith("v1,")
    assert list(signed_headers([], "msg_1", NOW, BODY)) == names[:3]
