"""Choose the value of each column of an application's table: by its name, else a filler if it must not be null."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consumer.adopt.catalogue import Column, ColumnKind, InspectedTable
from consumer.errors import ConsumerError

# For an unknown column that must not be null. A type that is not listed gets NULL, and its owner has to decide.
FILLERS: Mapping[ColumnKind, str] = {
    "text": "''",
    "boolean": "FALSE",
    "time": "now()",
    "number": "0",
    "json": "'{}'::json",
    "jsonb": "'{}'::jsonb",
    "uuid": "gen_random_uuid()",
}
# Labels of roles that may do little: an enum without a default gets the first of these that it has.
HUMBLE = ("member", "user", "viewer", "guest", "reader", "employee", "staff")
# No mail is ever delivered to .invalid (RFC 2606), and the id makes the address unique.
NO_EMAIL = "p.user_id || '@no-email.invalid'"
NO_NAME = "p.user_id || ' (deleted user)'"
USER_KEYS = ("stack_user_id", "stack_id", "hexclave_user_id", "user_id", "id")
COMPANY_KEYS = ("id",)


@dataclass(frozen=True, slots=True)
class KnownValue:
    """A value of ours in SQL, with the names and the types of the columns for it.

    *unknown* replaces a missing value in a column that must not be null. *gone* replaces the value when the profile is
    removed; None keeps it. *given_up*, which no other row has, replaces the value of a deleted row where a unique index
    would keep it from the living. The application's own value stays while all conditions of *theirs_if* hold.
    """

    names: tuple[str, ...]
    kinds: tuple[ColumnKind, ...]
    value: str
    unknown: str | None = None
    gone: str | None = "NULL"
    given_up: str | None = None
    theirs_if: tuple[str, ...] = ()


# Neither Stack nor an edit has ever named one: the application's value may be the only one.
EDITED = "EXISTS (SELECT FROM consumer.edits AS e WHERE e.user_id = p.user_id AND e.field = '{}')"
NAMES_NO_ROLE = ("m.source_role IS NULL", f"NOT {EDITED.format('role_type')}")
NAMES_NO_DEPARTMENT = ("m.source_department IS NULL", f"NOT {EDITED.format('department')}")
NAMES_NO_COMPANY = (
    "m.source_company_id IS NULL",
    f"NOT {EDITED.format('company_id')}",
    "NOT EXISTS (SELECT FROM identity.company_members AS b WHERE b.user_id = p.user_id)",
)
# An application may have blocked a user that Stack still has.
LIVES = ("p.deleted_at IS NULL",)

# Stack lets two users have one address and two teams one name.
SECOND = (
    "is unique: when Stack has one value for two that live, the deliveries of the second wait (23505, `consumer dead "
    "list`), and are dead after MAX_ATTEMPTS unless one of the two changes; what is deleted gives its value up"
)
# A user without a company gets no row where the column must not be null.
HOME = KnownValue(("company_id", "organization_id"), ("uuid", "text"), "p.company_id", theirs_if=NAMES_NO_COMPANY)
USER = (
    KnownValue(
        ("full_name", "display_name", "name"), ("text",), "p.full_name", gone="'Deleted user'", given_up=NO_NAME
    ),
    KnownValue(("email",), ("text",), "p.email", unknown=NO_EMAIL, given_up=NO_EMAIL),
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
    KnownValue(("name", "display_name"), ("text",), "p.name", given_up="p.id || ' (deleted company)'"),
    KnownValue(("logo_url",), ("text",), "p.logo_url", "''"),
    # An application may have closed a company that Stack still has; *t* is its row.
    KnownValue(("is_active",), ("boolean",), "p.deleted_at IS NULL AND coalesce(t.{column}, TRUE)", theirs_if=LIVES),
    KnownValue(("deleted_at",), ("time",), "coalesce(p.deleted_at, t.{column})", theirs_if=LIVES),
)


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """A column and its value in SQL, written to new rows and, if *is_updated*, whenever our value changes.

    *theirs_if* and *gone*: as in KnownValue. A deleted row *gives_up* its value. A row that lacks the value is not
    written, where it *may_lack* it. *doubt*: a choice that the application's owner should check.
    """

    column: Column
    value: str
    is_updated: bool
    theirs_if: tuple[str, ...] = ()
    gone: str | None = None
    gives_up: bool = False
    may_lack: bool = False
    doubt: str | None = None

    @property
    def sql_name(self) -> str:
        """Return the column's SQL name."""
        return self.column.sql_name


