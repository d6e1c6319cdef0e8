"""What is written to each column of an application's table: ours where the name tells which, else what it demands."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from consumer.adopt.catalogue import Column, ColumnKind
from consumer.errors import ConsumerError

# What a column that must not be null gets where we know nothing; an enum and what is not listed are decided by people.
FILLERS: Mapping[ColumnKind, str] = {
    "text": "''",
    "boolean": "FALSE",
    "time": "now()",
    "number": "0",
    "json": "'{}'::json",
    "jsonb": "'{}'::jsonb",
    "array": "'{}'",
    "uuid": "gen_random_uuid()",
}
# Of an enum's labels, who may least; the first of these that there is.
HUMBLE = ("member", "user", "viewer", "guest", "reader", "employee", "staff")
UNIQUE_TEXT = "gen_random_uuid()::text"
# Never delivered to (RFC 2606), and unique as an index on addresses may ask.
NO_EMAIL = "p.user_id || '@no-email.invalid'"
USER_KEYS = ("stack_user_id", "stack_id", "auth_user_id", "auth_id", "external_id", "user_id", "id")
ACTIVE = ("is_active", "active", "is_enabled", "enabled")
COMPANY_KEYS = ("id", "company_id", "team_id", "organization_id", "org_id")


When = Literal["always", "new"]


@dataclass(frozen=True, slots=True)
class KnownValue:
    """Something that we know, the names under which applications keep it, and what a column for it can hold.

    *gone* is what is left of it when the profile is removed; None: whatever it was. The application's own value stands
    where all of *theirs_if* hold, in SQL. What *may_lack* keeps its user out of a table where it must not be null.
    """

    names: tuple[str, ...]
    kinds: tuple[ColumnKind, ...]
    value: str
    unknown: str | None = None
    gone: str | None = "NULL"
    theirs_if: tuple[str, ...] = ()
    may_lack: bool = False
    when: When = "always"


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

USER = (
    KnownValue(("full_name", "display_name", "name"), ("text",), "p.full_name", gone="'Deleted user'"),
    KnownValue(("email", "email_address", "primary_email"), ("text",), "p.email", unknown=NO_EMAIL),
    KnownValue(("email_verified", "is_email_verified"), ("boolean",), "p.email_verified", "FALSE", gone="FALSE"),
    KnownValue(("avatar_url", "avatar", "image_url", "image", "picture", "photo_url"), ("text",), "p.avatar_url", "''"),
    KnownValue(("role_type", "role", "user_role"), ("text", "enum"), "p.role_type", gone=None, theirs_if=NAMES_NO_ROLE),
    KnownValue(("department", "dept"), ("text",), "p.department", gone=None, theirs_if=NAMES_NO_DEPARTMENT),
    KnownValue(
        ("company_id", "organization_id", "organisation_id", "org_id", "team_id", "tenant_id", "workspace_id"),
        ("uuid", "text"),
        "p.company_id",
        theirs_if=NAMES_NO_COMPANY,
        may_lack=True,
    ),
    KnownValue(ACTIVE, ("boolean",), "p.deleted_at IS NULL", gone="FALSE", theirs_if=LIVES),
    KnownValue(("is_deleted", "deleted"), ("boolean",), "p.deleted_at IS NOT NULL", gone="TRUE", theirs_if=LIVES),
    KnownValue(("deleted_at",), ("time",), "p.deleted_at", gone="m.deleted_at", theirs_if=LIVES),
    KnownValue(
        ("last_sign_in_at", "last_login_at", "last_login"), ("time",), "p.last_sign_in_at", "p.created_at", None
    ),
    KnownValue(("last_active_at", "last_seen_at"), ("time",), "p.last_active_at", "p.created_at", None),
)
COMPANY = (
    KnownValue(("name", "display_name", "company_name", "title"), ("text",), "p.name"),
    KnownValue(("logo_url", "logo", "avatar_url", "image_url"), ("text",), "p.logo_url", "''"),
    KnownValue(ACTIVE, ("boolean",), "p.deleted_at IS NULL", when="new"),
)


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """A column that is written, with the SQL of its value: `new` rows only, or whenever ours changes.

    The application's own stands where *theirs_if* holds. *gone* is left when the profile is removed. A row that
    *may_lack* its value is not written. *doubt* is what its owner should decide.
    """

    column: Column
    value: str
    when: When
    theirs_if: tuple[str, ...] = ()
    gone: str | None = None
    may_lack: bool = False
    doubt: str | None = None


def key(columns: Sequence[Column], names: Sequence[str], table: str) -> Column:
    """Return the column that holds Stack's ids; ConsumerError when there is none that tells rows apart by them."""
    by_name = {snake(column.name): column for column in columns}
    found = [by_name[name] for name in names if name in by_name and by_name[name].kind in {"uuid", "text"}]
    unique = [column for column in found if column.is_unique]
    if unique:
        return unique[0]
    if found:
        index = f"CREATE UNIQUE INDEX CONCURRENTLY ON {table} ({found[0].sql_name});"
        raise ConsumerError(f"{table}.{found[0].sql_name} tells no rows apart: {index}")
    wanted = ", ".join(names)
    raise ConsumerError(f"{table} has no column for Stack's id, of type uuid or text; such would be: {wanted}.")


