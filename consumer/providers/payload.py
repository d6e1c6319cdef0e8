"""What every payload is made of: typed fields with their limits, as msgspec reads them."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeAlias, TypeVar

from msgspec import Meta, Struct, UnsetType

from consumer.errors import BadPayload

# The limit of Stack for an image, which may be a data: URL; taken for every text that Stack does not limit.
TEXT_MAX = 1_000_000
# 2000-01-01 and 2100-01-01: seconds sent as millis fall outside, and so does any year psycopg can't read back.
MILLIS_MIN = 946_684_800_000
MILLIS_MAX = 4_102_444_800_000

UUID_PATTERN = r"\A[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z"
# What a programmer writes as the name of a field.
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")

T = TypeVar("T")
Maybe: TypeAlias = T | UnsetType
Id: TypeAlias = Annotated[str, Meta(pattern=UUID_PATTERN)]
Text: TypeAlias = Annotated[str, Meta(max_length=TEXT_MAX)]
Millis: TypeAlias = Annotated[int, Meta(ge=MILLIS_MIN, le=MILLIS_MAX)]
# Anything but a text that is too long.
Limited: TypeAlias = Text | bool | int | float | list[object] | dict[str, object] | None
# Fields by name, each with the type it must have not to be left out; those of an object in an object of their own.
Loose: TypeAlias = Mapping[str, object]


# Neither of these two can hold itself, so the garbage collector need not track any.
class Unread(Struct, gc=False):
    """Fields of `data` of which no row is made, as the sender documents them."""


class Payload(Struct, gc=False):
    """The fields of `data` of which rows are made; all others stay in the stored body."""

    unread: ClassVar[type[Unread]] = Unread
    # Fields of which rows are made, and without which a row is still right.
    loose: ClassVar[Loose] = {}

    @classmethod
    def refuse_misnamed(cls, data: Mapping[str, object]) -> None:
        """Raise BadPayload for a field of your own backend's that must be a mistake; any name is fine by default."""

    def warnings(self) -> tuple[str, ...]:
        """Return codes of oddities to count in a payload that can be applied."""
        return ()


class Reference(Payload):
    """An object of which only the id is read."""

    id: Id


def field_path(name: str) -> str:
    """Return the path of a field; of its object if the name itself could be anything, even a person's address."""
    return f"$.data.{name}" if FIELD_NAME.fullmatch(name) else "$.data"


def refuse_blank(field: str, text: Maybe[str | None]) -> None:
    """Raise BadPayload for a text without a visible character; null and absent are fine."""
    if isinstance(text, str) and not text.strip():
        raise BadPayload("bad_shape", f"$.data.{field}", "Expected a `str` that is not blank")
