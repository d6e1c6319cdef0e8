"""What `data` holds in each event from your own backend; events/registry.py lists the types."""

from msgspec import UNSET

from consumer.providers.payload import Id, Maybe, Millis, Reference, Text, refuse_blank
from consumer.providers.stack.payloads import Snapshot


class SignedIn(Snapshot):
    """A sign-in; a whole user object is told by its `primary_email`, else the id may stand alone."""

    signed_in_at_millis: Maybe[Millis] = UNSET


class SignedOut(Snapshot):
    """A sign-out, told like a sign-in."""

    signed_out_at_millis: Maybe[Millis] = UNSET


class Edit(Reference):
    """What an application sets on a profile; null withdraws."""

    role_type: Maybe[Text | None] = UNSET
    department: Maybe[Text | None] = UNSET
    company_id: Maybe[Id | None] = UNSET

    def __post_init__(self) -> None:
        refuse_blank("role_type", self.role_type)
        refuse_blank("department", self.department)
