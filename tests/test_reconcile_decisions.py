"""How many a reconciliation may delete, what takes a deletion back, and which users a scan confirms."""

from datetime import timedelta
from uuid import uuid4

import pytest

from consumer.operations import reconcile
from consumer.postgres.connections import connect
from consumer.settings.settings import ShapingSettings
from tests.support.backfills import ACCESS, LIMITS, filled, held, long_ago, named, now_is_now, truth, webhook
from tests.support.databases import change, record, rows
from tests.support.factories import user_updated
from tests.support.fake_stack import FakeStack
from tests.support.fake_stack.serving import PROJECT_ID
from tests.support.outbox import arrive, work
from tests.support.reconciling import FIX, FORCE, REPORT, differences, fixed, reconciled, step
from tests.support.stack_api import stack_api
from tests.support.stack_requests import one

NEEDING = "SELECT user_id::text FROM identity.profiles_needing_sync"
YESTERDAY = "UPDATE consumer.runs SET begun_at = begun_at - interval '25 hours'"


async def known(url: str, fake: FakeStack, users: int) -> list[str]:
    """Bring so many users in, who signed up some time ago."""
    long_ago(fake)
    found = named(fake, users)
    await filled(url, fake)
    await work(url)
    now_is_now(fake)
    return found


async def test_ten_deletions_are_never_too_many_and_eleven_need_force(emptied: str, any_fake: FakeStack) -> None:
    users = await known(emptied, any_fake, 40)
    for user_id in users[:11]:
        any_fake.project.delete_user(user_id)

    refused = await fixed(emptied, any_fake)
    asked = [each.path for each in any_fake.asked if each.path.startswith("/api/v1/users/")]
    again = await fixed(emptied, any_fake)
    before = len(held(emptied)["profiles"])
    forced = await fixed(emptied, any_fake, FORCE)

    assert [tuple(each) for each in refused.excess] == [("undeleted_user", 11, 40, 10)]
    assert (differences(refused), refused.is_drifting, asked, before) == ({"undeleted_user": (0, 11)}, True, [], 40)
    assert again.run.id != refused.run.id
    # The scan is not repeated.
    assert (forced.run.id, differences(forced)) == (again.run.id, {"undeleted_user": (11, 0)})
    assert held(emptied) == truth(any_fake)

    for user_id in users[11:21]:
        any_fake.project.delete_user(user_id)
    assert differences(await fixed(emptied, any_fake)) == {"undeleted_user": (10, 0)}


async def test_one_percent_of_many_is_not_too_many(emptied: str, fake: FakeStack) -> None:
    users = await known(emptied, fake, 1_310)
    for user_id in users[:14]:
        fake.project.delete_user(user_id)

    refused = await step(emptied, fake, FIX)
    await arrive(emptied, webhook(fake.project.events[-1]))
    await work(emptied)
    result = await fixed(emptied, fake)

    assert [tuple(each) for each in refused.excess] == [("undeleted_user", 14, 1_310, 13)]
    assert differences(result) == {"undeleted_user": (13, 0)}


