"""The fake obeys the rules that were read from Stack's source: what is hidden, ordered, silent, late or refused."""

from typing import Any

import pytest

from tests.support.fake_stack import FakeStack
from tests.support.fake_stack.serving import Port
from tests.support.fake_stack.shapes import Age
from tests.support.stack_requests import SERVER, ask, error, get, listed, many, one

EVERYBODY = {"include_anonymous": "true"}


def cursor(fake: FakeStack, path: str = "/users", **query: str) -> Any:
    return get(fake, path, **query).json()["pagination"]["next_cursor"]


def test_a_list_hides_the_anonymous_and_the_restricted_unless_asked_for_them(fake: FakeStack) -> None:
    plain, banned = many(fake, 2)
    fake.project.change_silently(banned, restricted_by_admin=True)
    anonymous = one(fake.project.sign_up_anonymously())

    assert listed(fake) == [plain]
    assert listed(fake, include_restricted="true") == [plain, banned]
    assert listed(fake, **EVERYBODY) == [plain, banned, anonymous]
    assert listed(fake, only_anonymous="true", **EVERYBODY) == [anonymous]


def test_who_has_not_verified_an_e_mail_is_restricted_where_the_project_requires_it(fake: FakeStack) -> None:
    user = one(fake.project.sign_up())
    assert listed(fake) == [user]

    fake.project.requires_verified_email = True

    assert listed(fake) == []
    assert fake.project.user(user)["restricted_reason"] == {"type": "email_not_verified"}


@pytest.mark.parametrize(("age", "place"), [("old", 2), ("new", 1)])
def test_the_next_cursor_is_the_next_row_on_old_servers_and_the_last_row_on_new_ones(
    stack_port: Port, age: Age, place: int
) -> None:
    fake = stack_port.serve(FakeStack(age))
    ids = many(fake, 5)

    assert cursor(fake, limit="2") == ids[place]
    assert listed(fake, limit="2", cursor=ids[place]) == ids[2:4]
    assert cursor(fake, limit="2", cursor=ids[place + 2]) is None
    assert listed(fake, limit="5") == ids
    assert cursor(fake, limit="5") is None


@pytest.mark.parametrize(
    ("first", "then", "missing", "repeated"), [("old", "new", 1, 0), ("new", "old", 0, 1)], ids=["upgrade", "downgrade"]
)
def test_a_deploy_between_two_pages_skips_or_repeats_a_row(
    stack_port: Port, first: Age, then: Age, missing: int, repeated: int
) -> None:
    fake = stack_port.serve(FakeStack(first))
    ids = many(fake, 4)
    page, at = listed(fake, limit="2"), cursor(fake, limit="2")

    fake.age = then
    rest = listed(fake, limit="4", cursor=at)

    assert len(set(ids) - {*page, *rest}) == missing
    assert len({*page} & {*rest}) == repeated


def test_users_of_one_millisecond_are_in_the_order_of_their_ids(fake: FakeStack) -> None:
    ids = many(fake, 5)
    for user in ids:
        fake.project.change_silently(user, signed_up_at_millis=1)

    assert listed(fake) == sorted(ids)
    assert listed(fake, desc="true") == sorted(ids, reverse=True)
    assert listed(fake, limit="2", cursor=sorted(ids)[1]) == sorted(ids)[2:4]
    assert listed(fake, limit="2", cursor=sorted(ids)[3], desc="true") == sorted(ids)[1:3][::-1]


def test_a_query_finds_names_ids_and_any_contact_channel(fake: FakeStack) -> None:
    user = one(fake.project.sign_up(display_name="Oda Brekke", contact_channels=("second@example.com",)))
    many(fake, 1)

    assert [listed(fake, query=text) for text in ("oda", "second@", user, "nobody")] == [[user], [user], [user], []]


def test_an_unknown_team_or_user_is_an_empty_list_or_an_error(fake: FakeStack) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"

    assert listed(fake, team_id=unknown) == []
    assert listed(fake, "/teams", user_id=unknown) == []
    assert listed(fake, "/team-permissions", team_id=unknown) == []
    assert error(get(fake, "/team-member-profiles", team_id=unknown)) == (404, "TEAM_NOT_FOUND")
    assert error(get(fake, "/team-member-profiles", user_id=unknown)) == (404, "USER_NOT_FOUND")


