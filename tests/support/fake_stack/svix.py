"""What Svix keeps for the project: endpoints, and a message for each event until its payload expires."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from consumer.providers.stack.message_ids import RANDOM_BYTES, compose
from consumer.simulator.sender import NotDelivered, Sender
from tests.support.fake_stack.project import Project
from tests.support.fake_stack.state import Event

# By default a list reaches so far back, from now or from its iterator.
WINDOW = timedelta(days=90)
SECRET_BYTES = 24

Json = dict[str, Any]


@dataclass
class Endpoint:
    """An address that gets messages; *takes* tells whether it answers 2xx."""

    id: str
    url: str
    description: str
    secret: str
    at: datetime
    disabled: bool = False
    event_types: Sequence[str] | None = None
    takes: bool = True


@dataclass
class Svix:
    """A hosted Svix, or one of Stack's own with other names of fields and a token without an address."""

    is_self_hosted: bool = False
    region: str | None = None
    # 30 days on the free plan.
    retention: timedelta = WINDOW
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    # Post the test event to the addresses for real, and learn from the answers which endpoints take messages.
    delivers: bool = False
    random: Random = field(default_factory=lambda: Random(1))

    def new_token(self) -> Json:
        number = len(self.tokens) + 1
        if self.is_self_hosted:
            # A JWT, whose last part may even look like a region.
            self.tokens.append(f"eyJ.made.up{number}")
            return {"token": self.tokens[-1]}
        region = f".{self.region}" if self.region else ""
        self.tokens.append(f"appsk_made_up{number}{region}")
        return {"token": self.tokens[-1], "url": "https://app.svix.com/login#key=made-up"}

    def expire_tokens(self) -> None:
        self.tokens = ["expired"] * len(self.tokens)

    def add_endpoint(self, url: str, at: datetime, description: str = "", **changes: Any) -> Endpoint:
        """Make an endpoint with a secret of its own."""
        number = compose(at, self.random.randbytes(RANDOM_BYTES)).removeprefix("msg_")
        secret = "whsec_" + base64.b64encode(self.random.randbytes(SECRET_BYTES)).decode()
        endpoint = Endpoint(f"ep_{number}", url, description, secret, at, **changes)
        self.endpoints[endpoint.id] = endpoint
        return endpoint

    def rotate(self, endpoint: Endpoint) -> None:
        endpoint.secret = "whsec_" + base64.b64encode(self.random.randbytes(SECRET_BYTES)).decode()

    def send_test(self, project: Project, endpoint_id: str) -> bool:
        """Send `stack.test`, which goes to every endpoint; tell whether one of them took it."""
        endpoint = self.endpoints.get(endpoint_id)
        if endpoint is None:
            return False
        message = "Stack webhook test event triggered from the Stack dashboard."
        event = project.send("stack.test", {"message": message, "endpointUrl": endpoint.url})
        for each in self.endpoints.values() if self.delivers else ():
            if self.attempted(each, [event]):
                each.takes = delivered(each, event)
        return endpoint.takes and not endpoint.disabled

    def endpoint(self, endpoint: Endpoint) -> Json:
        """Show an endpoint: older servers have other names, and leave out what is not set."""
        types = list(endpoint.event_types) if endpoint.event_types else None
        at = timestamp(endpoint.at)
        shown: Json = {
            "id": endpoint.id,
            "metadata": {},
            "url": endpoint.url,
            "description": endpoint.description,
            "uid": None,
            "disabled": endpoint.disabled,
            "channels": None,
            "createdAt": at,
            "updatedAt": at,
        }
        if self.is_self_hosted:
            return shown | {"rateLimit": None, "filterTypes": types, "version": 1}
        return shown | {"eventTypes": types, "throttleRate": None}

    def message(self, event: Event, now: datetime, *, with_content: bool) -> Json:
        """Show a message; without content it has no payload, and after the retention one that says so."""
        payload: Mapping[str, object] = {"type": event.type, "data": event.data}
        if now - event.at > self.retention:
            payload = {"expired": True}
        return {
            "eventId": None,
            "eventType": event.type,
            "payload": payload if with_content else {},
            "channels": None,
            "id": event.message_id,
            "timestamp": timestamp(event.at),
        }

    def attempted(self, endpoint: Endpoint, events: Sequence[Event]) -> list[Event]:
        """Return the messages that an endpoint was tried with: not those from before it, filtered or disabled."""
        if endpoint.disabled:
            return []
        return [
            event
            for event in events
            if event.at >= endpoint.at and (not endpoint.event_types or event.type in endpoint.event_types)
        ]


def delivered(endpoint: Endpoint, event: Event) -> bool:
    """Post an event as Svix does, signed; tell whether it was answered with 2xx."""
    try:
        with Sender(endpoint.url, secret=endpoint.secret) as sender:
            return sender.post(event.body, event.message_id).is_accepted
    except NotDelivered:
        return False


def timestamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
