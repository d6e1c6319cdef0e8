"""The poll of recent activity: what no webhook tells of users that were active lately, for one request a minute."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from consumer.errors import BadSettings
from consumer.operations.imports import PutCounts
from tests.support.activity import LAG, be_active, day_ago, polled, small_pages, stored
from tests.support.backfills import filled, held, now_is_now, truth, webhook
from tests.support.databases import change, rows
from tests.support.effects import audit
from tests.support.factories import user_deleted
from tests.support.fake_stack import FakeStack, Replica
from tests.support.outbox import arrive, work
from tests.support.stack_requests import one


async def test_an_email_that_was_verified_without_a_webhook_shows_after_one_request(
    emptied: str, fake: FakeStack
) -> None:
    user_id, other = day_ago(fake, 2)
    await arrive(emptied, *map(webhook, fake.project.events))
    await work(emptied)
    fake.project.change_silently(user_id, primary_email_verified=True)
    be_active(fake, user_id)

    put = await polled(emptied, fake)
    await work(emptied)

    assert (put, len(fake.asked)) == (PutCounts(1, 0), 1)
    assert held(emptied) == truth(fake)
    assert audit(emptied, "operation, source, changed_fields")[-1] == ("updated", "reconcile", ["email_verified"])
    assert other not in stored(emptied)[2:]


async def test_a_poll_that_finds_nothing_new_stores_nothing(emptied: str, fake: FakeStack) -> None:
    be_active(fake, *day_ago(fake, 3))
    await polled(emptied, fake)
    await work(emptied)

    assert await polled(emptied, fake) == PutCounts(0, 0)
    assert len(stored(emptied)) == 3


async def test_the_first_poll_brings_those_active_now_and_leaves_the_past_to_a_backfill(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    *_, last = day_ago(fake, 9)
    be_active(fake, last)

    await polled(emptied, fake)

    assert (len(stored(emptied)), last in stored(emptied), len(fake.asked)) == (2, True, 1)


async def test_a_list_takes_back_no_deletion_that_a_reconciliation_found(emptied: str, fake: FakeStack) -> None:
    [user_id] = day_ago(fake, 1)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    deletion = user_deleted(UUID(user_id))._replace(source="reconcile", verified_by=None, occurred_at=hour_ago)
    await arrive(emptied, deletion)
    await work(emptied)
    be_active(fake, user_id)

    await polled(emptied, fake)
    await work(emptied)

    assert stored(emptied) == [user_id, user_id]
    assert rows(emptied, "SELECT FROM identity.stack_user_profiles WHERE deleted_at IS NULL") == []


async def test_a_user_that_cannot_be_used_is_counted_and_not_dead_every_minute(emptied: str, fake: FakeStack) -> None:
    be_active(fake, one(fake.project.sign_up(server_metadata={"role": "\0"})))

    assert await polled(emptied, fake) == PutCounts(0, 1)
    assert rows(emptied, "SELECT FROM consumer.outbox") == []


async def test_an_old_server_cannot_tell_who_was_active(emptied: str, old_fake: FakeStack) -> None:
    day_ago(old_fake, 1)

    assert await polled(emptied, old_fake) is None
    assert rows(emptied, "SELECT FROM consumer.activity") == []


async def test_a_project_without_users_is_polled_without_harm(emptied: str, fake: FakeStack) -> None:
    assert await polled(emptied, fake) == PutCounts(0, 0)
    [user_id] = day_ago(fake, 1)
    be_active(fake, user_id)

    assert await polled(emptied, fake) == PutCounts(1, 0)


async def test_the_first_page_fixes_the_project(emptied: str, fake: FakeStack) -> None:
    be_active(fake, *day_ago(fake, 1))
    await polled(emptied, fake)
    change(emptied, "UPDATE consumer.project SET project_id = 'another'")

    with pytest.raises(BadSettings, match="holds the users of project another"):
        await polled(emptied, fake)
    with pytest.raises(BadSettings, match="holds the users of project another"):
        await filled(emptied, fake)


async def test_a_webhook_about_the_minute_of_the_poll_wins(emptied: str, fake: FakeStack) -> None:
    [user_id] = day_ago(fake, 1)
    fake.replicas = (Replica(lag=LAG),)
    fake.project.now -= LAG / 2
    [renamed] = fake.project.update_user(user_id, display_name="New")
    now_is_now(fake)
    await arrive(emptied, webhook(renamed))
    await work(emptied)

    await polled(emptied, fake)
    await work(emptied)

    with psycopg.connect(emptied) as conn:
        assert conn.execute("SELECT full_name FROM identity.profiles").fetchall() == [("New",)]
