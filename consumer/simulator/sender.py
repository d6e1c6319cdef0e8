"""Signs bodies and POSTs them as a webhook's sender does."""

import secrets
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit, urlunsplit

from consumer.errors import ConsumerError
from consumer.providers.stack.message_ids import RANDOM_BYTES, compose
from consumer.providers.standard_webhooks import sign

# As long as Svix waits for a receiver.
TIMEOUT_SECONDS = 15.0


class NotDelivered(ConsumerError):
    """The delivery could not be sent, or was not answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The receiver's answer to one delivery."""

    message_id: str
    status: int
    seconds: float
    text: str

    @property
    def is_accepted(self) -> bool:
        """A sender would not repeat the delivery."""
        return 200 <= self.status < 300


class Sender(AbstractContextManager["Sender"]):
    """One connection to a receiver, kept open between deliveries; use it as a context manager, in one thread."""

    def __init__(self, address: str, *, secret: str) -> None:
        parts = urlsplit(address)
        connection = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = connection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        self._path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self._secret = secret

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def post(self, body: bytes, message_id: str) -> Answer:
        """Sign and POST *body*; return the answer with any status, or raise NotDelivered without an answer."""
        headers = {"content-type": "application/json", **sign(self._secret, message_id, datetime.now(UTC), body)}
        began = time.perf_counter()
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            text = response.read().decode(errors="replace")
        # ValueError: a message id that no header can hold.
        except (OSError, HTTPException, ValueError) as error:
            self._connection.close()
            place = f"{self._connection.host}:{self._connection.port}"
            if isinstance(error, ConnectionRefusedError):
                cure = "start `consumer up`, or correct --url, HOST or PORT"
                raise NotDelivered(f"Nothing listens on {place} ({error.strerror}): {cure}.") from error
            raise NotDelivered(f"The receiver at {place} did not answer: {error}.") from error
        return Answer(message_id, response.status, time.perf_counter() - began, text)


def new_message_id(at: datetime) -> str:
    """Return a message id as Svix makes it at that time."""
    return compose(at, secrets.token_bytes(RANDOM_BYTES))
