"""The truth about one project, and the webhooks that each change of it sends.

Ids are lower case; events of deletions, memberships and permissions may echo them in upper case, as from a URL.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from random import Random
from threading import RLock
from typing import Any, TypeVar, cast
from uuid import UUID

from consumer.providers.stack.message_ids import RANDOM_BYTES, compose
from tests.support.fake_stack.shapes import new_team, new_user, team_shape, user_shape
from tests.support.fake_stack.state import Event, State
from tests.support.fake_stack.versions import K, Record, Replica, Versions, grouped

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
# More than the 4 ms that a message id tells apart.
STEP = timedelta(milliseconds=8)


F = TypeVar("F", bound=Callable[..., Any])


def change(method: F) -> F:
    """Make a method one transaction: the server, in its thread, sees all of it or nothing."""

    @wraps(method)
    def locked(project: "Project", *args: Any, **kwargs: Any) -> Any:
        with project.lock:
            return method(project, *args, **kwargs)

    return cast("F", locked)


@dataclass
class Project:
    """Each method is one committed change; it returns the events of the change, which are also in `events`.

    Time passes by some milliseconds a change, and where a test moves `now`: replicas lag by that clock.
    """

    now: datetime = START
    requires_verified_email: bool = False
    echoes_upper_case: bool = False
    creates_personal_teams: bool = False
    # What a permission contains; one whose definition is gone is stored still, but listed no more.
    definitions: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"team_member": ("$read_members",), "team_admin": ("$update_team", "team_member")}
    )
    member_permissions: tuple[str, ...] = ("team_member",)
    creator_permissions: tuple[str, ...] = ("team_admin",)
    random: Random = field(default_factory=lambda: Random(0))
    events: list[Event] = field(default_factory=list)
    users: Versions[str] = field(default_factory=Versions)
    teams: Versions[str] = field(default_factory=Versions)
    members: Versions[tuple[str, ...]] = field(default_factory=Versions)
    team_permissions: Versions[tuple[str, ...]] = field(default_factory=Versions)
    project_permissions: Versions[tuple[str, ...]] = field(default_factory=Versions)

    lock: RLock = field(default_factory=RLock, repr=False)

    def __post_init__(self) -> None:
        self._current: tuple[int, State] | None = None

    def seen_by(self, replica: Replica) -> State:
        """Return what a replica knows now."""

        def seen(kind: Versions[K]) -> dict[K, Record]:
            return kind.at(lambda key: replica.moment(self.now, key))

        if replica.is_current:
            return self._latest()
        members, permitted = seen(self.members), seen(self.team_permissions)
        kinds = seen(self.users), seen(self.teams), members, permitted, seen(self.project_permissions)
        return State(*kinds, grouped(members), grouped(permitted))

    def _latest(self) -> State:
        users, teams, members, permitted = self.users, self.teams, self.members, self.team_permissions
        others = self.project_permissions
        changes = sum(kind.changes for kind in (users, teams, members, permitted, others))
        if self._current is None or self._current[0] != changes:
            latest = users.latest, teams.latest, members.latest, permitted.latest, others.latest
            self._current = changes, State(*latest, members.groups, permitted.groups)
        return self._current[1]

    def id(self) -> str:
        return str(UUID(bytes=self.random.randbytes(16), version=4))

    # Users

    @change
    def sign_up(self, *, with_personal_team: bool = False, **fields: object) -> list[Event]:
        """Make a user; the team of its own comes before it, and no event tells of its membership and selection."""
        self._tick()
        user_id = str(fields.pop("id", None) or self.id())
        sent: list[Event] = []
        if with_personal_team:
            sent = self.create_team(creator=user_id, display_name=f"{fields.get('primary_email') or 'User'}'s Team")
            fields = {"selected_team_id": sent[0].data["id"], "personal_team_id": sent[0].data["id"], **fields}
        self.users.put(user_id, {**new_user(user_id, self.now), **fields}, self.now)
        # Accounts of other providers are linked, and the team is selected, after the event was made.
        unselected = {"selected_team": None, "selected_team_id": None} if with_personal_team else {}
        return [*sent, self.send("user.created", {**self.user(user_id), "oauth_providers": [], **unselected})]

    def sign_up_anonymously(self, *, with_personal_team: bool = False, **fields: object) -> list[Event]:
        return self.sign_up(with_personal_team=with_personal_team, is_anonymous=True, auth_with_email=False, **fields)

    @change
    def upgrade(self, user_id: str, email: str) -> list[Event]:
        """Make an anonymous user an ordinary one, which moves it to the end; its personal team is renamed silently."""
        self._tick()
        team_id = self.users.latest[user_id].get("personal_team_id")
        if team_id in self.teams.latest:
            self._change(self.teams, str(team_id), display_name=f"{email}'s Team")
        changes = {"is_anonymous": False, "primary_email": email, "auth_with_email": True}
        return self.update_user(user_id, **changes, signed_up_at_millis=millis(self.now))

    @change
    def update_user(self, user_id: str, **fields: object) -> list[Event]:
        self.change_silently(user_id, **fields)
        return [self.send("user.updated", self.user(user_id))]

    @change
    def change_silently(self, user_id: str, **fields: object) -> None:
        """Change what no event tells of: a link in an e-mail, a contact channel, a password, an account, activity."""
        self._tick()
        self._change(self.users, user_id, **fields)

    @change
    def be_active(self, user_id: str, **fields: object) -> None:
        """Refresh a user's session, which moves the last activity without an event; an edit by a server does not."""
        self._tick()
        self._change(self.users, user_id, last_active_at_millis=millis(self.now), **fields)

    @change
    def delete_user(self, user_id: str) -> list[Event]:
        self._tick()
        teams = [team_id for team_id, member in self.members.latest if member == user_id]
        self._drop_members(lambda team, user: user == user_id)
        self._drop(self.project_permissions, list(self.project_permissions.groups.get(user_id, ())))
        self.users.drop(user_id, self.now)
        return [self.send("user.deleted", {"id": self._echo(user_id), "teams": [{"id": team} for team in teams]})]

    # Teams

    @change
    def create_team(self, *, creator: str | None = None, **fields: object) -> list[Event]:
        """Make a team; no event tells that its creator is a member, and with which permissions."""
        self._tick()
        team_id = str(fields.pop("id", None) or self.id())
        self.teams.put(team_id, {**new_team(team_id, self.now), **fields}, self.now)
        if creator is not None:
            self._add_member(team_id, creator, self.creator_permissions)
        return [self.send("team.created", team_shape(self.teams.latest[team_id]))]

    @change
    def update_team(self, team_id: str, **fields: object) -> list[Event]:
        self._tick()
        self._change(self.teams, team_id, **fields)
        return [self.send("team.updated", team_shape(self.teams.latest[team_id]))]

    @change
    def delete_team(self, team_id: str) -> list[Event]:
        """Delete a team; its members, their permissions and selections go without an event."""
        self._tick()
        self._drop_members(lambda team, user: True, team_id)
        for user_id, user in list(self.users.latest.items()):
            if user["selected_team_id"] == team_id:
                self._change(self.users, user_id, selected_team_id=None)
        self.teams.drop(team_id, self.now)
        return [self.send("team.deleted", {"id": self._echo(team_id)})]

    @change
    def join(self, team_id: str, user_id: str) -> list[Event]:
        self._tick()
        self._add_member(team_id, user_id, self.member_permissions)
        pair = {"team_id": self._echo(team_id), "user_id": self._echo(user_id)}
        granted = [self.send("team_permission.created", {"id": each, **pair}) for each in self.member_permissions]
        return [self.send("team_membership.created", pair), *granted]

    @change
    def leave(self, team_id: str, user_id: str) -> list[Event]:
        self._tick()
        self._drop_members(lambda team, user: user == user_id, team_id)
        pair = {"team_id": self._echo(team_id), "user_id": self._echo(user_id)}
        return [self.send("team_membership.deleted", pair)]

    # Permissions

    def grant(self, user_id: str, permission: str, team_id: str | None = None) -> list[Event]:
        return self._permit("created", user_id, permission, team_id)

    def revoke(self, user_id: str, permission: str, team_id: str | None = None) -> list[Event]:
        return self._permit("deleted", user_id, permission, team_id)

    # What the changes share

    @change
    def send(self, event_type: str, data: Mapping[str, object]) -> Event:
        self._tick()
        message_id = compose(self.now, self.random.randbytes(RANDOM_BYTES))
        self.events.append(Event(message_id, event_type, data, self.now))
        return self.events[-1]

    def user(self, user_id: str) -> dict[str, object]:
        """Return a user as the newest servers show it now."""
        return user_shape(self.users.latest[user_id], self.teams.latest, self.requires_verified_email)

    @change
    def _permit(self, change: str, user_id: str, permission: str, team_id: str | None) -> list[Event]:
        self._tick()
        key = (user_id, permission) if team_id is None else (team_id, user_id, permission)
        kept = self.project_permissions if team_id is None else self.team_permissions
        if change == "created":
            kept.put(key, {}, self.now)
        else:
            kept.drop(key, self.now)
        team = {} if team_id is None else {"team_id": self._echo(team_id)}
        kind = "project" if team_id is None else "team"
        return [self.send(f"{kind}_permission.{change}", {"id": permission, **team, "user_id": self._echo(user_id)})]

    def _add_member(self, team_id: str, user_id: str, permissions: tuple[str, ...]) -> None:
        self.members.put((team_id, user_id), {"display_name": None, "profile_image_url": None}, self.now)
        for permission in permissions:
            self.team_permissions.put((team_id, user_id, permission), {}, self.now)

    def _drop_members(self, is_gone: Callable[[str, str], bool], team_id: str | None = None) -> None:
        for kept in (self.members, self.team_permissions):
            among = kept.latest if team_id is None else kept.groups.get(team_id, {})
            self._drop(kept, [key for key in among if is_gone(key[0], key[1])])

    def _drop(self, kept: Versions[tuple[str, ...]], keys: Sequence[tuple[str, ...]]) -> None:
        for key in keys:
            kept.drop(key, self.now)

    def _change(self, kept: Versions[str], key: str, **fields: object) -> None:
        assert fields.keys() <= kept.latest[key].keys(), "a record has no other fields"
        kept.put(key, {**kept.latest[key], **fields}, self.now)

    def _echo(self, subject: str) -> str:
        return subject.upper() if self.echoes_upper_case else subject

    def _tick(self) -> None:
        self.now += STEP


def millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)
