"""A batch concerns its own users and companies: nobody else's rows are read into theirs, changed, mended or removed."""

from typing import Any
from uuid import UUID

import pytest

from consumer.outbox.storage import Delivery
from consumer.settings.settings import DeletePolicy, ShapingSettings
from tests.support.batches import OTHER, USER, crew, edit, fact, gone, in_batches, may, member, signed, user
from tests.support.databases import change, empty, record, rows
from tests.support.effects import rehomed
from tests.support.factories import team

HOME, CLUB, TEAM, THEIRS, LEFT = (UUID(int=0x1000 + n) for n in (10, 20, 30, 40, 50))
LIVING, GONE, ANONYMOUS, GUEST = OTHER, UUID(int=3), UUID(int=4), UUID(int=5)
STRANGERS = (LIVING, GONE, ANONYMOUS, GUEST)
# By table: what tells whose row it is, and what is said of when a row was written.
TABLES = {
    "identity.stack_user_profiles": "stack_user_id",
    "identity.profiles": "user_id",
    "identity.company_members": "user_id",
    "identity.profile_audit": "user_id",
    "consumer.memberships": "user_id",
    "consumer.team_permissions": "user_id",
    "consumer.edits": "user_id",
}
CLOCKED = {"id", "at", "seq", "created_at", "updated_at", "last_synced_at", "guest_keys", "message_id", "version"}


def as_operator(second: float, user_id: UUID = USER) -> Delivery:
    return fact("user.erased", second, {"id": str(user_id)}, user_id=user_id, source="operator")


def life() -> list[Delivery]:
    """Return all that can happen to a user and a company, in its order."""
    return [
        crew("created", 11, TEAM),
        user(12, server_metadata={"role": "admin"}),
        member("created", 13, CLUB),
        may("created", 14, "read", team_id=CLUB),
        member("created", 15, TEAM),
        edit(16, role_type="owner", company_id=str(TEAM)),
        signed("in", 17),
        user(18, selected_team=team(CLUB), display_name="Grace", server_metadata={"company_id": str(TEAM)}),
        edit(19, role_type=None),
        crew("updated", 20, TEAM, display_name="New"),
        signed("out", 21),
        crew("deleted", 22, TEAM),
        may("deleted", 23, "read", team_id=CLUB),
        gone(24, source="reconcile"),
        member("deleted", 25, CLUB),
        user(26),
        gone(27),
        edit(28, department="Sales"),
        as_operator(29),
    ]


def of_strangers() -> list[Delivery]:
    told = [crew("created", 1, one) for one in (HOME, CLUB, THEIRS)]
    for one in STRANGERS:
        told += [
            user(2, one, display_name="Eve", is_anonymous=one == ANONYMOUS, selected_team=team(LEFT)),
            member("created", 3, THEIRS, one),
            member("created", 4, CLUB, one),
            edit(5, one, role_type="boss", department="R&D", company_id=str(HOME), edited_by="Max"),
            signed("in", 6, one),
        ]
    return [*told, gone(7, GONE)]


# What a derivation would mend, in every row of the strangers.
DAMAGE = """
    UPDATE identity.profiles SET full_name = 'damaged', search_name = 'damaged', guest_keys = NULL;
    UPDATE identity.stack_user_profiles SET guest_keys = NULL, source_role = 'damaged';
    UPDATE identity.company_members SET permissions = '{damaged}', is_guest = TRUE, search_name = 'damaged';
    UPDATE identity.companies SET name = 'damaged', logo_url = 'damaged';
    INSERT INTO identity.company_members (company_id, user_id) SELECT '{LEFT}', user_id FROM identity.profiles
    ON CONFLICT DO NOTHING;
""".replace("{LEFT}", str(LEFT))


def discarded() -> list[Delivery]:
    """Return what nobody may read: it is stored, but no batch claims it."""
    told: list[Delivery] = []
    for second in (10, 40):
        told += [
            user(second, display_name="discarded", server_metadata={"role": "x"}, selected_team=team(HOME)),
            crew("updated", second, TEAM, display_name="discarded"),
            crew("deleted", second + 1, TEAM, source="reconcile"),
            member("created", second, HOME),
            may("created", second, "discarded", team_id=CLUB),
            edit(second, role_type="discarded", department="discarded"),
            signed("in", second),
            signed("out", second),
            gone(second + 1),
        ]
    return told


def store_discarded(url: str) -> None:
    for one in discarded():
        body = (one.body or b"").hex()
        user_id, team_id = (f"'{each}'" if each else "NULL" for each in (one.user_id, one.team_id))
        change(
            url,
            "WITH stored AS (INSERT INTO consumer.outbox "
            "(source, message_id, event_type, user_id, team_id, occurred_at, body) "
            f"VALUES ('{one.source}', '{one.message_id}', '{one.event_type}', {user_id}, {team_id}, "
            f"'{one.occurred_at}', '\\x{body}') RETURNING seq) "
            "INSERT INTO consumer.outcomes (seq, outcome) SELECT seq, 'discarded' FROM stored",
        )


def theirs(url: str) -> dict[str, list[Any]]:
    """Return each row of the strangers as it lies in its table, a rewritten one is another."""
    found = {
        table: rows(url, f"SELECT xmin::text, t.* FROM {table} AS t WHERE {key} <> '{USER}' ORDER BY t::text")
        for table, key in TABLES.items()
    }
    companies = f"SELECT xmin::text, c.* FROM identity.companies AS c WHERE id <> '{TEAM}' ORDER BY id"
    return found | {"identity.companies": rows(url, companies)}


def ours(url: str) -> dict[str, list[Any]]:
    """Return the rows of the user and of its company without what tells when they were written."""
    found = {
        table: rows(url, f"SELECT t.* FROM {table} AS t WHERE {key} = '{USER}' ORDER BY t::text")
        for table, key in TABLES.items()
    }
    found["identity.companies"] = rows(url, f"SELECT * FROM identity.companies WHERE id = '{TEAM}'")
    return {
        table: sorted(
            (
                {name: value for name, value in row.items() if name not in CLOCKED and name != "guest_key"}
                for row in each
            ),
            key=str,
        )
        for table, each in found.items()
    }


@pytest.mark.parametrize("policy", ["soft", "anonymise", "hard"])
async def test_whatever_happens_to_a_user_nobody_else_is_touched_and_nothing_else_counts(
    emptied: str, policy: DeletePolicy
) -> None:
    settings = ShapingSettings(default_company_id=HOME, delete_policy=policy)
    told, expected = life(), []
    await record(emptied, settings)
    await in_batches(emptied, [crew("created", 1, HOME), crew("created", 1, CLUB)])
    for each in told:
        outcomes = await in_batches(emptied, [each])
        await rehomed(emptied)
        expected.append((outcomes, ours(emptied)))
    empty(emptied)
    # The deleted stranger is one whom another policy would not have forgotten.
    await record(emptied, ShapingSettings(default_company_id=HOME))
    await in_batches(emptied, of_strangers())
    await record(emptied, settings)
    store_discarded(emptied)
    change(emptied, DAMAGE)
    before = theirs(emptied)

    for each, (outcomes, rows_of_us) in zip(told, expected, strict=True):
        found = await in_batches(emptied, [each])
        await rehomed(emptied)
        assert (each.event_type, found, ours(emptied)) == (each.event_type, outcomes, rows_of_us)
        after = theirs(emptied)
        assert [table for table in after if after[table] != before[table]] == [], each.event_type
