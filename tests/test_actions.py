"""Every command that acts on stored data writes down who did what, with what it does or not at all."""

import asyncio
import getpass
from datetime import timedelta
from socket import gethostname
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.operations import paging, replay
from consumer.operations.actions import Action, Actor
from consumer.outbox.deliveries import Selection
from consumer.postgres.connections import connect, operator_access
from tests.support.backfills import environment, long_ago, named
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change, rows, schema_change
from tests.support.dead import three_dead
from tests.support.factories import user_updated
from tests.support.fake_stack import FakeStack
from tests.support.outbox import set_aside
from tests.support.recoveries import environment as svix_environment
from tests.test_reconcile_command import asked_at_once, lost

ACCESS = operator_access("consumer")
ADA = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")
ME = f"{getpass.getuser()}@{gethostname()}"

__all__ = ["asked_at_once", "three_dead"]


def actions(url: str) -> list[dict[str, Any]]:
    return rows(url, "SELECT action, filter, seen_count, affected, reason FROM consumer.actions ORDER BY at, action")


def only(url: str) -> tuple[Any, ...]:
    """Return the one action there is."""
    [found] = actions(url)
    return tuple(found.values())


def test_an_action_names_the_login_the_host_and_the_door(three_dead: str) -> None:
    facts(three_dead, "dead", "retry", "--all")

    assert rows(three_dead, "SELECT actor, via, role FROM consumer.actions") == [
        {"actor": ME, "via": "cli", "role": "operator"}
    ]


def test_a_retry_is_an_action(three_dead: str) -> None:
    facts(three_dead, "dead", "retry", "--error", "23514")

    assert only(three_dead) == ("retry", {"states": ["dead"], "error_code": "23514"}, None, 2, None)


def test_a_discard_of_dead_ones_is_an_action_with_its_reason(three_dead: str) -> None:
    facts(three_dead, "dead", "discard", "broken", "--reason", "sent by a test")

    assert only(three_dead) == ("discard", {"states": ["dead"], "message_ids": ["broken"]}, None, 1, "sent by a test")


def test_a_discard_and_its_withdrawal_are_actions_with_the_number_that_was_seen(three_dead: str) -> None:
    facts(three_dead, "deliveries", "discard", "--message-id", "broken", "--reason", "a test")
    facts(three_dead, "deliveries", "undiscard", "--message-id", "broken", "--reason", "no test")

    found = [(row["action"], row["seen_count"], row["affected"], row["reason"]) for row in actions(three_dead)]
    assert found == [("discard", 1, 1, "a test"), ("undiscard", 1, 1, "no test")]


def test_a_replay_is_an_action_with_its_times(emptied: str) -> None:
    arrive(emptied, user_updated(ADA), user_updated())
    work(emptied)

    facts(emptied, "replay", "--user", str(ADA))

    action, chosen, *numbers = only(emptied)
    assert (action, numbers) == ("replay", [None, 1, None])
    assert chosen.pop("until") > "2026"
    assert chosen == {"states": ["done", "dead"], "user_id": str(ADA)}


def test_a_rebuild_of_everybody_is_one_action_that_counts_users_and_companies(emptied: str) -> None:
    arrive(emptied, user_updated(), user_updated())
    work(emptied)

    facts(emptied, "rebuild")

    assert only(emptied) == ("rebuild", {}, None, 2, None)


def test_a_rebuild_of_a_user_names_the_user(emptied: str) -> None:
    arrive(emptied, user_updated(ADA))
    work(emptied)

    facts(emptied, "rebuild", "--user", str(ADA))

    assert only(emptied) == ("rebuild", {"user_ids": [str(ADA)]}, None, 1, None)


def test_an_export_is_an_action(emptied: str) -> None:
    arrive(emptied, user_updated(ADA))

    exported = facts(emptied, "export", str(ADA))

    assert only(emptied) == ("export", {"user_id": str(ADA)}, None, 1, None)
    assert [action["action"] for action in exported["actions"]] == ["export"]


def test_an_export_of_nobody_is_none(emptied: str) -> None:
    assert call(emptied, "export", str(ADA)).exit_code == 1
    assert actions(emptied) == []


def test_an_erasure_is_an_action_and_forgets_the_reasons_about_the_user(emptied: str) -> None:
    arrive(emptied, user_updated(ADA), user_updated())
    work(emptied)
    facts(emptied, "deliveries", "discard", "--user", str(ADA), "--reason", "Ada asked for it")
    facts(emptied, "deliveries", "discard", "--type", "user.updated", "--reason", "all of them")
    several = f"jsonb_build_object('user_ids', ARRAY['{ADA}'])"
    change(emptied, f"UPDATE consumer.actions SET filter = {several} WHERE reason = 'all of them'")

    changed = facts(emptied, "erase", str(ADA), "--yes", "--even-if-alive")["changed"]

    assert [(row["action"], row["reason"]) for row in actions(emptied)] == [
        ("discard", None),
        ("discard", None),
        ("erase", None),
    ]
    assert changed["consumer.actions"] == 2


def test_the_reason_of_another_action_that_names_the_erased_user_is_listed_and_stays(emptied: str) -> None:
    arrive(emptied, user_updated(ADA, display_name="Zoe Unusual"), user_updated()._replace(message_id="other"))
    work(emptied)
    facts(emptied, "deliveries", "discard", "--message-id", "other", "--reason", "as Zoe Unusual asked")

    mentions = facts(emptied, "erase", str(ADA), "--yes", "--even-if-alive")["mentions"]

    assert ("consumer.actions", "reason") in [(mention["relation"], mention["column"]) for mention in mentions]
    assert "as Zoe Unusual asked" in [row["reason"] for row in actions(emptied)]


