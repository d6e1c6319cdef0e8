"""`python -m tools.verify` against a fake of Stack, over HTTP."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.fake_stack import FakeStack, Project
from tests.support.fake_stack.serving import ADMIN_KEY, PROJECT_ID, SERVER_KEY
from tests.support.fake_stack.shapes import Age
from tests.support.processes import ROOT, environment

WITH_ADMIN_KEY = {"STACK_SUPER_SECRET_ADMIN_KEY": ADMIN_KEY}


@dataclass(frozen=True)
class Report:
    """What a run printed, wrote and found: the verdict and the reasons of each claim."""

    exit_code: int
    text: str
    errors: str
    record: str
    verdicts: Mapping[str, str]
    reasons: Mapping[str, list[str]]

    @property
    def odd(self) -> dict[str, str]:
        """The claims that are not as expected."""
        return {name: verdict for name, verdict in self.verdicts.items() if verdict != "as expected"}


def todays_fake(age: Age = "new") -> FakeStack:
    """A server on today's clock, whose project has three users and an endpoint."""
    fake = FakeStack(age, Project(now=datetime.now(UTC)))
    for _ in range(3):
        fake.project.sign_up()
    fake.svix.add_endpoint("https://hooks.example.com/webhooks/stack", fake.project.now)
    return fake


def start(fake: FakeStack, out: Path, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
    """Begin a run that asks nothing and waits for no replica."""
    values = {
        "STACK_API_URL": fake.url,
        "SVIX_SERVER_URL": fake.url,
        "STACK_PROJECT_ID": PROJECT_ID,
        "STACK_SECRET_SERVER_KEY": SERVER_KEY,
        "STACK_API_RPS": "1000",
        **settings,
    }
    command = [sys.executable, "-m", "tools.verify", "--wait", "0", "--out", str(out), *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(values),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def verify(fake: FakeStack, out: Path, *arguments: str, **settings: str) -> Report:
    """Run the tool to its end."""
    with start(fake, out, "--yes", *arguments, **settings) as process:
        text, errors = process.communicate(timeout=60)
    record = out.read_text() if out.exists() else "{}"
    claims: list[dict[str, Any]] = json.loads(record).get("claims", [])
    verdicts = {claim["name"]: claim["verdict"] for claim in claims}
    reasons = {claim["name"]: claim["reasons"] for claim in claims}
    return Report(process.returncode, text, errors, record, verdicts, reasons)


def instead(fake: FakeStack, method: str, path: str, answer: ASGIApp) -> None:
    """Answer what begins with a path in another way."""
    inner = fake.app

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        is_meant = scope["method"] == method and scope["path"].startswith(path)
        await (answer if is_meant else inner)(scope, receive, send)

    fake.app = routed
