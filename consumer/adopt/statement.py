"""The first version of an application's statement: SQL for its owner to read, to change and to keep."""

from collections.abc import Iterable, Mapping

from consumer.adopt.mapping import AdoptedTable, WrittenColumn
from consumer.postgres.queries import sql_root
from consumer.settings.app_statement import PARAMETER

# PostgreSQL runs a part that nobody reads last.
REMOVED_FIRST = "(SELECT count(*) FROM removed) >= 0"


def statement(users: AdoptedTable, companies: AdoptedTable | None) -> str:
    """Return the text of the file; a part that no column needs is left out."""
    values = template_values(users)
    parts = [fill_in("changed", values)]
    if companies:
        parts.append(fill_in("companies", template_values(companies)))
    parts.append(fill_in("known", values))
    if values["removals"]:
        parts.append(fill_in("removed", values))
    parts.append(fill_in("ours", values))
    text = ",\n\n".join(parts) + f"\n\n{fill_in('insert', values)}\n"
    # psycopg reads a percent sign as a placeholder, and a name or a default may hold one.
    return text.replace("%", "%%").replace(f"%{PARAMETER}", PARAMETER)


def fill_in(part: str, values: Mapping[str, str]) -> str:
    """Fill in a template: each line of a value gets the indent of its place, and an empty line is left out."""
    filled = []
    for line in (sql_root() / "templates" / "adopt" / f"{part}.sql").read_text(encoding="utf-8").splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        filled.append(line.format_map(values).replace("\n", f"\n{indent}"))
    return "\n".join(line for line in filled if line.strip())


def template_values(adopted: AdoptedTable) -> dict[str, str]:
    """Return the values of the templates' places for a table."""
    key, written = adopted.key.sql_name, adopted.written
    cast = "" if adopted.key.kind == "uuid" else "::text"
    updated = [w for w in written if w.is_updated]
    kept = [w.sql_name for w in written if w.theirs_if]
    removals = [f"{w.sql_name} = {w.gone}" for w in written if w.gone is not None]
    wanted = [f"{w.sql_name} IS NOT NULL" for w in written if w.may_lack]
    if removals:
        wanted.append(REMOVED_FIRST)
    values = {
        "table": adopted.inspected.table.sql_name,
        "key": key,
        "cast": cast,
        "names": ", ".join(adopted.names),
        "columns": lines(adopted.names),
        "company_values": lines([f"p.id{cast}", *(w.value for w in written)]),
        "stored": ", ".join(f"t.{name}" for name in (key, *adopted.updated)),
        "offered": ", ".join([f"p.id{cast}", *(w.value for w in updated)]),
        "known": lines(f"t.{name}" for name in (key, *kept)),
        "locked": ", locked" if kept else "",
        "lock": f"ORDER BY t.{key}\nFOR NO KEY UPDATE" if kept else "",
        "removals": lines(removals),
        "user_values": lines([f"changed.their_key AS {key}", *(f"{_value(w)} AS {w.sql_name}" for w in written)]),
        "where": "WHERE\n    " + "\n    AND ".join(wanted) if wanted else "",
        "assignments": lines(f"{name} = excluded.{name}" for name in adopted.updated),
        "theirs": ", ".join(f"theirs.{name}" for name in adopted.updated),
        "excluded": ", ".join(f"excluded.{name}" for name in adopted.updated),
    }
    return values | {"on_conflict": fill_in("update", values) if updated else "DO NOTHING"}


def _value(written: WrittenColumn) -> str:
    if not written.theirs_if:
        return written.value
    theirs = f"known.{written.sql_name}"
    conditions = "\nAND ".join([f"{theirs} IS NOT NULL", *written.theirs_if])
    # A column that must not be null keeps its last value.
    ours = f"coalesce({written.value}, {theirs})" if written.may_lack else written.value
    return fill_in("theirs_or_ours", {"conditions": conditions, "theirs": theirs, "ours": ours})


def lines(parts: Iterable[str]) -> str:
    """Return the parts as a list of SQL, one a line."""
    return ",\n".join(parts)
