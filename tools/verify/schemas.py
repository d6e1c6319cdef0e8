"""What an answer must look like: the schemas that the fake of Stack fits too."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

DATA = Path(__file__).parents[2] / "tests" / "data"
ANSWERS, EVENTS = DATA / "rest" / "schemas", DATA / "schemas"
# By method and path. Errors have schemas of their own.
ROUTES = (
    ("GET", r"/api/v1/users", "list-users"),
    ("GET", r"/api/v1/users/[^/]+", "user"),
    ("POST", r"/api/v1/users", "user"),
    ("GET", r"/api/v1/teams", "list-teams"),
    ("GET", r"/api/v1/teams/[^/]+", "team"),
    ("POST", r"/api/v1/teams", "team"),
    ("GET", r"/api/v1/team-member-profiles", "list-team-member-profiles"),
    ("GET", r"/api/v1/team-permissions", "list-team-permissions"),
    ("GET", r"/api/v1/project-permissions", "list-project-permissions"),
    ("POST", r"/api/v1/webhooks/svix-token", "svix-token"),
    ("POST", r"/api/v1/internal/send-test-webhook", "send-test-webhook"),
    ("GET", r"/api/v1/app/[^/]+/endpoint", "svix/list-endpoints"),
    ("GET", r"/api/v1/app/[^/]+/endpoint/[^/]+/secret", "svix/endpoint-secret"),
    ("GET", r"/api/v1/app/[^/]+/msg", "svix/list-messages"),
)
# A list of a thousand users that all lack a field is one difference.
DIFFERENCES_MAX = 10


def answer_differences(method: str, path: str, status: int, body: object) -> list[str]:
    """Return how an answer's body differs from its schema, without a value of it; nothing for an unknown route."""
    if status >= 400:
        return _differences(ANSWERS / ("svix/error.json" if "/app/" in path else "known-error.json"), body)
    for of_method, pattern, name in ROUTES:
        if method == of_method and re.fullmatch(pattern, path):
            return _differences(ANSWERS / f"{name}.json", body)
    return []


def event_differences(event_type: str, body: object) -> list[str]:
    """Return how the body of a webhook differs from the schema of its type."""
    return _differences(EVENTS / f"{event_type}.json", body)


def known_fields() -> frozenset[str]:
    """Return the names of all fields that a schema has."""
    paths = [*ANSWERS.rglob("*.json"), *EVENTS.glob("*.json")]
    return frozenset(name for path in paths for name in _property_names(json.loads(path.read_bytes())))


def _property_names(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for inner in schema.values():
            yield from _property_names(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _property_names(inner)


def _differences(path: Path, body: object) -> list[str]:
    errors: Iterable[ValidationError] = Draft202012Validator(json.loads(path.read_bytes())).iter_errors(body)
    # The cause inside an `anyOf` says more than that none of its parts fits.
    texts = dict.fromkeys(_text(best_match([error]) or error) for error in errors)
    return list(texts)[:DIFFERENCES_MAX]


def _text(error: ValidationError) -> str:
    """Say what is wrong; the library's own message quotes the value, which may be personal."""
    place = "".join("[]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    found: Any = error.instance
    match error.validator:
        case "required":
            missing = [name for name in error.validator_value if name not in found]
            wrong = f"lacks {', '.join(missing)}"
        case "type":
            wrong = f"is {_kind(found)}, not {error.validator_value}"
        case "const" | "enum":
            wrong = f"is not {error.validator_value}"
        case validator:
            wrong = f"is {_kind(found)} that breaks its {validator}"
    return f"{place or 'the body'} {wrong}"


def _kind(value: object) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")
