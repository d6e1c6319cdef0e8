"""Notifications as the settings have them: who is told, a test of it, and what the doctor says of it."""

import os
import shutil
import socket
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit
from uuid import uuid4

from consumer.cli.addresses import is_loopback
from consumer.cli.database import url
from consumer.cli.sources import expectations
from consumer.doctor.check import Check, ok
from consumer.errors import BadSettings
from consumer.postgres.connections import connect, operator_access
from consumer.process.channels import SendLimits, call, channel
from consumer.process.notification_states import StatesInDatabase
from consumer.process.notifications import Notification, body
from consumer.process.notify import HEARTBEAT_TIME, Notifier, Outlets
from consumer.process.outage_log import address
from consumer.process.reports import Reporter
from consumer.settings.settings import NAMES, Settings
from consumer.verdict.finding import Finding
from consumer.verdict.observation import Observation
from consumer.verdict.observe import observe

TEST = Finding("test", "note", "notifications", "this is how a finding is told")
UNSET = "NOTIFY_URL, NOTIFY_COMMAND and HEARTBEAT_URL are not set: there is nobody to tell."
TRY = "Correct it, then try it by `consumer maintain --notify-test`."


def outlets(settings: Settings) -> Outlets:
    """Return how others are told; a command gets this process's environment without our settings and their secrets."""
    found, limits = settings.notify, SendLimits()
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    beat = partial(call, found.heartbeat_url, limits) if found.heartbeat_url else None
    conninfo = url(settings, "operator")
    place = address(conninfo) if conninfo else f"embedded on {socket.gethostname()}"
    return Outlets(channel(found, environment, limits), beat, place, settings.console_url)


def notifier(settings: Settings, conninfo: str, reporter: Reporter) -> Notifier | None:
    """Return what tells of this installation's findings; None if nobody is told."""
    if not settings.notify.is_on:
        return None
    access = operator_access(settings.role_prefix)

    async def observed() -> Observation:
        async with await connect(conninfo, access) as conn:
            return await observe(conn, access, expectations(settings))

    states = StatesInDatabase(conninfo, access, reporter.process_id)
    # Where a database may sleep for longer, the jobs ask it once a minute all the same.
    period_seconds = min(reporter.period_seconds, HEARTBEAT_TIME.total_seconds())
    return Notifier(observed, states, outlets(settings), lambda: datetime.now(UTC), period_seconds)


async def send_test(settings: Settings) -> list[str]:
    """Send a made-up notification and a heartbeat to those that are set; return a line on each. Raises NotSent."""
    found, lines = outlets(settings), []
    if found.send:
        now = datetime.now(UTC)
        notification = Notification(f"msg_{uuid4().hex}", "test", TEST, now)
        await found.send(notification.message_id, body(notification, now, found.place))
        lines.append(f"Sent {notification.message_id} {_way(settings)}.")
    if found.beat:
        await found.beat()
        lines.append(f"Called HEARTBEAT_URL at {_host(settings.notify.heartbeat_url)}.")
    if not lines:
        raise BadSettings([UNSET])
    return lines


def check_notify(settings: Settings) -> list[Check]:
    """Check the way of notifications and of the heartbeat, without sending any."""
    found = settings.notify
    if found.command and shutil.which(found.command[0]) is None:
        notifications = Check("notifications", "warning", "NOTIFY_COMMAND names no program that can be run", TRY)
    elif found.url or found.command:
        notifications = _judge("notifications", "NOTIFY_URL", found.url, f"sent {_way(settings)}")
    else:
        notifications = ok("notifications", "nobody is told of findings: NOTIFY_URL and NOTIFY_COMMAND are not set")
    if not found.heartbeat_url:
        return [notifications, ok("heartbeat", "none: HEARTBEAT_URL is not set")]
    calls = f"calls {_host(found.heartbeat_url)} while no finding fails"
    return [notifications, _judge("heartbeat", "HEARTBEAT_URL", found.heartbeat_url, calls)]


def _judge(name: str, variable: str, address: str | None, finding: str) -> Check:
    parts = urlsplit(address or "")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return Check(name, "warning", f"{finding}, unencrypted", f"Begin {variable} with https:// if you can.")
    return ok(name, finding)


def _way(settings: Settings) -> str:
    found = settings.notify
    if found.command:
        return "to NOTIFY_COMMAND"
    signed = "signed" if found.secrets else "not signed, because NOTIFY_SECRET is not set"
    return f"to {_host(found.url)}, {signed}"


def _host(address: str | None) -> str:
    """Return the part of an address that is no secret."""
    parts = urlsplit(address or "")
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
