"""The examples of docs/LIBRARY.md work as they stand there."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import TypeVar
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.events.check import check
from consumer.events.registry import EVENT_TYPES
from consumer.providers.standard_webhooks import Verifier
from consumer.settings import signing_secrets
from consumer.web.connection_limits import Limits
from tests.support.databases import rows
from tests.support.effects import applied
from tests.support.factories import edited, snapshot, team, team_event, user_deleted, user_updated
from tests.support.outbox import work
from tests.support.processes import ROOT
from tests.support.tenants import reader
from tests.support.web import APP_SECRET, TOLERANCE, Site, running
from tests.support.worker import drain_all, stored, worker

PAGE = (ROOT / "docs" / "LIBRARY.md").read_text()
ADA = "6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10"
APPLICATION = "my_application"
# Since 22.6 Node runs TypeScript by leaving its types out.
NODE = ["node", "--experimental-strip-types", "--no-warnings", "--input-type=module-typescript", "--eval"]
T = TypeVar("T")


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


async def while_working(url: str, call: Callable[[], T]) -> T:
    """Call, and apply what is due until the call returns."""
    with ThreadPoolExecutor(1) as pool:
        called = pool.submit(call)
        while not called.done():
            await work(url)
        return called.result()


def process(command: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **settings}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)


def run(command: list[str], **settings: str) -> str:
    result = process(command, **settings)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def site(emptied: str) -> Iterator[Site]:
    with running(emptied, Limits()) as site:
        site.app = site.receiver({"app": Verifier([APP_SECRET], TOLERANCE)}, datetime.now(UTC))
        yield site


@pytest.fixture
def application(emptied: str) -> Iterator[str]:
    """The login of an application, with what the page grants it."""
    _, grant = examples("sql")
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {APPLICATION} LOGIN PASSWORD 'x'")
        try:
            conn.execute(grant)
            yield make_conninfo(emptied, user=APPLICATION, password="x")
        finally:
            conn.execute(f"DROP ROLE {APPLICATION}")


def test_the_bodies_that_a_backend_sends_are_events_with_an_effect() -> None:
    events_shown = [check(body.encode(), "app") for body in examples("json")]

    assert {event.type for event in events_shown} == {
        name for name, kind in EVENT_TYPES.items() if "app" in kind.sources
    }
    assert {event.user_id for event in events_shown} == {UUID(ADA)}


async def test_the_query_on_the_page_says_who_changed_a_role_and_why(emptied: str) -> None:
    query, _ = examples("sql")
    await applied(emptied, user_updated(UUID(ADA)), edited(UUID(ADA), role_type="owner", edited_by="grace", reason="x"))

    with reader(emptied, "app") as conn:
        found = [row[1:] for row in conn.execute(query).fetchall()]

    assert found[0] == (["role_type"], "grace", "x")


def asking(site: Site) -> dict[str, str]:
    return {"APP_WEBHOOK_SECRET": APP_SECRET, "APP_WEBHOOK_URL": f"http://127.0.0.1:{site.port}/webhooks/app"}


def calling(
    language: str, name: str | None, *, is_anonymous: bool = False, user_id: str = ADA, seconds: float = 5
) -> list[str]:
    """Return a command that calls the page's callback once, with this time limit, and prints the result as JSON."""
    if language == "python":
        [callback] = [
            example for example in examples("python") if "def signed_in" in example and "timeout=5)" in example
        ]
        call = f"print(json.dumps(signed_in({user_id!r}, {name!r}, None, is_anonymous={is_anonymous})))"
        return [sys.executable, "-c", f"{callback.replace('timeout=5', f'timeout={seconds}')}\n{call}"]
    if subprocess.run([*NODE, ""], capture_output=True, check=False).returncode if which("node") else True:
        pytest.skip("no Node.js of version 22.6 or newer, which runs TypeScript")
    [callback] = [example for example in examples("typescript") if "timeout(5000)" in example]
    user = {"id": user_id, "displayName": name, "primaryEmail": None, "profileImageUrl": None}
    call = f"console.log(JSON.stringify(await signedIn({json.dumps(user | {'isAnonymous': is_anonymous})})));"
    return [*NODE, f"{callback.replace('timeout(5000)', f'timeout({int(seconds * 1000)})')}\n{call}"]


LANGUAGES = pytest.mark.parametrize("language", ["python", "typescript"])


@LANGUAGES
async def test_a_callback_gets_its_row(site: Site, emptied: str, language: str) -> None:
    command = calling(language, "Ada")

    profile = json.loads(await while_working(emptied, lambda: run(command, **asking(site))))

    assert (profile["user_id"], profile["full_name"], profile["email"]) == (ADA, "Ada", None)
    assert profile["deleted_at"] is None


@LANGUAGES
async def test_a_callback_learns_that_its_user_is_deleted(site: Site, emptied: str, language: str) -> None:
    await applied(emptied, user_updated(UUID(ADA)), user_deleted(UUID(ADA)))
    command = calling(language, "Ada")

    profile = json.loads(await while_working(emptied, lambda: run(command, **asking(site))))

    assert profile["deleted_at"]


