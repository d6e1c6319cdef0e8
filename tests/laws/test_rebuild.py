"""The law of recovery: what a rebuild makes of the stored deliveries is what they ended in when they came."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.settings.settings import DeletePolicy, ShapingSettings
from tests.laws.arrivals import WORKER, arrive
from tests.laws.histories import HISTORIES, History, histories
from tests.laws.test_function_of_the_set import written
from tests.support import model
from tests.support.databases import change, empty, record
from tests.support.kept import kept
from tests.support.outbox import rebuild_everything

pytestmark = [pytest.mark.slow, pytest.mark.seconds_max(300 + 2 * HISTORIES)]
EXAMPLES = settings(
    max_examples=HISTORIES * 3 // 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NOBODY, A_TEAM = "00000000-0000-0000-0000-0000000000aa", "00000000-0000-0000-0000-0000000000bb"
# Of each table that is projected: rows that go, rows that change, and rows that nobody sent.
DAMAGES = {
    "no mirror": "DELETE FROM identity.stack_user_profiles",
    "no profiles": "DELETE FROM identity.profiles",
    "no members": "DELETE FROM identity.company_members",
    "no companies": "UPDATE identity.stack_user_profiles SET company_id = NULL; "
    "UPDATE identity.profiles SET company_id = NULL; DELETE FROM identity.company_members; "
    "DELETE FROM identity.companies",
    "no facts": "DELETE FROM consumer.memberships; DELETE FROM consumer.edits; DELETE FROM consumer.team_permissions",
    "another user": "UPDATE identity.stack_user_profiles SET stack_display_name = 'Eve', version = '9', "
    "message_id = 'msg', occurred_at = '2099-01-01', source_role = 'root', has_profile = NOT has_profile, "
    "last_sign_in_at = '2099-01-01'",
    "another profile": "UPDATE identity.profiles SET full_name = 'Eve', role_type = 'root', search_name = 'x', "
    "guest_keys = NULL, deleted_at = now()",
    "another company": "UPDATE identity.companies SET name = 'Evil', version = '9', guest_key = gen_random_uuid()",
    "living users": "UPDATE identity.stack_user_profiles SET deleted_at = NULL, deletion_at = NULL, missing_at = NULL",
    "dead users": "UPDATE identity.stack_user_profiles SET deleted_at = now(), deletion_at = now()",
    "living companies": "UPDATE identity.companies SET deleted_at = NULL, deletion_at = NULL, missing_at = NULL",
    "dead companies": "UPDATE identity.companies SET deleted_at = now(), deletion_at = now()",
    "members who left": "UPDATE identity.company_members SET removed_at = now(), joined_at = NULL, "
    "permissions = '{root}', search_name = NULL, is_guest = FALSE",
    "other facts": "UPDATE consumer.memberships SET join_version = '9', joined_at = '1999-01-01'; "
    "UPDATE consumer.edits SET value = 'root' WHERE field <> 'company_id'; "
    "UPDATE consumer.team_permissions SET is_present = NOT is_present",
    "a user that nobody sent": f"INSERT INTO identity.companies (id) VALUES ('{A_TEAM}') ON CONFLICT DO NOTHING; "
    "INSERT INTO identity.stack_user_profiles (stack_user_id, has_profile, company_id) "
    f"VALUES ('{NOBODY}', TRUE, '{A_TEAM}'); "
    "INSERT INTO identity.profiles (user_id, full_name, role_type, department, company_id) "
    f"VALUES ('{NOBODY}', 'Eve', 'root', 'x', '{A_TEAM}'); "
    f"INSERT INTO identity.company_members (company_id, user_id, joined_at) VALUES ('{A_TEAM}', '{NOBODY}', now())",
    "a team that nobody sent": f"INSERT INTO identity.companies (id) VALUES ('{A_TEAM}') ON CONFLICT DO NOTHING; "
    "INSERT INTO identity.company_members (company_id, user_id, joined_at) "
    f"SELECT '{A_TEAM}', stack_user_id, '1999-01-01' FROM identity.stack_user_profiles ON CONFLICT DO NOTHING",
}


@EXAMPLES
@given(history=histories())
async def test_a_rebuild_of_sound_rows_writes_nothing(database_url: str, history: History) -> None:
    empty(database_url)
    await arrive(database_url, history)
    before = written(database_url)

    async with kept(database_url, WORKER) as conn:
        await rebuild_everything(conn)

    assert written(database_url) == before


@EXAMPLES
@given(history=histories(), damages=st.lists(st.sampled_from(sorted(DAMAGES)), min_size=1, max_size=3, unique=True))
async def test_a_rebuild_of_damaged_rows_makes_those_of_the_model(
    database_url: str, history: History, damages: Sequence[str]
) -> None:
    empty(database_url)
    await arrive(database_url, history)
    for damage in damages:
        change(database_url, f"SET session_replication_role = replica; {DAMAGES[damage]}")

    async with kept(database_url, WORKER) as conn:
        await rebuild_everything(conn)

    assert model.state(database_url) == model.fold(history.deliveries, history.projection)


@EXAMPLES
@given(history=histories(), policy=st.sampled_from(model.POLICIES))
async def test_a_harder_policy_reaches_back_and_a_softer_brings_nobody_back(
    database_url: str, history: History, policy: DeletePolicy
) -> None:
    empty(database_url)
    await arrive(database_url, history)
    before = model.fold(history.deliveries, history.projection)
    ended = [user_id for user_id, row in before.mirror.items() if row["deleted_at"]]
    forgotten = dict.fromkeys(ended, history.projection.delete_policy)
    projection = replace(history.projection, delete_policy=policy)

    await record(database_url, projection)
    async with kept(database_url, WORKER) as conn:
        await rebuild_everything(conn)

    assert model.state(database_url) == model.fold(history.deliveries, projection, forgotten)


@EXAMPLES
@given(history=histories(), chosen=st.sets(st.integers(0, 13)))
async def test_what_is_discarded_is_as_if_it_had_never_come(
    database_url: str, history: History, chosen: set[int]
) -> None:
    soft = ShapingSettings(default_company_id=history.projection.default_company_id)
    history = replace(history, projection=soft)
    # An erasure can't be discarded.
    discarded = [
        delivery
        for place, delivery in enumerate(history.deliveries)
        if place in chosen and delivery.event_type != "user.erased"
    ]
    empty(database_url)
    await arrive(database_url, history)
    for delivery in discarded:
        named = f"o.source = '{delivery.source}' AND o.message_id = '{delivery.message_id}'"
        change(
            database_url,
            f"UPDATE consumer.outcomes SET outcome = 'discarded' FROM consumer.outbox AS o "
            f"WHERE outcomes.seq = o.seq AND {named}",
        )

    async with kept(database_url, WORKER) as conn:
        await rebuild_everything(conn)

    left = [delivery for delivery in history.deliveries if delivery not in discarded]
    # The audit records what came, discarded or not.
    expected = model.fold(left, soft)
    assert replace(model.state(database_url), sign_ins=expected.sign_ins) == expected
