"""What the application sets on a profile wins over the source until it withdraws that; the laws cover the orders."""

from datetime import timedelta
from itertools import permutations
from uuid import UUID, uuid4

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from consumer.settings.settings import DeletePolicy, ShapingSettings
from tests.support import model
from tests.support.application import referred_to
from tests.support.databases import record, rows
from tests.support.effects import applied, audit, held_apart, home, placed_in, profile, rehomed, together, under
from tests.support.factories import delivery, edited, membership, snapshot, team_event, user_deleted, user_updated
from tests.support.outbox import replay_everything

FIELDS = "role_type, department"


PROJECTED = """
consumer.edits, consumer.memberships, consumer.team_permissions, consumer.rehome, identity.company_members,
identity.profiles, identity.stack_user_profiles, identity.companies
"""


def sourced(user_id: UUID, **data: object) -> Delivery:
    return user_updated(user_id, server_metadata={"role": "viewer", "department": "Sales"}, **data)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_an_edit_wins_over_the_source_in_any_order(emptied: str, order: tuple[int, ...]) -> None:
    user_id = uuid4()
    deliveries = [sourced(user_id), edited(user_id, role_type=" owner "), sourced(user_id, display_name="Grace")]

    await applied(emptied, *(deliveries[n] for n in order))

    assert profile(emptied, user_id, f"{FIELDS}, full_name") == {
        "role_type": " owner ",
        "department": "Sales",
        "full_name": "Grace",
    }


async def test_an_edit_outlives_a_replay_and_a_rebuild(emptied: str) -> None:
    user_id, team_id = uuid4(), uuid4()
    edit = edited(user_id, role_type="owner", company_id=str(team_id))
    told = [sourced(user_id), edit, team_event("created", team_id), sourced(user_id)]
    await applied(emptied, *told)
    await rehomed(emptied)
    found = []

    for tables in (None, "identity.profiles, identity.stack_user_profiles", PROJECTED):
        if tables:
            with psycopg.connect(emptied) as conn:
                conn.execute(f"TRUNCATE {tables}")
        await replay_everything(emptied, batch_size=2)
        found.append((model.state(emptied), profile(emptied, user_id, "role_type, company_id")))

    assert found == 3 * [(model.fold(told, ShapingSettings()), {"role_type": "owner", "company_id": team_id})]


@pytest.mark.parametrize("is_late", [False, True])
async def test_what_is_withdrawn_is_the_sources_again(emptied: str, is_late: bool) -> None:
    user_id = uuid4()
    edit, withdrawal = edited(user_id, role_type="owner", department="R&D"), edited(user_id, role_type=None)
    await applied(emptied, sourced(user_id))

    await applied(emptied, *([withdrawal, edit] if is_late else [edit, withdrawal]))

    assert profile(emptied, user_id, FIELDS) == {"role_type": "viewer", "department": "R&D"}


async def test_what_is_withdrawn_without_a_source_is_the_default(emptied: str) -> None:
    user_id = uuid4()

    await applied(emptied, user_updated(user_id), edited(user_id, role_type="owner"), edited(user_id, role_type=None))

    assert profile(emptied, user_id, FIELDS) == {"role_type": "member", "department": "General"}


async def test_an_edit_wins_over_the_source_though_the_application_holds_a_cached_user(emptied: str) -> None:
    user_id = uuid4()

    await applied(emptied, delivery("user.signed_in", user_id, "app", **snapshot()), edited(user_id, role_type="owner"))

    assert profile(emptied, user_id, FIELDS) == {"role_type": "owner", "department": "General"}


async def test_an_edit_alone_makes_no_profile_and_waits_for_one(emptied: str) -> None:
    user_id = uuid4()
    await applied(emptied, edited(user_id, role_type="owner"))
    alone = rows(emptied, "SELECT user_id FROM identity.profiles")

    await applied(emptied, user_updated(user_id, is_anonymous=True))
    anonymous = rows(emptied, "SELECT user_id FROM identity.profiles")
    await applied(emptied, sourced(user_id))

    assert (alone, anonymous) == ([], [])
    assert profile(emptied, user_id, FIELDS) == {"role_type": "owner", "department": "Sales"}


