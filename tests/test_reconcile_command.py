"""`consumer reconcile` as an operator calls it, and processes that are killed or share a run."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from rich.console import Console

from tests.support.backfills import environment, filled, held, long_ago, named, now_is_now, truth
from tests.support.cli import call, work
from tests.support.databases import change, rows
from tests.support.fake_stack import FakeStack, trouble
from tests.support.processes import running, until
from tests.support.reconciling import FIX, differences, fixed, minutes_pass, step
from tests.support.stack_requests import one
from tests.test_backfill_command import calling


@pytest.fixture
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass between the two questions."""
    monkeypatch.setattr("consumer.operations.reconcile.ASKED_AGAIN_AFTER", timedelta(0))


def lost(url: str, fake: FakeStack, users: int = 12) -> list[str]:
    """Bring a project in, and lose deletions of half of its users, a member and a team."""
    long_ago(fake)
    found = named(fake, users)
    crew, gone = (one(fake.project.create_team(creator=found[0], display_name=name)) for name in ("Crew", "Gone"))
    fake.project.join(crew, found[1])
    asyncio.run(filled(url, fake))
    work(url)
    now_is_now(fake)
    for user_id in found[users // 2 :]:
        fake.project.delete_user(user_id)
    fake.project.leave(crew, found[1])
    fake.project.delete_team(gone)
    return found


@pytest.mark.usefixtures("asked_at_once")
def test_a_report_is_told_in_numbers_and_fails_while_something_is_left(emptied: str, any_fake: FakeStack) -> None:
    lost(emptied, any_fake)

    reported = call(emptied, "reconcile", "--json", **environment(any_fake))
    shown = call(emptied, "reconcile", **environment(any_fake))
    repaired = call(emptied, "reconcile", "--fix", **environment(any_fake))
    work(emptied)
    clean = call(emptied, "reconcile", "--fix", **environment(any_fake))

    document = orjson.loads(reported.stdout)
    assert [result.exit_code for result in (reported, shown, repaired, clean)] == [1, 1, 0, 0]
    assert document["drift"] == {
        "extra_membership": {"found": 1, "repaired": 0, "left": 1},
        "undeleted_team": {"found": 1, "repaired": 0, "left": 1},
        "undeleted_user": {"found": 6, "repaired": 0, "left": 6},
    }
    assert (document["is_complete"], document["due_at"], document["refused"]) == (True, None, [])
    assert re.search(r"users that Stack no longer has +6 +0 +6\b", shown.stdout)
    assert "`consumer reconcile --fix` deletes here what is left." in shown.stdout
    assert re.search(r"users that Stack no longer has +6 +6 +0\b", repaired.stdout)
    assert "Going on with the run of" in repaired.stderr
    assert "Nothing differs." in clean.stdout
    assert held(emptied) == truth(any_fake)


@pytest.mark.usefixtures("asked_at_once")
def test_too_many_are_refused_with_the_usual_cause_until_forced(emptied: str, fake: FakeStack) -> None:
    lost(emptied, fake, users=24)

    refused = call(emptied, "reconcile", "--fix", **environment(fake))
    forced = call(emptied, "reconcile", "--fix", "--force", **environment(fake))

    assert (refused.exit_code, forced.exit_code) == (1, 0)
    assert "12 of 24 users that Stack no longer has: more than 10 are never deleted without --force." in refused.stdout
    assert "wrong key" in refused.stdout
    work(emptied)
    assert held(emptied) == truth(fake)


@pytest.mark.parametrize("place", ["scan", "wait", "deletions"])
@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(emptied: str, any_fake: FakeStack, tmp_path: Path, place: str) -> None:
    lost(emptied, any_fake)
    paced = calling(any_fake, emptied, STACK_API_RPS="3" if place == "scan" else "1000")
    reached = {
        "scan": "SELECT FROM consumer.runs WHERE kind = 'reconcile' AND stage <> 'users' AND finished_at IS NULL",
        "wait": "SELECT FROM consumer.suspects WHERE asked_at IS NOT NULL HAVING count(*) = 8",
        "deletions": "SELECT FROM consumer.suspects WHERE confirmed_at IS NOT NULL HAVING count(*) = 8",
    }
    if place == "deletions":
        # Confirmed by a report that ended: the deletions are all that is left.
        asyncio.run(step(emptied, any_fake))
        minutes_pass(emptied)
        asyncio.run(step(emptied, any_fake))
    else:
        with running(tmp_path, paced, "reconcile", "--fix") as first:
            until(lambda: rows(emptied, reached[place]))
            first.process.kill()
            first.process.wait()
    assert rows(emptied, reached[place])
    asked = len(any_fake.asked)

    result = asyncio.run(fixed(emptied, any_fake))

    assert len(rows(emptied, "SELECT FROM consumer.runs WHERE kind = 'reconcile'")) == 1
    assert not result.is_drifting
    assert [each.path for each in any_fake.asked[asked:]].count("/api/v1/users") == 0
    assert held(emptied) == truth(any_fake)


@pytest.mark.slow
def test_two_processes_share_a_run(emptied: str, any_fake: FakeStack) -> None:
    lost(emptied, any_fake)

    async def both() -> None:
        await asyncio.gather(step(emptied, any_fake, FIX), step(emptied, any_fake, FIX))

    asyncio.run(both())
    minutes_pass(emptied)
    asyncio.run(both())
    work(emptied)

    found = rows(emptied, "SELECT kind, repaired FROM consumer.run_repairs ORDER BY kind")
    assert [tuple(row.values()) for row in found] == [
        ("extra_membership", 1),
        ("undeleted_team", 1),
        ("undeleted_user", 6),
    ]
    assert held(emptied) == truth(any_fake)


def test_another_run_begins_anew(emptied: str, fake: FakeStack) -> None:
    lost(emptied, fake)
    first = asyncio.run(step(emptied, fake))

    again = asyncio.run(step(emptied, fake))
    asyncio.run(step(emptied, fake, type(FIX)(is_new=True)))

    assert (again.run.id, again.due_at) == (first.run.id, first.due_at)
    assert len(rows(emptied, "SELECT FROM consumer.runs WHERE kind = 'reconcile'")) == 2
    assert {row["run_id"] for row in rows(emptied, "SELECT run_id FROM consumer.suspects")}.isdisjoint({first.run.id})


def test_a_report_of_yesterday_is_not_decided_on(emptied: str, fake: FakeStack) -> None:
    lost(emptied, fake)
    asyncio.run(step(emptied, fake))
    change(emptied, "UPDATE consumer.runs SET finished_at = finished_at - interval '25 hours'")

    result = asyncio.run(step(emptied, fake, FIX))

    assert differences(result).keys() == {"undeleted_user", "undeleted_team", "extra_membership"}
    assert len(rows(emptied, "SELECT FROM consumer.runs WHERE kind = 'reconcile'")) == 2


@pytest.mark.usefixtures("asked_at_once")
def test_a_report_of_the_same_day_is_decided_on(emptied: str, fake: FakeStack) -> None:
    lost(emptied, fake)
    asyncio.run(step(emptied, fake))
    change(emptied, "UPDATE consumer.runs SET finished_at = finished_at - interval '23 hours'")

    asyncio.run(step(emptied, fake, FIX))

    assert len(rows(emptied, "SELECT FROM consumer.runs WHERE kind = 'reconcile'")) == 1


@pytest.mark.usefixtures("asked_at_once")
def test_a_refresh_brings_back_who_was_deleted_wrongly(emptied: str, fake: FakeStack) -> None:
    [ada, ben] = lost(emptied, fake, users=2)
    project, fake.project = fake.project, type(fake.project)()
    call(emptied, "reconcile", "--fix", **environment(fake))
    work(emptied)
    before = held(emptied)["profiles"]
    fake.project = project

    result = call(emptied, "refresh", ada, **environment(fake))
    work(emptied)

    assert (before, result.exit_code) == ({}, 0)
    assert held(emptied)["profiles"].keys() == {ada} == truth(fake)["profiles"].keys() - {ben}


def test_another_project_and_missing_settings_are_refused(emptied: str, fake: FakeStack) -> None:
    lost(emptied, fake)
    before = len(fake.asked)

    other = call(emptied, "reconcile", **environment(fake, STACK_PROJECT_ID=str(uuid4())))
    unset = call(emptied, "reconcile")

    assert (other.exit_code, unset.exit_code, len(fake.asked)) == (2, 2, before)
    assert "two projects would mix" in other.stderr
    assert "STACK_SECRET_SERVER_KEY" in unset.stderr


def test_what_cannot_be_used_is_left(emptied: str, fake: FakeStack) -> None:
    fake.project.sign_up(server_metadata={"role": "\0"})

    result = call(emptied, "reconcile", **environment(fake))

    assert result.exit_code == 1
    assert "1 of them can't be used and are dead: `consumer dead list`." in result.stdout


def test_a_run_that_is_given_up_meanwhile_is_said(emptied: str, fake: FakeStack) -> None:
    async def given_up(scope: object, receive: object, send: object) -> None:
        change(emptied, "UPDATE consumer.runs SET abandoned_at = now()")
        await fake.app(scope, receive, send)  # type: ignore[arg-type]  # As the server calls it.

    fake.troubles.append(given_up)

    result = call(emptied, "reconcile", **environment(fake))

    assert result.exit_code == 1
    assert "gave this run up" in result.stderr


def test_an_error_of_the_api_is_one_sentence_with_its_cure(emptied: str, fake: FakeStack) -> None:
    fake.troubles.append(trouble.text(404))

    result = call(emptied, "reconcile", **environment(fake))

    assert result.exit_code == 1
    assert "STACK_API_URL" in result.stderr


def test_a_terminal_is_shown_who_would_go_and_asked(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch, asked_at_once: None
) -> None:
    users = lost(emptied, fake)
    monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))

    refused = call(emptied, "reconcile", "--fix", typed="n\n", **environment(fake))
    kept = rows(emptied, "SELECT FROM consumer.outbox WHERE event_type = 'user.deleted'")
    deleted = call(emptied, "reconcile", "--fix", typed="y\n", **environment(fake))
    work(emptied)

    assert (refused.exit_code, kept, deleted.exit_code) == (1, [], 0)
    assert all(user_id in refused.output for user_id in users[6:])
    assert "Delete here what is left?" in refused.output
    assert held(emptied) == truth(fake)


@pytest.mark.usefixtures("asked_at_once")
def test_a_document_names_what_stack_no_longer_has(emptied: str, fake: FakeStack) -> None:
    users = lost(emptied, fake)

    document = orjson.loads(call(emptied, "reconcile", "--json", **environment(fake)).stdout)

    assert sorted(each["user"] for each in document["gone"] if each["kind"] == "undeleted_user") == sorted(users[6:])
