"""What `data` holds in each event from Stack: typed, and as lenient as the oldest sender (2024-07) needs."""

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, Struct, field

from consumer.errors import BadPayload
from consumer.providers.payload import Id, Maybe, Millis, Payload, Reference, Text

# Stack's own limit, in UTF-16 units.
DISPLAY_NAME_MAX = 256
# An address has at most 254 octets (RFC 5321); eight times that for a sender that validates none.
EMAIL_MAX = 2_048
# A permission id is part of a unique index, whose entries PostgreSQL limits to 2,704 bytes.
PERMISSION_ID_MAX = 1_024

PermissionId: TypeAlias = Annotated[str, Meta(pattern=r"\A\$?[a-z0-9_:]+\Z", max_length=PERMISSION_ID_MAX)]
DisplayName: TypeAlias = Annotated[str, Meta(max_length=DISPLAY_NAME_MAX)]
Email: TypeAlias = Annotated[str, Meta(max_length=EMAIL_MAX)]


class PartialTeam(Reference):
    """A team inside a user object that an application passes on."""

    display_name: Maybe[Text] = UNSET
    profile_image_url: Maybe[Text | None] = UNSET
    created_at_millis: Maybe[Millis] = UNSET


class Team(PartialTeam, kw_only=True):
    """A whole team."""

    display_name: Text
    profile_image_url: Text | None
    created_at_millis: Millis


class Snapshot(Reference):
    """A user object from any hand: an application may hold an old one, or a browser's."""

    display_name: Maybe[DisplayName | None] = UNSET
    primary_email: Maybe[Email | None] = UNSET
    primary_email_verified: Maybe[bool] = UNSET
    profile_image_url: Maybe[Text | None] = UNSET
    signed_up_at_millis: Maybe[Millis] = UNSET
    last_active_at_millis: Maybe[Millis] = UNSET
    selected_team_id: Maybe[Id | None] = UNSET
    selected_team: Maybe[PartialTeam | None] = UNSET
    is_anonymous: Maybe[bool] = UNSET
    is_restricted: Maybe[bool] = UNSET

    def __post_init__(self) -> None:
        name = self.display_name
        if isinstance(name, str) and 2 * len(name) > DISPLAY_NAME_MAX and _utf16_units(name) > DISPLAY_NAME_MAX:
            raise BadPayload("bad_shape", "$.data.display_name", f"Expected at most {DISPLAY_NAME_MAX} UTF-16 units")

    def warnings(self) -> tuple[str, ...]:
        """Tell a missing e-mail or name of a user object; a bare sign-in is none."""
        if self.primary_email is UNSET:
            return ()
        found: tuple[str, ...] = ()
        if not self.primary_email:
            found += ("missing_email",)
        if not self.display_name or not self.display_name.strip():
            found += ("missing_name",)
        return found


class OAuthProvider(Struct):
    """An account at an identity provider."""

    id: str
    account_id: str
    email: Maybe[str | None] = UNSET


class RestrictedReason(Struct):
    """Why a user may not go on yet."""

    type: str


class SignUpRisk(Struct):
    """How suspicious a sign-up was, from 0 to 100."""

    bot: int
    free_trial_abuse: int


class RiskScores(Struct):
    """What the sender estimates about a user."""

    sign_up: SignUpRisk


class AuthProvider(Struct):
    """A provider outside the sender."""

    id: str


class User(Snapshot, kw_only=True):
    """A whole user from Stack."""

    display_name: DisplayName | None
    primary_email: Email | None
    primary_email_verified: bool
    profile_image_url: Text | None
    signed_up_at_millis: Millis
    selected_team_id: Id | None
    selected_team: Team | None
    client_metadata: object
    server_metadata: object
    has_password: bool
    auth_with_email: bool
    oauth_providers: list[OAuthProvider]
    primary_email_auth_enabled: Maybe[bool] = UNSET
    otp_auth_enabled: Maybe[bool] = UNSET
    requires_totp_mfa: Maybe[bool] = UNSET
    passkey_auth_enabled: Maybe[bool] = UNSET
    restricted_reason: Maybe[RestrictedReason | None] = UNSET
    restricted_by_admin: Maybe[bool] = UNSET
    restricted_by_admin_reason: Maybe[str | None] = UNSET
    restricted_by_admin_private_details: Maybe[str | None] = UNSET
    country_code: Maybe[str | None] = UNSET
    risk_scores: Maybe[RiskScores] = UNSET
    external_auth_providers: Maybe[list[AuthProvider]] = UNSET


class DeletedUser(Reference):
    """A user that is gone, with the teams it was in."""

    teams: Maybe[list[Reference]] = UNSET


class Membership(Payload):
    """A user in a team."""

    team_id: Id
    user_id: Id


class TeamPermission(Membership):
    """What a user may do in a team."""

    id: PermissionId


class ProjectPermission(Payload):
    """What a user may do in the project."""

    id: PermissionId
    user_id: Id


class Issue(Reference):
    """An error that the sender's monitoring groups; the counters are decimal strings."""

    short_id: str
    type: str
    value: str
    culprit: str
    level: str
    status: str
    substatus: str
    first_seen_at_millis: Millis
    last_seen_at_millis: Millis
    times_seen: str
    service_name: str | None
    environment: str | None
    release: str | None
    url: str


class Ping(Payload):
    """What the dashboard's test button sends."""

    message: str
    endpoint_url: str = field(name="endpointUrl")


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