async def test_an_edit_by_another_source_than_the_application_is_none(emptied: str) -> None:
    user_id = uuid4()

    outcomes = await applied(emptied, sourced(user_id), delivery("profile.edited", user_id, role_type="owner"))

    assert outcomes == ["applied", "ignored"]
    assert profile(emptied, user_id, "role_type") == {"role_type": "viewer"}


async def test_each_edit_meets_the_outcome_it_deserves(emptied: str) -> None:
    user_id = uuid4()
    older, edit, equal = (edited(user_id, role_type=role) for role in ("viewer", "owner", "owner"))
    await applied(emptied, sourced(user_id))

    outcomes = await applied(emptied, edit, older, equal, edited(user_id), edited(user_id, department=None))

    assert outcomes == ["applied", "stale", "unchanged", "unchanged", "unchanged"]
    assert [fields for _, fields in audit(emptied)[1:]] == [["role_type"]]


async def test_of_several_edits_in_one_batch_the_newest_of_each_field_counts(emptied: str) -> None:
    user_id = uuid4()
    await applied(emptied, sourced(user_id))
    first, second = edited(user_id, role_type="a", department="R&D"), edited(user_id, role_type="b")
    outdone = edited(user_id, role_type="c")._replace(occurred_at=first.occurred_at - timedelta(hours=1))

    outcomes = await together(emptied, second, outdone, first)

    assert outcomes == ["applied", "stale", "applied"]
    assert profile(emptied, user_id, FIELDS) == {"role_type": "b", "department": "R&D"}


async def test_an_edit_is_audited_with_its_images_and_as_the_applications(emptied: str) -> None:
    user_id = uuid4()
    edit = edited(user_id, role_type="owner")
    await applied(emptied, sourced(user_id), edit)

    [row] = rows(emptied, "SELECT * FROM identity.profile_audit WHERE operation = 'updated'")

    assert (row["source"], row["message_id"], row["changed_fields"]) == ("app", edit.message_id, ["role_type"])
    assert row["previous_values"]["role_type"] == "viewer"
    assert row["new_values"] == row["previous_values"] | {"role_type": "owner"}


async def test_the_audit_names_the_edit_beside_a_newer_snapshot_that_says_nothing_new(emptied: str) -> None:
    user_id = uuid4()
    await applied(emptied, sourced(user_id))
    edit, repeat = edited(user_id, role_type="owner"), sourced(user_id)

    outcomes = await together(emptied, edit, repeat)

    assert outcomes == ["applied", "unchanged"]
    assert audit(emptied, "source, message_id")[1:] == [("app", edit.message_id)]


async def test_an_edit_moves_a_user_and_leaves_a_row_under_either_company(emptied: str) -> None:
    first, second, user_id = uuid4(), uuid4(), uuid4()
    await applied(emptied, team_event("created", second), membership("created", first, user_id), user_updated(user_id))

    await applied(emptied, edit := edited(user_id, company_id=str(second).upper()))

    assert home(emptied, user_id) == second
    assert audit(emptied, "operation, company_id, source, message_id")[1:] == [
        ("company_changed", first, "app", edit.message_id),
        ("updated", second, "app", edit.message_id),
    ]


async def test_home_is_what_the_newest_edit_names_before_metadata_and_membership(emptied: str) -> None:
    joined, named, chosen, user_id = (uuid4() for _ in range(4))
    await applied(emptied, team_event("created", named), team_event("created", chosen))
    await applied(emptied, membership("created", joined, user_id), placed_in(named, user_id))
    homes = []

    for company_id in (str(chosen), str(uuid4()), None):
        await applied(emptied, edited(user_id, company_id=company_id))
        homes.append(home(emptied, user_id))

    # An edit that names no active company is none; the one before it is not tried.
    assert homes == [chosen, named, named]


