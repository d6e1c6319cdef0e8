"""What is known at one moment, and the webhooks that led there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.support.fake_stack.versions import Record

Groups = Mapping[str, Mapping[tuple[str, ...], Record]]


@dataclass(frozen=True)
class Event:
    """A webhook that Stack hands to Svix."""

    message_id: str
    type: str
    data: Mapping[str, object]
    at: datetime

    @property
    def body(self) -> bytes:
        return json.dumps({"type": self.type, "data": self.data}, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class State:
    """What one replica knows. Members by (team, user), permissions by (team, user, id) and (user, id).

    *sorted* keeps lists in their order, as a database's index does, for as long as the state stays.
    """

    users: Mapping[str, Record]
    teams: Mapping[str, Record]
    members: Mapping[tuple[str, ...], Record]
    team_permissions: Mapping[tuple[str, ...], Record]
    project_permissions: Mapping[tuple[str, ...], Record]
    members_of: Groups
    team_permissions_of: Groups
    sorted: dict[str, Sequence[Record]] = field(default_factory=dict)
