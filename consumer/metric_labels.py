"""The values that the labels of metrics take; docs/METRICS.md names them."""

from typing import Literal

Received = Literal["stored", "duplicate", "dead"]
RECEIVED: tuple[Received, ...] = ("stored", "duplicate", "dead")

# An unlisted value is counted as OTHER: strangers and new senders must not create series (fault F68).
OTHER = "other"
REFUSALS = (
    "ambiguous_headers",
    "bad_message_id",
    "bad_timestamp",
    "body_too_large",
    "body_too_slow",
    "encoded_body",
    "head_too_slow",
    "headers_too_large",
    "malformed_request",
    "method_not_allowed",
    "missing_header",
    "no_match",
    "not_found",
    "out_of_memory",
    "store_unavailable",
    "too_many_connections",
    "too_many_pipelined",
    "too_new",
    "too_old",
    "tunnel_refused",
    OTHER,
)
WARNINGS = ("missing_email", "missing_name", OTHER)
# Fields without which an event is applied all the same.
FIELDS = (
    "auth_with_email",
    "client_metadata",
    "client_read_only_metadata",
    "country_code",
    "created_at_millis",
    "culprit",
    "display_name",
    "endpointUrl",
    "environment",
    "external_auth_providers",
    "first_seen_at_millis",
    "has_password",
    "last_active_at_millis",
    "last_seen_at_millis",
    "level",
    "message",
    "oauth_providers",
    "otp_auth_enabled",
    "passkey_auth_enabled",
    "primary_email_auth_enabled",
    "profile_image_url",
    "release",
    "requires_totp_mfa",
    "restricted_by_admin",
    "restricted_by_admin_private_details",
    "restricted_by_admin_reason",
    "restricted_reason",
    "risk_scores",
    "selected_team",
    "selected_team.client_metadata",
    "selected_team.client_read_only_metadata",
    "selected_team.created_at_millis",
    "selected_team.display_name",
    "selected_team.profile_image_url",
    "selected_team.server_metadata",
    "selected_team_id",
    "server_metadata",
    "service_name",
    "short_id",
    "status",
    "substatus",
    "teams",
    "times_seen",
    "type",
    "url",
    "value",
    OTHER,
)
ERROR_CLASSES = ("transient", "busy", "ours", "constraint", "poison", OTHER)
OUTCOMES = ("applied", "unchanged", "stale", "ignored", "discarded", OTHER)
# The stages of the rebuild queue, and the kinds of rows that a rebuild compares.
STAGES = ("company", "user", "named_by_users")
ROW_KINDS = ("mirror", "profile", "members", "memberships", "permissions", "edits", "sign_ins", "company", OTHER)