async def test_a_company_that_an_edit_named_before_it_was_made_takes_its_users_in(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    await applied(emptied, user_updated(user_id), edited(user_id, company_id=str(team_id)))

    await applied(emptied, team_event("created", team_id))
    before = home(emptied, user_id)
    await rehomed(emptied)

    assert (before, home(emptied, user_id)) == (None, team_id)


async def test_a_deleted_company_sends_those_whom_an_edit_put_there_to_the_next_one(emptied: str) -> None:
    default, team_id = uuid4(), uuid4()
    await record(emptied, ShapingSettings(default_company_id=default))
    users = [uuid4() for _ in range(5)]
    told = [event for user_id in users for event in (user_updated(user_id), edited(user_id, company_id=str(team_id)))]
    told = [team_event("created", team_id), *told]
    await applied(emptied, *told)
    before = {home(emptied, user_id) for user_id in users}

    await applied(emptied, deletion := team_event("deleted", team_id))
    await rehomed(emptied, page_size=2)

    assert before == {team_id}
    assert model.state(emptied) == model.fold([*told, deletion], ShapingSettings(default_company_id=default))
    assert {home(emptied, user_id) for user_id in users} == {default}


@pytest.mark.parametrize("is_edit_first", [True, False])
@pytest.mark.parametrize("verb", ["deleted", "created"])
async def test_an_edit_and_what_makes_or_ends_its_company_never_miss_each_other(
    emptied: str, verb: str, is_edit_first: bool
) -> None:
    team_id, user_id = uuid4(), uuid4()
    await applied(emptied, user_updated(user_id), *([team_event("created", team_id)] if verb == "deleted" else []))
    edit, event = edited(user_id, company_id=str(team_id)), team_event(verb, team_id)
    first, second = (edit, event) if is_edit_first else (event, edit)

    assert await held_apart(emptied, first, second), "nothing kept the second transaction from deciding blindly"
    await rehomed(emptied)
    assert home(emptied, user_id) == (team_id if verb == "created" else None)


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize(
    ("policy", "kept"), [("soft", {"role_type", "company_id"}), ("anonymise", {"role_type"}), ("hard", set())]
)
async def test_of_a_deleted_user_only_edits_that_a_row_is_made_of_are_kept(
    emptied: str, policy: DeletePolicy, kept: set[str], is_late: bool
) -> None:
    user_id, team_id = uuid4(), uuid4()
    edit, deletion = edited(user_id, role_type="owner", company_id=str(team_id)), user_deleted(user_id)
    told = [team_event("created", team_id), sourced(user_id), *([deletion, edit] if is_late else [edit, deletion])]

    await applied(await under(emptied, policy), *told)

    assert {row["field"] for row in rows(emptied, "SELECT field FROM consumer.edits")} == kept
    assert model.state(emptied) == model.fold(told, ShapingSettings(delete_policy=policy))


@pytest.mark.parametrize("is_late", [False, True])
async def test_edits_of_a_profile_that_the_application_holds_are_kept(emptied: str, is_late: bool) -> None:
    user_id = uuid4()
    await applied(await under(emptied, "hard"), sourced(user_id))
    edit, deletion = edited(user_id, role_type="owner"), user_deleted(user_id)

    with referred_to(emptied, user_id, ""):
        await applied(emptied, *([deletion, edit] if is_late else [edit, deletion]))

        [kept] = rows(emptied, "SELECT full_name, role_type FROM identity.profiles")
    assert kept == {"full_name": "Deleted user", "role_type": "owner"}


async def test_an_edit_of_a_forgotten_user_brings_no_personal_field_into_the_audit(emptied: str) -> None:
    user_id = uuid4()
    await applied(await under(emptied, "anonymise"), sourced(user_id), user_deleted(user_id))

    await applied(emptied, edited(user_id, role_type="owner"))

    (_, deleted), (before, after) = audit(emptied, "previous_values, new_values")[-2:]
    assert isinstance(before, dict)
    assert (before, after) == (deleted, before | {"role_type": "owner"})
