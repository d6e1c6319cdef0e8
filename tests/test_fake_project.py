"""What the fake's project tells, keeps silent, and shows late."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from consumer.providers.stack.message_ids import occurred_at
from tests.support.fake_stack import FakeStack, Replica
from tests.support.samples import SCHEMAS
from tests.support.stack_requests import error, get, listed, many, one


def test_replicas_lag_each_for_itself_so_reads_go_backwards(fake: FakeStack) -> None:
    user = one(fake.project.sign_up(display_name="First"))
    fake.project.now += timedelta(minutes=5)
    fake.project.change_silently(user, display_name="Second")
    fake.replicas = (Replica(), Replica(lag=timedelta(seconds=60)), Replica(lag=timedelta(minutes=10)))

    seen = [get(fake, f"/users/{user}") for _ in range(4)]

    assert [answer.json().get("display_name") for answer in seen] == ["Second", "First", None, "Second"]
    assert error(seen[2]) == (404, "USER_NOT_FOUND")


def test_a_replica_lists_members_as_of_its_own_time_and_only_with_their_users(fake: FakeStack) -> None:
    team, user = (one([event]) for event in fake.project.sign_up(with_personal_team=True))
    fake.project.now += timedelta(minutes=5)
    fake.project.delete_user(user)
    late = timedelta(seconds=60)
    fake.replicas = (Replica(late), Replica(lag_of={team: late}), Replica())

    seen = [get(fake, "/team-member-profiles", team_id=team).json()["items"] for _ in fake.replicas]

    assert [len(items) for items in seen] == [1, 0, 0]


def test_a_replica_may_lag_for_some_only_and_brings_back_what_was_deleted(fake: FakeStack) -> None:
    late, gone = many(fake, 2)
    fake.project.now += timedelta(minutes=5)
    fake.project.delete_user(late)
    fake.project.delete_user(gone)
    fake.replicas = (Replica(lag_of={late: timedelta(seconds=60)}),)

    assert listed(fake) == [late]


ACCOUNT = {"id": "github", "account_id": "1"}


SILENT: dict[str, Callable[[FakeStack, str, str], object]] = {
    "verified": lambda fake, user, team: fake.project.change_silently(user, primary_email_verified=True),
    "e-mail": lambda fake, user, team: fake.project.change_silently(user, primary_email="new@example.com"),
    "account": lambda fake, user, team: fake.project.change_silently(user, oauth_providers=[ACCOUNT]),
    "password": lambda fake, user, team: fake.project.change_silently(user, has_password=True),
    "active": lambda fake, user, team: fake.project.change_silently(user, last_active_at_millis=1895000000000),
    "selection": lambda fake, user, team: fake.project.change_silently(user, selected_team_id=team),
}


@pytest.mark.parametrize("change", SILENT.values(), ids=SILENT)
def test_some_changes_send_no_event(fake: FakeStack, change: Callable[[FakeStack, str, str], object]) -> None:
    user, team = one(fake.project.sign_up()), one(fake.project.create_team())
    before, sent = get(fake, f"/users/{user}").json(), len(fake.project.events)

    change(fake, user, team)

    assert get(fake, f"/users/{user}").json() != before
    assert len(fake.project.events) == sent


def test_a_personal_team_comes_before_its_user_and_its_member_without_an_event(fake: FakeStack) -> None:
    team, user = fake.project.sign_up(with_personal_team=True, primary_email="oda@example.com")

    assert [team.type, user.type] == ["team.created", "user.created"]
    assert user.data["selected_team_id"] is None
    assert fake.project.user(one([user]))["selected_team_id"] == team.data["id"]
    [member] = get(fake, "/team-member-profiles", team_id=one([team])).json()["items"]
    assert member["user_id"] == user.data["id"]
    assert [item["id"] for item in get(fake, "/team-permissions").json()["items"]] == ["team_admin"]


def test_an_upgrade_moves_the_user_and_renames_its_team_without_an_event(fake: FakeStack) -> None:
    user = one(fake.project.sign_up_anonymously(with_personal_team=True))
    other = one(fake.project.sign_up())

    events = fake.project.upgrade(user, "oda@example.com")

    assert [event.type for event in events] == ["user.updated"]
    assert listed(fake) == [other, user]
    [team] = get(fake, "/teams").json()["items"]
    assert team["display_name"] == "oda@example.com's Team"


def test_a_deleted_team_takes_members_permissions_and_selections_along_without_an_event(fake: FakeStack) -> None:
    team, user = fake.project.sign_up(with_personal_team=True)

    assert [event.type for event in fake.project.delete_team(one([team]))] == ["team.deleted"]

    assert fake.project.user(one([user]))["selected_team_id"] is None
    assert get(fake, "/team-member-profiles").json()["items"] == []
    assert get(fake, "/team-permissions").json()["items"] == []


def test_a_deleted_user_s_event_names_its_teams(fake: FakeStack) -> None:
    team, user = fake.project.sign_up(with_personal_team=True)

    [event] = fake.project.delete_user(one([user]))

    assert event.data == {"id": user.data["id"], "teams": [{"id": team.data["id"]}]}
    assert get(fake, "/team-member-profiles").json()["items"] == []


def test_a_permission_without_a_definition_is_kept_but_not_listed(fake: FakeStack) -> None:
    user = one(fake.project.sign_up())
    fake.project.definitions["moderator"] = ("$read",)
    fake.project.grant(user, "moderator")
    assert listed(fake, "/project-permissions", recursive="true") == ["$read", "moderator"]
    assert listed(fake, "/project-permissions", permission_id="$read") == []

    del fake.project.definitions["moderator"]

    assert listed(fake, "/project-permissions") == []


def test_every_event_has_the_sender_s_shape_and_a_time_in_its_id(fake: FakeStack) -> None:
    project = fake.project
    project.echoes_upper_case = True
    team = one(project.create_team())
    user = one(project.sign_up(primary_email="oda@example.com", oauth_providers=[ACCOUNT]))
    project.update_user(user, display_name="Oda")
    project.update_team(team, display_name="Quillmark")
    project.join(team, user)
    project.grant(user, "team_admin", team)
    project.revoke(user, "team_admin", team)
    project.grant(user, "moderator")
    project.revoke(user, "moderator")
    project.leave(team, user)
    project.delete_team(team)
    project.delete_user(user)

    types = {event.type for event in project.events}
    assert types == {event_type for event_type in SCHEMAS if not event_type.startswith(("issue.", "stack.", "any"))}
    assert project.events[1].data["oauth_providers"] == []
    times = [occurred_at(event.message_id, event.at, timedelta()) for event in project.events]
    assert times == sorted(set(times))
    assert max(event.at - time for time, event in zip(times, project.events, strict=True)) < timedelta(milliseconds=4)