def test_one_team_and_one_member_are_shown(fake: FakeStack) -> None:
    team, user = (one([event]) for event in fake.project.sign_up(with_personal_team=True))
    outsider = one(fake.project.sign_up())

    assert get(fake, f"/teams/{team}").json() == fake.project.events[0].data
    assert get(fake, f"/team-member-profiles/{team}/{user}").json()["user"]["id"] == user
    assert error(get(fake, f"/team-member-profiles/{team}/{outsider}")) == (404, "TEAM_MEMBERSHIP_NOT_FOUND")
    assert listed(fake, team_id=team) == [user]


def test_the_members_of_all_teams_are_listed_without_a_filter(fake: FakeStack) -> None:
    for _ in range(2):
        fake.project.sign_up(with_personal_team=True)

    assert len(get(fake, "/team-member-profiles").json()["items"]) == 2


UNKNOWN_KEYS: list[tuple[Age, str, str]] = [
    ("oldest", "/users", "include_anonymous"),
    ("oldest", "/users", "include_restricted"),
    ("old", "/users", "excluded_email_domains"),
    ("old", "/teams", "limit"),
    ("new", "/users", "updated_since"),
    ("new", "/users/00000000-0000-4000-8000-000000000000", "limit"),
]


@pytest.mark.parametrize(("age", "path", "key"), UNKNOWN_KEYS)
def test_a_key_that_the_server_does_not_know_is_refused(stack_port: Port, age: Age, path: str, key: str) -> None:
    fake = stack_port.serve(FakeStack(age))

    assert error(get(fake, path, **{key: "true"})) == (400, "SCHEMA_ERROR")


@pytest.mark.parametrize(
    "query", ["include_anonymous=1", "limit=0", "limit=1001", "limit=x", "cursor=x", "order_by=id"]
)
def test_a_value_that_does_not_fit_is_refused(fake: FakeStack, query: str) -> None:
    assert error(get(fake, "/users", **dict([query.split("=")]))) == (400, "SCHEMA_ERROR")


def test_an_old_server_knows_neither_the_new_order_nor_a_most_number(old_fake: FakeStack) -> None:
    assert get(old_fake, "/users", limit="5000").status_code == 200
    assert error(get(old_fake, "/users", order_by="last_active_at")) == (400, "SCHEMA_ERROR")


def test_the_paging_of_teams_needs_a_limit(fake: FakeStack) -> None:
    team = one(fake.project.create_team(display_name="Quillmark"))

    assert error(get(fake, "/teams", cursor=team)) == (400, "SCHEMA_ERROR")
    assert error(get(fake, "/teams", limit="201")) == (400, "SCHEMA_ERROR")
    assert listed(fake, "/teams", limit="1", query="quill") == [team]


@pytest.mark.parametrize(("age", "status"), [("old", 400), ("new", 200)])
def test_only_new_servers_know_the_new_names_of_headers(stack_port: Port, age: Age, status: int) -> None:
    fake = stack_port.serve(FakeStack(age))
    renamed = {name.replace("x-stack-", "x-hexclave-"): value for name, value in SERVER.items()}

    assert ask(fake, "/users", renamed, {}).status_code == status


ACCESS = {
    "odd type": ({**SERVER, "x-stack-access-type": "root"}, "INVALID_ACCESS_TYPE"),
    "no project": ({"x-stack-access-type": "server"}, "ACCESS_TYPE_WITHOUT_PROJECT_ID"),
    "client": ({**SERVER, "x-stack-access-type": "client"}, "INSUFFICIENT_ACCESS_TYPE"),
}


@pytest.mark.parametrize(("headers", "code"), ACCESS.values(), ids=ACCESS)
def test_access_is_checked_before_the_query(fake: FakeStack, headers: dict[str, str], code: str) -> None:
    assert ask(fake, "/users", headers, {"unknown": "1"}).headers["x-stack-known-error"] == code


def test_an_error_is_a_success_for_a_client_that_overrides_the_status(fake: FakeStack) -> None:
    answer = ask(fake, "/users/me", {**SERVER, "x-stack-override-error-status": "true"}, {})

    assert (answer.status_code, answer.headers["x-stack-actual-status"]) == (200, "400")
    assert answer.headers["x-stack-known-error"] == "CANNOT_GET_OWN_USER_WITHOUT_USER"