@dataclass(frozen=True, slots=True)
class AdoptedTable:
    """A table, the column with Stack's ids, and the columns that are written beside it."""

    inspected: InspectedTable
    key: Column
    written: list[WrittenColumn]

    @property
    def names(self) -> list[str]:
        """Return the SQL names of the key and of all written columns."""
        return [self.key.sql_name, *(w.sql_name for w in self.written)]

    @property
    def updated(self) -> list[str]:
        """Return the SQL names of the columns that are kept in step with our values."""
        return [w.sql_name for w in self.written if w.is_updated]


def adopt(inspected: InspectedTable, keys: Sequence[str], known: Sequence[KnownValue]) -> AdoptedTable:
    """Choose the key and the written columns; an unknown column that may stay empty is left out.

    Raises ConsumerError when no unique column can hold Stack's ids.
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
    """Return a name in snake case: display_name for displayName."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _key(inspected: InspectedTable, names: Sequence[str]) -> Column:
    table = inspected.table.sql_name
    by_name = {snake(column.name): column for column in inspected.columns if column.kind in {"uuid", "text"}}
    found = [by_name[name] for name in names if name in by_name]
    if not found:
        wanted = ", ".join(names)
        raise ConsumerError(f"{table} has no column of type uuid or text for Stack's id; possible names: {wanted}.")
    key = next((column for column in found if column.is_unique), None)
    if not key:
        index = f"CREATE UNIQUE INDEX CONCURRENTLY ON {table} ({found[0].sql_name});"
        raise ConsumerError(f"{table}.{found[0].sql_name} is not unique: {index}")
    return key


def _known(known: KnownValue, column: Column) -> WrittenColumn:
    value, gone, doubt = known.value.format(column=column.sql_name), known.gone, None
    may_lack = column.is_required and known is HOME
    if column.kind == "enum":
        value, doubt = _label(column, value)
    elif column.kind == "text":
        # An id may have to become text, and a name may be longer than the column.
        value = _cut(f"{value}::text" if value.endswith("_id") else value, column)
        gone = gone if gone in {None, "NULL"} else _cut(gone, column)
    must_have = column.is_required or column.has_equal_nulls
    if must_have and known.unknown:
        value = f"coalesce({value}, {_cut(known.unknown, column)})"
    if must_have and gone == "NULL":
        gone = known.unknown and _of_changed(_cut(known.unknown, column))
    gives_up = column.is_exclusive and known.given_up is not None
    if known.given_up and gives_up:
        given_up = _cut(known.given_up, column) if must_have else "NULL"
        if gone is not None:
            gone = _of_changed(given_up)
        value = f"CASE WHEN p.deleted_at IS NULL THEN {value} ELSE {given_up} END"
        doubt = SECOND
    if may_lack:
        doubt = "a user without one gets no row"
    return WrittenColumn(
        column,
        value,
        is_updated=True,
        theirs_if=known.theirs_if,
        gone=gone,
        gives_up=gives_up,
        may_lack=may_lack,
        doubt=doubt,
    )


def _of_changed(value: str) -> str:
    """Return the value for a user whose profile was removed."""
    return value.replace("p.user_id", "changed.user_id")


def _label(column: Column, value: str) -> tuple[str, str | None]:
    """Return the label that the role names in any case, else the column's default, else the one that may do least."""
    cases = " ".join(f"WHEN {quoted(lowered(label))} THEN {quoted(label)}" for label in column.labels)
    other, doubt = column.default_value, None
    if other is None:
        humble = (label for word in HUMBLE for label in column.labels if label.lower() == word)
        label = next(humble, column.labels[-1])
        other = f"{quoted(label)}::{column.type_name}"
        doubt = None if label.lower() in HUMBLE else f"a role without a label becomes {label}"
    return f'CASE lower({value} COLLATE "C") {cases} ELSE {other} END', doubt


def _filled(column: Column) -> WrittenColumn:
    filler, demand = FILLERS.get(column.kind, "NULL"), "must not be null"
    if column.kind == "enum":
        filler = f"{quoted(column.labels[-1])}::{column.type_name}"
    elif column.kind == "array":
        filler = f"'{{}}'::{column.type_name}"
    elif column.kind == "text" and column.is_unique:
        # A slug or a handle, for example: a second empty one would be refused, together with its user.
        filler = _cut("gen_random_uuid()::text", column)
    if column.is_unique:
        demand = f"{demand} and must be unique"
    return WrittenColumn(column, filler, is_updated=False, doubt=f"{demand}, and we know nothing of it: {filler}")


def _cut(value: str, column: Column) -> str:
    return f"left({value}, {column.characters_max})" if column.characters_max else value


def lowered(text: str) -> str:
    """Return a text as lower() of the collation "C" makes it, because a Turkish database has a lower I of its own."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
