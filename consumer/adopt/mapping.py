"""What is written to each column of an application's table: ours where the name tells which, else what it demands."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consumer.adopt.catalogue import Column, ColumnKind, InspectedTable
from consumer.errors import ConsumerError

# What a column that must not be null gets where we know nothing; an enum and what is not listed are decided by people.
FILLERS: Mapping[ColumnKind, str] = {
    "text": "''",
    "boolean": "FALSE",
    "time": "now()",
    "number": "0",
    "json": "'{}'::json",
    "jsonb": "'{}'::jsonb",
    "uuid": "gen_random_uuid()",
}
# Of an enum's labels, who may least; the first of these that there is.
HUMBLE = ("member", "user", "viewer", "guest", "reader", "employee", "staff")
# Never delivered to (RFC 2606), and unique as an index on addresses may ask.
NO_EMAIL = "p.user_id || '@no-email.invalid'"
USER_KEYS = ("stack_user_id", "user_id", "id")
COMPANY_KEYS = ("id",)


@dataclass(frozen=True, slots=True)
class KnownValue:
    """Something that we know, the names under which applications keep it, and what a column for it can hold.

    *gone* is what is left of it when the profile is removed; None: whatever it was. The application's own value stands
    where all of *theirs_if* hold, in SQL. *unknown* stands where it must not be null.
    """

    names: tuple[str, ...]
    kinds: tuple[ColumnKind, ...]
    value: str
    unknown: str | None = None
    gone: str | None = "NULL"
    theirs_if: tuple[str, ...] = ()


# Neither Stack nor an edit has ever named one: what the application has may be all there is.
EDITED = "EXISTS (SELECT FROM consumer.edits AS e WHERE e.user_id = p.user_id AND e.field = '{}')"
NAMES_NO_ROLE = ("m.source_role IS NULL", f"NOT {EDITED.format('role_type')}")
NAMES_NO_DEPARTMENT = ("m.source_department IS NULL", f"NOT {EDITED.format('department')}")
NAMES_NO_COMPANY = (
    "m.source_company_id IS NULL",
    f"NOT {EDITED.format('company_id')}",
    "NOT EXISTS (SELECT FROM identity.company_members AS b WHERE b.user_id = p.user_id)",
)
# An application may have barred somebody whom Stack knows as living.
LIVES = ("p.deleted_at IS NULL",)

# Its absence keeps a user out of a table where it must not be null.
HOME = KnownValue(("company_id", "organization_id"), ("uuid", "text"), "p.company_id", theirs_if=NAMES_NO_COMPANY)
USER = (
    KnownValue(("full_name", "display_name", "name"), ("text",), "p.full_name", gone="'Deleted user'"),
    KnownValue(("email",), ("text",), "p.email", unknown=NO_EMAIL),
    KnownValue(("email_verified",), ("boolean",), "p.email_verified", "FALSE", gone="FALSE"),
    KnownValue(("avatar_url", "image"), ("text",), "p.avatar_url", "''"),
    KnownValue(("role_type", "role"), ("text", "enum"), "p.role_type", gone=None, theirs_if=NAMES_NO_ROLE),
    KnownValue(("department",), ("text",), "p.department", gone=None, theirs_if=NAMES_NO_DEPARTMENT),
    HOME,
    KnownValue(("is_active",), ("boolean",), "p.deleted_at IS NULL", gone="FALSE", theirs_if=LIVES),
    KnownValue(("deleted_at",), ("time",), "p.deleted_at", gone="m.deleted_at", theirs_if=LIVES),
    KnownValue(("last_sign_in_at",), ("time",), "p.last_sign_in_at", "p.created_at", None),
    KnownValue(("last_active_at",), ("time",), "p.last_active_at", "p.created_at", None),
)
COMPANY = (
    KnownValue(("name", "display_name"), ("text",), "p.name"),
    KnownValue(("logo_url",), ("text",), "p.logo_url", "''"),
)


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """A column that is written, with the SQL of its value: whenever ours changes, else to new rows only.

    The application's own stands where *theirs_if* holds. *gone* is left when the profile is removed. A row that
    *may_lack* its value is not written. *doubt* is what its owner should decide.
    """

    column: Column
    value: str
    is_updated: bool
    theirs_if: tuple[str, ...] = ()
    gone: str | None = None
    may_lack: bool = False
    doubt: str | None = None

    @property
    def sql_name(self) -> str:
        """Return the column's name in SQL."""
        return self.column.sql_name


