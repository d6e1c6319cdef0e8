"""Who changed this role, and why: what an edit says of itself stands in the audit row of the change that it makes."""

from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, InvalidParameterValue
from psycopg.types.json import Jsonb

from consumer import profiles
from consumer.errors import BadPayload
from consumer.events.check import check
from consumer.outbox.storage import Delivery
from consumer.settings.settings import DeletePolicy
from tests.support.databases import rows
from tests.support.effects import applied, audit, rehomed, together, under
from tests.support.factories import edited, team_event, user_deleted, user_updated
from tests.support.outbox import replay_everything, work
from tests.support.samples import USER_ID, body
from tests.support.tenants import join, reader

SAID = "operation, changed_fields, edited_by, reason"


def sourced(user_id: UUID, role: str = "viewer", **data: object) -> Delivery:
    return user_updated(user_id, server_metadata={"role": role}, **data)


async def test_an_edit_says_by_whom_and_why_the_role_changed(emptied: str) -> None:
    user_id = uuid4()

    await applied(
        emptied, user_updated(user_id), edited(user_id, role_type="owner", edited_by="Boss", reason="promoted")
    )

    assert audit(emptied, SAID)[1:] == [("updated", ["role_type"], "Boss", "promoted")]


async def test_an_edit_that_says_nothing_leaves_both_empty(emptied: str) -> None:
    user_id = uuid4()

    await applied(emptied, user_updated(user_id), edited(user_id, role_type="owner", edited_by=None))

    assert audit(emptied, SAID)[1:] == [("updated", ["role_type"], None, None)]


async def test_a_withdrawal_is_named_and_later_changes_at_the_source_are_not(emptied: str) -> None:
    user_id = uuid4()
    edit, withdrawal = (
        edited(user_id, role_type="owner", edited_by="Boss"),
        edited(user_id, role_type=None, edited_by="HR"),
    )

    await applied(emptied, user_updated(user_id), edit, withdrawal, sourced(user_id, "viewer"))

    assert audit(emptied, SAID)[1:] == [
        ("updated", ["role_type"], "Boss", None),
        ("updated", ["role_type"], "HR", None),
        ("updated", ["role_type"], None, None),
    ]


async def test_in_one_batch_the_edit_is_named_beside_a_snapshot_that_is_the_cause(emptied: str) -> None:
    user_id = uuid4()
    await applied(emptied, user_updated(user_id))

    await together(
        emptied,
        edited(user_id, role_type="owner", edited_by="Boss"),
        snapshot := sourced(user_id, display_name="Grace"),
    )

    [(_, fields, by, _)] = audit(emptied, SAID)[1:]
    assert (fields, by) == (["full_name", "role_type"], "Boss")
    assert audit(emptied, "message_id")[1:] == [(snapshot.message_id,)]


async def test_an_edit_that_gives_no_value_is_not_named_beside_the_move_that_stack_makes(emptied: str) -> None:
    user_id, first, second = uuid4(), uuid4(), uuid4()
    await applied(emptied, *(team_event("created", team_id) for team_id in (first, second)))
    await applied(emptied, user_updated(user_id, server_metadata={"company_id": str(first)}))
    before = len(audit(emptied, SAID))

    await together(
        emptied,
        edited(user_id, company_id=str(uuid4()), edited_by="Ann", reason="x"),
        user_updated(user_id, server_metadata={"company_id": str(second)}),
    )

    assert [row[2:] for row in audit(emptied, SAID)[before:]] == [(None, None), (None, None)]


@pytest.mark.parametrize("is_first", [True, False])
async def test_an_edit_is_read_without_the_part_that_cannot_be_stored(is_first: bool, emptied: str) -> None:
    user_id = uuid4()
    edit = edited(user_id, role_type="owner", edited_by="Boss")
    odd = edit.body.replace(b"{", rb'{"note":"cut \ud83d",', 1)
    edit = edit._replace(body=odd, reduced=check(odd, "app").reduced)
    deliveries = [edit, user_updated(user_id), user_updated(user_id, display_name="Grace")]

    await applied(emptied, *(deliveries if is_first else reversed(deliveries)))

    [profile] = rows(emptied, "SELECT full_name, role_type FROM identity.profiles")
    assert profile == {"full_name": "Grace", "role_type": "owner"}


async def test_of_several_edits_in_one_batch_those_that_win_are_named(emptied: str) -> None:
    user_id = uuid4()
    await applied(emptied, user_updated(user_id))
    older = edited(user_id, role_type="a", department="R&D", edited_by="Boss", reason="moved")
    newer = edited(user_id, role_type="b", edited_by="HR", reason="promoted")
    equal = edited(user_id, role_type="b", department="R&D", edited_by="Ada")
    stale = edited(user_id, role_type="c", edited_by="Late")._replace(occurred_at=older.occurred_at)

    await together(emptied, older, newer, stale)
    await applied(emptied, equal)

    assert audit(emptied, SAID)[1:] == [("updated", ["department", "role_type"], "Boss, HR", "moved, promoted")]


