"""Sample events: one realistic body for each type that Stack, or an application's own backend, sends."""

import random
import time
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple, Self
from uuid import UUID, uuid4

import orjson

Data = dict[str, Any]

FIRST_NAMES = ("Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Joan", "Ken", "Radia", "Tim")
LAST_NAMES = ("Allen", "Clarke", "Dijkstra", "Hopper", "Knuth", "Lamarr", "Liskov", "Lovelace", "Perlman", "Turing")
DEPARTMENTS = ("Design", "Engineering", "Finance", "Sales", "Support")
ROLES = ("admin", "member", "owner")
# The `data` of each type: samples.json holds one for the types that its key lists.
SAMPLES: Mapping[str, Data] = {
    event_type: sample
    for types, sample in orjson.loads(files(__package__).joinpath("samples.json").read_bytes()).items()
    for event_type in types.split()
}


class SampleContext(NamedTuple):
    """The user and time of a sample, and the source of its made-up values but the name, which follows the user.

    Without *team_id* the team is a new one.
    """

    user_id: UUID
    at_millis: int
    choices: random.Random
    team_id: UUID | None = None

    @classmethod
    def now(cls, user_id: UUID | None = None, team_id: UUID | None = None) -> Self:
        """Return a context of this moment."""
        user_id = user_id or uuid4()
        return cls(user_id, int(time.time() * 1000), random.Random(user_id.int), team_id)


def body(event_type: str, context: SampleContext) -> bytes:
    """Return the body of one sample event; KeyError for a type without one."""
    return orjson.dumps({"type": event_type, "data": data(event_type, context)})


def data(event_type: str, context: SampleContext) -> Data:
    """Return the `data` of one sample event; KeyError for a type without one."""
    user_id, choose = context.user_id, context.choices.choice
    first, last = map(random.Random(user_id.int).choice, (FIRST_NAMES, LAST_NAMES))
    made_up = {
        "$user_id": str(user_id),
        "$now": context.at_millis,
        "$new_id": str(context.team_id or UUID(int=context.choices.getrandbits(128), version=4)),
        "$name": f"{first} {last}",
        "$email": f"{first}.{last}.{user_id.hex[:6]}@example.com".lower(),
        "$avatar": f"https://example.com/avatars/{user_id}.png",
        "$role": choose(ROLES),
        "$department": choose(DEPARTMENTS),
        "$team": f"{choose(LAST_NAMES)} Works",
    }

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        return made_up[value] if isinstance(value, str) and value.startswith("$") else value

    filled_in: Data = filled(SAMPLES[event_type])
    return filled_in
