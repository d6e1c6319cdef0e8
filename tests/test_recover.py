"""`consumer recover`: what Svix still holds is stored once, as if it had arrived."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from starlette.types import ASGIApp

from consumer.stack_api.calls import CallLimits
from tests.support.backfills import held, long_ago, named, now_is_now, truth, webhook
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import rows
from tests.support.fake_stack import FakeStack, trouble
from tests.support.processes import on, running, until
from tests.support.recoveries import environment, ids, outbox


@pytest.fixture
def recovery(any_svix: FakeStack) -> FakeStack:
    """A project with webhooks of the last two days, which nobody has stored."""
    long_ago(any_svix)
    [user_id, *_] = named(any_svix, 3)
    [team] = any_svix.project.create_team()
    any_svix.project.join(str(team.data["id"]), user_id)
    any_svix.project.update_user(user_id, display_name="Changed")
    any_svix.project.now += timedelta(days=1)
    return any_svix


def test_what_nobody_stored_is_stored_as_if_it_had_arrived(emptied: str, recovery: FakeStack) -> None:
    document = facts(emptied, "recover", "--since", "7d", **environment(recovery))
    work(emptied)

    events = recovery.project.events
    stored = outbox(emptied)
    assert (document["new"], document["known"], document["lost"]) == (len(events), 0, 0)
    assert [row["message_id"] for row in stored] == ids(events)
    assert {(row["source"], row["verified_by"]) for row in stored} == {("stack", None)}
    by_id = {event.message_id: webhook(event) for event in events}
    for row in stored:
        signed = by_id[row["message_id"]]
        assert (row["occurred_at"], row["event_type"]) == (signed.occurred_at, signed.event_type)
        assert orjson.loads(row["body"]) == orjson.loads(signed.body)
    assert held(emptied) == truth(recovery)


def test_what_arrived_is_a_repeat_and_keeps_its_signature(emptied: str, recovery: FakeStack) -> None:
    arrived = recovery.project.events[::2]
    arrive(emptied, *map(webhook, arrived))

    document = facts(emptied, "recover", "--since", "7d", **environment(recovery))

    assert (document["new"], document["known"]) == (len(recovery.project.events) - len(arrived), len(arrived))
    signed = [row["message_id"] for row in outbox(emptied) if row["verified_by"]]
    assert signed == ids(arrived)


def test_a_second_call_and_a_late_webhook_double_nothing(emptied: str, recovery: FakeStack) -> None:
    facts(emptied, "recover", "--since", "7d", **environment(recovery))
    work(emptied)
    before = outbox(emptied)

    document = facts(emptied, "recover", "--since", "7d", **environment(recovery))
    said = call(emptied, "recover", "--since", "7d", **environment(recovery)).stdout
    arrive(emptied, *map(webhook, recovery.project.events))

    assert (document["new"], document["known"]) == (0, len(before))
    assert said.endswith("Nothing is new: no delivery was stored.\n")
    assert outbox(emptied) == before
    assert rows(emptied, "SELECT pending FROM consumer.queue_stats") == [{"pending": 0}]


def test_a_removed_delivery_is_known_by_its_key(emptied: str, recovery: FakeStack) -> None:
    facts(emptied, "recover", "--since", "7d", **environment(recovery))
    work(emptied)
    with_key = "INSERT INTO consumer.pruned SELECT consumer.message_key(source, message_id) FROM consumer.outbox"
    rows(emptied, f"{with_key} RETURNING 1 AS kept")
    rows(emptied, "DELETE FROM consumer.outcomes RETURNING 1 AS gone")
    rows(emptied, "DELETE FROM consumer.outbox RETURNING 1 AS gone")

    document = facts(emptied, "recover", "--since", "7d", **environment(recovery))

    assert (document["new"], outbox(emptied)) == (0, [])


def test_only_what_was_sent_since_then_is_stored(emptied: str, recovery: FakeStack) -> None:
    now_is_now(recovery)
    [recent] = recovery.project.sign_up()

    document = facts(emptied, "recover", "--since", "1h", **environment(recovery))

    assert (document["new"], [row["message_id"] for row in outbox(emptied)]) == (1, [recent.message_id])


def test_a_dry_run_counts_new_and_known_by_type_and_stores_nothing(emptied: str, recovery: FakeStack) -> None:
    arrive(emptied, webhook(recovery.project.events[0]))
    before = outbox(emptied)

    document = facts(emptied, "recover", "--since", "7d", "--dry-run", **environment(recovery))
    result = call(emptied, "recover", "--since", "7d", "--dry-run", **environment(recovery))

    assert {each["type"]: (each["new"], each["known"]) for each in document["types"]} == {
        "user.created": (2, 1),
        "team.created": (1, 0),
        "team_membership.created": (1, 0),
        "team_permission.created": (1, 0),
        "user.updated": (1, 0),
    }
    assert "6 deliveries would be stored." in result.stdout
    assert outbox(emptied) == before
    assert rows(emptied, "SELECT FROM consumer.project") == []


def test_a_message_whose_body_is_gone_is_named_unless_it_was_stored(emptied: str, fake: FakeStack) -> None:
    fake.project.now = datetime.now(UTC) - timedelta(days=50)
    named(fake, 22)
    gone = fake.project.events[:]
    now_is_now(fake)
    named(fake, 1)
    fake.svix.retention = timedelta(days=30)
    arrive(emptied, webhook(gone[0]))

    document = facts(emptied, "recover", "--since", "60d", "--dry-run", **environment(fake))
    result = call(emptied, "recover", "--since", "60d", **environment(fake))

    assert (document["new"], document["lost"], len(document["lost_ids"])) == (1, 21, 20)
    assert result.exit_code == 0
    assert "keeps the body of 21 deliveries no more" in result.stdout
    assert gone[-1].message_id in result.stdout
    assert gone[0].message_id not in result.stdout
    assert "`consumer backfill`" in result.stdout


def test_what_cannot_be_used_is_dead_as_the_receiver_would_store_it(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    fake.project.send("user.created", {"id": "no-uuid"})
    named(fake, 1)

    result = call(emptied, "recover", "--since", "7d", **environment(fake))

    assert "1 of them can't be used and are dead: `consumer dead list`." in result.stdout
    found = rows(emptied, "SELECT state, error_code FROM consumer.deliveries ORDER BY state")
    assert found == [{"state": "dead", "error_code": "bad_shape"}, {"state": "pending", "error_code": None}]


def test_a_type_that_no_release_knows_is_stored_and_ignored(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    fake.project.send("invoice.paid", {"id": 1})

    facts(emptied, "recover", "--since", "7d", **environment(fake))
    work(emptied)

    assert rows(emptied, "SELECT outcome FROM consumer.deliveries") == [{"outcome": "ignored"}]


def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.stack_api.svix.PAGE_LIMIT", 2)


LIMITED: dict[str, Callable[[FakeStack], ASGIApp]] = {
    "a number": lambda _: trouble.limited("0"),
    "a date": lambda fake: trouble.limited_until(0, fake.project.now),
    "a page without": lambda _: trouble.limited(),
    "a proxy's page": lambda _: trouble.page(502),
    "a broken answer": lambda _: trouble.truncated,
}


@pytest.mark.parametrize("answer", LIMITED.values(), ids=LIMITED)
def test_a_refusal_for_the_rate_and_a_failure_are_repeated(
    emptied: str, recovery: FakeStack, monkeypatch: pytest.MonkeyPatch, answer: Callable[[FakeStack], ASGIApp]
) -> None:
    small_pages(monkeypatch)
    monkeypatch.setattr("consumer.stack_api.svix.CallLimits", lambda: CallLimits(backoff_seconds=0.01))
    monkeypatch.setattr("consumer.stack_api.admin.CallLimits", lambda: CallLimits(backoff_seconds=0.01))
    recovery.troubles = deque([answer(recovery), recovery.app, recovery.app, answer(recovery)])

    document = facts(emptied, "recover", "--since", "7d", **environment(recovery))

    assert document["new"] == len(recovery.project.events)


DROPPED = {
    "no iterator": trouble.body(b'{"data": [], "iterator": null, "done": false}'),
    "an empty page": trouble.body(b'{"data": [], "iterator": "msg_1", "done": false}'),
    "a page": trouble.page(200),
    "an error": trouble.text(404),
}


@pytest.mark.parametrize("answer", DROPPED.values(), ids=DROPPED)
def test_a_list_that_breaks_off_is_an_error_and_a_second_call_brings_the_rest(
    emptied: str, recovery: FakeStack, monkeypatch: pytest.MonkeyPatch, answer: ASGIApp
) -> None:
    small_pages(monkeypatch)
    recovery.troubles = deque([recovery.app, recovery.app, answer])

    broken = call(emptied, "recover", "--since", "7d", **environment(recovery))
    stored = len(outbox(emptied))
    document = facts(emptied, "recover", "--since", "7d", **environment(recovery))

    assert (broken.exit_code, "is not one of the API" in broken.stderr) == (1, True)
    assert (stored, document["new"]) == (2, len(recovery.project.events) - 2)


@pytest.mark.slow
def test_a_killed_recovery_is_called_again(emptied: str, fake: FakeStack, tmp_path: Path) -> None:
    long_ago(fake)
    named(fake, 900)
    paced = {**on(emptied), **environment(fake, STACK_API_RPS="4")}

    with running(tmp_path, paced, "recover", "--since", "7d") as first:
        until(lambda: outbox(emptied))
        first.process.kill()
        first.process.wait()
    killed = len(outbox(emptied))
    facts(emptied, "recover", "--since", "7d", **environment(fake))

    assert 0 < killed < 900
    assert [row["message_id"] for row in outbox(emptied)] == ids(fake.project.events)


def test_another_project_is_refused_before_anything_is_asked(emptied: str, recovery: FakeStack) -> None:
    facts(emptied, "recover", "--since", "7d", **environment(recovery))
    before = len(recovery.asked)

    other = environment(recovery, STACK_PROJECT_ID=str(uuid4()), STACK_SECRET_SERVER_KEY="ssk_1")
    refused = [call(emptied, *each, **other) for each in (("recover", "--since", "7d"), ("backfill",))]

    assert [result.exit_code for result in refused] == [2, 2]
    assert all("two projects would mix" in result.stderr for result in refused)
    assert len(recovery.asked) == before


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        pytest.param({"STACK_SUPER_SECRET_ADMIN_KEY": "sak_wrong"}, "STACK_SUPER_SECRET_ADMIN_KEY", id="wrong key"),
        pytest.param({"STACK_PROJECT_ID": str(uuid4())}, "Correct STACK_PROJECT_ID", id="wrong project"),
        pytest.param({"SVIX_SERVER_URL": "http://127.0.0.1:1"}, "SVIX_SERVER_URL", id="Svix not reachable"),
        pytest.param({"SVIX_SERVER_URL": ""}, "set SVIX_SERVER_URL", id="address unknown"),
    ],
)
def test_an_error_of_the_api_is_one_sentence_with_its_cure(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], complaint: str
) -> None:
    monkeypatch.setattr("consumer.stack_api.svix.CallLimits", lambda: CallLimits(attempts=1))
    fake.svix.is_self_hosted = True

    result = call(emptied, "recover", "--since", "7d", **environment(fake, **settings))

    assert (result.exit_code, complaint in result.stderr) == (1, True)
    assert "sak_" not in result.stderr
    assert rows(emptied, "SELECT FROM consumer.project") == []


def test_a_svix_that_does_not_take_the_token_is_the_wrong_one(emptied: str, fake: FakeStack) -> None:
    fake.troubles = deque([fake.app, trouble.body(b'{"code": "not_found", "detail": "x"}', 404)])

    result = call(emptied, "recover", "--since", "7d", **environment(fake))

    assert (result.exit_code, "correct SVIX_SERVER_URL" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Name the time with --since"),
        (["--follow", "--dry-run"], "exclude each other"),
        (["--since", "2999-01-01"], "lies in the future"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(
    emptied: str, fake: FakeStack, arguments: list[str], complaint: str
) -> None:
    result = call(emptied, "recover", *arguments, **environment(fake))

    assert (result.exit_code, complaint in result.stderr) == (2, True)
    assert not [asked for asked in fake.asked if asked.path.endswith("/msg")]


def test_all_missing_settings_are_told_at_once(emptied: str) -> None:
    result = call(emptied, "recover", "--since", "7d")

    assert result.exit_code == 2
    assert "STACK_PROJECT_ID" in result.stderr
    assert "STACK_SUPER_SECRET_ADMIN_KEY" in result.stderr