async def test_an_edit_that_waited_for_its_profile_or_its_company_is_named_by_the_change_in_the_end(
    emptied: str,
) -> None:
    team_id, user_id = uuid4(), uuid4()
    edits = [
        edited(user_id, role_type="owner", edited_by="Boss", reason="founder"),
        edited(user_id, company_id=str(team_id).upper(), edited_by="HR"),
    ]

    await applied(emptied, *edits, user_updated(user_id), team_event("created", team_id))
    await rehomed(emptied)

    created, moved = audit(emptied, SAID)
    assert (created[0], *created[2:]) == ("created", "Boss", "founder")
    assert moved == ("updated", ["company_id"], "HR", None)


async def test_a_move_names_the_edit_under_both_companies_and_another_edit_under_the_new_one_alone(
    emptied: str,
) -> None:
    first, second, user_id, other_id = (uuid4() for _ in range(4))
    await join(emptied, first, user_id)
    await join(emptied, first, other_id)
    await applied(emptied, team_event("created", second))
    before = len(audit(emptied))

    await applied(emptied, edited(user_id, company_id=str(second), edited_by="Boss"))
    moved = user_updated(other_id, server_metadata={"company_id": str(second)})
    await together(emptied, edited(other_id, role_type="owner", edited_by="HR"), moved)

    assert audit(emptied, "operation, company_id, edited_by")[before:] == [
        ("company_changed", first, "Boss"),
        ("updated", second, "Boss"),
        ("company_changed", first, None),
        ("updated", second, "HR"),
    ]


async def test_a_replay_writes_no_row_and_an_edit_of_nothing_none_either(emptied: str) -> None:
    user_id = uuid4()
    await applied(emptied, user_updated(user_id), edited(user_id, role_type="owner", edited_by="Boss"))
    before = audit(emptied, SAID)

    await replay_everything(emptied, batch_size=10)
    assert await applied(emptied, edited(user_id, edited_by="HR", reason="nothing")) == ["unchanged"]

    assert audit(emptied, SAID) == before


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize(("policy", "said"), [("soft", {("Ada", "private")}), ("anonymise", set()), ("hard", set())])
async def test_of_a_forgotten_user_nothing_that_was_said_is_left(
    emptied: str, policy: DeletePolicy, said: set[object], is_late: bool
) -> None:
    user_id = uuid4()
    edit, deletion = edited(user_id, role_type="owner", edited_by="Ada", reason="private"), user_deleted(user_id)

    await applied(
        await under(emptied, policy), user_updated(user_id), *((deletion, edit) if is_late else (edit, deletion))
    )

    assert set(audit(emptied, "edited_by, reason")) - {(None, None)} == said


GOOD = (None, "x" * 1000, "\N{ROCKET}" * 1000, " x ", "a\nb")
BAD: tuple[object, ...] = ("x" * 1001, "\N{ROCKET}" * 1001, "", " ", "\u3000\t", 7, True, [], {}, ["Boss"])


@pytest.mark.parametrize("field", ["edited_by", "reason"])
@pytest.mark.parametrize("value", [*GOOD, *BAD], ids=lambda value: f"{value!r:.12}")
def test_a_remark_has_at_most_1000_characters_and_is_not_blank_at_either_door(
    emptied: str, field: str, value: object
) -> None:
    found: list[object] = []
    try:
        check(body("profile.edited", {"id": USER_ID, "role_type": "owner", field: value}), "app")
        found.append(True)
    except BadPayload as error:
        found += [False, (error.code, error.path)]
    with psycopg.connect(emptied) as conn:
        conn.execute("SET LOCAL ROLE consumer_app")
        edits = Jsonb({"role_type": "owner", field: value})
        try:
            conn.execute("SELECT identity.edit_profile(%s, %s)", [USER_ID, edits])
            found.append(True)
        except InvalidParameterValue as error:
            found += [False, error.diag.message_primary]

    refused = [False, ("bad_shape", f"$.data.{field}"), False, f"not an edit: {field}"]
    assert found == ([True, True] if value in GOOD else refused)


async def test_the_library_says_it_too(emptied: str) -> None:
    await applied(emptied, user_updated(UUID(USER_ID)))
    edits: profiles.Edits = {"role_type": "owner", "edited_by": "Boss", "reason": "promoted"}
    async with await psycopg.AsyncConnection.connect(emptied) as conn, profiles.acting_as(conn, "consumer_app"):
        await profiles.edit(conn, UUID(USER_ID), edits)
    await work(emptied)

    assert audit(emptied, SAID)[1:] == [("updated", ["role_type"], "Boss", "promoted")]


async def test_the_application_reads_who_edited_and_no_tenant_does(emptied: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    await join(emptied, team_id, user_id)
    await applied(emptied, edited(user_id, role_type="owner", edited_by="Boss", reason="promoted"))

    with reader(emptied, "app") as conn:
        found = conn.execute(
            "SELECT edited_by, reason FROM identity.profile_audit WHERE edited_by IS NOT NULL"
        ).fetchall()
    assert found == [("Boss", "promoted")]
    for column in ("edited_by", "reason", "*"):
        with reader(emptied, "tenant", company=team_id) as conn, pytest.raises(InsufficientPrivilege):
            conn.execute(f"SELECT {column} FROM identity.profile_audit")
    with reader(emptied, "tenant", company=team_id) as conn:
        [(count,)] = conn.execute("SELECT count(message_id) FROM identity.profile_audit").fetchall()
    assert count == len(rows(emptied, f"SELECT FROM identity.profile_audit WHERE company_id = '{team_id}'"))
