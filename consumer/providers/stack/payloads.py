"""What `data` holds in each event from Stack: typed, and as lenient as the oldest sender (2024-07) needs.

An event's class names only what rows are made of: these fields must be right, or the event is unusable. Its `Unread`
class describes the other fields as Stack documents them: one that Stack changes is counted, and the event is applied.
"""

from typing import Annotated, ClassVar, TypeAlias

from msgspec import UNSET, Meta, Struct, field

from consumer.errors import BadPayload
from consumer.providers.payload import Id, Limited, Loose, Maybe, Millis, Payload, Reference, Text, Unread

# Stack's own limit, in UTF-16 units.
DISPLAY_NAME_MAX = 256
# An address has at most 254 octets (RFC 5321); eight times that for a sender that validates none.
EMAIL_MAX = 2_048
# A permission id is part of a unique index, whose entries PostgreSQL limits to 2,704 bytes.
PERMISSION_ID_MAX = 1_024

PermissionId: TypeAlias = Annotated[str, Meta(pattern=r"\A\$?[a-z0-9_:]+\Z", max_length=PERMISSION_ID_MAX)]
DisplayName: TypeAlias = Annotated[str, Meta(max_length=DISPLAY_NAME_MAX)]
Email: TypeAlias = Annotated[str, Meta(max_length=EMAIL_MAX)]


class UnreadTeam(Unread):
    """What a team holds besides its row's fields."""

    created_at_millis: Millis
    client_metadata: Maybe[object] = UNSET
    client_read_only_metadata: Maybe[object] = UNSET
    server_metadata: Maybe[object] = UNSET


class SelectedTeam(Reference):
    """The team inside a user object; its name and logo count until the team has an event of its own."""

    loose: ClassVar[Loose] = {"display_name": Text | None, "profile_image_url": Text | None}

    display_name: Maybe[Text | None] = UNSET
    profile_image_url: Maybe[Text | None] = UNSET


class Team(Reference):
    """A whole team. Members write name and logo, and Stack does not limit a name."""

    unread: ClassVar[type[Unread]] = UnreadTeam
    loose: ClassVar[Loose] = {"display_name": Limited, "profile_image_url": Limited}

    display_name: Text | None
    profile_image_url: Text | None


class Snapshot(Reference):
    """A user object from any hand: an application may hold an old one, or a browser's."""

    loose: ClassVar[Loose] = {"last_active_at_millis": Millis | None, "selected_team": SelectedTeam.loose}

    display_name: Maybe[DisplayName | None] = UNSET
    primary_email: Maybe[Email | None] = UNSET
    primary_email_verified: Maybe[bool | None] = UNSET
    profile_image_url: Maybe[Text | None] = UNSET
    signed_up_at_millis: Maybe[Millis | None] = UNSET
    last_active_at_millis: Maybe[Millis | None] = UNSET
    selected_team: Maybe[SelectedTeam | None] = UNSET
    is_anonymous: Maybe[bool | None] = UNSET
    is_restricted: Maybe[bool | None] = UNSET

    def __post_init__(self) -> None:
        name = self.display_name
        if isinstance(name, str) and 2 * len(name) > DISPLAY_NAME_MAX and _utf16_units(name) > DISPLAY_NAME_MAX:
            raise BadPayload("bad_shape", "$.data.display_name", f"Expected at most {DISPLAY_NAME_MAX} UTF-16 units")

    def warnings(self) -> tuple[str, ...]:
        """Tell a missing e-mail or name of a user object; a bare sign-in is none."""
        if self.primary_email is UNSET:
            return ()
        found: tuple[str, ...] = ()
        if not self.primary_email or not self.primary_email.strip():
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


class UnreadUser(Unread):
    """What a user object holds besides its row's fields; the metadata of users are kept as they come."""

    client_metadata: object
    selected_team_id: Id | None
    selected_team: UnreadTeam | None
    has_password: bool
    auth_with_email: bool
    oauth_providers: list[OAuthProvider]
    client_read_only_metadata: Maybe[object] = UNSET
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


class User(Snapshot, kw_only=True):
    """A whole user from Stack."""

    unread: ClassVar[type[Unread]] = UnreadUser

    display_name: DisplayName | None
    primary_email: Email | None
    primary_email_verified: bool
    profile_image_url: Text | None
    signed_up_at_millis: Millis
    server_metadata: object


class UnreadDeletion(Unread):
    """What a deletion holds besides the id; each of these teams has a `team_membership.deleted` of its own."""

    teams: Maybe[list[Reference]] = UNSET


class DeletedUser(Reference):
    """A user that is gone."""

    unread: ClassVar[type[Unread]] = UnreadDeletion


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


class UnreadIssue(Unread):
    """What an issue holds; the counters are decimal strings."""

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


class Issue(Reference):
    """An error that the sender's monitoring groups."""

    unread: ClassVar[type[Unread]] = UnreadIssue


class UnreadPing(Unread):
    """What the dashboard's test button sends."""

    message: str
    endpoint_url: str = field(name="endpointUrl")


class Ping(Payload):
    """A test, which makes no row."""

    unread: ClassVar[type[Unread]] = UnreadPing


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
