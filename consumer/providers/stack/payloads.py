"""What `data` holds in each known event: typed, and as lenient as the oldest sender (2024-07) needs."""

from typing import Annotated, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, field

from consumer.errors import BadPayload

BAD_SHAPE = "bad_shape"
MISSING_EMAIL = "missing_email"
MISSING_NAME = "missing_name"

# The sender's own limit, in UTF-16 units.
DISPLAY_NAME_MAX = 256
# The sender's limit for an image, which may be a data: URL; taken for every text it doesn't limit.
TEXT_MAX = 1_000_000
# An address has at most 254 octets (RFC 5321); eight times that for a sender that validates none.
EMAIL_MAX = 2_048
# It is part of a unique index, whose entries PostgreSQL limits to 2,704 bytes.
PERMISSION_ID_MAX = 1_024
# 2000-01-01 and 2100-01-01: seconds sent as millis fall outside, and so does any year psycopg can't read back.
MILLIS_MIN = 946_684_800_000
MILLIS_MAX = 4_102_444_800_000

UUID_PATTERN = r"\A[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z"

T = TypeVar("T")
Maybe: TypeAlias = T | UnsetType
Id: TypeAlias = Annotated[str, Meta(pattern=UUID_PATTERN)]
PermissionId: TypeAlias = Annotated[str, Meta(pattern=r"\A\$?[a-z0-9_:]+\Z", max_length=PERMISSION_ID_MAX)]
DisplayName: TypeAlias = Annotated[str, Meta(max_length=DISPLAY_NAME_MAX)]
Email: TypeAlias = Annotated[str, Meta(max_length=EMAIL_MAX)]
Text: TypeAlias = Annotated[str, Meta(max_length=TEXT_MAX)]
Millis: TypeAlias = Annotated[int, Meta(ge=MILLIS_MIN, le=MILLIS_MAX)]


# No payload can hold itself, so the garbage collector need not track any.
class Payload(Struct, gc=False):
    """The `data` of an event; fields not named here stay in the stored body, unread."""

    def warnings(self) -> tuple[str, ...]:
        """Return what an operator may want to count in a payload that can be applied."""
        return ()


class Reference(Payload):
    """An object of which only the id is told, as in `team.deleted` and `company.declared`."""

    id: Id


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
            raise BadPayload(BAD_SHAPE, "$.data.display_name", f"Expected at most {DISPLAY_NAME_MAX} UTF-16 units")

    def warnings(self) -> tuple[str, ...]:
        """Tell a missing e-mail or name of a user object; a bare sign-in is none."""
        if self.primary_email is UNSET:
            return ()
        found: tuple[str, ...] = ()
        if not self.primary_email:
            found += (MISSING_EMAIL,)
        if not self.display_name or not self.display_name.strip():
            found += (MISSING_NAME,)
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


class SignedIn(Snapshot):
    """A sign-in; a whole user object is told by its `primary_email`, else the id may stand alone."""

    signed_in_at_millis: Maybe[Millis] = UNSET


class SignedOut(Snapshot):
    """A sign-out, told like a sign-in."""

    signed_out_at_millis: Maybe[Millis] = UNSET


class Edit(Reference):
    """What an application sets on a profile; null withdraws."""

    role_type: Maybe[Text | None] = UNSET
    department: Maybe[Text | None] = UNSET
    company_id: Maybe[Id | None] = UNSET

    def __post_init__(self) -> None:
        _refuse_blank("role_type", self.role_type)
        _refuse_blank("department", self.department)


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _refuse_blank(field: str, text: Maybe[str | None]) -> None:
    if isinstance(text, str) and not text.strip():
        raise BadPayload(BAD_SHAPE, f"$.data.{field}", "Expected a `str` that is not blank")
