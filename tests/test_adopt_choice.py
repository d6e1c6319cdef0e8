"""Which tables a plan takes, what it lists of them, and the grants that go with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from consumer.adopt.catalogue import InspectedTable, Table
from consumer.adopt.mapping import COMPANY, COMPANY_KEYS, USER, USER_KEYS, AdoptedTable, adopt
from consumer.adopt.plan import STALE, Step, _plan, choose
from consumer.adopt.privileges import privileges
from consumer.errors import ConsumerError
from tests.support.adopted_columns import ID, PLAIN, column, inspected, table

ALIKE = ["id", "email"]
USERS = table("app.users", ["id", "email", "companyId"])
COMPANIES = table("app.companies", ["id", "name"], oid=2)


async def chosen(
    monkeypatch: pytest.MonkeyPatch,
    found: Mapping[str, InspectedTable] | Sequence[Table],
    users: str | None = None,
    companies: str | None = None,
) -> tuple[list[AdoptedTable], list[str]]:
    """Choose among tables as if the catalogue had them."""
    surroundings = (
        found if isinstance(found, Mapping) else {each.name: inspected(ID, column("email"), of=each) for each in found}
    )

    async def tables(_: object) -> list[Table]:
        return [each.table for each in surroundings.values()]

    async def inspect(_: object, wanted: Table) -> InspectedTable:
        return surroundings[wanted.name]

    monkeypatch.setattr("consumer.adopt.catalogue.tables", tables)
    monkeypatch.setattr("consumer.adopt.catalogue.inspect", inspect)
    return await choose(None, users=users, companies=companies)  # type: ignore[arg-type]  # Nothing is asked by it.


@pytest.mark.parametrize(
    ("tables", "wanted"),
    [
        # Three known columns, and a key.
        ([table("app.people", ["id", "email", "name", "image"]), table("app.news", ["id", "email", "name"])], "people"),
        # The name counts as three.
        ([table("app.people", ["id", "email", "name", "image"]), table("app.Users", ["id", "email"])], "Users"),
        ([table("app.user", ["user_id"]), table("app.news", ["user_id", "email", "name"])], "user"),
        ([table("app.profiles", ["id"]), table("app.news", ["id", "title"])], "profiles"),
        # Four of one beside a name of the other: more wins.
        ([table("app.people", ["id", "email", "name", "image", "role"]), table("app.users", ["id"])], "people"),
        # Without a key a table has nothing to be known by.
        ([table("app.users", ["number", "email", "name"]), table("app.profiles", ["stackId"])], "profiles"),
        # Two names of one value are one value.
        ([table("app.people", ["id", "email", "name", "display_name"]), table("app.user", ["id"])], "user"),
    ],
)
async def test_the_table_that_looks_most_like_users_is_taken(
    monkeypatch: pytest.MonkeyPatch, tables: list[Table], wanted: str
) -> None:
    for order in (tables, tables[::-1]):
        adopted, _ = await chosen(monkeypatch, order)

        assert [each.inspected.table.name for each in adopted] == [f"app.{wanted}"]


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ([], "No table looks like a table of users: name it with --table."),
        ([table("app.people", ["id", "email", "name"])], "No table looks like a table of users: name it with --table."),
        ([table("app.users", ["email"])], "No table looks like a table of users: name it with --table."),
        (
            [table("app.user", ALIKE), table("app.people", ["id", "email"]), table("app.users", ALIKE)],
            "app.user, app.users look alike: name one with --table.",
        ),
    ],
)
async def test_no_table_or_two_alike_are_to_be_named(
    monkeypatch: pytest.MonkeyPatch, tables: list[Table], reason: str
) -> None:
    with pytest.raises(ConsumerError) as raised:
        await chosen(monkeypatch, tables)

    assert str(raised.value) == reason


@pytest.mark.parametrize(
    ("users", "wanted"),
    [
        ("users", "public.users"),
        ("app.users", "app.users"),
        ('app."User"', "app.User"),
        ("app.User", "app.User"),
    ],
)
async def test_a_table_is_named_with_and_without_its_schema_and_its_quotes(
    monkeypatch: pytest.MonkeyPatch, users: str, wanted: str
) -> None:
    tables = [table("app.users"), table("app.User", sql_name='app."User"'), table("public.users")]

    adopted, _ = await chosen(monkeypatch, tables, users=users)

    assert [each.inspected.table.name for each in adopted] == [wanted]


@pytest.mark.parametrize(
    ("users", "reason"),
    [
        ("consumer.users", "consumer.users belongs to this service and can't be adopted: name a table of your app"),
        ("identity.users", "identity.users belongs to this service and can't be adopted: name a table of your app"),
        ("consumers.users", "There is no table consumers.users; a view or a partition is none: name the table behind"),
    ],
)
async def test_a_name_that_is_none_is_refused_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, users: str, reason: str
) -> None:
    with pytest.raises(ConsumerError) as raised:
        await chosen(monkeypatch, [table("app.users")], users=users)

    assert str(raised.value).startswith(reason)


async def test_companies_are_those_of_the_users_key_unless_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    company = column("companyId", kind="uuid")
    led = {"email": "app.other", "companyId": "app.companies"}
    tables = {
        "app.users": inspected(ID, column("email"), company, of=USERS, leads_to=led),
        "app.companies": inspected(ID, column("name"), of=COMPANIES),
        "app.other": inspected(ID, column("name"), of=table("app.other", oid=3)),
    }
    alone = {**tables, "app.users": inspected(ID, company, of=USERS)}

    found, _ = await chosen(monkeypatch, tables, users="app.users")
    named, _ = await chosen(monkeypatch, tables, users="app.users", companies="app.other")
    none, _ = await chosen(monkeypatch, alone, users="app.users")

    assert [each.inspected.table.name for each in found] == ["app.users", "app.companies"]
    assert [each.inspected.table.name for each in named] == ["app.users", "app.other"]
    assert [each.inspected.table.name for each in none] == ["app.users"]
    # As companies, not as users.
    assert [each.value for each in found[1].written] == ["p.name"]


async def test_companies_that_can_t_be_adopted_cost_the_users_company_only(monkeypatch: pytest.MonkeyPatch) -> None:
    company = column("organizationId", kind="uuid")
    tables = {
        "app.users": inspected(ID, column("email"), company, of=USERS, leads_to={"organizationId": "app.companies"}),
        "app.companies": inspected(column("id", kind="number"), of=COMPANIES),
    }

    adopted, decide = await chosen(monkeypatch, tables, users="app.users")

    [users] = adopted
    assert [each.column.name for each in users.written] == ["email"]
    assert decide == [
        "app.companies has no column of type uuid or text for Stack's id; possible names: id. "
        "Until then no user's company is written.",
        "app.users has no column for deleted users, such as is_active or deleted_at.",
    ]


@pytest.mark.parametrize(("name", "kind"), [("is_active", "boolean"), ("deletedAt", "time")])
async def test_a_column_that_tells_who_is_deleted_leaves_nothing_to_decide(
    monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    tables = {"app.users": inspected(ID, column(name, kind=kind), of=USERS)}

    assert (await chosen(monkeypatch, tables, users="app.users"))[1] == []


def adopted_tables() -> list[AdoptedTable]:
    """Return users and companies with a column of each kind."""
    users = inspected(
        ID,
        replace(PLAIN, name="avatarUrl", sql_name='"avatarUrl"'),
        column("role"),
        column("deleted_at", kind="time"),
        column("mood", is_required=True),
        column("number", kind="number", sequence="app.users_number_seq"),
        column("modifiedAt", kind="time"),
        column("changed_at", kind="time", is_generated=True),
        of=table("app.users", sql_schema="app", has_row_security=True),
        triggers=["t1"],
        referrers=["r1"],
        unique_indexes=["u1"],
        checks=["c1"],
    )
    companies = inspected(
        ID,
        column("name"),
        column("last_modified_at", kind="time"),
        of=table("app.companies", oid=2),
        triggers=["t2"],
        referrers=["r2"],
        unique_indexes=["u2"],
        checks=["c2"],
    )
    return [adopt(users, USER_KEYS, USER), adopt(companies, COMPANY_KEYS, COMPANY)]


def test_a_plan_lists_what_is_written_when_and_what_a_write_meets() -> None:
    found = _plan(adopted_tables(), ["first"], "worker")

    assert (found.table, found.key, found.companies) == ("app.users", "id", "app.companies")
    assert found.steps == [
        Step("app.users", "avatarUrl", "p.avatar_url", "always"),
        Step("app.users", "role", "p.role_type", "once Stack or an edit names one"),
        Step("app.users", "deleted_at", "p.deleted_at", "once it is deleted"),
        Step("app.users", "mood", "''", "new rows"),
        Step("app.companies", "name", "p.name", "always"),
    ]
    assert found.decide == [
        "first",
        "app.users.mood: must not be null, and we know nothing of it: ''",
        f"app.users.modifiedAt{STALE}",
        f"app.companies.last_modified_at{STALE}",
    ]
    assert (found.triggers, found.referrers) == (["t1", "t2"], ["r1"])
    assert (found.unique_indexes, found.checks) == (["u1", "u2"], ["c1", "c2"])
    assert found.left_alone == [
        "app.users.number",
        "app.users.modifiedAt",
        "app.users.changed_at",
        "app.companies.last_modified_at",
    ]
    assert (found.grants, found.revokes) == privileges(adopted_tables(), "worker")


def test_a_plan_without_companies_names_none() -> None:
    found = _plan(adopted_tables()[:1], [], "worker")

    assert found.companies is None
    assert {step.table for step in found.steps} == {"app.users"}
    assert "app.companies" not in found.statement


def test_the_grants_are_what_the_statement_needs_and_are_taken_back_whole() -> None:
    grants, revokes = privileges(adopted_tables(), "worker")
    every = 'id, "avatarUrl", role, deleted_at, mood, number, modifiedAt, changed_at'
    names = 'id, "avatarUrl", role, deleted_at, mood'

    assert grants == [
        "GRANT USAGE ON SCHEMA app TO worker;",
        f"GRANT SELECT ({names}), INSERT ({names}) ON app.users TO worker;",
        'GRANT UPDATE ("avatarUrl", role, deleted_at) ON app.users TO worker;',
        "GRANT USAGE ON SEQUENCE app.users_number_seq TO worker;",
        "DROP POLICY IF EXISTS stack_auth_consumer ON app.users;",
        "CREATE POLICY stack_auth_consumer ON app.users TO worker USING (TRUE) WITH CHECK (TRUE);",
        "GRANT SELECT (id, name), INSERT (id, name) ON app.companies TO worker;",
        "GRANT UPDATE (name) ON app.companies TO worker;",
    ]
    whole = "id, name, last_modified_at"
    assert revokes == [
        "DROP POLICY IF EXISTS stack_auth_consumer ON app.users;",
        "REVOKE USAGE ON SEQUENCE app.users_number_seq FROM worker;",
        f"REVOKE SELECT ({every}), INSERT ({every}), UPDATE ({every}) ON app.users FROM worker;",
        "REVOKE USAGE ON SCHEMA app FROM worker;",
        f"REVOKE SELECT ({whole}), INSERT ({whole}), UPDATE ({whole}) ON app.companies FROM worker;",
    ]


def test_a_table_of_which_nothing_is_updated_gets_no_grant_to_update() -> None:
    grants, _ = privileges([adopt(inspected(ID, of=USERS), USER_KEYS, USER)], "worker")

    assert grants == [
        "GRANT USAGE ON SCHEMA app TO worker;",
        "GRANT SELECT (id), INSERT (id) ON app.users TO worker;",
    ]
