"""The first version of an application's statement: SQL for its owner to read, to change and to keep."""

from collections.abc import Iterable, Sequence

from consumer.adopt.catalogue import Column, Table
from consumer.adopt.mapping import WrittenColumn
from consumer.settings.app_statement import PARAMETER

HEADER = """\
-- A first version by `consumer adopt`, yours to change.
-- The worker runs it with the users of whom something is new, in the same transaction. It is run again for the same
-- users, so it must come to the same. A sign for per cent is written twice.
WITH changed AS (
    SELECT
        user_id,
        {changed_key} AS their_key
    FROM unnest(%(user_ids)b::uuid[]) AS u (user_id)
)"""
COMPANIES = """,

-- Their companies first; a name follows with the next change of somebody at home there.
companies AS (
    INSERT INTO {table} AS theirs ({names})
    SELECT
        {values}
    FROM identity.companies AS p
    WHERE
        p.id IN (SELECT h.company_id FROM changed INNER JOIN identity.profiles AS h ON changed.user_id = h.user_id)
        AND NOT EXISTS (
            SELECT FROM {table} AS t
            WHERE row({known}) IS NOT DISTINCT FROM row({offered})
        )
    ORDER BY p.id
    ON CONFLICT ({key}) {conflict}
)"""
KNOWN = """,

-- Theirs as they stand{locked}: what Stack and edits have never named stays the application's.
known AS MATERIALIZED (
    SELECT
        {columns}
    FROM {table} AS t
    WHERE t.{key} IN (SELECT their_key FROM changed){lock}
)"""
LOCK = """
    ORDER BY t.{key}
    FOR NO KEY UPDATE"""
REMOVED = """,

-- Whose profile is gone (DELETE_POLICY=hard): the row stays, for others may refer to it, without the person.
removed AS (
    UPDATE {table} AS theirs
    SET
        {assignments}
    FROM changed
    INNER JOIN identity.stack_user_profiles AS m ON changed.user_id = m.stack_user_id
    WHERE
        theirs.{key} = changed.their_key
        AND m.deleted_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM identity.profiles AS p WHERE p.user_id = changed.user_id)
)"""
OURS = """,

-- Who was deleted before gets no row any more.
ours AS (
    SELECT
        {values}
    FROM changed
    INNER JOIN identity.profiles AS p ON changed.user_id = p.user_id
    INNER JOIN identity.stack_user_profiles AS m ON p.user_id = m.stack_user_id
    LEFT JOIN known ON changed.their_key = known.{key}
    WHERE p.deleted_at IS NULL OR known.{key} IS NOT NULL
)
"""
INSERT = """
INSERT INTO {table} AS theirs ({names})
SELECT
    {columns}
FROM ours{where}
ORDER BY {key}
ON CONFLICT ({key}) {conflict};
"""
CONFLICT = """DO UPDATE
    SET
        {assignments}
    WHERE
        row({theirs})
        IS DISTINCT FROM row({excluded})"""
THEIRS = """CASE
            WHEN
                {conditions}
                THEN {theirs}
            ELSE {ours}
        END"""


def statement(
    table: Table,
    key: Column,
    written: Sequence[WrittenColumn],
    companies: tuple[Table, Column, Sequence[WrittenColumn]] | None,
) -> str:
    """Return the text of the file; each part of it stands there because the table has a column for it."""
    changed_key = "user_id" if key.kind == "uuid" else "user_id::text"
    parts = [HEADER.format(changed_key=changed_key)]
    if companies:
        parts.append(_companies(*companies))
    parts.append(_known(table, key, [w for w in written if w.theirs_if]))
    if gone := [w for w in written if w.gone is not None]:
        assignments = _lines(f"{w.column.sql_name} = {w.gone}" for w in gone)
        parts.append(REMOVED.format(table=table.sql_name, key=key.sql_name, assignments=assignments))
    values = _lines([f"changed.their_key AS {key.sql_name}", *(f"{_value(w)} AS {w.column.sql_name}" for w in written)])
    parts += [OURS.format(values=values, key=key.sql_name), _insert(table, key, written)]
    # Names and defaults of theirs may hold one.
    return "".join(parts).replace("%", "%%").replace(f"%{PARAMETER}", PARAMETER)


def _known(table: Table, key: Column, kept: Sequence[WrittenColumn]) -> str:
    return KNOWN.format(
        table=table.sql_name,
        key=key.sql_name,
        columns=_lines(f"t.{name}" for name in (key.sql_name, *(w.column.sql_name for w in kept))),
        locked=", locked" if kept else "",
        lock=LOCK.format(key=key.sql_name) if kept else "",
    )


def _companies(table: Table, key: Column, written: Sequence[WrittenColumn]) -> str:
    names = [key.sql_name, *(w.column.sql_name for w in written)]
    own_id = "p.id" if key.kind == "uuid" else "p.id::text"
    followed = [w for w in written if w.when == "always"]
    return COMPANIES.format(
        table=table.sql_name,
        names=", ".join(names),
        values=_lines([own_id, *(w.value for w in written)]),
        key=key.sql_name,
        known=", ".join(f"t.{name}" for name in (key.sql_name, *(w.column.sql_name for w in followed))),
        offered=", ".join([own_id, *(w.value for w in followed)]),
        conflict=_conflict(written, indent="        "),
    )


def _insert(table: Table, key: Column, written: Sequence[WrittenColumn]) -> str:
    names = [key.sql_name, *(w.column.sql_name for w in written)]
    required = [w.column.sql_name for w in written if w.may_lack]
    return INSERT.format(
        table=table.sql_name,
        key=key.sql_name,
        names=", ".join(names),
        columns=_lines(names, indent="    "),
        where="\nWHERE " + " AND ".join(f"{name} IS NOT NULL" for name in required) if required else "",
        conflict=_conflict(written),
    )


def _conflict(written: Sequence[WrittenColumn], indent: str = "    ") -> str:
    followed = [w.column.sql_name for w in written if w.when == "always"]
    if not followed:
        return "DO NOTHING"
    text = CONFLICT.format(
        assignments=_lines(f"{name} = excluded.{name}" for name in followed),
        theirs=", ".join(f"theirs.{name}" for name in followed),
        excluded=", ".join(f"excluded.{name}" for name in followed),
    )
    return text.replace("\n    ", f"\n{indent}")


def _value(written: WrittenColumn) -> str:
    if not written.theirs_if:
        return written.value
    theirs = f"known.{written.column.sql_name}"
    # Where a value must stand, the last one does.
    ours = f"coalesce({written.value}, {theirs})" if written.may_lack else written.value
    conditions = "\n                AND ".join([f"{theirs} IS NOT NULL", *written.theirs_if])
    return THEIRS.format(conditions=conditions, theirs=theirs, ours=ours)


def _lines(parts: Iterable[str], indent: str = "        ") -> str:
    return f",\n{indent}".join(parts)
