"""The first version of an application's statement: SQL for its owner to read, to change and to keep."""

from collections.abc import Iterable, Mapping

from consumer.adopt.mapping import AdoptedTable, WrittenColumn
from consumer.postgres.queries import sql_root
from consumer.settings.app_statement import PARAMETER


def statement(users: AdoptedTable, companies: AdoptedTable | None) -> str:
    """Return the text of the file; a part that no column needs is left out."""
    values = _values(users)
    parts = [_fill("changed", values)]
    if companies:
        parts.append(_fill("companies", _values(companies)))
    parts.append(_fill("known", values))
    if values["removals"]:
        parts.append(_fill("removed", values))
    parts.append(_fill("ours", values))
    text = ",\n\n".join(parts) + f"\n\n{_fill('insert', values)}\n"
    # psycopg reads a percent sign as a placeholder, and a name or a default may hold one.
    return text.replace("%", "%%").replace(f"%{PARAMETER}", PARAMETER)


def _fill(part: str, values: Mapping[str, str]) -> str:
    """Fill in a template: each line of a value gets the indent of its place, and an empty line is left out."""
    lines = []
    for line in (sql_root() / "templates" / "adopt" / f"{part}.sql").read_text(encoding="utf-8").splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        lines.append(line.format_map(values).replace("\n", f"\n{indent}"))
    return "\n".join(line for line in lines if line.strip())


def _values(adopted: AdoptedTable) -> dict[str, str]:
    key, written = adopted.key.sql_name, adopted.written
    cast = "" if adopted.key.kind == "uuid" else "::text"
    updated = [w for w in written if w.is_updated]
    kept = [w.sql_name for w in written if w.theirs_if]
    required = [w.sql_name for w in written if w.may_lack]
    values = {
        "table": adopted.inspected.table.sql_name,
        "key": key,
        "cast": cast,
        "names": ", ".join(adopted.names),
        "columns": _lines(adopted.names),
        "company_values": _lines([f"p.id{cast}", *(w.value for w in written)]),
        "stored": ", ".join(f"t.{name}" for name in (key, *adopted.updated)),
        "offered": ", ".join([f"p.id{cast}", *(w.value for w in updated)]),
        "known": _lines(f"t.{name}" for name in (key, *kept)),
        "locked": ", locked" if kept else "",
        "lock": f"ORDER BY t.{key}\nFOR NO KEY UPDATE" if kept else "",
        "removals": _lines(f"{w.sql_name} = {w.gone}" for w in written if w.gone is not None),
        "user_values": _lines([f"changed.their_key AS {key}", *(f"{_value(w)} AS {w.sql_name}" for w in written)]),
        "where": "WHERE " + " AND ".join(f"{name} IS NOT NULL" for name in required) if required else "",
        "assignments": _lines(f"{name} = excluded.{name}" for name in adopted.updated),
        "theirs": ", ".join(f"theirs.{name}" for name in adopted.updated),
        "excluded": ", ".join(f"excluded.{name}" for name in adopted.updated),
    }
    return values | {"on_conflict": _fill("update", values) if updated else "DO NOTHING"}


def _value(written: WrittenColumn) -> str:
    if not written.theirs_if:
        return written.value
    theirs = f"known.{written.sql_name}"
    conditions = "\nAND ".join([f"{theirs} IS NOT NULL", *written.theirs_if])
    # A column that must not be null keeps its last value.
    ours = f"coalesce({written.value}, {theirs})" if written.may_lack else written.value
    return _fill("theirs_or_ours", {"conditions": conditions, "theirs": theirs, "ours": ours})


def _lines(parts: Iterable[str]) -> str:
    return ",\n".join(parts)
