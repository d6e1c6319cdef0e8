"""Whom each event type names, and who may send it."""

from uuid import UUID

import pytest

from consumer.errors import BadPayload
from consumer.events.check import check, subject
from consumer.events.registry import EVENT_TYPES, is_known, known_types, types_from
from tests.support.samples import body

USER, OTHER, TEAM = (UUID(int=0xABCD << 112 | n) for n in (1, 2, 3))
# A body that names somebody by each key that any type uses.
DATA = {"id": str(USER), "user_id": str(OTHER), "team_id": str(TEAM)}
STACK = ("backfill", "reconcile", "stack")
SOURCES = ("app", "backfill", "operator", "reconcile", "stack")
# By type: its sources, its user and its team.
NAMED: dict[str, tuple[tuple[str, ...], UUID | None, UUID | None]] = {
    "user.created": (STACK, USER, None),
    "user.updated": (STACK, USER, None),
    "user.deleted": (STACK, USER, None),
    "user.erased": (("operator",), USER, None),
    "user.signed_in": (("app", "stack"), USER, None),
    "user.signed_out": (("app", "stack"), USER, None),
    "profile.edited": (("app",), USER, None),
    "team.created": (STACK, None, USER),
    "team.updated": (STACK, None, USER),
    "team.deleted": (STACK, None, USER),
    "company.declared": (("operator",), None, USER),
    "team_membership.created": (STACK, OTHER, TEAM),
    "team_membership.deleted": (STACK, OTHER, TEAM),
    "team_permission.created": (STACK, OTHER, TEAM),
    "team_permission.deleted": (STACK, OTHER, TEAM),
    "project_permission.created": (STACK, OTHER, None),
    "project_permission.deleted": (STACK, OTHER, None),
    "issue.created": (STACK, None, None),
    "issue.regressed": (STACK, None, None),
    "issue.resolved": (STACK, None, None),
    "issue.ignored": (STACK, None, None),
    "issue.merged": (STACK, None, None),
    "stack.test": (STACK, None, None),
}
# Of types yet to come; an erasure has to find their user.
UNKNOWN = {
    "user.to_come": (USER, TEAM),
    "user.": (USER, TEAM),
    "user": (OTHER, TEAM),
    "users.created": (OTHER, TEAM),
    "team.to_come": (OTHER, TEAM),
    "": (OTHER, TEAM),
}


def test_each_type_has_a_row_here() -> None:
    assert NAMED.keys() == EVENT_TYPES.keys()


@pytest.mark.parametrize(("name", "row"), NAMED.items(), ids=NAMED)
def test_a_type_names_its_user_and_team_and_is_sent_by_its_sources_alone(
    name: str, row: tuple[tuple[str, ...], UUID | None, UUID | None]
) -> None:
    sources, user_id, team_id = row

    assert subject(body(name, DATA)) == (name, user_id, team_id)
    assert tuple(each for each in SOURCES if is_known(name, each)) == sources
    assert {source for source, found in known_types() if found == name} == set(sources)
    assert [name in types_from(source) for source in SOURCES] == [source in sources for source in SOURCES]


@pytest.mark.parametrize(("name", "named"), UNKNOWN.items(), ids=UNKNOWN)
def test_a_type_yet_to_come_names_whom_it_would_and_is_known_of_nobody(
    name: str, named: tuple[UUID | None, UUID | None]
) -> None:
    event = check(body(name, DATA), "stack")

    assert (event.type, event.user_id, event.team_id) == (name, *named)
    assert [each for each in SOURCES if is_known(name, each)] == []


def test_a_type_of_another_source_is_taken_by_its_name_alone_but_from_your_own_backend() -> None:
    event = check(body("user.erased", {"id": str(USER)}), "stack")
    with pytest.raises(BadPayload) as refused:
        check(body("user.erased", {"id": str(USER)}), "app")

    assert (event.type, event.user_id, event.warnings, event.changed_fields) == ("user.erased", USER, (), ())
    assert (refused.value.code, refused.value.path) == ("unknown_type", "$.type")
    assert refused.value.reason == "Expected one of user.signed_in, user.signed_out, profile.edited"
    assert types_from("nobody") == []


def test_each_source_is_told_with_each_of_its_types_once() -> None:
    found = known_types()

    assert len(found) == len(set(found)) == sum(len(sources) for sources, _, _ in NAMED.values())
