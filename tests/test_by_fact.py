"""Deliveries by what they tell, results that add up, settings that differ: plain values, without a database."""

from uuid import UUID

import pytest

from consumer.effects import reached_code, recorded_settings
from consumer.effects.by_fact import ByFact, by_fact, fact_of, lacks_subject
from consumer.effects.folding import FoldResult
from consumer.effects.stored import MEMBERSHIP_TYPES, TEAM_TYPES, DeliveryGroup
from consumer.effects.stored import by_fact as groups_by_fact
from consumer.effects.users import ChangedProfiles
from consumer.errors import SettingsMismatch
from consumer.events.registry import APP, EventType, Fact
from consumer.outbox.queue import Claimed
from consumer.providers.payload import Payload
from consumer.settings.settings import ShapingSettings

ADA, BOB, CREW = UUID(int=1), UUID(int=2), UUID(int=9)


def claimed(
    seq: int, event_type: str, *, source: str = "stack", user_id: UUID | None = ADA, team_id: UUID | None = CREW
) -> Claimed:
    return Claimed(seq, source, f"m{seq}", event_type, user_id, team_id)


@pytest.mark.parametrize(
    ("source", "event_type", "fact"),
    [
        ("stack", "user.updated", Fact.USER),
        ("app", "user.updated", Fact.NOTHING),
        ("backfill", "user.created", Fact.USER),
        ("app", "user.signed_in", Fact.SIGN_IN),
        ("stack", "user.signed_out", Fact.SIGN_IN),
        ("app", "profile.edited", Fact.EDIT),
        ("stack", "profile.edited", Fact.NOTHING),
        ("operator", "company.declared", Fact.TEAM),
        ("stack", "team.deleted", Fact.TEAM),
        ("stack", "team_membership.created", Fact.MEMBERSHIP),
        ("stack", "team_permission.deleted", Fact.PERMISSION),
        ("stack", "issue.created", Fact.NOTHING),
        ("stack", "user.unheard_of", Fact.NOTHING),
        ("stack", None, Fact.NOTHING),
    ],
)
def test_a_type_tells_its_fact_if_its_source_may_send_it(source: str, event_type: str | None, fact: Fact) -> None:
    assert fact_of(source, event_type) is fact


@pytest.mark.parametrize(
    ("event_type", "source", "needs_user", "needs_team"),
    [
        ("user.updated", "stack", True, False),
        ("user.signed_in", "app", True, False),
        ("profile.edited", "app", True, False),
        ("team.updated", "stack", False, True),
        ("company.declared", "operator", False, True),
        ("team_membership.deleted", "stack", True, True),
        ("team_permission.created", "stack", True, True),
        ("project_permission.created", "stack", False, False),
        ("team.updated", "app", False, False),
    ],
)
def test_a_delivery_lacks_the_user_or_team_that_its_type_is_about(
    event_type: str, source: str, needs_user: bool, needs_team: bool
) -> None:
    def lacks(**subject: UUID | None) -> bool:
        return lacks_subject(claimed(1, event_type, source=source, **subject))

    assert not lacks()
    assert lacks(user_id=None) == needs_user
    assert lacks(team_id=None) == needs_team
    assert lacks(user_id=None, team_id=None) == (needs_user or needs_team)


def test_claimed_deliveries_are_grouped_and_those_about_users_have_theirs() -> None:
    grouped = by_fact(
        [
            claimed(1, "user.updated"),
            claimed(2, "team.updated", user_id=None),
            claimed(3, "team_membership.created", user_id=BOB),
            claimed(4, "user.updated", source="app", user_id=BOB),
            claimed(5, "user.deleted", user_id=BOB),
            claimed(6, "team_permission.created"),
            claimed(7, "profile.edited", source="app"),
            claimed(8, "user.signed_in", source="app"),
        ]
    )

    assert grouped.seqs == {
        Fact.USER: [1, 5],
        Fact.TEAM: [2],
        Fact.MEMBERSHIP: [3],
        Fact.NOTHING: [4],
        Fact.PERMISSION: [6],
        Fact.EDIT: [7],
        Fact.SIGN_IN: [8],
    }
    assert grouped.user_ids == {1: ADA, 3: BOB, 4: BOB, 5: BOB, 6: ADA, 7: ADA, 8: ADA}
    assert grouped.own == {}
    assert grouped.of(Fact.TEAM, Fact.OWN, Fact.USER) == [2, 1, 5]
    assert grouped.users_of([3, 1]) == {ADA, BOB}
    assert grouped.users_of([]) == set()
    assert grouped.about_users() == [1, 5, 8, 7, 3, 6]


def test_a_delivery_of_an_own_type_may_have_no_user_to_lock() -> None:
    grouped = ByFact({Fact.OWN: [1, 2], Fact.USER: [3]}, {1: ADA, 3: BOB}, {"a": [1, 2]})

    assert grouped.about_users() == [3, 1]


