"""The parts of the doctor's report: what it says of secrets, disk, ledger, settings, Stack and rehearsals."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from consumer.cli import doctor
from consumer.cli.doctor import _judge_disk, _judge_ledger, _judge_secrets, _migrations, _rehearsals, _show
from consumer.cli.output import console
from consumer.doctor import endpoint, stack_api
from consumer.doctor.check import Check, ok
from consumer.doctor.endpoint import check_endpoint
from consumer.doctor.installation import check_migrations, check_settings
from consumer.doctor.stack_api import check_stack_api
from consumer.errors import BadSettings
from consumer.postgres.connections import operator_access
from consumer.postgres.ledger import NEWER_CURE
from consumer.settings.settings import ShapingSettings
from consumer.settings.signing_secrets import EXAMPLES
from consumer.stack_api.client import StackAccess
from consumer.stack_api.endpoint import EndpointFinding
from consumer.stack_api.errors import ApiError
from tests.support.passing import passing
from tests.support.processes import APP_SECRET, SECRET
from tests.support.settings import load

URL = "postgresql://ada@db.example.com/app"
COPY = "Copy the endpoint's signing secret from Stack's dashboard."


def secrets(folder: Path, **environment: str) -> list[Check]:
    return _judge_secrets(load({"CONSUMER_DATA_DIR": str(folder), **environment}))


def test_the_secrets_are_those_of_the_settings_or_those_that_up_made(tmp_path: Path) -> None:
    name = "webhook secrets"
    unset = [Check(name, "failing", "STACK_WEBHOOK_SECRETS is not set", COPY)]

    assert secrets(tmp_path, STACK_WEBHOOK_SECRETS=SECRET) == [ok(name, "valid for stack")]
    assert secrets(tmp_path, STACK_WEBHOOK_SECRETS=SECRET, APP_WEBHOOK_SECRETS=APP_SECRET) == [
        ok(name, "valid for app, stack")
    ]
    assert secrets(tmp_path) == unset
    (tmp_path / "webhook-secret").write_text(SECRET)
    assert secrets(tmp_path) == [ok(name, "the ones that `consumer up` made")]
    # They are those of the embedded database.
    assert secrets(tmp_path, DATABASE_URL=URL) == unset
    (tmp_path / "webhook-secret").write_text("whsec_?")
    assert secrets(tmp_path, DATABASE_URL=URL, STACK_WEBHOOK_SECRETS=SECRET) == [ok(name, "valid for stack")]
    assert secrets(tmp_path) == [
        Check(
            name,
            "failing",
            f"{tmp_path}/webhook-secret holds no usable secret",
            "restore it, or delete it and `consumer up` makes a new one.",
        )
    ]


def test_each_published_secret_is_named(tmp_path: Path) -> None:
    cure = "Use a secret of your own. If this one was in use, go on with docs/recovery/leaked-secret.md."
    held = "holds an example key that documents show, so anybody can sign with it"

    assert secrets(tmp_path, STACK_WEBHOOK_SECRETS=EXAMPLES[0], APP_WEBHOOK_SECRETS=EXAMPLES[1]) == [
        Check("webhook secrets", "failing", f"{name} {held}", cure)
        for name in ("STACK_WEBHOOK_SECRETS", "APP_WEBHOOK_SECRETS")
    ]


@pytest.mark.parametrize(("free", "state", "shown"), [(2**30, "ok", "1024 MB"), (2**30 - 1, "warning", "1023 MB")])
def test_a_gigabyte_must_be_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str, shown: str
) -> None:
    free_of = {tmp_path: free}
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=free_of[folder]))

    found = _judge_disk(tmp_path)

    cure = f"Make room on the disk of {tmp_path}." if state == "warning" else None
    assert (found.name, found.state, found.finding, found.cure) == ("disk", state, f"{shown} free", cure)


@pytest.mark.parametrize("name", ["missing objects", "unknown objects", "releases", "owner"])
def test_what_refuses_the_ledger_itself_replaces_the_pending_migrations(name: str) -> None:
    looked, migrated = [Check(name, "failing", "x", "y"), ok("other", "z")], ok("migrations", "all")

    assert _judge_ledger(looked, migrated) == ([*looked, migrated] if name == "owner" else looked)


LEDGER = "consumer.postgres.ledger"


async def migrations(
    monkeypatch: pytest.MonkeyPatch, missing: list[str], reason: str | None, newer: list[str]
) -> Check:
    for name, value in (("missing_ids", missing), ("too_old_reason", reason), ("newer_ids", newer)):

        async def answer(_: object, value: object = value) -> object:
            return value

        monkeypatch.setattr(f"{LEDGER}.{name}", answer)
    monkeypatch.setattr(f"{LEDGER}.carried_ids", lambda: ["1", "2", "3"])
    return await check_migrations(None)  # type: ignore[arg-type]  # Nothing is asked by it.


async def test_the_ledger_is_judged_by_what_is_missing_then_by_its_fence_then_by_what_is_newer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await migrations(monkeypatch, [], None, []) == ok("migrations", "all 3 are applied")
    assert await migrations(monkeypatch, ["a", "b"], "too old: upgrade", ["c"]) == Check(
        "migrations", "failing", "pending: a, b", "Run `consumer migrate`."
    )
    assert await migrations(monkeypatch, [], "too old: upgrade", ["c"]) == Check(
        "migrations", "failing", "too old", "Upgrade."
    )
    assert await migrations(monkeypatch, [], None, ["c", "d"]) == Check(
        "migrations", "warning", "this release does not carry c, d", NEWER_CURE
    )


async def test_a_ledger_that_can_t_be_read_fails_with_its_reason(emptied: str) -> None:
    access = operator_access("consumer")
    async with passing(emptied, "ALTER TABLE consumer._yoyo_migration RENAME TO gone") as conn:
        gone = await _migrations(conn, access)
    async with passing(emptied, "REVOKE ALL ON consumer._yoyo_migration FROM consumer_operator") as conn:
        closed = await _migrations(conn, access)

    assert gone == Check("migrations", "failing", "a table of the ledger is missing", "Restore the backup whole.")
    assert closed == Check("migrations", "failing", "can't be read as consumer_operator (42501)", "See above.")


async def test_recorded_settings_are_compared(emptied: str) -> None:
    name = "recorded settings"
    async with passing(emptied) as conn:
        same = await check_settings(conn, ShapingSettings())
        other = await check_settings(conn, replace(ShapingSettings(), default_role="guest"))
        await conn.execute("DELETE FROM consumer.settings")
        none = await check_settings(conn, ShapingSettings())

    assert (same, none) == (ok(name, "the same as here"), Check(name, "failing", "none", "Run `consumer migrate`."))
    finding = "DEFAULT_ROLE is guest here and member in the database"
    assert (other.name, other.state, other.finding) == (name, "failing", finding)
    assert other.cure
    assert other.cure.startswith("Set it to member, or ")


ACCESS = StackAccess("https://api.example.com", "project", "server", "admin")


def opened(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, error: Exception | None) -> list[tuple[Any, ...]]:
    """Let an API be opened that fails so; return with what it is opened."""
    asked: list[tuple[Any, ...]] = []

    @asynccontextmanager
    async def open_one(*values: Any) -> AsyncIterator[Any]:
        asked.append(values)
        if error:
            raise error
        yield SimpleNamespace(user=user)

    async def user(user_id: object) -> None:
        asked.append((user_id,))

    monkeypatch.setattr(module, name, open_one)
    return asked


@pytest.mark.parametrize(
    ("project", "key", "finding"),
    [
        ("", "", "not used: STACK_PROJECT_ID and STACK_SECRET_SERVER_KEY are not set"),
        ("project", "", "STACK_SECRET_SERVER_KEY is not set"),
        ("", "server", "STACK_PROJECT_ID is not set"),
    ],
)
async def test_an_api_without_its_settings_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, project: str, key: str, finding: str
) -> None:
    asked = opened(monkeypatch, stack_api, "open_stack_api", None)
    cure = "Set both, from Stack's dashboard, so that `backfill` and `refresh` can ask it."

    found = await check_stack_api(replace(ACCESS, project_id=project, server_key=key))

    is_used = bool(project or key)
    assert found == Check("Stack's API", "warning" if is_used else "ok", finding, cure if is_used else None)
    assert asked == []


async def test_an_api_is_asked_once_within_the_patience_of_somebody_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = opened(monkeypatch, stack_api, "open_stack_api", None)

    found = await check_stack_api(ACCESS)

    (access, _, limits), (user_id,) = asked
    assert found == ok("Stack's API", "answers for project project")
    assert (access, user_id.int) == (ACCESS, 0)
    times = (limits.connect_seconds, limits.read_seconds, limits.call_seconds, limits.attempts)
    assert times == (3, 5, 8, 1)


VARIABLE = "Correct the variable, in the environment or in .env."


@pytest.mark.parametrize(
    ("error", "cures"),
    [
        (BadSettings(["STACK_API_URL is wrong."]), (VARIABLE, VARIABLE)),
        (ApiError("It says no."), ("Check STACK_API_URL.", "Check STACK_API_URL and SVIX_SERVER_URL.")),
    ],
)
async def test_what_keeps_an_api_from_answering_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, error: Exception, cures: tuple[str, str]
) -> None:
    opened(monkeypatch, stack_api, "open_stack_api", error)
    opened(monkeypatch, endpoint, "open_stack_admin", error)

    asked = await check_stack_api(ACCESS)
    looked = await check_endpoint(ACCESS, None, URL, [])

    assert asked == Check("Stack's API", "warning", str(error), cures[0])
    assert looked == [Check("endpoint at Svix", "warning", str(error), cures[1])]


async def test_an_endpoint_is_looked_at_if_it_is_known_and_the_key_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "endpoint at Svix"
    found: list[EndpointFinding] = []
    opened(monkeypatch, endpoint, "open_stack_admin", None)
    asked = opened(monkeypatch, endpoint, "open_svix", None)

    async def findings(_: object, url: str, secrets: object) -> list[EndpointFinding]:
        assert (url, secrets) == ("https://x", ["s"])
        return found

    monkeypatch.setattr(endpoint, "endpoint_findings", findings)
    unset = [ok(name, "not looked at: STACK_SUPER_SECRET_ADMIN_KEY is not set")]

    assert await check_endpoint(replace(ACCESS, admin_key=""), None, "https://x", ["s"]) == unset
    assert await check_endpoint(replace(ACCESS, project_id=""), None, "https://x", ["s"]) == unset
    assert await check_endpoint(ACCESS, None, None, []) == [
        ok(name, "not looked at: `consumer connect` has recorded none")
    ]
    assert asked == []
    assert await check_endpoint(ACCESS, "https://svix", "https://x", ["s"]) == [
        ok(name, "https://x is enabled and gets all types")
    ]
    assert asked[0][1:3] == ("project", "https://svix")
    found += [EndpointFinding("a", "sad", "cure it", is_alarm=True), EndpointFinding("b", "odd", "look")]
    assert await check_endpoint(ACCESS, "https://svix", "https://x", ["s"]) == [
        Check(name, "failing", "sad", "cure it"),
        Check(name, "warning", "odd", "look"),
    ]


def test_a_check_that_is_wider_than_the_window_has_its_parts_on_lines_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "console", lambda: SimpleNamespace(width=30, print=console().print))

    _show([ok("queue", "none"), Check("long name", "warning", "x" * 20, "do\x1bit"), ok("wide", "y" * 30)])

    assert capsys.readouterr().out.splitlines() == [
        "ok       queue      none",
        "warning  long name",
        f"  {'x' * 20}",
        "  → do\\x1bit",
        "ok       wide",
        f"  {'y' * 30}",
    ]


@pytest.mark.parametrize("is_planned", [True, False])
async def test_a_lock_fails_the_part_of_the_rehearsal_that_it_stopped(
    monkeypatch: pytest.MonkeyPatch, emptied: str, is_planned: bool
) -> None:
    async def rehearsed(*_: object) -> Check:
        if is_planned:
            return ok("worker's queries", "all can be run")
        raise psycopg.OperationalError("canceling statement due to lock timeout")

    async def stopped(*_: object) -> list[Check]:
        raise psycopg.OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(doctor, "rehearse", rehearsed)
    monkeypatch.setattr(doctor, "rehearse_statement", stopped)

    *before, last = await _rehearsals(load({"DATABASE_URL": emptied}), "worker", emptied, emptied)

    assert [check.name for check in before] == (["worker's queries"] if is_planned else [])
    assert last == Check(
        "application's statement" if is_planned else "worker's queries",
        "failing",
        "canceling statement due to lock timeout",
        "Find the transaction that locks the tables.",
    )
