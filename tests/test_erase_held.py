"""What an erasure counts and lists: each single value that tables hold of a person, and nothing of anybody else."""

from uuid import UUID, uuid4

import pytest

from consumer.operations import erase
from consumer.operations.erase import Mention
from consumer.postgres.connections import operator_access
from tests.support.databases import change
from tests.support.effects import applied
from tests.support.factories import delivery
from tests.support.kept import kept

OPERATOR = operator_access("consumer")
MIRROR, PROFILE, MEMBER, AUDIT, EDIT, ACTION = (
    *("identity.stack_user_profiles", "identity.profiles", "identity.company_members", "identity.profile_audit"),
    *("consumer.edits", "consumer.actions"),
)
EMPTY_PROFILE = {"user_id": "'{id}'", "full_name": "'Deleted user'", "role_type": "'member'", "department": "'x'"}
SIGN_IN = {"user_id": "'{id}'", "operation": "'signed_in'", "source": "'stack'", "message_id": "'m'", "seq": "1"}
DONE = {"id": "gen_random_uuid()", "actor": "'Boss'", "via": "'cli'", "role": "'operator'", "action": "'x'"}


def insert(table: str, values: dict[str, str], user_id: UUID) -> str:
    """Return the statement that inserts a row about a user."""
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})".replace(
        "{id}", str(user_id)
    )


@pytest.mark.parametrize(
    ("table", "values"),
    [
        *(
            (MIRROR, {"stack_user_id": "'{id}'", column: value})
            for column, value in {
                "stack_display_name": "'Ada'",
                "stack_primary_email": "'ada@example.com'",
                "stack_profile_image_url": "'https://example.com/a.png'",
                "stack_metadata": "'{}'",
                "signed_up_at": "now()",
                "source_role": "'admin'",
                "source_department": "'Sales'",
            }.items()
        ),
        (PROFILE, EMPTY_PROFILE | {"full_name": "'Ada'"}),
        (PROFILE, EMPTY_PROFILE | {"email": "'ada@example.com'"}),
        (PROFILE, EMPTY_PROFILE | {"avatar_url": "'https://example.com/a.png'"}),
        *((AUDIT, SIGN_IN | {"previous_values": f"""'{{"{one}": null}}'"""}) for one in ("full_name", "email")),
        *((AUDIT, SIGN_IN | {"new_values": f"""'{{"{one}": null}}'"""}) for one in ("email_verified", "avatar_url")),
        (AUDIT, SIGN_IN | {"edited_by": "'Boss'"}),
        (AUDIT, SIGN_IN | {"reason": "'promoted'"}),
        (EDIT, {"user_id": "'{id}'", "field": "'role_type'", "value": "'x'", "version": "'1'", "seq": "1"}),
        (ACTION, DONE | {"reason": "'asked'", "filter": """'{"user_id": "{id}"}'"""}),
        (ACTION, DONE | {"reason": "'asked'", "filter": """'{"user_ids": ["{id}"]}'"""}),
    ],
)
async def test_a_single_value_of_a_person_is_held(emptied: str, table: str, values: dict[str, str]) -> None:
    user_id = uuid4()
    change(emptied, insert(table, values, user_id))

    async with kept(emptied, OPERATOR) as conn:
        held = {**await erase.held(conn, user_id)}
        of_others = await erase.held(conn, uuid4())

    assert {name: count for name, count in held.items() if count} == {table: 1}
    assert of_others.total() == 0


async def test_rows_without_a_value_of_the_person_are_not_held(emptied: str) -> None:
    user_id = uuid4()
    for table, values in (
        (MIRROR, {"stack_user_id": "'{id}'", "is_restricted": "true", "deleted_at": "now()"}),
        (PROFILE, EMPTY_PROFILE),
        (AUDIT, SIGN_IN | {"previous_values": """'{"role_type": "member"}'"""}),
        (ACTION, DONE | {"filter": """'{"user_id": "{id}"}'"""}),
    ):
        change(emptied, insert(table, values, user_id))

    async with kept(emptied, OPERATOR) as conn:
        assert (await erase.held(conn, user_id)).total() == 0


