"""The application's statement runs in the transaction that changed the profiles, and its errors are nobody else's."""

from uuid import uuid4

import pytest

from consumer.settings.settings import DeletePolicy, ShapingSettings
from tests.support.application import calls, people, profiles, tables, work
from tests.support.databases import record, rows
from tests.support.factories import delivery, membership, permission, team_event, user_deleted, user_updated
from tests.support.outbox import arrive, replayed


async def test_a_created_and_an_updated_profile_are_followed_once_each(application: str) -> None:
    user_id = uuid4()

    for name in ("Ada", "Grace"):
        await arrive(application, user_updated(user_id, display_name=name))
        await work(application)

    assert people(application) == {user_id: "Grace"}
    assert calls(application) == [[user_id], [user_id]]


async def test_the_statement_gets_the_users_of_a_batch_in_the_order_of_their_ids(application: str) -> None:
    user_ids = [uuid4() for _ in range(20)]
    await arrive(application, *(user_updated(user_id, primary_email=None) for user_id in user_ids))

    await work(application)

    assert calls(application) == [sorted(user_ids)]


async def test_what_tells_nothing_new_of_a_user_runs_no_statement(application: str) -> None:
    user_id = uuid4()
    await arrive(application, user_updated(user_id))
    await work(application)

    await arrive(application, user_updated(user_id), team_event("created", uuid4()))
    await replayed(application)
    await work(application)

    assert len(calls(application)) == 1


async def test_what_no_profile_shows_is_followed_too(application: str) -> None:
    """The statement may read the mirror, the memberships and the edits."""
    team_id, other_id, user_id, anonymous = uuid4(), uuid4(), uuid4(), uuid4()
    await arrive(
        application, team_event("created", team_id), membership("created", team_id, user_id), user_updated(user_id)
    )
    await work(application)

    for new in (
        user_updated(user_id, server_metadata={"plan": "gold"}),
        membership("created", other_id, user_id),
        permission("created", other_id, user_id, "team_admin"),
        delivery("profile.edited", user_id, "app", role_type="member"),
        user_updated(anonymous, is_anonymous=True),
    ):
        await arrive(application, new)
        await work(application)

    assert calls(application)[1:] == [[user_id], [user_id], [user_id], [user_id], [anonymous]]


async def test_a_later_activity_is_followed_too(application: str) -> None:
    user_id = uuid4()
    await arrive(application, user_updated(user_id))
    await work(application)

    await arrive(application, delivery("user.signed_in", user_id, "app"))
    await work(application)

    assert len(calls(application)) == 2


@pytest.mark.parametrize(
    ("policy", "left"), [("soft", "Ada"), ("anonymise", "Deleted user"), ("hard", None)], ids=["soft", "anon", "hard"]
)
async def test_a_deleted_user_is_followed_under_each_policy(
    application: str, policy: DeletePolicy, left: str | None
) -> None:
    user_id = uuid4()
    await record(application, ShapingSettings(delete_policy=policy))
    await arrive(application, user_updated(user_id))
    await work(application)

    await arrive(application, user_deleted(user_id))
    await work(application)

    assert people(application).get(user_id) == left
    assert calls(application) == [[user_id], [user_id]]


async def test_users_who_lose_their_company_are_followed(application: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    await arrive(
        application, team_event("created", team_id), user_updated(user_id), membership("created", team_id, user_id)
    )
    await work(application)
    before = rows(application, "SELECT company_id FROM public.people")

    await arrive(application, team_event("deleted", team_id))
    await work(application)

    assert before == [{"company_id": team_id}]
    assert rows(application, "SELECT company_id FROM public.people") == [{"company_id": None}]


async def test_members_who_are_at_home_elsewhere_are_followed_when_a_company_ends(application: str) -> None:
    home_id, team_id, user_id = uuid4(), uuid4(), uuid4()
    await arrive(
        application, user_updated(user_id), *(membership("created", joined, user_id) for joined in (home_id, team_id))
    )
    await work(application)
    before = calls(application)

    await arrive(application, team_event("deleted", team_id))
    await work(application)

    assert rows(application, "SELECT company_id FROM public.people") == [{"company_id": home_id}]
    assert calls(application) == [*before, [user_id]]


async def test_ours_and_theirs_commit_together_or_not_at_all(application: str) -> None:
    """A delivery that is lost after the statement has run takes its rows along."""
    await arrive(application, user_updated())
    with tables(
        application,
        "CREATE FUNCTION public.lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        "CREATE TRIGGER lose BEFORE INSERT ON consumer.outcomes FOR EACH ROW EXECUTE FUNCTION public.lose()",
        "DROP FUNCTION public.lose CASCADE",
    ):
        await work(application)

    assert (people(application), profiles(application)) == ({}, {})
