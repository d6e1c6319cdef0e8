"""What `data` holds in each event from your own backend; events/registry.py lists the types."""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta

from consumer.errors import BadPayload
from consumer.providers.payload import Id, Maybe, Millis, Reference, Text, field_path, refuse_blank
from consumer.providers.stack.payloads import Snapshot

# The events that your backend signs because Stack has none of the kind; types of your own come on top.
APP_TYPES = frozenset({"user.signed_in", "user.signed_out", "profile.edited"})
# The fields of your backend's user object that shape a row.
READ = ("display_name", "primary_email", "profile_image_url", "last_active_at_millis", "is_anonymous")

# A name or a sentence of an operator's, kept in each audit row that it explains.
REMARK_MAX = 1_000

Remark: TypeAlias = Annotated[str, Meta(max_length=REMARK_MAX)]


class SignedIn(Snapshot):
    """A sign-in; a whole user object is told by its `primary_email`, else the id may stand alone."""

    signed_in_at_millis: Maybe[Millis] = UNSET

    @classmethod
    def refuse_misnamed(cls, data: Mapping[str, object]) -> None:
        """Refuse a user object in another notation, such as camelCase: only its sign-in would count."""
        _refuse_other_notation(data, (*READ, "signed_in_at_millis"))


class SignedOut(Snapshot):
    """A sign-out, told like a sign-in."""

    signed_out_at_millis: Maybe[Millis] = UNSET

    @classmethod
    def refuse_misnamed(cls, data: Mapping[str, object]) -> None:
        """Refuse what a sign-in refuses."""
        _refuse_other_notation(data, (*READ, "signed_out_at_millis"))


class Edit(Reference):
    """What an application sets on a profile, null withdraws; and for the audit, who set it and why."""

    role_type: Maybe[Text | None] = UNSET
    department: Maybe[Text | None] = UNSET
    company_id: Maybe[Id | None] = UNSET
    edited_by: Maybe[Remark | None] = UNSET
    reason: Maybe[Remark | None] = UNSET

    def __post_init__(self) -> None:
        for field in ("role_type", "department", "edited_by", "reason"):
            refuse_blank(field, getattr(self, field))

    @classmethod
    def refuse_misnamed(cls, data: Mapping[str, object]) -> None:
        """Refuse any other field: an edit with a typing error in it would change nothing."""
        fields = cls.__struct_fields__
        for name in data:
            if name not in fields:
                raise BadPayload("unknown_field", field_path(name), f"Expected only {', '.join(fields)}")


def _refuse_other_notation(data: Mapping[str, object], fields: Sequence[str]) -> None:
    """Refuse a name that differs from an absent field's only in notation: `displayName`, `Display-Name`."""
    absent = {_letters(field): field for field in fields if field not in data}
    for name in data:
        if field := absent.get(_letters(name)):
            raise BadPayload("unknown_field", field_path(name), f"Expected {field}")


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
