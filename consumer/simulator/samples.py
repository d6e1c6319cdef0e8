"""Sample events: one realistic body for each type that Stack, or an application's own backend, sends."""

import random
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, Self
from uuid import UUID, uuid4

import orjson

Data = dict[str, Any]

FIRST_NAMES = ("Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Joan", "Ken", "Radia", "Tim")
LAST_NAMES = ("Allen", "Clarke", "Dijkstra", "Hopper", "Knuth", "Lamarr", "Liskov", "Lovelace", "Perlman", "Turing")
DEPARTMENTS = ("Design", "Engineering", "Finance", "Sales", "Support")
ROLES = ("admin", "member", "owner")
# Events that an application's own backend signs, because Stack has none of the kind.
APP_TYPES = frozenset({"user.signed_in", "user.signed_out", "profile.edited"})
# The sample in samples.json of each type.
SAMPLES: Mapping[str, str] = {
    **dict.fromkeys(("user.created", "user.updated"), "user"),
    "user.deleted": "deleted_user",
    "user.signed_in": "sign_in",
    "user.signed_out": "sign_out",
    "profile.edited": "edit",
    **dict.fromkeys(("team.created", "team.updated"), "team"),
    "team.deleted": "deleted_team",
    **dict.fromkeys(("team_membership.created", "team_membership.deleted"), "membership"),
    **dict.fromkeys(("team_permission.created", "team_permission.deleted"), "team_permission"),
    **dict.fromkeys(("project_permission.created", "project_permission.deleted"), "project_permission"),
    **dict.fromkeys((f"issue.{verb}" for verb in ("created", "regressed", "resolved", "ignored", "merged")), "issue"),
    "stack.test": "ping",
}


class SampleContext(NamedTuple):
    """The user and time of a sample, and the source of its made-up values."""

    user_id: UUID
    at_millis: int
    choices: random.Random

    @classmethod
    def now(cls, user_id: UUID | None = None) -> Self:
        """Return a context of this moment; one user has the same name in every sample."""
        user_id = user_id or uuid4()
        return cls(user_id, int(time.time() * 1000), random.Random(user_id.int))


def body(event_type: str, context: SampleContext) -> bytes:
    """Return the body of one sample event; KeyError for a type without one."""
    return orjson.dumps({"type": event_type, "data": data(event_type, context)})


def data(event_type: str, context: SampleContext) -> Data:
    """Return the `data` of one sample event; KeyError for a type without one."""
    choose = context.choices.choice

    @cache
    def name() -> tuple[str, str]:
        return choose(FIRST_NAMES), choose(LAST_NAMES)

    def email() -> str:
        return f"{'.'.join(name())}.{context.user_id.hex[:6]}@example.com".lower()

    made_up: Mapping[str, Callable[[], object]] = {
        "$user_id": lambda: str(context.user_id),
        "$now": lambda: context.at_millis,
        "$new_id": lambda: str(UUID(int=context.choices.getrandbits(128), version=4)),
        "$name": lambda: " ".join(name()),
        "$email": email,
        "$avatar": lambda: f"https://example.com/avatars/{context.user_id}.png",
        "$role": lambda: choose(ROLES),
        "$department": lambda: choose(DEPARTMENTS),
        "$team": lambda: f"{choose(LAST_NAMES)} Works",
    }

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        return made_up[value]() if isinstance(value, str) and value.startswith("$") else value

    return {key: filled(value) for key, value in _templates()[SAMPLES[event_type]].items()}


@cache
def _templates() -> Mapping[str, Data]:
    templates: Mapping[str, Data] = orjson.loads(files(__package__).joinpath("samples.json").read_bytes())
    return templates
