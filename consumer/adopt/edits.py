"""The SQL that stores as edits the roles, departments and companies that only the application's rows hold."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import errors as postgres
from psycopg.rows import class_row

from consumer.adopt.mapping import HOME, NAMES_NO_DEPARTMENT, NAMES_NO_ROLE, AdoptedTable, WrittenColumn
from consumer.adopt.statement import fill_in, lines
from consumer.errors import ConsumerError
from consumer.postgres import ledger, session
from consumer.postgres.connections import Connection

# By the conditions under which the application's value stays: the field, its default, and what is stored.
FIELDS: Mapping[tuple[str, ...], tuple[str, str]] = {
    NAMES_NO_ROLE: ("role_type", "coalesce(p.role_type, s.default_role)"),
    NAMES_NO_DEPARTMENT: ("department", "coalesce(p.department, s.default_department)"),
    HOME.theirs_if: ("company_id", "p.company_id::text"),
}
# An edit of a company that does not exist would take the row's company away.
COMPANY = "(SELECT c.id::text FROM identity.companies AS c WHERE c.id{cast} = u.company_id AND c.deleted_at IS NULL)"

REFUSED = "The login may not do it{reason}. One that may read your table and all of `identity` should run:\n{statement}"


@dataclass(frozen=True, slots=True)
class StoredEdits:
    """The number of users with a new edit, and of those among them that no event has named."""

    edits: int = 0
    unknown_users: int = 0


def edits(users: AdoptedTable) -> str:
    """Return the statement, empty when the table has no such column; it returns the numbers of `StoredEdits`."""
    kept = [w for w in users.written if w.theirs_if in FIELDS]
    if not kept:
        return ""
    names = {w.sql_name: FIELDS[w.theirs_if][0] for w in kept}
    values = {
        "table": users.inspected.table.sql_name,
        "key": users.key.sql_name,
        "edit_columns": lines(f"t.{theirs} AS {ours}" for theirs, ours in names.items()),
        "edit_values": lines(map(_edit, kept)),
    }
    return fill_in("edits", values) + "\n"


async def store_edits(conn: Connection, worker_role: str, statement: str) -> StoredEdits:
    """Store the edits and return their numbers; a repeat stores only those that no worker has applied yet.

    ConsumerError when the login may not read the tables of `identity` and the application, or not store an edit.
    """
    # Row-level security would hide all profiles from another login, and each would seem to lack a role.
    if await session.has_rights_of(conn, worker_role):
        try:
            async with conn.transaction(), conn.cursor(row_factory=class_row(StoredEdits)) as cursor:
                await ledger.begin_work(conn)
                await cursor.execute(statement.encode())
                [stored] = await cursor.fetchall()
                return stored
        except postgres.InsufficientPrivilege as error:
            reason = f": {error.diag.message_primary}"
            raise ConsumerError(REFUSED.format(reason=reason, statement=statement)) from error
    raise ConsumerError(REFUSED.format(reason="", statement=statement))


def _edit(written: WrittenColumn) -> str:
    field, known = FIELDS[written.theirs_if]
    value = f"u.{field}::text"
    if written.column.kind == "enum":
        # The statement finds the label of a role in any case, and other rows have the role as Stack writes it.
        value, known = f'lower({value} COLLATE "C")', f'lower({known} COLLATE "C")'
    conditions = [condition.replace("p.user_id", "u.user_id") for condition in written.theirs_if]
    if field == "company_id":
        value = COMPANY.format(cast="" if written.column.kind == "uuid" else "::text")
        conditions.append(f"{value} IS NOT NULL")
    else:
        conditions.append(f"consumer.trimmed({value}) <> ''")
    conditions.append(f"{value} IS DISTINCT FROM {known}")
    return fill_in("edit", {"field": field, "conditions": "\nAND ".join(conditions), "value": value})
