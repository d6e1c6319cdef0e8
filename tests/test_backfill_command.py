"""`consumer backfill` and `consumer refresh` as an operator calls them, and processes that are killed."""

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from consumer.operations.backfill import calls_expected
from consumer.stack_api.calls import CallLimits
from tests.support.backfills import environment, held, long_ago, named, truth
from tests.support.cli import call, facts, work
from tests.support.databases import change, rows
from tests.support.fake_stack import FakeStack, trouble
from tests.support.processes import ROOT, on, running, until


def calling(fake: FakeStack, url: str, **others: str) -> Mapping[str, str]:
    """Return the settings of a process that asks the fake."""
    return {**on(url), **environment(fake), **others}


def project(fake: FakeStack, users: int, teams: int) -> None:
    long_ago(fake)
    named(fake, users)
    for each in range(teams):
        fake.project.sign_up(with_personal_team=True, display_name="Own", primary_email=f"own{each}@example.com")


@pytest.mark.parametrize("stage", ["teams", "members"])
@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(emptied: str, any_fake: FakeStack, tmp_path: Path, stage: str) -> None:
    project(any_fake, 2_500, 40)
    # Slow enough to be met in the middle, where it spends most of its time.
    paced = calling(any_fake, emptied, STACK_API_RPS="4")

    with running(tmp_path, paced, "backfill") as first:
        until(lambda: rows(emptied, f"SELECT FROM consumer.runs WHERE stage = '{stage}'"))
        first.process.kill()
        first.process.wait()
    [killed] = rows(emptied, "SELECT * FROM consumer.runs")
    asked = len(any_fake.asked)
    result = call(emptied, "backfill", "--json", **environment(any_fake))
    work(emptied)

    document = orjson.loads(result.stdout)
    assert (result.exit_code, killed["finished_at"]) == (0, None)
    assert "Going on with the run of" in result.stderr
    assert (document["run"], document["is_resumed"], document["is_complete"]) == (str(killed["id"]), True, True)
    assert held(emptied) == truth(any_fake)
    # Of what is stored no page is fetched again.
    pages_of_users = [each for each in any_fake.asked[asked:] if each.path == "/api/v1/users"]
    assert pages_of_users == []


@pytest.mark.slow
def test_two_processes_share_a_run(emptied: str, any_fake: FakeStack, tmp_path: Path) -> None:
    project(any_fake, 1_200, 40)
    both = calling(any_fake, emptied)

    with (
        running(tmp_path, both, "backfill", "--json") as first,
        running(tmp_path, both, "backfill", "--json") as second,
    ):
        codes = [process.process.wait(60) for process in (first, second)]
    work(emptied)

    [run] = rows(emptied, "SELECT * FROM consumer.runs")
    assert (codes, run["users"], run["teams"]) == ([0, 0], 1_240, 40)
    assert run["stored"] == len(rows(emptied, "SELECT FROM consumer.outbox"))
    assert held(emptied) == truth(any_fake)


def test_a_run_is_told_in_numbers(emptied: str, fake: FakeStack) -> None:
    project(fake, 2, 1)

    document = facts(emptied, "backfill", **environment(fake))
    work(emptied)
    result = call(emptied, "backfill", **environment(fake))

    [first, _] = rows(emptied, "SELECT id FROM consumer.runs ORDER BY begun_at")
    assert document == {
        "run": str(first["id"]),
        "is_complete": True,
        "is_resumed": False,
        "users": 3,
        "teams": 1,
        "memberships": 1,
        "permissions": 1,
        "stored": 6,
        "unusable": 0,
        "calls": 4,
    }
    assert result.exit_code == 0
    assert result.stdout.startswith("users        3\nteams        1\nmemberships  1\npermissions  1\ncalls        4\n")
    assert result.stdout.endswith("Nothing is new: no delivery was stored.\n")


def test_a_dry_run_asks_for_one_page_and_stores_nothing(emptied: str, any_fake: FakeStack) -> None:
    project(any_fake, 3, 0)

    document = facts(emptied, "backfill", "--dry-run", **environment(any_fake, STACK_API_RPS="10"))
    result = call(emptied, "backfill", "--dry-run", **environment(any_fake, STACK_API_RPS="10"))

    assert document == {
        "users_listed": 3,
        "is_whole_list": True,
        "calls": 8,
        "calls_for_80000": 160_480,
        "hours_for_80000": 4.5,
        "calls_a_second": 10.0,
    }
    assert "160,480 calls: 4.5 hours at 10 a second" in result.stdout
    assert len(any_fake.asked) == 2
    assert rows(emptied, "SELECT FROM consumer.runs") == rows(emptied, "SELECT FROM consumer.outbox") == []


