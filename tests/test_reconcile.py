"""A reconciliation with Stack, old servers and new: what it finds, repairs and deletes, and what it leaves alone."""

from datetime import timedelta

import pytest
from starlette.types import ASGIApp

from consumer.operations.reconcile import ASKED_AGAIN_AFTER
from consumer.stack_api.errors import ApiError
from tests.support.backfills import filled, held, long_ago, named, now_is_now, truth, webhook
from tests.support.databases import change, rows
from tests.support.fake_stack import FakeStack, Replica, trouble
from tests.support.outbox import arrive, work
from tests.support.reconciling import FIX, differences, fixed, minutes_pass, reconciled, step
from tests.support.stack_requests import one
from tests.test_backfill import written


async def known(url: str, fake: FakeStack) -> None:
    """Bring everything in, as it was some time ago."""
    await filled(url, fake)
    await work(url)
    now_is_now(fake)


async def test_some_hundred_unchanged_users_cost_no_row(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    named(any_fake, 400)
    any_fake.project.sign_up_anonymously()
    any_fake.project.sign_up(with_personal_team=True, primary_email="own@example.com")
    await known(emptied, any_fake)
    before = written(emptied)

    result = await fixed(emptied, any_fake)

    assert (differences(result), result.is_drifting, result.due_at) == ({}, False, None)
    assert (result.run.users, result.run.stored) == (402, 0)
    assert written(emptied) == before
    assert rows(emptied, "SELECT FROM consumer.suspects") == []


async def test_what_only_adds_or_updates_is_repaired_as_it_goes(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    [ada, ben] = named(any_fake, 2)
    crew = one(any_fake.project.create_team(creator=ada, display_name="Crew"))
    await known(emptied, any_fake)
    any_fake.project.sign_up(with_personal_team=True, primary_email="new@example.com")
    any_fake.project.change_silently(ada, primary_email_verified=True)
    any_fake.project.update_team(crew, display_name="Renamed")
    any_fake.project.join(crew, ben)
    any_fake.project.now += timedelta(minutes=2)

    result = await reconciled(emptied, any_fake)
    await work(emptied)

    assert differences(result) == {
        "missing_user": (1, 0),
        "stale_user": (1, 0),
        "missing_team": (1, 0),
        "stale_team": (1, 0),
        "missing_creator": (1, 0),
        "missing_membership": (1, 0),
        "missing_permission": (2, 0),
    }
    assert not result.is_drifting
    assert held(emptied) == truth(any_fake)


async def test_later_activity_is_stored_and_no_difference(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    [user_id] = named(fake, 1)
    await known(emptied, fake)
    fake.project.change_silently(user_id, last_active_at_millis=int(fake.project.now.timestamp() * 1000))

    result = await reconciled(emptied, fake)

    assert (result.run.stored, differences(result)) == (1, {})


async def test_lost_deletions_are_reported_and_deleted_only_with_fix(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    [ada, ben, cid, dot] = named(any_fake, 4)
    crew, gone = (one(any_fake.project.create_team(creator=ada, display_name=name)) for name in ("Crew", "Gone"))
    for user_id in (ben, cid):
        any_fake.project.join(crew, user_id)
    await known(emptied, any_fake)
    any_fake.project.delete_user(dot)
    any_fake.project.delete_team(gone)
    any_fake.project.leave(crew, ben)
    any_fake.project.revoke(cid, "team_member", crew)

    reported = await reconciled(emptied, any_fake)
    await work(emptied)
    before = held(emptied)
    listings = len([asked for asked in any_fake.asked if asked.path == "/api/v1/users"])
    result = await fixed(emptied, any_fake)

    found = {"undeleted_user": 1, "undeleted_team": 1, "extra_membership": 1, "extra_permission": 1}
    assert differences(reported) == {kind: (0, n) for kind, n in found.items()}
    assert reported.is_drifting
    assert dot in before["profiles"]
    # What was reported is deleted, without another scan.
    assert (result.run.id, differences(result)) == (reported.run.id, {kind: (n, 0) for kind, n in found.items()})
    assert len([asked for asked in any_fake.asked if asked.path == "/api/v1/users"]) == listings
    assert held(emptied) == truth(any_fake)


async def test_a_deletion_is_a_delivery_dated_a_minute_before_the_second_request(
    emptied: str, any_fake: FakeStack
) -> None:
    long_ago(any_fake)
    [ada, dot] = named(any_fake, 2)
    crew = one(any_fake.project.create_team(creator=ada))
    any_fake.project.join(crew, dot)
    await known(emptied, any_fake)
    any_fake.project.revoke(dot, "team_member", crew)
    any_fake.project.leave(crew, ada)
    any_fake.project.delete_user(one(any_fake.project.sign_up(primary_email="x@example.com")))
    eve = one(any_fake.project.sign_up(primary_email="eve@example.com"))
    await arrive(emptied, webhook(any_fake.project.events[-1]))
    await work(emptied)
    change(emptied, "UPDATE identity.stack_user_profiles SET signed_up_at = now() - interval '1 day'")
    any_fake.project.delete_user(eve)

    result = await fixed(emptied, any_fake)

    deletions = rows(
        emptied,
        "SELECT source, message_id, event_type, occurred_at - now() < interval '-60 s' AS is_before, "
        "occurred_at - now() > interval '-90 s' AS is_late FROM consumer.outbox WHERE event_type LIKE '%.deleted'",
    )
    run = result.run.id
    assert {row["message_id"]: row["event_type"] for row in deletions} == {
        f"{run}:undeleted_user:{eve}": "user.deleted",
        f"{run}:extra_membership:{crew}:{ada}": "team_membership.deleted",
        f"{run}:extra_permission:{crew}:{dot}:team_member": "team_permission.deleted",
    }
    assert all(row["source"] == "reconcile" and row["is_before"] and row["is_late"] for row in deletions)


async def test_one_answer_that_lacks_a_user_deletes_nobody(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    [ada, _] = named(any_fake, 2)
    await known(emptied, any_fake)
    any_fake.project.delete_user(ada)

    first = await step(emptied, any_fake, FIX)
    minutes_pass(emptied, minutes=4.9)
    second = await step(emptied, any_fake, FIX)
    await work(emptied)

    assert first.due_at == (second.due_at or first.run.now) + timedelta(minutes=4.9)
    assert first.due_at - first.run.now <= ASKED_AGAIN_AFTER == timedelta(minutes=5)
    assert [asked.path for asked in any_fake.asked].count(f"/api/v1/users/{ada}") == 1
    assert ada in held(emptied)["profiles"]


@pytest.mark.parametrize("answer", [trouble.text(404), trouble.page(404)], ids=["text", "a proxy's page"])
async def test_a_404_without_stacks_own_code_deletes_nobody(emptied: str, fake: FakeStack, answer: ASGIApp) -> None:
    long_ago(fake)
    [ada, _] = named(fake, 2)
    await known(emptied, fake)
    fake.project.delete_user(ada)
    first = await step(emptied, fake, FIX)
    minutes_pass(emptied)
    fake.troubles.append(answer)

    with pytest.raises(ApiError):
        await step(emptied, fake, FIX)
    await work(emptied)

    assert first.due_at is not None
    assert ada in held(emptied)["profiles"]
    assert differences(await fixed(emptied, fake)) == {"undeleted_user": (1, 0)}


async def test_a_user_that_answers_in_between_is_no_suspect_and_its_answer_is_stored(
    emptied: str, any_fake: FakeStack
) -> None:
    long_ago(any_fake)
    [ada, ben] = named(any_fake, 2)
    await known(emptied, any_fake)
    any_fake.replicas = [Replica(lag_of={ada: timedelta(days=3)})]

    first = await step(emptied, any_fake, FIX)
    any_fake.replicas = [Replica()]
    result = await fixed(emptied, any_fake)

    assert first.due_at is not None
    assert differences(result) == {}
    assert held(emptied)["profiles"].keys() == {ada, ben}
    stored = rows(emptied, f"SELECT message_id FROM consumer.outbox WHERE message_id LIKE '{result.run.id}%'")
    assert [row["message_id"] for row in stored] == [f"{result.run.id}:user:{ada}"]


async def test_a_deletion_that_a_webhook_tells_meanwhile_is_no_difference(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    [ada, ben] = named(any_fake, 2)
    crew, gone = (one(any_fake.project.create_team(creator=ada)) for _ in range(2))
    any_fake.project.join(crew, ben)
    await known(emptied, any_fake)
    late = [*any_fake.project.leave(crew, ben), *any_fake.project.delete_team(gone), *any_fake.project.delete_user(ada)]
    await step(emptied, any_fake, FIX)

    await arrive(emptied, *map(webhook, late))
    await work(emptied)
    result = await fixed(emptied, any_fake)

    assert differences(result) == {}
    assert rows(emptied, "SELECT FROM consumer.outbox WHERE source = 'reconcile' AND event_type LIKE '%deleted'") == []


async def test_a_user_that_appears_after_the_beginning_is_no_suspect(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    named(any_fake, 1)
    await known(emptied, any_fake)
    now_is_now(any_fake)
    any_fake.replicas = [Replica(timedelta(seconds=50))]

    async def sign_up(scope: object, receive: object, send: object) -> None:
        await arrive(emptied, webhook(any_fake.project.sign_up(primary_email="new@example.com")[0]))
        await work(emptied)
        await any_fake.app(scope, receive, send)  # type: ignore[arg-type]  # As the server calls it.

    any_fake.troubles.append(sign_up)
    result = await step(emptied, any_fake, FIX)

    assert len(held(emptied)["profiles"]) == 2
    assert (differences(result), result.due_at) == ({}, None)


async def test_a_user_that_signed_up_within_the_lag_before_the_beginning_is_no_suspect(
    emptied: str, any_fake: FakeStack
) -> None:
    long_ago(any_fake)
    named(any_fake, 1)
    await known(emptied, any_fake)
    any_fake.replicas = [Replica(timedelta(seconds=50))]
    await arrive(emptied, webhook(any_fake.project.sign_up(primary_email="new@example.com")[0]))
    await work(emptied)

    result = await step(emptied, any_fake, FIX)

    assert (differences(result), result.due_at) == ({}, None)


async def test_members_of_the_lag_before_the_beginning_stay(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    [ada, ben] = named(any_fake, 2)
    crew = one(any_fake.project.create_team(creator=ada))
    await known(emptied, any_fake)
    any_fake.replicas = [Replica(timedelta(seconds=50))]
    await arrive(emptied, *map(webhook, any_fake.project.join(crew, ben)))
    await work(emptied)

    await step(emptied, any_fake, FIX)
    any_fake.project.now += timedelta(minutes=5)
    result = await fixed(emptied, any_fake)

    assert differences(result) == {}
    assert held(emptied) == truth(any_fake)


async def test_a_user_deleted_here_by_a_webhook_is_told_and_stays_deleted(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    [ada] = named(any_fake, 1)
    await known(emptied, any_fake)
    gone = webhook(any_fake.project.delete_user(ada)[0])
    any_fake.project.sign_up(id=ada, primary_email="user0@example.com", display_name="User 0")
    await arrive(emptied, gone._replace(occurred_at=gone.occurred_at - timedelta(hours=1)))
    await work(emptied)

    result = await fixed(emptied, any_fake)

    assert differences(result) == {"listed_user": (0, 1)}
    assert not result.is_drifting
    assert held(emptied)["profiles"] == {}
