"""Users and teams as servers of three ages show them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from tests.support.fake_stack.versions import Record

# Before 2025-08-24, as read on 2026-04-24, and since the autumn of 2026.
Age = Literal["oldest", "old", "new"]

TEAM_KEYS = (
    "id",
    "display_name",
    "profile_image_url",
    "created_at_millis",
    "client_metadata",
    "client_read_only_metadata",
    "server_metadata",
)
USER_KEYS = (
    "id",
    "primary_email",
    "primary_email_verified",
    "primary_email_auth_enabled",
    "display_name",
    "selected_team",
    "selected_team_id",
    "profile_image_url",
    "signed_up_at_millis",
    "has_password",
    "otp_auth_enabled",
    "passkey_auth_enabled",
    "client_metadata",
    "client_read_only_metadata",
    "server_metadata",
    "last_active_at_millis",
    "is_anonymous",
    "is_restricted",
    "restricted_reason",
    "restricted_by_admin",
    "restricted_by_admin_reason",
    "restricted_by_admin_private_details",
    "country_code",
    "risk_scores",
    "oauth_providers",
    "auth_with_email",
    "requires_totp_mfa",
)
# Absent on the oldest servers, never null.
SINCE_2026 = frozenset(USER_KEYS[USER_KEYS.index("is_restricted") : USER_KEYS.index("oauth_providers")])


def new_user(user_id: str, at: datetime) -> dict[str, object]:
    """Return the record of a user: what is stored, without what is computed."""
    millis = int(at.timestamp() * 1000)
    return {
        "id": user_id,
        "primary_email": None,
        "primary_email_verified": False,
        "primary_email_auth_enabled": False,
        "display_name": None,
        "selected_team_id": None,
        "profile_image_url": None,
        "signed_up_at_millis": millis,
        "has_password": False,
        "otp_auth_enabled": False,
        "passkey_auth_enabled": False,
        "client_metadata": None,
        "client_read_only_metadata": None,
        "server_metadata": None,
        "last_active_at_millis": millis,
        "is_anonymous": False,
        "restricted_by_admin": False,
        "restricted_by_admin_reason": None,
        "restricted_by_admin_private_details": None,
        "country_code": None,
        "risk_scores": {"sign_up": {"bot": 0, "free_trial_abuse": 0}},
        "oauth_providers": [],
        "auth_with_email": True,
        "requires_totp_mfa": False,
        "contact_channels": (),
        "personal_team_id": None,
    }


def new_team(team_id: str, at: datetime) -> dict[str, object]:
    """Return the record of a team."""
    return {
        **dict.fromkeys(TEAM_KEYS),
        "id": team_id,
        "display_name": "",
        "created_at_millis": int(at.timestamp() * 1000),
    }


def team_shape(team: Record) -> dict[str, object]:
    return {key: team[key] for key in TEAM_KEYS}


def restriction(user: Record, requires_verified_email: bool) -> str | None:
    """Return why a user is restricted."""
    if user["is_anonymous"]:
        return "anonymous"
    if user["restricted_by_admin"]:
        return "restricted_by_administrator"
    return "email_not_verified" if requires_verified_email and not user["primary_email_verified"] else None


def user_shape(
    user: Record, teams: Mapping[str, Record], requires_verified_email: bool, age: Age = "new"
) -> dict[str, object]:
    """Return what REST and webhooks show of a user."""
    team = teams.get(str(user["selected_team_id"]))
    reason = restriction(user, requires_verified_email)
    shown = {
        **user,
        "display_name": user["display_name"] or None,
        "selected_team": team_shape(team) if team else None,
        "is_restricted": reason is not None,
        "restricted_reason": {"type": reason} if reason else None,
    }
    return {key: shown[key] for key in USER_KEYS if age != "oldest" or key not in SINCE_2026}