async def test_names_and_addresses_of_before_and_after_a_change_are_traced(emptied: str) -> None:
    user_id = uuid4()
    images = {
        "previous_values": """'{"full_name": "Ada Before", "email": "before@example.com"}'""",
        "new_values": """'{"full_name": "Unknown User", "email": "after@example.com"}'""",
    }
    change(emptied, insert(AUDIT, SIGN_IN | images, user_id))
    change(emptied, insert(AUDIT, SIGN_IN | {"new_values": """'{"full_name": "Ben"}'"""}, uuid4()))

    async with kept(emptied, OPERATOR) as conn:
        found = (await erase.prepare(conn, OPERATOR, user_id)).found

    assert found.names == {"Ada Before"}
    assert found.emails == {"before@example.com", "after@example.com"}


async def test_each_text_of_people_that_names_the_person_is_listed_once(emptied: str) -> None:
    user_id, team_id, own_id = uuid4(), uuid4(), uuid4()
    change(emptied, insert(MIRROR, {"stack_user_id": "'{id}'", "stack_display_name": "'Ada'"}, user_id))
    others = insert(AUDIT, SIGN_IN | {"id": "7", "edited_by": "'Ada B'", "reason": "'by Ada'"}, uuid4())
    own = insert(AUDIT, SIGN_IN | {"id": "8", "edited_by": "'Ada B'"}, user_id)
    change(emptied, others.replace("VALUES", "OVERRIDING SYSTEM VALUE VALUES"))
    change(emptied, own.replace("VALUES", "OVERRIDING SYSTEM VALUE VALUES"))
    columns = "(seq, excluded_by, reason, excluded_at, taken_back_by, taken_back_reason)"
    change(emptied, "INSERT INTO consumer.exclusions VALUES (3, 'Ada', 'of Ada'), (4, 'Ben', 'of Ben')")
    change(emptied, f"INSERT INTO consumer.past_exclusions {columns} VALUES (5, 'Ada', 'a Ada', now(), 'Ada', 'b Ada')")
    change(emptied, insert("consumer.actions", DONE | {"actor": "'Ada'", "reason": "'for Ada'"}, user_id))
    named = f"('{team_id}', 'Ada Ltd'), ('{own_id}', 'Ada alone')"
    change(emptied, f"INSERT INTO identity.companies (id, name) VALUES {named}")
    change(emptied, f"INSERT INTO consumer.memberships VALUES ('{user_id}', '{own_id}', now(), '', '', NULL, true)")

    async with kept(emptied, OPERATOR) as conn:
        prepared = await erase.prepare(conn, OPERATOR, user_id)
        [*_, report] = [one async for one in erase.erase_bodies(conn, OPERATOR, prepared, is_kept=False)]

    assert [(one.relation, one.column) for one in report.mentions] == [
        ("consumer.actions", "actor"),
        ("consumer.actions", "reason"),
        ("consumer.exclusions", "excluded_by"),
        ("consumer.exclusions", "reason"),
        ("consumer.past_exclusions", "excluded_by"),
        ("consumer.past_exclusions", "reason"),
        ("consumer.past_exclusions", "taken_back_by"),
        ("consumer.past_exclusions", "taken_back_reason"),
        ("identity.companies", "name"),
        ("identity.profile_audit", "edited_by"),
        ("identity.profile_audit", "reason"),
    ]
    keys = {"consumer.exclusions": "3", "identity.companies": str(team_id), "identity.profile_audit": "7"}
    assert keys.items() <= {one.relation: one.key for one in report.mentions}.items()
    assert report.mentions[-1] == Mention("identity.profile_audit", "7", "reason")


async def test_a_delivery_of_another_source_does_not_settle_an_erasure(emptied: str) -> None:
    user_id = uuid4()
    told = delivery("user.signed_in", user_id, "app")._replace(message_id=f"erase:{user_id}")

    assert await applied(emptied, told) == ["applied"]

    async with kept(emptied, OPERATOR) as conn:
        assert not await erase.is_settled(conn, user_id)
