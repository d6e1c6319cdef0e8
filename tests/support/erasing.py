"""A person with data in every listed place, a stranger of the same name, and what a dump holds of both."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg

from consumer.outbox.storage import Delivery
from tests.support.cli import facts
from tests.support.databases import rows
from tests.support.factories import delivery, edited, membership, permission, team, team_event, user_updated

NAME, EMAIL, OLD_EMAIL, OAUTH_EMAIL = (
    "Mallory Canary",
    "canary@example.com",
    "früher@example.com",
    "oauth@canary.example",
)
AVATAR, TEAM_NAME, LOGO = "https://canary.example/me.png", "Mallory's canary team", "https://canary.example/logo.png"
METADATA = {"client_metadata": {"note": "canary-client"}, "server_metadata": {"note": "canary-server", "role": "admin"}}
REMARK = "canary-remark"
# None of these may be left; of the name see `Life`.
VALUES = (EMAIL, OLD_EMAIL, OAUTH_EMAIL, AVATAR, TEAM_NAME, LOGO, "canary-client", "canary-server", REMARK)
ERASE = ("--even-if-alive", "--yes")


@dataclass(frozen=True, slots=True)
class Life:
    """The ids of a person, of a team of the person's own, of a shared one, and of somebody with the same name."""

    user_id: UUID = field(default_factory=uuid4)
    own_id: UUID = field(default_factory=uuid4)
    shared_id: UUID = field(default_factory=uuid4)
    stranger_id: UUID = field(default_factory=uuid4)

    def whole(self, **data: object) -> Delivery:
        """The person's whole user object, newer than any made before."""
        selected = team(self.own_id, display_name=TEAM_NAME, profile_image_url=LOGO)
        fields: dict[str, Any] = {
            "display_name": NAME,
            "primary_email": EMAIL,
            "profile_image_url": AVATAR,
            "oauth_providers": [{"id": "github", "account_id": "1", "email": OAUTH_EMAIL}],
            "selected_team": selected,
            "selected_team_id": str(self.own_id),
            **METADATA,
        }
        return user_updated(self.user_id, **fields | data)

    def told(self) -> list[Delivery]:
        """Return what was told of the person."""
        return [
            team_event("created", self.own_id, display_name=TEAM_NAME, profile_image_url=LOGO),
            team_event("created", self.shared_id, display_name="Everybody"),
            user_updated(self.stranger_id, display_name=NAME, primary_email="other@example.com"),
            membership("created", self.shared_id, self.stranger_id),
            self.whole(primary_email=OLD_EMAIL),
            self.whole(),
            delivery("user.signed_in", self.user_id, "app", display_name=NAME, primary_email=EMAIL),
            edited(self.user_id, role_type="owner", edited_by="Boss", reason=REMARK),
            membership("created", self.own_id, self.user_id),
            membership("created", self.shared_id, self.user_id),
            permission("created", self.shared_id, self.user_id, "team_admin"),
        ]

    def erased(self, url: str, *arguments: str) -> Any:
        """Erase the person by the command, and return what it prints as JSON."""
        return facts(url, "erase", str(self.user_id), *(arguments or ERASE))


def dump(url: str, *, but: str = "") -> str:
    """Return every column of every table of both schemas, *but* of one, as text, bytes as what they spell."""
    with psycopg.connect(url) as conn:
        tables = conn.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('consumer', 'identity')"
        ).fetchall()
        found = [
            value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            for (table,) in tables
            if table != but
            for row in conn.execute(f"SELECT * FROM {table}").fetchall()
            for value in row
        ]
    return "\n".join(found)


def left(url: str) -> list[str]:
    """Return the person's values that a dump holds."""
    text = dump(url)
    escaped = orjson.dumps(text).decode()
    return [value for value in VALUES if value in text or value in escaped]


def bodies(url: str, user_id: UUID) -> list[Any]:
    """Return the stored bodies about a user, the oldest first."""
    found = rows(url, f"SELECT body, reduced FROM consumer.outbox WHERE user_id = '{user_id}' ORDER BY occurred_at")
    assert all(row["reduced"] is None for row in found)
    return [orjson.loads(row["body"]) for row in found]
