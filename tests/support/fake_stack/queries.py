"""Which query keys servers of each age know: each other key is refused."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from tests.support.fake_stack.answers import Refused
from tests.support.fake_stack.shapes import Age

Parse = Callable[[str], object]
Query = Mapping[str, Any]


def boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text == "true"


def uuid(text: str) -> str:
    """Return a UUID in lower case, as the database has it."""
    if len(text) != len(str(UUID(int=0))):
        raise ValueError("must be a UUID")
    return str(UUID(text))


def limit(most: int | None) -> Parse:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= (most or int(text)):
            raise ValueError("must be a whole number in its limits")
        return int(text)

    return parse


def one_of(*values: str) -> Parse:
    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be one of {values}")
        return text

    return parse


def users(age: Age) -> Mapping[str, Parse]:
    known: dict[str, Parse] = {
        "team_id": uuid,
        "limit": limit(1000 if age == "new" else None),
        "cursor": uuid,
        "order_by": one_of("signed_up_at", "last_active_at") if age == "new" else one_of("signed_up_at"),
        "desc": boolean,
        "query": str,
    }
    if age != "oldest":
        known |= dict.fromkeys(("include_anonymous", "only_anonymous", "include_restricted"), boolean)
    return known | ({"excluded_email_domains": str} if age == "new" else {})


def teams(age: Age) -> Mapping[str, Parse]:
    paging: dict[str, Parse] = {
        "limit": limit(200),
        "cursor": uuid,
        "order_by": one_of("created_at"),
        "desc": boolean,
        "query": str,
    }
    return {"user_id": uuid, **(paging if age == "new" else {})}


def nothing(_age: Age) -> Mapping[str, Parse]:
    return {}


def member_profiles(_age: Age) -> Mapping[str, Parse]:
    return {"team_id": uuid, "user_id": uuid}


def project_permissions(_age: Age) -> Mapping[str, Parse]:
    return {"user_id": uuid, "permission_id": str, "recursive": boolean}


def team_permissions(age: Age) -> Mapping[str, Parse]:
    return {"team_id": uuid, **project_permissions(age)}


def parse(texts: Mapping[str, str], known: Mapping[str, Parse]) -> Query:
    """Return the parsed query; SCHEMA_ERROR for an unknown key or a value that does not fit."""
    if unknown := texts.keys() - known.keys():
        raise Refused("SCHEMA_ERROR", message=f"query contains unknown properties: {', '.join(sorted(unknown))}")
    return {name: parse_one(name, text, known[name]) for name, text in texts.items()}


def parse_one(name: str, text: str, parse: Parse) -> object:
    """Return one parsed value, of the query or of the path."""
    try:
        return parse(text)
    except ValueError as error:
        raise Refused("SCHEMA_ERROR", message=f"{name} {error}") from error
