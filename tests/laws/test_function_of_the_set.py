"""The promise: the final state is a function of the set of deliveries."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.settings.settings import ShapingSettings
from tests.laws.arrivals import arrive
from tests.laws.histories import HISTORIES, SCENES, History, Scene, histories
from tests.support import model
from tests.support.databases import empty, rows
from tests.support.images import changed, image
from tests.support.model_facts import data
from tests.support.outbox import replay_everything

# A history takes a tenth of a second on an idle machine.
pytestmark = pytest.mark.seconds_max(300 + 2 * HISTORIES)


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
# Alike many of each scene: hypothesis by itself would draw some of them seldom in one run, and often in the next.
@settings(
    max_examples=max(1, HISTORIES // len(SCENES)),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=st.data())
async def test_any_order_repeats_and_batches_end_in_the_state_of_the_model(
    database_url: str, scene: Scene, drawn: st.DataObject
) -> None:
    history = drawn.draw(histories([scene]))
    empty(database_url)

    await arrive(database_url, history)

    assert model.state(database_url) == model.fold(history.deliveries, history.projection)


@pytest.mark.slow
@settings(max_examples=HISTORIES * 3 // 10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
async def test_replaying_what_was_applied_writes_nothing(database_url: str, history: History) -> None:
    empty(database_url)
    await arrive(database_url, history)
    before = written(database_url)

    await replay_everything(database_url, batch_size=history.batch_sizes[0])

    assert written(database_url) == before


@pytest.mark.slow
@settings(max_examples=HISTORIES * 3 // 10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
async def test_the_audit_is_a_chain_of_images_that_ends_in_the_profile(database_url: str, history: History) -> None:
    empty(database_url)
    soft = ShapingSettings(default_company_id=history.projection.default_company_id)
    await arrive(database_url, replace(history, projection=soft))

    for profile in rows(database_url, "SELECT * FROM identity.profiles"):
        chain = rows(
            database_url,
            "SELECT previous_values AS before, new_values AS after, changed_fields, company_id::text "
            "FROM identity.profile_audit "
            f"WHERE user_id = '{profile['user_id']}' AND operation NOT LIKE 'signed%' ORDER BY id",
        )
        assert [None, *(row["after"] for row in chain)] == [*(row["before"] for row in chain), image(profile)]
        for row in chain:
            assert row["changed_fields"] == changed(row["before"], row["after"])
            named = {shown["company_id"] for shown in (row["before"], row["after"]) if shown}
            assert named - {None} == {row["company_id"]} - {None}, "an image names another company"


@pytest.mark.slow
@settings(max_examples=HISTORIES * 3 // 10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
async def test_the_audit_names_for_each_field_only_people_who_edited_it(database_url: str, history: History) -> None:
    empty(database_url)
    soft = ShapingSettings(default_company_id=history.projection.default_company_id)
    await arrive(database_url, replace(history, projection=soft))

    for row in rows(database_url, "SELECT user_id, changed_fields, new_values, edited_by FROM identity.profile_audit"):
        edits = [
            data(d) for d in history.deliveries if d.event_type == "profile.edited" and d.user_id == row["user_id"]
        ]
        named = set((row["edited_by"] or "").split(", ")) - {""}
        assert named <= {edit.get("edited_by") for edit in edits for field in row["changed_fields"] if field in edit}
        # No source says this role, so an edit made it.
        if "role_type" in row["changed_fields"] and (row["new_values"] or {}).get("role_type") == " Owner ":
            makers = {edit.get("edited_by") for edit in edits if edit.get("role_type") == " Owner "}
            assert named & makers or None in makers


def written(database_url: str) -> list[object]:
    """Return every row of the users' data with the transaction that wrote it."""
    tables = (
        "identity.stack_user_profiles",
        "identity.profiles",
        "identity.profile_audit",
        "identity.companies",
        "identity.company_members",
        "consumer.memberships",
        "consumer.team_permissions",
        "consumer.rehome",
        "consumer.edits",
    )
    return [rows(database_url, f"SELECT xmin::text, t.* FROM {table} AS t ORDER BY 2, 3, 4") for table in tables]
