"""The grants that the worker's role needs for the statement, and their reversal."""

from collections.abc import Sequence

from consumer.adopt.mapping import AdoptedTable

POLICY = "stack_auth_consumer"


def privileges(adopted: Sequence[AdoptedTable], role: str) -> tuple[list[str], list[str]]:
    """Return the statements that grant the role what the plan needs and nothing more, and those that take it back.

    Running them again changes nothing.
    """
    grants: list[str] = []
    revokes: list[str] = []
    for each in adopted:
        table, columns = each.inspected.table, each.inspected.columns
        sequences = [column.sequence for column in columns if column.sequence]
        written, every = ", ".join(each.names), ", ".join(column.sql_name for column in columns)
        given = ", ".join(f"{verb} ({every})" for verb in ("SELECT", "INSERT", "UPDATE"))
        grants.append(f"GRANT USAGE ON SCHEMA {table.sql_schema} TO {role};")
        grants.append(f"GRANT SELECT ({written}), INSERT ({written}) ON {table.sql_name} TO {role};")
        # A role that may update no column may not lock rows either.
        if each.updated:
            grants.append(f"GRANT UPDATE ({', '.join(each.updated)}) ON {table.sql_name} TO {role};")
        grants += [f"GRANT USAGE ON SEQUENCE {sequence} TO {role};" for sequence in sequences]
        if table.has_row_security:
            drop = f"DROP POLICY IF EXISTS {POLICY} ON {table.sql_name};"
            grants += [drop, f"CREATE POLICY {POLICY} ON {table.sql_name} TO {role} USING (TRUE) WITH CHECK (TRUE);"]
            revokes.append(drop)
        revokes += [f"REVOKE USAGE ON SEQUENCE {sequence} FROM {role};" for sequence in sequences]
        revokes.append(f"REVOKE {given} ON {table.sql_name} FROM {role};")
        revokes.append(f"REVOKE USAGE ON SCHEMA {table.sql_schema} FROM {role};")
    return list(dict.fromkeys(grants)), list(dict.fromkeys(revokes))
