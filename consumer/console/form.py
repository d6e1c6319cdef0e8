"""The fields of a form or of an address, read with limits."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

from consumer.errors import ConsumerError

# A filter, a page of selected deliveries and what was seen of them; more is no form of ours.
FIELDS_MAX = 128
BODY_BYTES_MAX = 16 * 1024
FORM_TYPE = "application/x-www-form-urlencoded"


class BadForm(ConsumerError):
    """The address or the form holds something that no page of the console has."""


@dataclass(frozen=True, slots=True)
class Form:
    """Fields by name, in the order in which they came; blank ones are left out."""

    fields: tuple[tuple[str, str], ...] = ()

    def text(self, name: str, default: str = "") -> str:
        """Return the first value of a field."""
        return next(self.texts(name), default)

    def texts(self, name: str) -> Iterator[str]:
        """Yield all values of a field."""
        return (value for key, value in self.fields if key == name)


def parse(text: bytes) -> Form:
    """Return the fields of a text in the form of an address's query; raise BadForm if it is none or too long."""
    try:
        pairs = parse_qsl(text.decode("ascii"), errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise BadForm from error
    if any("\0" in part for pair in pairs for part in pair):
        raise BadForm
    return Form(tuple((name, value.strip()) for name, value in pairs if value.strip()))
