"""`consumer refresh`: one user now; and what the doctor says of the API."""

from uuid import uuid4

import orjson
import pytest

from tests.support.backfills import environment, held, long_ago, named, now_is_now, truth, webhook
from tests.support.cli import arrive, call, examined, facts, work
from tests.support.databases import rows
from tests.support.effects import audit
from tests.support.fake_stack import FakeStack, trouble
from tests.support.stack_requests import one


def test_a_refresh_brings_one_user_in_and_shows_it_alive(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    [user_id] = named(any_fake, 1)
    now_is_now(any_fake)
    arrive(emptied, webhook(any_fake.project.events[-1]))
    work(emptied)
    any_fake.project.change_silently(user_id, primary_email_verified=True)

    document = facts(emptied, "refresh", user_id.upper(), **environment(any_fake))
    work(emptied)

    assert (document["user_id"], document["is_found"]) == (user_id, True)
    assert document["message_id"].split(":")[1:] == ["user", user_id]
    assert held(emptied) == truth(any_fake)
    assert [asked.path for asked in any_fake.asked] == [f"/api/v1/users/{user_id}"]
    [row] = rows(emptied, "SELECT seen_at > now() - interval '2 minutes' AS is_seen FROM identity.stack_user_profiles")
    assert row["is_seen"]


def test_a_refreshed_user_of_before_is_imported(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    [user_id] = named(fake, 1)

    result = call(emptied, "refresh", user_id, **environment(fake))
    work(emptied)

    assert (result.exit_code, result.stdout.startswith("Stored as ")) == (0, True)
    assert audit(emptied, "operation, source") == [("imported", "reconcile")]


def test_a_user_that_stack_does_not_have_is_said_and_nothing_is_stored(emptied: str, any_fake: FakeStack) -> None:
    user_id = str(uuid4())

    result = call(emptied, "refresh", user_id, "--json", **environment(any_fake))

    assert result.exit_code == 1
    assert orjson.loads(result.stdout) == {"user_id": user_id, "is_found": False, "message_id": None, "error": None}
    assert f"Stack has no user {user_id}" in result.stderr
    assert "`consumer reconcile --fix` deletes" in result.stderr
    assert rows(emptied, "SELECT FROM consumer.outbox") == []


@pytest.mark.parametrize("answer", [trouble.text(404), trouble.page(404)], ids=["text", "a proxy's page"])
def test_a_wrong_address_says_nothing_of_a_user(emptied: str, fake: FakeStack, answer: object) -> None:
    fake.troubles.append(answer)  # type: ignore[arg-type]  # The trouble is an application.

    result = call(emptied, "refresh", str(uuid4()), **environment(fake))

    assert result.exit_code == 1
    assert "has no user" not in result.stderr
    assert "check STACK_API_URL" in result.stderr


def test_a_refreshed_user_that_cannot_be_stored_is_dead(emptied: str, fake: FakeStack) -> None:
    user_id = one(fake.project.sign_up(server_metadata={"role": "\0"}))

    result = call(emptied, "refresh", user_id, **environment(fake))

    assert result.exit_code == 1
    assert "can't be used" in result.stderr
    assert [row["state"] for row in rows(emptied, "SELECT state FROM consumer.deliveries")] == ["dead"]


def test_the_doctor_looks_at_the_api_and_only_warns(emptied: str, fake: FakeStack) -> None:
    name = "Stack's API"
    right = examined(emptied, **environment(fake))[1][name]
    unset = examined(emptied)[1][name]
    half = examined(emptied, **environment(fake, STACK_SECRET_SERVER_KEY=""))[1][name]
    wrong = examined(emptied, **environment(fake, STACK_SECRET_SERVER_KEY="ssk_wrong"))[1][name]

    assert [check["state"] for check in (right, unset, half, wrong)] == ["ok", "ok", "warning", "warning"]
    assert wrong["cure"].startswith("Copy the secret server key")
