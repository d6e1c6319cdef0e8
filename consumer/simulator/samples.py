"""Sample events: one realistic body for each type that Stack, or an application's own backend, sends."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self
from uuid import UUID, uuid4

import orjson

Data = dict[str, object]

FIRST_NAMES = ("Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Joan", "Ken", "Radia", "Tim")
LAST_NAMES = ("Allen", "Clarke", "Dijkstra", "Hopper", "Knuth", "Lamarr", "Liskov", "Lovelace", "Perlman", "Turing")
DEPARTMENTS = ("Design", "Engineering", "Finance", "Sales", "Support")
ROLES = ("admin", "member", "owner")
# Events that an application's own backend signs, for Stack has none of the kind.
APP_TYPES = frozenset({"user.signed_in", "user.signed_out", "profile.edited"})


@dataclass(frozen=True, slots=True)
class SampleContext:
    """What a sample is about: whom, when, and where its made-up values come from."""

    user_id: UUID
    at_millis: int
    choices: random.Random

    @classmethod
    def now(cls, user_id: UUID | None = None) -> Self:
        """Return an occasion of this moment; samples about the same user are about the same person."""
        user_id = user_id or uuid4()
        return cls(user_id, int(time.time() * 1000), random.Random(user_id.int))

    def uuid(self) -> str:
        """Return a made-up id."""
        return str(UUID(int=self.choices.getrandbits(128), version=4))


def body(event_type: str, context: SampleContext) -> bytes:
    """Return the body of one sample event; KeyError for a type without one."""
    return orjson.dumps({"type": event_type, "data": DATA[event_type](context)})


def user(context: SampleContext) -> Data:
    """Return a whole user as Stack describes it, with a made-up name, role and department."""
    first, last = context.choices.choice(FIRST_NAMES), context.choices.choice(LAST_NAMES)
    return {
        "id": str(context.user_id),
        "display_name": f"{first} {last}",
        "primary_email": f"{first}.{last}.{context.user_id.hex[:6]}@example.com".lower(),
        "primary_email_verified": True,
        "primary_email_auth_enabled": True,
        "profile_image_url": f"https://example.com/avatars/{context.user_id}.png",
        "signed_up_at_millis": context.at_millis,
        "last_active_at_millis": context.at_millis,
        "client_metadata": {"theme": "dark"},
        "client_read_only_metadata": None,
        "server_metadata": {
            "role": context.choices.choice(ROLES),
            "department": context.choices.choice(DEPARTMENTS),
        },
        "selected_team_id": None,
        "selected_team": None,
        "has_password": True,
        "otp_auth_enabled": False,
        "passkey_auth_enabled": False,
        "auth_with_email": True,
        "requires_totp_mfa": False,
        "oauth_providers": [],
        "is_anonymous": False,
        "is_restricted": False,
        "restricted_reason": None,
        "restricted_by_admin": False,
        "restricted_by_admin_reason": None,
        "restricted_by_admin_private_details": None,
        "country_code": "NZ",
        "risk_scores": {"sign_up": {"bot": 0, "free_trial_abuse": 0}},
    }


def _team(context: SampleContext) -> Data:
    return {
        "id": context.uuid(),
        "display_name": f"{context.choices.choice(LAST_NAMES)} Works",
        "profile_image_url": None,
        "created_at_millis": context.at_millis,
        "client_metadata": None,
        "client_read_only_metadata": None,
        "server_metadata": None,
    }


def _issue(context: SampleContext) -> Data:
    return {
        "id": context.uuid(),
        "short_id": "WEB-7",
        "type": "TypeError",
        "value": "cannot read properties of undefined",
        "culprit": "app/checkout",
        "level": "error",
        "status": "unresolved",
        "substatus": "new",
        "first_seen_at_millis": context.at_millis,
        "last_seen_at_millis": context.at_millis,
        "times_seen": "1",
        "service_name": "web",
        "environment": "production",
        "release": None,
        "url": "https://example.com/issues/WEB-7",
    }


def _membership(context: SampleContext) -> Data:
    return {"team_id": context.uuid(), "user_id": str(context.user_id)}


def _team_permission(context: SampleContext) -> Data:
    return {"id": "team_admin", **_membership(context)}


def _project_permission(context: SampleContext) -> Data:
    return {"id": "support_agent", "user_id": str(context.user_id)}


DATA: Mapping[str, Callable[[SampleContext], Data]] = {
    "user.created": user,
    "user.updated": user,
    "user.deleted": lambda context: {"id": str(context.user_id), "teams": []},
    "user.signed_in": lambda context: {"id": str(context.user_id), "signed_in_at_millis": context.at_millis},
    "user.signed_out": lambda context: {"id": str(context.user_id), "signed_out_at_millis": context.at_millis},
    "profile.edited": lambda context: {
        "id": str(context.user_id),
        "department": context.choices.choice(DEPARTMENTS),
    },
    "team.created": _team,
    "team.updated": _team,
    "team.deleted": lambda context: {"id": context.uuid()},
    "team_membership.created": _membership,
    "team_membership.deleted": _membership,
    "team_permission.created": _team_permission,
    "team_permission.deleted": _team_permission,
    "project_permission.created": _project_permission,
    "project_permission.deleted": _project_permission,
    "issue.created": _issue,
    "issue.regressed": _issue,
    "issue.resolved": _issue,
    "issue.ignored": _issue,
    "issue.merged": _issue,
    "stack.test": lambda _: {"message": "Stack webhook test", "endpointUrl": "https://example.com/webhooks/stack"},
}
