"""The plan: the tables to write, their values, the triggers and constraints a write meets, and the grants."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from consumer.adopt import catalogue, mapping
from consumer.adopt.catalogue import InspectedTable, Table
from consumer.adopt.edits import edits
from consumer.adopt.mapping import AdoptedTable, WrittenColumn, adopt, snake
from consumer.adopt.privileges import privileges
from consumer.adopt.statement import statement
from consumer.errors import ConsumerError
from consumer.postgres import session
from consumer.postgres.connections import Connection

# Names of columns with the time of a row's last change.
TIMES_OF_CHANGE = ("updated_at", "modified_at", "last_modified_at", "changed_at")
STALE = (
    ": the statement changes rows and does not set it; unless a trigger does, add it to the DO UPDATE, and grant UPDATE"
)
OUR_SCHEMAS = ("consumer.", "identity.")
USER_TABLES = ("profiles", "users", "user")


@dataclass(frozen=True, slots=True)
class Step:
    """The value of one column, and when it is written."""

    table: str
    column: str
    value: str
    when: str


@dataclass(frozen=True, slots=True)
class AdoptPlan:
    """All that adopting the tables would do and need; a plan changes nothing."""

    table: str
    key: str
    companies: str | None
    steps: list[Step]
    decide: list[str]
    triggers: list[str]
    referrers: list[str]
    unique_indexes: list[str]
    checks: list[str]
    left_alone: list[str]
    grants: list[str]
    revokes: list[str]
    statement: str
    edits: str


async def make(conn: Connection, worker_role: str, *, users: str | None, companies: str | None) -> AdoptPlan:
    """Plan from the catalogue in a read-only transaction; ConsumerError when no table fits or several do."""
    async with conn.transaction():
        await session.forbid_writes(conn)
        adopted, decide = await choose(conn, users=users, companies=companies)
    return _plan(adopted, decide, worker_role)


async def choose(conn: Connection, *, users: str | None, companies: str | None) -> tuple[list[AdoptedTable], list[str]]:
    """Return the table of users, then that of companies if there is one, and what their owner has to decide.

    Tables that are not named are found by their columns.
    """
    tables = await catalogue.tables(conn)
    found = await catalogue.inspect(conn, _named(tables, users) if users else _find_users(tables))
    adopted, decide = [adopt(found, mapping.USER_KEYS, mapping.USER)], []
    if linked := _companies_of(tables, found, companies):
        try:
            adopted.append(adopt(await catalogue.inspect(conn, linked), mapping.COMPANY_KEYS, mapping.COMPANY))
        except ConsumerError as error:
            # The column's id would refer to no row.
            decide.append(f"{error} Until then no user's company is written.")
            kept = [w for w in adopted[0].written if snake(w.column.name) not in mapping.HOME.names]
            adopted = [replace(adopted[0], written=kept)]
    if not any(w.theirs_if == mapping.LIVES for w in adopted[0].written):
        decide.append(f"{found.table.name} has no column for deleted users, such as is_active or deleted_at.")
    return adopted, decide


def _plan(adopted: Sequence[AdoptedTable], decide: list[str], worker_role: str) -> AdoptPlan:
    users, companies = adopted[0], adopted[1] if len(adopted) > 1 else None
    written = [(each.inspected.table.name, w) for each in adopted for w in each.written]
    grants, revokes = privileges(adopted, worker_role)
    return AdoptPlan(
        table=users.inspected.table.name,
        key=users.key.name,
        companies=companies.inspected.table.name if companies else None,
        steps=[Step(table, w.column.name, w.value, _when(w)) for table, w in written],
        decide=[
            *decide,
            *(f"{table}.{w.column.name}: {w.doubt}" for table, w in written if w.doubt),
            *(name + STALE for each in adopted for name in _times_of_change(each)),
        ],
        triggers=[name for each in adopted for name in each.inspected.triggers],
        referrers=users.inspected.referrers,
        unique_indexes=[index for each in adopted for index in each.inspected.unique_indexes],
        checks=[check for each in adopted for check in each.inspected.checks],
        left_alone=[
            f"{each.inspected.table.name}.{column.name}"
            for each in adopted
            for column in each.inspected.columns
            if column != each.key and column.sql_name not in each.names
        ],
        grants=grants,
        revokes=revokes,
        statement=statement(users, companies),
        edits=edits(users),
    )


def _named(tables: Sequence[Table], name: str) -> Table:
    wanted = name if "." in name else f"public.{name}"
    for table in tables:
        if wanted in {table.name, table.sql_name}:
            return table
    if wanted.startswith(OUR_SCHEMAS):
        raise ConsumerError(f"{wanted} belongs to this service and can't be adopted: name a table of your application.")
    raise ConsumerError(f"There is no table {wanted}; a view or a partition is none: name the table behind it.")


def _find_users(tables: Sequence[Table]) -> Table:
    """Return the table that looks most like users, by its name and by the number of known columns."""
    most = max(map(_likeness, tables), default=0)
    found = [table for table in tables if most and _likeness(table) == most]
    if not found:
        raise ConsumerError("No table looks like a table of users: name it with --table.")
    if len(found) > 1:
        alike = ", ".join(table.name for table in found)
        raise ConsumerError(f"{alike} look alike: name one with --table.")
    return found[0]


def _likeness(table: Table) -> int:
    names = {snake(name) for name in table.column_names}
    known = sum(not names.isdisjoint(source.names) for source in mapping.USER)
    is_keyed = not names.isdisjoint(mapping.USER_KEYS)
    # Companies have names and logos too: it takes three known columns, or the table's name, which counts as three.
    is_named = snake(table.name.partition(".")[2]) in USER_TABLES
    return known + 3 * is_named if is_keyed and (is_named or known >= 3) else 0


def _companies_of(tables: Sequence[Table], users: InspectedTable, name: str | None) -> Table | None:
    """Return the table of that name, else the one that the foreign key of the users' company leads to."""
    if name:
        return _named(tables, name)
    led = (users.leads_to.get(column.name) for column in users.columns if snake(column.name) in mapping.HOME.names)
    return next((_named(tables, found) for found in led if found), None)


def _times_of_change(adopted: AdoptedTable) -> list[str]:
    found = [c for c in adopted.inspected.columns if c.kind == "time" and not c.is_generated]
    return [f"{adopted.inspected.table.name}.{c.name}" for c in found if snake(c.name) in TIMES_OF_CHANGE]


def _when(written: WrittenColumn) -> str:
    if written.theirs_if:
        return "once it is deleted" if written.theirs_if == mapping.LIVES else "once Stack or an edit names one"
    return "always" if written.is_updated else "new rows"