@dataclass(frozen=True, slots=True)
class AdoptedTable:
    """A table, the column with Stack's ids, and the columns that are written beside it."""

    inspected: InspectedTable
    key: Column
    written: list[WrittenColumn]

    @property
    def names(self) -> list[str]:
        """Return the names in SQL of the key and of all columns written beside it."""
        return [self.key.sql_name, *(w.sql_name for w in self.written)]

    @property
    def updated(self) -> list[str]:
        """Return the names in SQL of the columns that are written whenever ours change."""
        return [w.sql_name for w in self.written if w.is_updated]


def adopt(inspected: InspectedTable, keys: Sequence[str], known: Sequence[KnownValue]) -> AdoptedTable:
    """Return the key and what is written beside it; what may stay empty and is none of ours is left out.

    Raises ConsumerError when no column tells rows apart by Stack's ids.
    """
    key = _key(inspected, keys)
    written: list[WrittenColumn] = []
    left = list(known)
    for column in inspected.columns:
        if column == key or column.is_generated:
            continue
        value = next((each for each in left if snake(column.name) in each.names and column.kind in each.kinds), None)
        if value:
            left.remove(value)
            written.append(_known(value, column))
        elif column.is_required and column.default_value is None:
            written.append(_filled(column))
    return AdoptedTable(inspected, key, written)


def snake(name: str) -> str:
    """Return a name as SQL writes it: displayName is display_name."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _key(inspected: InspectedTable, names: Sequence[str]) -> Column:
    table = inspected.table.sql_name
    by_name = {snake(column.name): column for column in inspected.columns if column.kind in {"uuid", "text"}}
    found = [by_name[name] for name in names if name in by_name]
    if not found:
        wanted = ", ".join(names)
        raise ConsumerError(f"{table} has no column for Stack's id, of type uuid or text; such would be: {wanted}.")
    key = next((column for column in found if column.is_unique), None)
    if not key:
        index = f"CREATE UNIQUE INDEX CONCURRENTLY ON {table} ({found[0].sql_name});"
        raise ConsumerError(f"{table}.{found[0].sql_name} tells no rows apart: {index}")
    return key


def _known(known: KnownValue, column: Column) -> WrittenColumn:
    value, gone, doubt = known.value, known.gone, None
    may_lack = column.is_required and known is HOME
    if column.kind == "enum":
        value, doubt = _label(column, value)
    elif column.kind == "text":
        # An id may have to become text, and a name may be longer than there is room for.
        value = _cut(f"{value}::text" if value.endswith("_id") else value, column)
    if column.is_required and known.unknown:
        value = f"coalesce({value}, {known.unknown})"
    if column.is_required and gone == "NULL":
        gone = known.unknown and known.unknown.replace("p.user_id", "changed.user_id")
    if may_lack:
        doubt = "who has none is not written"
    return WrittenColumn(
        column, value, is_updated=True, theirs_if=known.theirs_if, gone=gone, may_lack=may_lack, doubt=doubt
    )


def _label(column: Column, value: str) -> tuple[str, str | None]:
    """Return the label that a role names in any case, else the column's default, else the humblest."""
    cases = " ".join(f"WHEN {_quoted(label.lower())} THEN {_quoted(label)}" for label in column.labels)
    other, doubt = column.default_value, None
    if other is None:
        humble = (label for word in HUMBLE for label in column.labels if label.lower() == word)
        label = next(humble, column.labels[-1])
        other = f"{_quoted(label)}::{column.type_name}"
        doubt = None if label.lower() in HUMBLE else f"a role that is no label becomes {label}"
    return f"CASE lower({value}) {cases} ELSE {other} END", doubt


def _filled(column: Column) -> WrittenColumn:
    filler, demand = FILLERS.get(column.kind, "NULL"), "must not be null"
    if column.kind == "enum":
        filler = f"{_quoted(column.labels[-1])}::{column.type_name}"
    elif column.kind == "array":
        filler = f"'{{}}'::{column.type_name}"
    elif column.kind == "text" and column.is_unique:
        # As a slug or a handle must be: the second empty one would be refused, and its users with it.
        filler = _cut("gen_random_uuid()::text", column)
    if column.is_unique:
        demand = f"{demand} and must be unique"
    return WrittenColumn(column, filler, is_updated=False, doubt=f"{demand}, and we know nothing of it: {filler}")


def _cut(value: str, column: Column) -> str:
    return f"left({value}, {column.characters_max})" if column.characters_max else value


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
