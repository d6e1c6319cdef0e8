"""The parts of actions in the background: what a recorded filter chooses, and where an action goes on."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from consumer.lookup.times import DURATION_MAX, instant, read_time
from consumer.operations import background_work, imports, questions
from consumer.operations.background import Order
from consumer.operations.background_work import Outside
from consumer.operations.exclusions import Decision
from consumer.operations.imports import Finder, checked
from consumer.operations.replay import Replayed
from consumer.operations.suspects import Suspect
from consumer.outbox.deliveries import Selection
from consumer.outbox.rebuild_queue import Stage

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)
RUN: Any = SimpleNamespace(id=UUID(int=9))


def order(**named: Any) -> Order:
    facts: dict[str, Any] = {"id": ONE, "actor": "me", "action": "replay", "filter": {}, "reason": None}
    return Order(**{**facts, "place": {}, "result": {}, **named})


def test_a_recorded_filter_is_read_back_as_it_was_chosen() -> None:
    chosen = {
        "states": ["done", "dead"],
        "since": "2026-11-30T12:00:00+00:00",
        "until": "2026-11-30T13:00:00+00:00",
        "settled_until": "2026-11-30T14:00:00+00:00",
        "source": "app",
        "event_type": "user.*",
        "user_id": str(ONE),
        "team_id": str(TWO),
        "seqs": [1, 2],
        "is_discarded": True,
    }

    assert background_work.selection(chosen) == Selection(
        states=("done", "dead"),
        since=NOW,
        until=NOW + timedelta(hours=1),
        settled_until=NOW + timedelta(hours=2),
        source="app",
        event_type="user.*",
        user_id=ONE,
        team_id=TWO,
        seqs=(1, 2),
        is_discarded=True,
    )


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ({}, (Stage.COMPANY, None)),
        ({"stage": 2}, (Stage.USER, None)),
        ({"stage": 3, "after": str(TWO)}, (Stage.NAMED_BY_USERS, TWO)),
        ({"stage": 1, "after": None}, (Stage.COMPANY, None)),
    ],
)
def test_a_place_is_a_stage_and_the_last_id(place: dict[str, Any], found: tuple[Stage, UUID | None]) -> None:
    assert background_work._place(order(place=place)) == found


def test_an_action_goes_on_behind_the_last_id_then_with_the_next_stage() -> None:
    assert background_work._after(Stage.USER, [ONE, TWO]) == {"stage": 2, "after": str(TWO)}
    assert background_work._after(Stage.COMPANY, []) == {"stage": 2, "after": None}
    assert background_work._after(Stage.USER, []) == {"stage": 3, "after": None}
    assert background_work._after(Stage.NAMED_BY_USERS, []) is None


def test_a_page_of_a_replay_counts_apart_what_is_rebuilt_and_what_stays_unusable() -> None:
    assert background_work._replayed(Replayed(queued=5, unusable=2, rebuilt=3)) == {
        "put_back": 2,
        "to_rebuild": 3,
        "still_unusable": 2,
    }
    assert background_work._decision(order(reason="why")) == Decision("me", "why")
    assert background_work._decision(order()) == Decision("me", "erased")


def test_each_action_in_the_background_has_its_work() -> None:
    outside: Any = Outside
    assert set(background_work.works(outside)) == {
        *("retry", "replay", "discard", "undiscard", "rebuild", "check", "refresh", "test"),
    }


FINDER = Finder(UUID(int=9), NOW, "reconcile")


@pytest.mark.parametrize(
    ("team_id", "user_id", "permission_id", "event_type", "data"),
    [
        (None, ONE, None, "user.deleted", f'{{"id":"{ONE}"}}'),
        (TWO, None, None, "team.deleted", f'{{"id":"{TWO}"}}'),
        (TWO, ONE, None, "team_membership.deleted", f'{{"team_id":"{TWO}","user_id":"{ONE}"}}'),
        (TWO, ONE, "$x", "team_permission.deleted", f'{{"team_id":"{TWO}","user_id":"{ONE}","id":"$x"}}'),
    ],
)
def test_a_deletion_names_what_is_gone(
    team_id: UUID | None, user_id: UUID | None, permission_id: str | None, event_type: str, data: str
) -> None:
    found = FINDER.deletion("kind", team_id, user_id, permission_id)

    ids = ":".join(str(each) for each in (team_id, user_id, permission_id) if each)
    assert (found.source, found.message_id, found.error_code) == ("reconcile", f"{UUID(int=9)}:kind:{ids}", None)
    assert (found.event_type, found.user_id, found.team_id) == (event_type, user_id, team_id)
    assert found.body == f'{{"type":"{event_type}","data":{data}}}'.encode()
    assert (found.occurred_at, found.verified_by) == (NOW - timedelta(minutes=1), None)


def test_a_finding_is_named_by_its_run_its_kind_and_its_subject() -> None:
    found = [
        FINDER.membership(TWO, ONE),
        FINDER.permission(TWO, ONE, "a b"),
        FINDER.permission(TWO, ONE, "ä"),
        FINDER.user("x" * 100, b"1"),
        FINDER.user("x" * 101, b"1", "user"),
        FINDER.team("", b"1"),
    ]

    names = [each.message_id.split(":", 1)[1] for each in found]
    assert names[:2] == [f"memberships:{TWO}:{ONE}", f"permissions:{TWO}:{ONE}:a b"]
    assert names[3] == f"users:{'x' * 100}"
    assert [len(names[n].split(":")[-1]) for n in (2, 4, 5)] == [64, 64, 64]
    assert [name.split(":")[0] for name in names[2:]] == ["permissions", "users", "user", "teams"]


def test_a_body_that_cannot_be_used_is_dead_with_what_can_be_read_of_it() -> None:
    body = b'{"type": "user.deleted", "data": {"id": 7}}'

    found = checked("stack", "m", NOW, body)

    assert (found.source, found.message_id, found.event_type, found.user_id) == ("stack", "m", "user.deleted", None)
    assert (found.occurred_at, found.verified_by, found.body, found.reduced) == (NOW, None, body, None)
    assert found.error_code
    assert found.error


def test_deliveries_are_asked_about_a_thousand_at_a_time() -> None:
    listed = [FINDER.membership(TWO, ONE)] * 2_001

    assert [len(part) for part in imports.parts(listed)] == [1_000, 1_000, 1]
    assert list(imports.parts([])) == []


def test_what_the_queries_ask_of_a_delivery_is_in_one_array_each() -> None:
    member, permission = FINDER.membership(TWO, ONE), FINDER.permission(TWO, ONE, "$x")._replace(reduced=None)

    assert imports.columns([member, permission]) == {
        "message_ids": [member.message_id, permission.message_id],
        "user_ids": [ONE, ONE],
        "team_ids": [TWO, TWO],
        "documents": [member.body.decode(), permission.body.decode()],
        "permission_ids": [None, "$x"],
    }
    assert imports._subject(permission) == (TWO, ONE, "$x")
    assert imports._subject(FINDER.deletion("k", None, ONE)) == (ONE,)
    reduced = permission._replace(reduced=permission.body.replace(b"$x", b"$y"))
    assert imports.columns([reduced])["permission_ids"] == ["$y"]


def suspect(kind: str, team_id: UUID | None = None, user_id: UUID | None = None) -> Suspect:
    return Suspect(kind, team_id, user_id, None, None, NOW)


def test_suspects_of_one_question_share_it() -> None:
    assert suspect("a", None, ONE).question == (None, ONE, False)
    assert suspect("a", TWO, None).question == (TWO, None, False)
    assert suspect("a", TWO, ONE).question == suspect("b", TWO, THREE).question == (TWO, None, True)


def test_an_answer_about_one_user_or_team_clears_revives_or_lacks_it() -> None:
    gone, revived = suspect("undeleted_user", None, ONE), suspect("revived_user", None, ONE)
    team = suspect("revived_team", TWO)

    nothing = questions._alone(RUN, [gone, revived], None)
    shown = questions._alone(RUN, [gone, revived], b'{"id": "x"}')
    of_team = questions._alone(RUN, [team], b'{"id": "x"}')

    assert (nothing.missing, nothing.cleared, nothing.revived, nothing.deliveries) == ([gone], [revived], (), ())
    assert (shown.missing, shown.cleared, shown.revived) == ((), [gone], [revived])
    assert [each.message_id for each in shown.deliveries] == [f"{RUN.id}:user:{ONE}"]
    assert (of_team.revived, of_team.cleared) == ([team], [])
    assert [each.message_id for each in of_team.deliveries] == [f"{RUN.id}:team:{TWO}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("999999w", DURATION_MAX),
        ("2026-11-30T12:00:00", NOW),
        ("2026-11-30T13:00:00+01:00", NOW),
    ],
)
def test_a_time_is_an_instant_or_so_long_ago(text: str, expected: datetime | timedelta) -> None:
    found = read_time(text)

    assert found == expected
    assert instant(found, NOW) == (expected if isinstance(expected, datetime) else NOW - expected)


@pytest.mark.parametrize("text", ["", "s", "1", "1x", "1234567s", "-1s", "1.5h", "soon"])
def test_another_text_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid isoformat string"):
        read_time(text)
