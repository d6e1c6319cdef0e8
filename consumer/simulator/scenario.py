"""The requests of `demo`, and the profiles that they must result in."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

import orjson

from consumer.providers.app.payloads import APP_TYPES
from consumer.providers.stack.message_ids import RANDOM_BYTES, compose
from consumer.simulator.samples import Data, SampleContext, data

RequestSource = Literal["stack", "app"]
RequestKind = Literal[
    "created", "updated", "signed in", "deleted", "repeated", "unreadable", "of an unknown type", "forged"
]
REQUEST_KINDS: tuple[RequestKind, ...] = get_args(RequestKind)

USERS = 320
UPDATES_A_USER_MAX = 3
# One user of DELETED_IN is deleted, one delivery of REPEATED_IN is sent twice.
DELETED_IN = 8
REPEATED_IN = 6
# The events are spread over this time, which has just ended.
STORY = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One POST of a delivery: a repeat shares the message id, a forged one is signed with another secret."""

    source: RequestSource
    kind: RequestKind
    message_id: str
    body: bytes

    @property
    def status(self) -> int:
        """Return what the receiver must answer."""
        return 401 if self.kind == "forged" else 204


@dataclass(frozen=True, slots=True)
class ExpectedProfile:
    """A user's profile after all requests; the operator can read deleted profiles too."""

    full_name: str
    email: str
    role_type: str
    department: str
    is_deleted: bool
    last_sign_in_at: datetime | None


@dataclass(slots=True)
class Scenario:
    """All requests in the order they are sent, and the profiles that they must result in, in any order."""

    requests: list[SampleRequest] = field(default_factory=list)
    profiles: dict[UUID, ExpectedProfile] = field(default_factory=dict)

    @property
    def kinds(self) -> Counter[RequestKind]:
        """The number of requests of each kind."""
        return Counter(request.kind for request in self.requests)


def write(choices: random.Random, now: datetime) -> Scenario:
    """Return a scenario that ended at *now*; the same choices return the same one."""
    builder = _Builder(choices, now)
    for _ in range(USERS):
        builder.add_user()
    builder.add_unusable()
    scenario = builder.scenario
    genuine = [request for request in scenario.requests if request.kind != "forged"]
    repeats = choices.sample(genuine, len(genuine) // REPEATED_IN)
    scenario.requests += [replace(first, kind="repeated") for first in repeats]
    choices.shuffle(scenario.requests)
    return scenario


class _Builder:
    """Builds one scenario."""

    def __init__(self, choices: random.Random, now: datetime) -> None:
        self.scenario = Scenario()
        self._choices = choices
        self._start = datetime.fromtimestamp(int((now - STORY).timestamp()), UTC)

    def add_user(self) -> None:
        """Add one user's events: created, updated, signed in, perhaps deleted."""
        user_id = self._user_id()
        times = self._times(3 + UPDATES_A_USER_MAX)
        updates = self._choices.randint(0, UPDATES_A_USER_MAX)
        snapshot = self._put_sample("created", "user.created", user_id, times[0])
        for at in times[1 : 1 + updates]:
            snapshot = self._put_sample("updated", "user.updated", user_id, at)
        signed_in_at = times[-2] if self._choices.random() < 0.75 else None
        if signed_in_at:
            self._put_sample("signed in", "user.signed_in", user_id, signed_in_at)
        is_deleted = self._choices.randrange(DELETED_IN) == 0
        if is_deleted:
            self._put_sample("deleted", "user.deleted", user_id, times[-1])
        self.scenario.profiles[user_id] = ExpectedProfile(
            full_name=snapshot["display_name"],
            email=snapshot["primary_email"],
            role_type=snapshot["server_metadata"]["role"],
            department=snapshot["server_metadata"]["department"],
            is_deleted=is_deleted,
            last_sign_in_at=signed_in_at,
        )

    def add_unusable(self) -> None:
        """Add a body that is no JSON, an unknown type, and a wrong signature."""
        [at] = self._times(1)
        self._put("stack", "unreadable", at, b'{"type": "user.updated", "data": {')
        self._put("stack", "of an unknown type", at, orjson.dumps({"type": "user.sneezed", "data": {"times": 3}}))
        self._put_sample("forged", "user.created", self._user_id(), at)

    def _put_sample(self, kind: RequestKind, event_type: str, user_id: UUID, at: datetime) -> Data:
        """Add a request with a sample event, and return the event's data."""
        made = data(event_type, SampleContext(user_id, round(at.timestamp() * 1000), self._choices))
        source: RequestSource = "app" if event_type in APP_TYPES else "stack"
        self._put(source, kind, at, orjson.dumps({"type": event_type, "data": made}))
        return made

    def _put(self, source: RequestSource, kind: RequestKind, at: datetime, text: bytes) -> None:
        message_id = compose(at, self._choices.randbytes(RANDOM_BYTES))
        self.scenario.requests.append(SampleRequest(source, kind, message_id, text))

    def _times(self, count: int) -> list[datetime]:
        """Return different times in order, in whole milliseconds, as bodies hold them."""
        millis = sorted(self._choices.sample(range(0, STORY // timedelta(milliseconds=1), 4), count))
        return [self._start + timedelta(milliseconds=n) for n in millis]

    def _user_id(self) -> UUID:
        return UUID(int=self._choices.getrandbits(128), version=4)
