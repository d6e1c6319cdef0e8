"""A backfill from Stack's API, old servers and new: what it brings in, what it costs, and what it leaves alone."""

from collections import Counter
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.backfills import (
    filled,
    held,
    long_ago,
    named,
    now_is_now,
    outbox,
    truth,
    webhook,
)
from tests.support.databases import rows
from tests.support.effects import audit
from tests.support.factories import user_deleted
from tests.support.fake_stack import FakeStack, Replica, trouble
from tests.support.outbox import arrive, work
from tests.support.stack_api import Time
from tests.support.stack_requests import one


def small_pages(monkeypatch: pytest.MonkeyPatch, size: int = 2) -> None:
    monkeypatch.setattr("consumer.stack_api.client.USERS_LIMIT", size)
    monkeypatch.setattr("consumer.stack_api.client.TEAMS_LIMIT", size)


@pytest.mark.slow
async def test_everybody_comes_in_hidden_ones_too(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    any_fake.project.requires_verified_email = True
    users = named(any_fake, 2_480)
    for each in range(20):
        any_fake.project.sign_up(with_personal_team=True, display_name="Own", primary_email=f"own{each}@example.com")
    any_fake.project.sign_up_anonymously()
    any_fake.project.change_silently(users[0], restricted_by_admin=True)
    crew = one(any_fake.project.create_team(creator=users[1], display_name="Crew"))
    any_fake.project.join(crew, users[2])

    run = await filled(emptied, any_fake)
    await work(emptied)

    assert run.finished_at is not None
    assert (run.users, run.teams, run.memberships) == (2_501, 21, 22)
    assert held(emptied) == truth(any_fake)
    assert rows(emptied, "SELECT FROM consumer.run_teams") == []


@pytest.mark.slow
async def test_a_run_costs_no_call_that_the_api_does_not_demand(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    named(any_fake, 2_100)
    for each in range(100):
        any_fake.project.sign_up(with_personal_team=True, primary_email=f"own{each}@example.com")

    run = await filled(emptied, any_fake)

    # An old server refuses the limit of teams first.
    demanded = 3 + (1 if any_fake.age == "new" else 2) + 2 * 100
    assert len(any_fake.asked) == run.calls == demanded


async def test_a_second_run_on_the_same_data_stores_nothing_and_writes_no_row(
    emptied: str, any_fake: FakeStack
) -> None:
    long_ago(any_fake)
    named(any_fake, 3)
    any_fake.project.sign_up(with_personal_team=True, primary_email="own@example.com")
    await filled(emptied, any_fake)
    await work(emptied)
    before = written(emptied)

    run = await filled(emptied, any_fake)
    applied_count = await work(emptied)

    assert (run.users, run.teams, run.stored, applied_count) == (4, 1, 0, 0)
    assert written(emptied) == before


async def test_a_user_that_a_webhook_told_of_is_not_stored_again_but_what_it_left_out_is(
    emptied: str, fake: FakeStack
) -> None:
    long_ago(fake)
    known, changed = (fake.project.sign_up(display_name=name, primary_email=f"{name}@example.com") for name in "ab")
    await arrive(emptied, *(webhook(event) for event in (*known, *changed)))
    await work(emptied)
    fake.project.change_silently(one(changed), primary_email_verified=True)

    run = await filled(emptied, fake)
    await work(emptied)

    assert run.stored == 1
    assert held(emptied) == truth(fake)
    assert audit(emptied, "operation, source, changed_fields")[-1] == ("updated", "backfill", ["email_verified"])


async def test_later_activity_is_news(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    [user_id] = named(fake, 1)
    await filled(emptied, fake)
    await work(emptied)
    later = int(fake.project.now.timestamp() * 1000) + 60_000
    fake.project.change_silently(user_id, last_active_at_millis=later)

    run = await filled(emptied, fake)
    await work(emptied)

    assert run.stored == 1
    assert [row["ms"] for row in rows(emptied, ACTIVE)] == [later]
    assert audit(emptied, "operation") == [("imported",)]


async def test_webhooks_older_and_newer_than_a_page_end_in_the_same_rows_in_any_order(
    emptied: str, fake: FakeStack
) -> None:
    long_ago(fake)
    [ada, ben, dot] = named(fake, 3)
    crew = one(fake.project.create_team(creator=ada))
    late = fake.project.update_user(ben, display_name="Late")
    now_is_now(fake)

    fake.project.now += timedelta(seconds=1)
    early = fake.project.update_user(ada, display_name="During the scan")
    await filled(emptied, fake)
    await work(emptied)
    fake.project.now += timedelta(seconds=90)
    newer = [*fake.project.update_user(ada, display_name="Newer"), *fake.project.leave(crew, ada)]
    gone = fake.project.delete_user(dot)
    await arrive(emptied, *(webhook(event) for event in (*newer, *gone, *late, *early)))
    await work(emptied)

    assert model.state(emptied) == model.fold(outbox(emptied), ShapingSettings())
    assert held(emptied) == truth(fake)


async def test_a_webhook_about_the_minute_of_the_scan_wins(emptied: str, fake: FakeStack) -> None:
    """The page may come from a replica that lags: it shows what was true up to a minute before."""
    long_ago(fake)
    [user_id] = named(fake, 1)
    now_is_now(fake)
    fake.project.now -= timedelta(seconds=30)
    changed = fake.project.update_user(user_id, display_name="Newest")
    now_is_now(fake)
    fake.replicas = [Replica(timedelta(seconds=45))]

    await filled(emptied, fake)
    await arrive(emptied, *map(webhook, changed))
    await work(emptied)

    assert held(emptied) == truth(fake)


async def test_a_listed_user_does_not_come_back_from_the_dead(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    [user_id] = named(fake, 1)
    now_is_now(fake)
    fake.replicas = [Replica(timedelta(seconds=45))]
    gone = fake.project.delete_user(user_id)
    await arrive(emptied, *map(webhook, gone))

    run = await filled(emptied, fake)
    await work(emptied)

    assert run.stored == 1
    assert held(emptied)["profiles"] == {}
    [row] = rows(emptied, "SELECT deleted_at, seen_at FROM identity.stack_user_profiles")
    assert row["deleted_at"] is not None
    assert row["seen_at"] is None


async def test_a_list_takes_back_no_deletion_that_a_reconciliation_found(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    [user_id] = named(fake, 1)
    found = user_deleted(UUID(user_id))._replace(source="reconcile", verified_by=None)
    await arrive(emptied, found._replace(message_id=f"{uuid4()}:user:{user_id}"))

    await filled(emptied, fake)
    await work(emptied)

    assert held(emptied)["profiles"] == {}


async def test_replicas_that_lag_differently_lose_nobody_of_before(
    emptied: str, any_fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch, 3)
    long_ago(any_fake)
    old = named(any_fake, 10)
    now_is_now(any_fake)
    any_fake.replicas = [Replica(), Replica(timedelta(seconds=40)), Replica(timedelta(seconds=5))]
    any_fake.project.sign_up(primary_email="new@example.com")

    await filled(emptied, any_fake)
    await work(emptied)

    assert held(emptied)["mirror"] >= set(old)


async def test_a_user_that_nobody_can_store_is_reduced_or_dead_and_the_page_goes_on(
    emptied: str, any_fake: FakeStack
) -> None:
    long_ago(any_fake)
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    any_fake.project.sign_up(primary_email="deep@example.com", client_metadata={"deep": deep, "nul": "\0"})
    bad = one(any_fake.project.sign_up(primary_email="bad@example.com", server_metadata={"role": "\0"}))
    named(any_fake, 2)

    run = await filled(emptied, any_fake)
    await work(emptied)

    dead = rows(emptied, "SELECT user_id, error_code FROM consumer.deliveries WHERE state = 'dead'")
    assert [str(row["user_id"]) for row in dead] == [bad]
    assert (run.users, run.unusable) == (4, 1)
    assert set(held(emptied)["profiles"]) == set(truth(any_fake)["profiles"]) - {bad}


async def test_a_server_that_limits_the_rate_is_waited_for(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    fake.project.sign_up(with_personal_team=True, primary_email="own@example.com")
    fake.troubles.extend([trouble.limited("7"), trouble.limited(), trouble.page(502)])
    time = Time()

    run = await filled(emptied, fake, time=time)
    await work(emptied)

    assert sum(time.slept) > 7
    assert run.calls == len(fake.asked) == 7
    assert held(emptied) == truth(fake)


async def test_a_backfill_counts_no_difference(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    fake.project.sign_up(with_personal_team=True)

    await filled(emptied, fake)

    assert rows(emptied, "SELECT kind FROM consumer.run_repairs") == []


async def test_message_ids_name_run_kind_and_subject(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    user_id = one(fake.project.sign_up(with_personal_team=True, primary_email="own@example.com"))
    [team_id] = truth(fake)["companies"]

    run = await filled(emptied, fake)

    found = rows(emptied, "SELECT source, message_id FROM consumer.outbox ORDER BY seq")
    assert {row["source"] for row in found} == {"backfill"}
    assert {row["message_id"] for row in found} == {
        f"{run.id}:users:{user_id}",
        f"{run.id}:teams:{team_id}",
        f"{run.id}:memberships:{team_id}:{user_id}",
        f"{run.id}:permissions:{team_id}:{user_id}:team_admin",
    }


async def test_what_is_found_occurred_a_minute_before_the_request(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    named(fake, 1)

    run = await filled(emptied, fake)

    [row] = rows(emptied, "SELECT occurred_at FROM consumer.outbox")
    assert timedelta(0) <= row["occurred_at"] + timedelta(seconds=60) - run.begun_at < timedelta(seconds=20)


def written(url: str) -> Counter[tuple[object, ...]]:
    """Return the place of each row that tells of users, teams and members: it changes when the row is written."""
    tables = ("identity.stack_user_profiles", "identity.profiles", "identity.companies", "identity.company_members")
    others = ("consumer.memberships", "consumer.team_permissions", "identity.profile_audit", "consumer.outbox")
    return Counter(
        (table, row["ctid"], row["xmin"])
        for table in (*tables, *others)
        for row in rows(url, f"SELECT ctid::text, xmin::text FROM {table}")
    )


ACTIVE = "SELECT (extract(EPOCH FROM last_active_at) * 1000)::bigint AS ms FROM identity.profiles"
