"""The plan: which of an application's tables follow, what is written there, what that meets, and what it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from consumer.adopt import catalogue, mapping, privileges
from consumer.adopt.catalogue import Column, InspectedTable, Table
from consumer.adopt.mapping import WrittenColumn, map_columns, snake
from consumer.adopt.statement import statement
from consumer.errors import ConsumerError
from consumer.postgres.connections import Connection

USER_TABLES = ("profiles", "profile", "users", "user", "user_profiles", "accounts", "people", "members")
COMPANY_TABLES = ("companies", "company", "organizations", "organisations", "orgs", "teams", "tenants", "workspaces")


@dataclass(frozen=True, slots=True)
class Step:
    """What is written to one column: always, or to new rows only."""

    table: str
    column: str
    value: str
    when: str


@dataclass(frozen=True, slots=True)
class AdoptPlan:
    """What adopting these tables would do and need; nothing of it is done."""

    table: str
    key: str
    companies: str | None
    steps: list[Step]
    decide: list[str]
    triggers: list[str]
    referrers: list[str]
    unique_indexes: list[str]
    checks: list[str]
    grants: list[str]
    revokes: list[str]
    statement: str


@dataclass(frozen=True, slots=True)
class AdoptedTable:
    """One table, the column with Stack's ids, and what is written beside it."""

    inspected: InspectedTable
    key: Column
    written: list[WrittenColumn]


async def make(conn: Connection, worker_role: str, *, table: str | None, companies: str | None) -> AdoptPlan:
    """Look at the catalogue and plan; tables that are not named are found by their columns, or ConsumerError."""
    tables = await catalogue.tables(conn)
    found = _named(tables, table) if table else _find_users(tables)
    people = await catalogue.inspect(conn, found)
    firms = _companies_of(tables, people, companies)
    return plan(people, await catalogue.inspect(conn, firms) if firms else None, worker_role)


def plan(people: InspectedTable, firms: InspectedTable | None, worker_role: str) -> AdoptPlan:
    """Plan for inspected tables."""
    users = _adopt(people, mapping.USER_KEYS, mapping.USER)
    decide: list[str] = []
    adopted = [users]
    if firms:
        try:
            adopted.append(_adopt(firms, mapping.COMPANY_KEYS, mapping.COMPANY))
        except ConsumerError as error:
            # Without the table, an id in the column would lead nowhere.
            decide.append(f"{error} Until then nobody's company is written.")
            kept = [w for w in users.written if snake(w.column.name) not in _COMPANY.names]
            users = adopted[0] = AdoptedTable(users.inspected, users.key, kept)
    if not any(w.theirs_if == mapping.LIVES for w in users.written):
        decide.append(f"{people.table.name} has no column that tells a deleted user, as is_active or deleted_at would.")
    companies = adopted[1] if len(adopted) > 1 else None
    around = people.surroundings
    granted = [(each.inspected, each.key, each.written) for each in adopted]
    return AdoptPlan(
        table=people.table.name,
        key=users.key.name,
        companies=companies.inspected.table.name if companies else None,
        steps=[_step(each, w) for each in adopted for w in each.written],
        decide=decide + [_doubt(each, w) for each in adopted for w in each.written if w.doubt],
        triggers=[name for each in adopted for name in each.inspected.surroundings.triggers],
        referrers=around.referrers,
        unique_indexes=[index for each in adopted for index in each.inspected.surroundings.unique_indexes],
        checks=[check for each in adopted for check in each.inspected.surroundings.checks],
        grants=privileges.grants(granted, worker_role),
        revokes=privileges.revokes(granted, worker_role),
        statement=statement(
            people.table,
            users.key,
            users.written,
            (companies.inspected.table, companies.key, companies.written) if companies else None,
        ),
    )


_COMPANY = next(source for source in mapping.USER if source.value == "p.company_id")


def _adopt(inspected: InspectedTable, keys: Sequence[str], sources: Sequence[mapping.KnownValue]) -> AdoptedTable:
    own_key = mapping.key(inspected.columns, keys, inspected.table.sql_name)
    return AdoptedTable(inspected, own_key, map_columns(inspected.columns, sources, own_key))


def _named(tables: Sequence[Table], name: str) -> Table:
    wanted = name if "." in name else f"public.{name}"
    for table in tables:
        if wanted in {table.name, table.sql_name}:
            return table
    raise ConsumerError(f"There is no table {wanted}.")


def _find_users(tables: Sequence[Table]) -> Table:
    """Return the table that looks most like users: by name and by how many of its columns we know."""
    ranked = sorted(((_likeness(table), table.name, table) for table in tables), reverse=True)
    if not ranked or not ranked[0][0]:
        raise ConsumerError("No table looks like one of users; --table says which is.")
    if len(ranked) > 1 and ranked[0][0] == ranked[1][0]:
        alike = ", ".join(sorted(name for likeness, name, _ in ranked if likeness == ranked[0][0]))
        raise ConsumerError(f"{alike} look alike; --table says which is meant.")
    return ranked[0][2]


def _likeness(table: Table) -> int:
    names = {snake(name) for name in table.column_names}
    known = sum(not names.isdisjoint(source.names) for source in mapping.USER)
    is_keyed = not names.isdisjoint(mapping.USER_KEYS)
    # Companies have names and logos too: only a name, or much of what only people have, makes a table of users.
    is_named = snake(table.name.partition(".")[2]) in USER_TABLES
    return known + 3 * is_named if is_keyed and (is_named or known >= 3) else 0


def _companies_of(tables: Sequence[Table], people: InspectedTable, name: str | None) -> Table | None:
    """Return the table that the users' company leads to, by name or by foreign key; else one that is called so."""
    if name:
        return _named(tables, name)
    columns = [column for column in people.columns if snake(column.name) in _COMPANY.names]
    for column in columns:
        if led := people.surroundings.leads_to.get(column.name):
            return _named(tables, led)
    schema = people.table.name.partition(".")[0]
    named = {f"{schema}.{each}" for each in COMPANY_TABLES}
    return next((table for table in tables if columns and table.name in named), None)


def _step(adopted: AdoptedTable, written: WrittenColumn) -> Step:
    when = "new rows" if written.when == "new" else "always"
    if written.theirs_if:
        when = "once the user is deleted" if written.theirs_if == mapping.LIVES else "once Stack or an edit names one"
    return Step(adopted.inspected.table.name, written.column.name, written.value, when)


def _doubt(adopted: AdoptedTable, written: WrittenColumn) -> str:
    return f"{adopted.inspected.table.name}.{written.column.name}: {written.doubt}"