@LANGUAGES
@pytest.mark.parametrize("is_stack_first", [True, False])
async def test_a_callback_gives_no_profile_to_an_anonymous_visitor(
    site: Site, emptied: str, language: str, is_stack_first: bool
) -> None:
    stack = user_updated(UUID(ADA), display_name=None, primary_email=None, is_anonymous=True)
    if is_stack_first:
        await applied(emptied, stack)
    command = calling(language, None, is_anonymous=True)

    profile = json.loads(await while_working(emptied, lambda: run(command, **asking(site))))
    await applied(emptied, stack)

    assert (profile, rows(emptied, "SELECT * FROM identity.profiles")) == (None, [])


@LANGUAGES
def test_a_callback_goes_on_without_a_row_and_logs_message_id_and_state(site: Site, language: str) -> None:
    result = process(calling(language, "Ada", user_id="nobody"), **asking(site))

    assert (result.returncode, json.loads(result.stdout)) == (0, None)
    assert re.search(r"sign_in_[0-9]{13}_[0-9a-f-]{36}.*202.*dead.*bad_shape", result.stderr)


@LANGUAGES
@pytest.mark.parametrize("is_listening", [False, True], ids=["nobody listens", "nobody answers"])
def test_a_callback_cannot_hang_or_fail_a_sign_in(language: str, is_listening: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/webhooks/app"
        if not is_listening:
            silent.close()
        result = process(calling(language, "Ada", seconds=0.3), APP_WEBHOOK_SECRET=APP_SECRET, APP_WEBHOOK_URL=url)

    assert (result.returncode, json.loads(result.stdout)) == (0, None)
    assert re.search(r"sign_in_[0-9]{13}_[0-9a-f-]{36}", result.stderr)


def test_the_callback_in_typescript_is_clean_under_strict(tmp_path: Path) -> None:
    compiler = Path(which("tsc") or tmp_path / "node_modules" / "typescript" / "bin" / "tsc").resolve()
    types = compiler.parents[2] / "@types"
    if not (types / "node").exists():
        pytest.skip("no TypeScript compiler, or no @types/node beside it")
    (tmp_path / "callback.ts").write_text(*examples("typescript"))
    options = [
        "--noEmit",
        "--strict",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2022",
        "--types",
        "node",
    ]

    assert run([str(compiler), *options, "--typeRoots", str(types), str(tmp_path / "callback.ts")]) == ""


async def test_a_callback_in_a_shell_gets_its_row(site: Site, emptied: str) -> None:
    [callback] = examples("sh")
    if not all(map(which, ("curl", "openssl"))):
        pytest.skip("no curl or no openssl")

    profile = json.loads(await while_working(emptied, lambda: run(["sh", "-euc", callback], **asking(site))))

    assert (profile["user_id"], profile["email"]) == (ADA, "ada@example.com")


def test_the_secret_that_the_page_makes_can_be_used() -> None:
    [command] = re.findall(r"`(echo .*?)`", PAGE)
    if not which("openssl"):
        pytest.skip("no openssl")

    assert signing_secrets.problems((run(["sh", "-euc", command]).strip(),)) == []


@pytest.mark.lone_server
async def test_the_library_does_for_an_applications_login_what_the_page_shows(application: str, emptied: str) -> None:
    [example] = [example for example in examples("python") if "from consumer import profiles" in example]
    [company] = re.findall(r'CREW = UUID\("(.*)"\)', example)
    crew = UUID(company)
    selected = {"selected_team": team(crew), "selected_team_id": company}
    await stored(
        emptied,
        [
            team_event("created", crew),
            user_updated(UUID(ADA), server_metadata={"role": "admin", "company_id": company}),
            user_updated(display_name="José", **selected),
        ],
    )
    await drain_all(emptied, worker())

    said = run([sys.executable, "-c", example], DATABASE_URL=application).splitlines()

    assert [line.count("Profile(") for line in said] == [2, 1, 1, 1, 1, 0, 0, 0, 0]
    assert "José" in said[2]
    assert said[7] == "Stored(message_id='session_1', is_new=True)"
    assert len(rows(emptied, "SELECT seq FROM consumer.pending")) == 4


async def test_the_library_stores_users_of_the_api_for_the_operator_alone(application: str, emptied: str) -> None:
    [example] = [example for example in examples("python") if "sync_users(" in example]
    job = example.replace("users = []", f"users = {[{'id': ADA, **snapshot()}]}")

    refused = process([sys.executable, "-c", job], DATABASE_URL=application)
    said = run([sys.executable, "-c", job], DATABASE_URL=emptied)

    assert refused.returncode == 1
    assert "error=None" in said
    assert rows(emptied, "SELECT source FROM consumer.outbox") == [{"source": "backfill"}]