def test_a_refresh_is_an_action(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    [user_id] = named(fake, 1)

    facts(emptied, "refresh", user_id, **environment(fake))

    assert only(emptied) == ("refresh", {"user_id": user_id}, None, 1, None)


def test_a_refresh_that_finds_nobody_is_none(emptied: str, fake: FakeStack) -> None:
    assert call(emptied, "refresh", str(uuid4()), **environment(fake)).exit_code == 1
    assert actions(emptied) == []


@pytest.mark.usefixtures("asked_at_once")
def test_a_reconciliation_is_an_action_where_it_deletes(emptied: str, fake: FakeStack) -> None:
    lost(emptied, fake)
    call(emptied, "reconcile", **environment(fake))
    reported = actions(emptied)

    facts(emptied, "reconcile", "--fix", **environment(fake))

    assert reported == []
    action, chosen, _, affected, _ = only(emptied)
    assert (action, chosen) == ("reconcile", {"is_fixing": True})
    assert affected == 8


def test_a_recovery_is_an_action_that_counts_what_was_stored(emptied: str, any_svix: FakeStack) -> None:
    long_ago(any_svix)
    named(any_svix, 3)

    facts(emptied, "recover", "--since", "7d", "--dry-run", **svix_environment(any_svix))
    dry = actions(emptied)
    facts(emptied, "recover", "--since", "7d", **svix_environment(any_svix))

    assert dry == []
    assert only(emptied) == ("recover", {}, None, len(any_svix.project.events), None)


def test_a_prune_by_hand_is_an_action(emptied: str) -> None:
    arrive(emptied, user_updated(ADA), user_updated(ADA))
    work(emptied)
    change(emptied, "UPDATE consumer.outbox SET received_at = received_at - interval '10 days'")
    facts(emptied, "prune", "--dry-run", RETENTION_DAYS="7")
    dry = actions(emptied)

    facts(emptied, "prune", RETENTION_DAYS="7")

    assert dry == []
    assert only(emptied) == ("prune", {"retention_days": 7}, None, 1, None)


def test_what_maintain_does_by_itself_is_no_action(emptied: str) -> None:
    arrive(emptied, user_updated(ADA), user_updated(ADA))
    work(emptied)
    change(emptied, "UPDATE consumer.outbox SET received_at = received_at - interval '10 days'")

    facts(emptied, "maintain", RETENTION_DAYS="7")

    assert rows(emptied, "SELECT count(*) AS n FROM consumer.outbox") == [{"n": 1}]
    assert actions(emptied) == []


def test_nothing_is_done_that_cannot_be_written_down(three_dead: str) -> None:
    refusal = "ALTER TABLE consumer.actions ADD CONSTRAINT none CHECK (affected < 0)"
    with schema_change(three_dead, refusal, "ALTER TABLE consumer.actions DROP CONSTRAINT none"):
        result = call(three_dead, "dead", "retry", "--all")

    left = rows(three_dead, "SELECT state, count(*) AS n FROM consumer.failures GROUP BY 1")
    assert (result.exit_code, left) == (1, [{"state": "dead", "n": 3}])


async def test_work_of_several_transactions_is_one_action_that_counts_what_is_committed(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_SIZE", 2)
    found = [user_updated() for _ in range(5)]
    await asyncio.to_thread(arrive, emptied, *found)
    await asyncio.to_thread(set_aside, emptied, found)
    action = Action(Actor("kim", "console"), "retry", {"states": ["dead"]}, 5, "mended")

    async with await connect(emptied, ACCESS) as conn:
        pages = replay.replay(conn, ACCESS, Selection(("dead",)), action)
        await anext(pages)
        after_one = only(emptied)
        async for _ in pages:
            pass

    assert after_one == ("retry", {"states": ["dead"]}, 5, 2, "mended")
    assert only(emptied) == ("retry", {"states": ["dead"]}, 5, 5, "mended")


async def test_a_name_longer_than_a_login_and_a_host_is_cut(emptied: str) -> None:
    await asyncio.to_thread(arrive, emptied, user_updated(ADA))
    action = Action(Actor("x" * 1000, "console", "viewer"), "replay", {"since": timedelta(hours=2)})

    async with await connect(emptied, ACCESS) as conn:
        await anext(replay.replay(conn, ACCESS, Selection(("pending",)), action))

    assert rows(emptied, "SELECT length(actor) AS n, role, filter FROM consumer.actions") == [
        {"n": 256, "role": "viewer", "filter": {"since": "2:00:00"}}
    ]


def test_an_action_on_a_user_s_delivery_alone_is_exported_and_forgotten_with_the_user(emptied: str) -> None:
    own, other = user_updated(), user_updated(UUID(int=7))
    arrive(emptied, own, other)
    for each in (own, other):
        facts(emptied, "deliveries", "discard", "--message-id", each.message_id, "--reason", "asked by Ada")
    exported = facts(emptied, "export", str(own.user_id))["actions"]
    facts(emptied, "erase", str(own.user_id), "--yes", "--even-if-alive")

    assert [each["filter"]["message_ids"] for each in exported if each["action"] == "discard"] == [[own.message_id]]
    reasons = rows(emptied, "SELECT filter, reason FROM consumer.actions WHERE action = 'discard'")
    found = {row["filter"]["message_ids"][0]: row["reason"] for row in reasons}
    assert found == {own.message_id: None, other.message_id: "asked by Ada"}
