"""What the bodies of Svix's answers hold."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from consumer.stack_api.listing import Members, NotAnAnswer, elements, members, text, value


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


@dataclass(frozen=True, slots=True)
class SvixMessage:
    """A message as Stack gave it to Svix; *payload* is JSON that was parsed and written anew, not the signed bytes."""

    id: str
    at: datetime
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MessagesPage:
    """Some messages, newest first; *expired* counts those whose payload is kept no more. *iterator* goes on behind it.

    *oldest* is the time of the last one, expired or not.
    """

    messages: tuple[SvixMessage, ...]
    expired: int
    oldest: datetime | None
    iterator: str | None

    def since(self, time: datetime) -> Self:
        """Return the page without the messages before *time*."""
        return replace(self, messages=tuple(message for message in self.messages if message.at >= time))


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
    """Return a page of messages, without those that have no payload any more."""
    found = members(body)
    times: list[datetime] = []
    messages: list[SvixMessage] = []
    for element in elements(found, "data"):
        message = members(element)
        times.append(_time(message, "timestamp"))
        payload = message.get("payload", b"")
        if not _is_empty(members(payload)):
            messages.append(SvixMessage(text(message, "id"), times[-1], payload))
    return MessagesPage(tuple(messages), len(times) - len(messages), min(times, default=None), _iterator(found))


def _is_empty(payload: Members) -> bool:
    """Tell whether a payload is what Svix sends in place of one: `{}` or `{"expired": true}`."""
    return not payload or (payload.keys() == {"expired"} and value(payload, "expired") is True)


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