def map_columns(columns: Sequence[Column], sources: Sequence[KnownValue], own_key: Column) -> list[WrittenColumn]:
    """Return what is written beside the key; what may stay empty and is none of ours is left out."""
    written: list[WrittenColumn] = []
    taken: set[KnownValue] = set()
    for column in columns:
        if column == own_key or column.is_generated:
            continue
        source = next((s for s in sources if snake(column.name) in s.names and column.kind in s.kinds), None)
        if source and source not in taken:
            taken.add(source)
            written.append(_from(source, column))
        elif column.is_required and column.default_value is None:
            written.append(_filled(column))
    return written


def snake(name: str) -> str:
    """Return a name as SQL writes it: displayName is display_name."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _from(source: KnownValue, column: Column) -> WrittenColumn:
    value, doubt = source.value, None
    if column.kind == "enum":
        value, doubt = _label(column, value)
    elif column.kind == "text":
        # An id may have to become text, and a name may be longer than there is room for.
        value = f"{value}::text" if source.value.endswith("_id") else value
        value = f"left({value}, {column.characters_max})" if column.characters_max else value
    gone = source.gone
    if column.is_required and source.unknown:
        value = f"coalesce({value}, {source.unknown})"
        gone = _gone(source)
    elif column.is_required and gone == "NULL":
        gone = None
    may_lack = column.is_required and source.may_lack
    if may_lack:
        doubt = "who has none is not written"
    return WrittenColumn(column, value, source.when, source.theirs_if, gone, may_lack, doubt)


def _gone(source: KnownValue) -> str | None:
    """Return what stands for nothing where nothing may not stand."""
    if source.gone != "NULL":
        return source.gone
    return "changed.user_id || '@no-email.invalid'" if source.unknown == NO_EMAIL else source.unknown


def _label(column: Column, value: str) -> tuple[str, str | None]:
    """Return the label that a role names in any case, else the column's default, else the humblest."""
    cases = " ".join(f"WHEN {_quoted(label.lower())} THEN {_quoted(label)}" for label in column.labels)
    doubt = None
    other = column.default_value
    if other is None:
        humble = {label.lower(): label for label in column.labels}
        label = next((humble[word] for word in HUMBLE if word in humble), column.labels[-1])
        other = f"{_quoted(label)}::{column.type_name}"
        if label.lower() not in HUMBLE:
            doubt = f"a role that is no label becomes {label}"
    return f"CASE lower({value}) {cases} ELSE {other} END", doubt


def _filled(column: Column) -> WrittenColumn:
    filler, demand = _filler(column), "must not be null"
    if column.is_unique:
        demand = f"{demand} and must be unique"
    return WrittenColumn(column, filler, "new", doubt=f"{demand}, and we know nothing of it: {filler}")


def _filler(column: Column) -> str:
    if column.kind == "enum":
        return f"{_quoted(column.labels[-1])}::{column.type_name}"
    if column.kind == "array":
        return f"{FILLERS['array']}::{column.type_name}"
    if column.kind == "text" and column.is_unique:
        # As a slug or a handle must be: the second empty one would be refused, and its users with it.
        return f"left({UNIQUE_TEXT}, {column.characters_max})" if column.characters_max else UNIQUE_TEXT
    return FILLERS.get(column.kind, "NULL")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
