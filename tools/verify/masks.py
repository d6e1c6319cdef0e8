"""Replace what is personal or secret in answers; equal values get equal replacements, so the answers stay a story."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from consumer.events.registry import EVENT_TYPES
from tools.verify.schemas import known_fields

UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# The beginning of a key or an id tells its kind.
PREFIX = re.compile(r"(msg|ep|whsec|appsk)_")
ID_DIGITS = 27
CODE = re.compile(r"[A-Za-z_]{1,60}")
FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
# What a sentence of an error may quote.
QUOTED = re.compile(rf"{UUID.pattern}|\b(?:msg|ep|whsec|appsk)_[\w.=+/-]+")
RESTRICTIONS = ("anonymous", "email_not_verified", "restricted_by_administrator")
PERMISSIONS = ("team_admin", "team_member", "$update_team", "$delete_team", "$read_members", "$remove_members")
KEPT = frozenset({*EVENT_TYPES, "stack.test", *RESTRICTIONS, *PERMISSIONS, "$invite_members", "$manage_api_keys"})
# Of a query, with all numbers of up to four digits.
KEPT_IN_QUERIES = frozenset({"true", "false", "last_active_at"})
RESOURCES = ("users", "teams", "team-memberships", "team-member-profiles", "team-permissions", "project-permissions")
WEBHOOKS = ("webhooks", "svix-token", "internal", "send-test-webhook", "app", "endpoint", "msg", "secret")
SEGMENTS = frozenset({"api", "v1", *RESOURCES, *WEBHOOKS})
# Of a list in the record; the comparison sees all of it.
ITEMS_MAX = 20
# Anybody may write anything into these.
OPAQUE = ("metadata", "details", "endpointUrl")
# A larger number may be a time or a telephone's.
NUMBER_MAX = 1_000_000
MILLIS = 1_700_000_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
HEADERS = ("content-type", "cache-control", "retry-after", "x-stack-known-error", "x-hexclave-known-error")


class Masks:
    """The replacements of one run."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._fields = known_fields()

    def body(self, value: object, field: str = "") -> object:
        """Return a parsed body with its shape and types, and no value that tells of a person."""
        if field.endswith(OPAQUE):
            return _placeholder(value)
        match value:
            case dict():
                return {self._field(name): self._inner(inner, name) for name, inner in value.items()}
            case list():
                return [self.body(inner, field) for inner in value[:ITEMS_MAX]]
            case str():
                is_code = field == "code" and CODE.fullmatch(value)
                return value if value in KEPT or is_code else self.text(value)
            case bool() | None:
                return value
            case int() | float() if abs(value) >= NUMBER_MAX:
                return MILLIS + self._number(value)
        return value

    def text(self, value: str) -> str:
        """Return a replacement of the same kind."""
        number = self._number(value.lower())
        if UUID.fullmatch(value):
            masked = f"abcdef00-0000-4000-8000-{number:012d}"
            return masked.upper() if value == value.upper() else masked
        if prefix := PREFIX.match(value):
            return f"{prefix[0]}{number:0{ID_DIGITS}d}"
        if "@" in value:
            return f"person-{number}@example.com"
        if value.startswith(("http://", "https://")):
            return f"https://example.com/{number}"
        if _is_time(value):
            return (START + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
        return f"text-{number}" if value else ""

    def sentence(self, text: str) -> str:
        """Return a sentence of ours without the ids that it quotes."""
        return QUOTED.sub(lambda found: self.text(found[0]), text)

    def path(self, path: str) -> str:
        """Return a path without ids."""
        return "/".join(part if part in SEGMENTS else self.text(part) for part in path.split("/"))

    def query(self, query: Mapping[str, str]) -> dict[str, str]:
        """Return a query without ids and search texts."""

        def is_kept(value: str) -> bool:
            return value in KEPT_IN_QUERIES or (value.isdecimal() and len(value) <= 4)

        return {name: value if is_kept(value) else self.text(value) for name, value in query.items()}

    def _inner(self, value: object, field: str) -> object:
        return self.body(value, field) if field in self._fields else _placeholder(value)

    def _field(self, name: str) -> str:
        """Keep a field's name, which a new server may have added, unless it is no name of a field."""
        return name if name in self._fields or FIELD.fullmatch(name) else self.text(name)

    def _number(self, value: object) -> int:
        return self._numbers.setdefault(value, len(self._numbers) + 1)


def headers(found: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that the product reads."""
    return {name: found[name] for name in HEADERS if name in found}


def _placeholder(value: object) -> object:
    """Return a value of the same type that says nothing."""
    match value:
        case dict():
            return {"masked": True} if value else {}
        case list():
            return ["masked"] if value else []
        case str():
            return "masked" if value else ""
        case int() | float() if not isinstance(value, bool):
            return 0
    return value


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return "T" in text
