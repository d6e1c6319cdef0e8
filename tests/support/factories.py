"""Deliveries for tests: only what a test names matters, the rest is filled in."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

import orjson

from consumer.outbox.storage import Delivery

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
_numbers = count(1)


def user_updated(user_id: UUID | None = None, **data: object) -> Delivery:
    """A snapshot from Stack, newer than every delivery made before it."""
    return delivery("user.updated", user_id or uuid4(), **snapshot(**data))


def user_deleted(user_id: UUID) -> Delivery:
    """A deletion from Stack, newer than every delivery made before it."""
    return delivery("user.deleted", user_id)


def edited(user_id: UUID, **fields: object) -> Delivery:
    """An edit by the application, newer than every delivery made before it."""
    return delivery("profile.edited", user_id, "app", **fields)


def snapshot(**data: object) -> dict[str, object]:
    """The fields of a user object that every sender has."""
    return {
        "display_name": "Ada",
        "primary_email": "ada@example.com",
        "primary_email_verified": True,
        "profile_image_url": None,
        "signed_up_at_millis": 1_795_330_800_123,
        "client_metadata": None,
        "server_metadata": None,
        "selected_team": None,
        "selected_team_id": None,
        "has_password": False,
        "auth_with_email": False,
        "oauth_providers": [],
        **data,
    }


def team(team_id: UUID, **data: object) -> dict[str, object]:
    """A team object as it comes alone and inside a user."""
    return {
        "id": str(team_id),
        "display_name": "Crew",
        "profile_image_url": None,
        "created_at_millis": 1_795_330_800_123,
        **data,
    }


def team_event(verb: str, team_id: UUID, **data: object) -> Delivery:
    """Something that Stack says of a team, newer than every delivery made before it."""
    return _next(f"team.{verb}", "stack", team(team_id, **data), team_id=team_id)


def membership(verb: str, team_id: UUID, user_id: UUID) -> Delivery:
    """A join or a removal, newer than every delivery made before it."""
    data = {"team_id": str(team_id).upper(), "user_id": str(user_id).upper()}
    return _next(f"team_membership.{verb}", "stack", data, team_id=team_id, user_id=user_id)


def permission(verb: str, team_id: UUID, user_id: UUID, name: str) -> Delivery:
    """A permission given or taken, newer than every delivery made before it."""
    data = {"team_id": str(team_id), "user_id": str(user_id), "id": name}
    return _next(f"team_permission.{verb}", "stack", data, team_id=team_id, user_id=user_id)


def delivery(event_type: str, user_id: UUID, source: str = "stack", /, **data: object) -> Delivery:
    """A delivery about a user whose id and time come after those of every one made before it."""
    return _next(event_type, source, {"id": str(user_id), **data}, user_id=user_id)


def _next(
    event_type: str,
    source: str,
    data: Mapping[str, object],
    *,
    user_id: UUID | None = None,
    team_id: UUID | None = None,
) -> Delivery:
    number = next(_numbers)
    return Delivery(
        source=source,
        message_id=f"msg_{number:027}",
        event_type=event_type,
        user_id=user_id,
        team_id=team_id,
        occurred_at=NOON + timedelta(milliseconds=4 * number),
        verified_by="0123abcd",
        body=orjson.dumps({"type": event_type, "data": data}),
    )