def test_the_calls_of_a_run_are_pages_and_two_a_team() -> None:
    assert [calls_expected(*size) for size in ((0, 0), (1, 0), (1000, 200), (1001, 201))] == [2, 2, 402, 406]


def test_a_run_that_another_process_gives_up_meanwhile_is_said(emptied: str, fake: FakeStack) -> None:
    async def given_up(scope: Scope, receive: Receive, send: Send) -> None:
        change(emptied, "UPDATE consumer.runs SET abandoned_at = now()")
        await fake.app(scope, receive, send)

    project(fake, 1, 0)
    fake.troubles.append(given_up)

    result = call(emptied, "backfill", **environment(fake))

    assert result.exit_code == 1
    assert "gave this run up" in result.stderr
    assert rows(emptied, "SELECT FROM consumer.outbox") == []


def test_what_cannot_be_used_is_told(emptied: str, fake: FakeStack) -> None:
    fake.project.sign_up(server_metadata={"role": "\0"})

    result = call(emptied, "backfill", **environment(fake))

    assert result.exit_code == 0
    assert "1 of them can't be used and are dead: `consumer dead list`." in result.stdout


@pytest.mark.parametrize("teams", [0, 1_000, 80_000])
def test_the_page_on_backfill_tells_the_calls_of_a_run(teams: int) -> None:
    page = (ROOT / "docs" / "BACKFILL.md").read_text()

    assert f"| {calls_expected(80_000, teams):,} |" in page


def test_another_project_is_refused(emptied: str, fake: FakeStack) -> None:
    project(fake, 1, 0)
    facts(emptied, "backfill", **environment(fake))
    other = environment(fake, STACK_PROJECT_ID=str(uuid4()))
    before = len(fake.asked)

    refused = [call(emptied, *arguments, **other) for arguments in (("backfill",), ("refresh", str(uuid4())))]

    assert [result.exit_code for result in refused] == [2, 2]
    assert all("two projects would mix" in result.stderr for result in refused)
    assert len(fake.asked) == before
    assert len(rows(emptied, "SELECT FROM consumer.runs")) == 1


def test_a_project_that_was_only_a_typing_error_is_not_remembered(emptied: str, fake: FakeStack) -> None:
    project(fake, 1, 0)
    mistaken = call(emptied, "backfill", **environment(fake, STACK_PROJECT_ID=str(uuid4())))

    document = facts(emptied, "backfill", **environment(fake))

    assert mistaken.exit_code == 1
    assert (document["is_complete"], document["is_resumed"]) == (True, False)


def test_all_missing_settings_are_told_at_once(emptied: str) -> None:
    result = call(emptied, "backfill", STACK_API_RPS="0")

    assert result.exit_code == 2
    for name in ("STACK_PROJECT_ID", "STACK_SECRET_SERVER_KEY", "STACK_API_RPS"):
        assert name in result.stderr


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        pytest.param({"STACK_SECRET_SERVER_KEY": "ssk_wrong"}, "Copy the secret server key", id="wrong key"),
        pytest.param({"STACK_PROJECT_ID": str(uuid4())}, "Correct STACK_PROJECT_ID", id="wrong project"),
        pytest.param({"STACK_API_URL": "http://127.0.0.1:1"}, "Check STACK_API_URL", id="not reachable"),
    ],
)
@pytest.mark.parametrize("command", [["backfill"], ["refresh", str(uuid4())]], ids=["backfill", "refresh"])
def test_an_error_of_the_api_is_one_sentence_with_its_cure(
    emptied: str,
    fake: FakeStack,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    complaint: str,
    command: list[str],
) -> None:
    monkeypatch.setattr("consumer.stack_api.client.CallLimits", lambda: CallLimits(attempts=1))

    result = call(emptied, *command, **environment(fake, **settings))

    assert result.exit_code == 1
    assert complaint in result.stderr
    assert "ssk_" not in result.stderr
    assert rows(emptied, "SELECT FROM consumer.outbox") == []


def test_a_server_that_cannot_list_everybody_is_said_to_be_too_old(emptied: str, fake: FakeStack) -> None:
    fake.troubles.append(trouble.body(b'{"code": "SCHEMA_ERROR", "error": "x"}', 400))

    result = call(emptied, "backfill", **environment(fake))

    assert result.exit_code == 1
    assert "older than 2025-08-24" in result.stderr
    assert "Update the server" in result.stderr
