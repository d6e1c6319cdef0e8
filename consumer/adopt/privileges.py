"""What the worker's role must be granted for the statement, and what takes all of that back."""

from collections.abc import Sequence

from consumer.adopt.catalogue import Column, InspectedTable
from consumer.adopt.mapping import WrittenColumn

POLICY = "stack_auth_consumer"
GrantedTable = tuple[InspectedTable, Column, Sequence[WrittenColumn]]


def grants(adopted: Sequence[GrantedTable], role: str) -> list[str]:
    """Return the statements that let the role do what is planned and nothing more; run again they change nothing."""
    found = []
    for inspected, key, written in adopted:
        table = inspected.table
        names = ", ".join([key.sql_name, *(w.column.sql_name for w in written)])
        found += [f"GRANT USAGE ON SCHEMA {table.sql_schema} TO {role};"]
        found += [f"GRANT SELECT ({names}), INSERT ({names}) ON {table.sql_name} TO {role};"]
        # Only who may update a column may lock its rows.
        changed = [w.column.sql_name for w in written if w.when == "always"]
        if changed:
            found.append(f"GRANT UPDATE ({', '.join(changed)}) ON {table.sql_name} TO {role};")
        found += [f"GRANT USAGE ON SEQUENCE {c.sequence} TO {role};" for c in inspected.columns if c.sequence]
        if table.has_row_security:
            found += [_drop_policy(inspected), _create_policy(inspected, role)]
    return list(dict.fromkeys(found))


def revokes(adopted: Sequence[GrantedTable], role: str) -> list[str]:
    """Return the statements that take back what `grants` gave."""
    found = []
    for inspected, _, _ in adopted:
        table = inspected.table
        names = ", ".join(column.sql_name for column in inspected.columns)
        if table.has_row_security:
            found.append(_drop_policy(inspected))
        found += [f"REVOKE USAGE ON SEQUENCE {c.sequence} FROM {role};" for c in inspected.columns if c.sequence]
        privileges = ", ".join(f"{verb} ({names})" for verb in ("SELECT", "INSERT", "UPDATE"))
        found.append(f"REVOKE {privileges} ON {table.sql_name} FROM {role};")
        found.append(f"REVOKE USAGE ON SCHEMA {table.sql_schema} FROM {role};")
    return list(dict.fromkeys(found))


def _drop_policy(inspected: InspectedTable) -> str:
    return f"DROP POLICY IF EXISTS {POLICY} ON {inspected.table.sql_name};"


def _create_policy(inspected: InspectedTable, role: str) -> str:
    return f"CREATE POLICY {POLICY} ON {inspected.table.sql_name} TO {role} USING (TRUE) WITH CHECK (TRUE);"
