"""What the bodies of Svix's answers hold."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self

from consumer.providers.standard_webhooks import MESSAGE_ID_CHARACTERS_MAX
from consumer.stack_api.calls import is_header_value
from consumer.stack_api.listing import Members, NotAnAnswer, elements, members, text, value

# Svix's number for a message whose last attempt failed; 0: delivered, 1: it waits for its attempt, 3: sending.
FAILED = 2


@dataclass(frozen=True, slots=True)
class SvixEndpoint:
    """An address that Svix sends messages to; *event_types* and *channels* are None where it gets all."""

    id: str
    url: str
    is_disabled: bool
    event_types: tuple[str, ...] | None
    channels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class EndpointsPage:
    """Some endpoints; *iterator* is None behind the last."""

    endpoints: tuple[SvixEndpoint, ...]
    iterator: str | None

    @property
    def is_empty(self) -> bool:
        """It has no endpoint."""
        return not self.endpoints


@dataclass(frozen=True, slots=True)
class SvixMessage:
    """A message as Stack gave it to Svix; *payload* is JSON that was parsed and written anew, not the signed bytes."""

    id: str
    at: datetime
    payload: bytes = field(repr=False)


class ExpiredMessage(NamedTuple):
    """A message whose payload Svix keeps no more."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class MessagesPage:
    """Some messages, newest first, with and without their payload; *iterator* goes on behind them, None at the end.

    *newest* and *oldest* are the times of the first and the last one.
    """

    messages: tuple[SvixMessage, ...]
    expired: tuple[ExpiredMessage, ...]
    newest: datetime | None
    oldest: datetime | None
    iterator: str | None

    @property
    def is_empty(self) -> bool:
        """It has no message."""
        return self.oldest is None

    def since(self, time: datetime) -> Self:
        """Return the page without the messages before *time*."""
        messages = tuple(message for message in self.messages if message.at >= time)
        expired = tuple(message for message in self.expired if message.at >= time)
        return type(self)(messages, expired, self.newest, self.oldest, self.iterator)


def endpoint(body: bytes) -> SvixEndpoint:
    """Return an endpoint, with the names of Svix's servers of any age."""
    found = members(body)
    disabled = value(found, "disabled")
    # Absent means enabled; anything odd is not taken for either.
    if disabled is not None and not isinstance(disabled, bool):
        raise NotAnAnswer("disabled is no boolean")
    types = _texts(found, "eventTypes") or _texts(found, "filterTypes")
    return SvixEndpoint(text(found, "id"), text(found, "url"), bool(disabled), types, _texts(found, "channels"))


def endpoints_page(body: bytes) -> EndpointsPage:
    """Return a page of endpoints."""
    found = members(body)
    return EndpointsPage(tuple(endpoint(element) for element in elements(found, "data")), _iterator(found))


def secret(body: bytes) -> str:
    """Return an endpoint's secret."""
    return text(members(body), "key")


def messages_page(body: bytes) -> MessagesPage:
    """Return a page of messages."""
    found = members(body)
    messages: list[SvixMessage] = []
    expired: list[ExpiredMessage] = []
    for element in elements(found, "data"):
        message = members(element)
        message_id, at, payload = _message_id(message), _time(message, "timestamp"), message.get("payload", b"")
        if _is_empty(members(payload)):
            expired.append(ExpiredMessage(message_id, at))
        else:
            messages.append(SvixMessage(message_id, at, payload))
    times = [message.at for message in messages] + [message.at for message in expired]
    newest, oldest = max(times, default=None), min(times, default=None)
    return MessagesPage(tuple(messages), tuple(expired), newest, oldest, _iterator(found))


def attempted_page(body: bytes) -> tuple[bool, ...]:
    """Return of each message that was tried, newest first, whether its last attempt has failed."""
    statuses = [value(members(element), "status") for element in elements(members(body), "data")]
    if not all(isinstance(status, int) for status in statuses):
        raise NotAnAnswer("status is no number")
    return tuple(status == FAILED for status in statuses)


def _is_empty(payload: Members) -> bool:
    """Tell whether a payload is what Svix sends in place of one: `{}` or `{"expired": true}`."""
    return not payload or (payload.keys() == {"expired"} and value(payload, "expired") is True)


def _message_id(message: Members) -> str:
    message_id = text(message, "id")
    # As the receiver takes it in a header.
    if not is_header_value(message_id) or len(message_id) > MESSAGE_ID_CHARACTERS_MAX:
        raise NotAnAnswer("id is no message id")
    return message_id


def _iterator(page: Members) -> str | None:
    done = value(page, "done")
    if not isinstance(done, bool):
        raise NotAnAnswer("done is no boolean")
    return None if done else text(page, "iterator")


def _texts(found: Members, name: str) -> tuple[str, ...] | None:
    texts = value(found, name)
    if texts is None:
        return None
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise NotAnAnswer(f"{name} is no list of texts")
    return tuple(texts)


def _time(found: Members, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(text(found, name))
    except ValueError:
        raise NotAnAnswer(f"{name} is no time") from None
    if at.tzinfo is None:
        raise NotAnAnswer(f"{name} has no zone")
    return at