async def test_teams_and_members_have_their_own_limits(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    [ada] = named(any_fake, 1)
    teams = [one(any_fake.project.create_team(creator=ada)) for _ in range(25)]
    await filled(emptied, any_fake)
    await work(emptied)
    for team_id in teams[:11]:
        any_fake.project.leave(team_id, ada)
    for team_id in teams[14:]:
        any_fake.project.delete_team(team_id)

    refused = await fixed(emptied, any_fake)

    assert [each[:3] for each in refused.excess] == [("undeleted_team", 11, 25), ("extra_membership", 11, 25)]
    assert len(held(emptied)["companies"]) == len(held(emptied)["members"]) == 25


async def test_members_of_a_team_that_goes_meanwhile_are_left_to_the_next_run(
    emptied: str, any_fake: FakeStack
) -> None:
    long_ago(any_fake)
    [ada, ben] = named(any_fake, 2)
    crew = one(any_fake.project.create_team(creator=ada))
    any_fake.project.join(crew, ben)
    await filled(emptied, any_fake)
    await work(emptied)
    now_is_now(any_fake)
    any_fake.project.leave(crew, ben)
    first = await step(emptied, any_fake, FIX)
    any_fake.project.delete_team(crew)

    result = await fixed(emptied, any_fake)
    deleted = rows(emptied, "SELECT FROM consumer.outbox WHERE event_type LIKE '%.deleted'")

    assert (differences(first), differences(result), deleted) == ({"extra_membership": (0, 1)}, {}, [])
    assert differences(await fixed(emptied, any_fake)) == {"undeleted_team": (1, 0)}


async def test_an_empty_list_deletes_nobody(emptied: str, any_fake: FakeStack) -> None:
    users = await known(emptied, any_fake, 12)
    for user_id in users:
        any_fake.project.delete_user(user_id)

    result = await fixed(emptied, any_fake)

    assert result.excess
    assert len(held(emptied)["profiles"]) == 12


async def test_users_that_a_reconciliation_brought_in_do_not_raise_the_limit(emptied: str, fake: FakeStack) -> None:
    """As when the settings lead to a larger project than the one whose webhooks came."""
    await arrive(emptied, *(user_updated(display_name="Own") for _ in range(11)))
    await work(emptied)
    long_ago(fake)
    named(fake, 1_150)
    now_is_now(fake)

    await step(emptied, fake, FIX)
    await work(emptied)
    again = await fixed(emptied, fake)

    assert [tuple(each) for each in again.excess] == [("undeleted_user", 11, 11, 10)]
    assert rows(emptied, "SELECT FROM identity.profiles WHERE deleted_at IS NOT NULL") == []


async def test_what_a_report_found_is_deleted_as_of_then(emptied: str, fake: FakeStack) -> None:
    """A webhook that came between the report and the deletion is newer, however late somebody decides."""
    [ada, _] = await known(emptied, fake, 2)
    fake.project.delete_user(ada)
    await reconciled(emptied, fake)
    change(emptied, "UPDATE consumer.suspects SET confirmed_at = confirmed_at - interval '1 hour'")

    await fixed(emptied, fake)

    deleted = "SELECT now() - occurred_at > interval '61 minutes' AS is_old FROM consumer.outbox WHERE event_type = "
    assert rows(emptied, f"{deleted}'user.deleted'") == [{"is_old": True}]


async def test_a_company_that_a_setting_declared_is_no_suspect(emptied: str, any_fake: FakeStack) -> None:
    default = uuid4()
    await record(emptied, ShapingSettings(default_company_id=default))
    await known(emptied, any_fake, 2)

    result = await fixed(emptied, any_fake)

    assert (differences(result), list(held(emptied)["companies"])) == ({}, [str(default)])


async def wrongly_deleted(url: str, fake: FakeStack) -> tuple[str, str]:
    """Delete a user and a team here that Stack seems to lack, and let it have them again."""
    [ada] = await known(url, fake, 1)
    crew = one(fake.project.create_team(creator=ada))
    await fixed(url, fake)
    held_before, lacking = fake.project, type(fake.project)()
    fake.project = lacking
    await fixed(url, fake)
    fake.project = held_before
    return ada, crew


async def test_the_next_run_brings_back_what_one_deleted_wrongly(emptied: str, any_fake: FakeStack) -> None:
    await wrongly_deleted(emptied, any_fake)
    before = held(emptied)
    change(emptied, "UPDATE identity.stack_user_profiles SET deleted_at = deleted_at - interval '1 hour'")
    change(emptied, "UPDATE identity.companies SET deleted_at = deleted_at - interval '1 hour'")
    earlier(emptied)

    result = await fixed(emptied, any_fake, REPORT)

    assert (before["profiles"], before["companies"]) == ({}, {})
    assert differences(result) == {"revived_team": (1, 0), "revived_user": (1, 0)}
    assert not result.is_drifting
    assert held(emptied) == truth(any_fake)


async def test_a_user_that_is_listed_and_does_not_answer_stays_deleted(emptied: str, any_fake: FakeStack) -> None:
    """As when a replica of the list lags: the user was deleted here, and is gone."""
    ada, _ = await wrongly_deleted(emptied, any_fake)
    change(emptied, "UPDATE identity.stack_user_profiles SET deleted_at = deleted_at - interval '1 hour'")
    earlier(emptied)

    async with await connect(emptied, ACCESS) as conn, stack_api(any_fake, None, LIMITS) as api:
        run = (await reconcile.begin(conn, ACCESS, PROJECT_ID, REPORT)).run
        async for page in reconcile.reconcile(conn, ACCESS, api, run, REPORT):
            if page.finished_at and ada in any_fake.project.users.latest:
                any_fake.project.delete_user(ada)
        result = await reconcile.report(conn, ACCESS, run, REPORT)
    await work(emptied)

    assert ("revived_user" in differences(result), result.due_at) == (False, None)
    assert held(emptied)["profiles"] == {}


def earlier(url: str) -> None:
    """Let the deletions be an hour old."""
    for table in ("identity.stack_user_profiles", "identity.companies"):
        change(url, f"UPDATE {table} SET missing_at = missing_at - interval '1 hour' WHERE missing_at IS NOT NULL")


async def test_a_scan_confirms_users_without_a_change_of_their_rows(emptied: str, any_fake: FakeStack) -> None:
    users = await known(emptied, any_fake, 3)
    change(emptied, "UPDATE identity.stack_user_profiles SET occurred_at = occurred_at - interval '3 days'")
    change(emptied, "UPDATE identity.profiles SET created_at = created_at - interval '3 days'")
    change(emptied, YESTERDAY)
    before = rows(emptied, NEEDING)
    any_fake.project.delete_user(users[0])

    await step(emptied, any_fake)

    assert len(before) == 3
    assert [row["user_id"] for row in rows(emptied, NEEDING)] == [users[0]]
    change(emptied, YESTERDAY)
    hours = [row["hours_since_sync"] for row in rows(emptied, "SELECT * FROM identity.profiles_needing_sync")]
    assert sorted(round(each) for each in hours) == [25, 25, 72]


async def test_a_user_that_became_known_after_the_beginning_is_not_confirmed_by_the_scan(
    emptied: str, fake: FakeStack
) -> None:
    await known(emptied, fake, 1)
    late = webhook(fake.project.sign_up(primary_email="late@example.com")[0])
    await arrive(emptied, late._replace(occurred_at=late.occurred_at - timedelta(days=2)))
    await work(emptied)

    assert [row["user_id"] for row in rows(emptied, NEEDING)] == [str(late.user_id)]


async def test_a_run_that_is_not_complete_confirms_nobody(
    emptied: str, any_fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await known(emptied, any_fake, 3)
    change(emptied, "UPDATE identity.stack_user_profiles SET occurred_at = occurred_at - interval '3 days'")
    change(emptied, YESTERDAY)
    change(emptied, "INSERT INTO consumer.runs (id, kind, project_id, stage, calls) VALUES (gen_random_uuid(), "
        f"'reconcile', '{PROJECT_ID}', 'teams', 1)")  # fmt: skip

    assert len(rows(emptied, NEEDING)) == 3