def test_own_types_are_grouped_by_the_names_of_their_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {
        name: EventType(Payload, APP, Fact.OWN, user="id", effect=name.split(".")[0]) for name in ("a.x", "a.y", "b.x")
    }
    for module in ("by_fact", "stored"):
        monkeypatch.setattr(f"consumer.effects.{module}.EVENT_TYPES", own)

    told = [(1, "a.x"), (2, "b.x"), (3, "a.y")]

    one = by_fact([claimed(seq, name, source="app") for seq, name in told])
    other = groups_by_fact([DeliveryGroup("app", name, [seq], [ADA], []) for seq, name in told])

    for grouped in (one, other):
        assert (grouped.own, grouped.seqs) == ({"a": [1, 3], "b": [2]}, {Fact.OWN: [1, 2, 3]})
        assert grouped.user_ids == {1: ADA, 2: ADA, 3: ADA}


def test_stored_deliveries_are_grouped_like_claimed_ones() -> None:
    grouped = groups_by_fact(
        [
            DeliveryGroup("stack", "user.created", [4, 7], [ADA, BOB], []),
            DeliveryGroup("stack", "user.updated", [1], [BOB], [1]),
            DeliveryGroup("app", "user.updated", [9], [BOB], []),
            DeliveryGroup("app", "user.signed_in", [2], [ADA], []),
            DeliveryGroup("stack", None, [3], [ADA], []),
        ]
    )

    assert grouped.seqs == {Fact.USER: [4, 7, 1], Fact.NOTHING: [9, 3], Fact.SIGN_IN: [2]}
    assert grouped.user_ids == {4: ADA, 7: BOB, 1: BOB, 2: ADA}
    assert grouped.own == {}


def test_a_group_that_names_fewer_users_than_deliveries_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        groups_by_fact([DeliveryGroup("stack", "user.updated", [1, 2], [ADA], [])])


def test_companies_are_made_of_events_of_teams_and_of_memberships() -> None:
    assert TEAM_TYPES == ["team.created", "team.updated", "team.deleted", "company.declared"]
    assert MEMBERSHIP_TYPES == ["team_membership.created", "team_membership.deleted"]


def test_a_statement_is_looked_at_as_a_function_of_its_users() -> None:
    statement = b"UPDATE a SET b = '100 %%' WHERE c = ANY(%(user_ids)b) OR d = ANY(%(user_ids)s::uuid[]);  \n"

    assert reached_code._as_function(statement) == (
        b"CREATE FUNCTION pg_temp.statement(uuid[]) RETURNS void LANGUAGE sql BEGIN ATOMIC\n"
        b"UPDATE a SET b = '100 %' WHERE c = ANY($1) OR d = ANY($1::uuid[])\n;\nEND"
    )


@pytest.mark.parametrize(
    ("ours", "differing", "sentence"),
    [
        (
            ShapingSettings(default_role="guest"),
            ["DEFAULT_ROLE"],
            "DEFAULT_ROLE is guest here and member in the database. Set it to member, ",
        ),
        (
            ShapingSettings(default_company_id=CREW, delete_policy="hard"),
            ["DEFAULT_COMPANY_ID", "DELETE_POLICY"],
            f"DEFAULT_COMPANY_ID is {CREW} here and none in the database, DELETE_POLICY is hard here and soft in the "
            "database. Set DEFAULT_COMPANY_ID to none and DELETE_POLICY to soft, ",
        ),
    ],
)
def test_other_settings_than_the_recorded_ones_are_named_with_their_cure(
    ours: ShapingSettings, differing: list[str], sentence: str
) -> None:
    known = ShapingSettings()

    with pytest.raises(SettingsMismatch) as refusal:
        recorded_settings._is_change(known, ours, is_forced=False)

    cure = "or run `consumer migrate --settings`: the new value shapes only what is applied from then on."
    assert str(refusal.value) == sentence + cure
    assert recorded_settings._differing(known, ours) == differing
    assert len(recorded_settings._differing(None, ours)) == 7
    for is_forced in (False, True):
        assert not recorded_settings._is_change(known, known, is_forced=is_forced)
        assert recorded_settings._is_change(None, ours, is_forced=is_forced)
    assert recorded_settings._is_change(known, ours, is_forced=True)


def test_folds_and_changed_profiles_add_up_in_their_order() -> None:
    assert FoldResult([1], [2], [ADA]) | FoldResult([3], [4], [BOB]) == FoldResult([1, 3], [2, 4], [ADA, BOB])
    assert ChangedProfiles([1], [ADA]) | ChangedProfiles([2], [BOB]) == ChangedProfiles([1, 2], [ADA, BOB])
    assert FoldResult() | FoldResult() == FoldResult([], [], [])
