"""The judge of teams: which companies there are, who is in them, and where somebody is at home."""

from collections.abc import Collection, Iterable
from datetime import datetime

from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings
from tests.support.model_facts import Row, data, edited, ended, is_snapshot, version


def companies(known: Collection[Delivery], settings: ShapingSettings) -> dict[str, Row]:
    named = {str(d.team_id) for d in known if _names_a_team(d)} | {team_id for _, team_id in _selections(known)}
    if settings.default_company_id:
        named.add(str(settings.default_company_id))
    return {team_id: _company(team_id, known) for team_id in named}


def _names_a_team(delivery: Delivery) -> bool:
    return str(delivery.event_type).partition(".")[0] in {"team", "team_membership", "company"}


def _selections(known: Iterable[Delivery]) -> list[tuple[Delivery, str]]:
    """Return the snapshots from Stack that name a selected team, each with it."""
    teams = [(d, data(d).get("selected_team")) for d in known if is_snapshot(d) and d.source != "app"]
    return [(d, str(team["id"]).lower()) for d, team in teams if team]


def _company(team_id: str, known: Collection[Delivery]) -> Row:
    events = [d for d in known if str(d.team_id) == team_id and str(d.event_type).startswith("team.")]
    own = [d for d in events if d.event_type != "team.deleted"]
    selected = [d for d, selected_id in _selections(known) if selected_id == team_id]
    teams = [data(max(own, key=version))] if own else []
    teams += [data(max(selected, key=version))["selected_team"]] if selected else []
    team = next(iter(teams), {})
    return {
        "id": team_id,
        "name": "Unnamed team" if team.get("display_name") is None else team["display_name"],
        "logo_url": team.get("profile_image_url"),
        "settings": {},
        "deleted_at": ended(events, "team"),
    }


def members(
    known: Collection[Delivery], companies: dict[str, Row], deleted: dict[str, datetime]
) -> dict[tuple[str, str], Row]:
    """Return who is or was in which company, without regard to the delete policy."""
    joins = [(str(d.team_id), str(d.user_id), d) for d in known if d.event_type == "team_membership.created"]
    implied = [(team_id, str(d.user_id), d) for d, team_id in _selections(known)]
    removals = [(str(d.team_id), str(d.user_id), d) for d in known if d.event_type == "team_membership.deleted"]
    pairs = {(team_id, user_id) for team_id, user_id, _ in (*joins, *implied, *removals)}
    found = {}
    for team_id, user_id in pairs:
        explicit, either, removed = (
            [d for t, u, d in facts if (t, u) == (team_id, user_id)] for facts in (joins, [*joins, *implied], removals)
        )
        last_join, last_removal = (max(facts, key=version, default=None) for facts in (explicit, removed))
        is_removed = last_removal and not (last_join and version(last_join) > version(last_removal))
        ends = (
            last_removal.occurred_at if last_removal and is_removed else None,
            deleted.get(user_id),
            companies[team_id]["deleted_at"],
        )
        found[team_id, user_id] = {
            "company_id": team_id,
            "user_id": user_id,
            "joined_at": min((d.occurred_at for d in either), default=None),
            "removed_at": min(filter(None, ends), default=None),
            "permissions": _permissions(team_id, user_id, known),
        }
    return found


def _permissions(team_id: str, user_id: str, known: Collection[Delivery]) -> list[str]:
    newest: dict[str, Delivery] = {}
    for delivery in sorted(known, key=version):
        is_of_pair = (str(delivery.team_id), str(delivery.user_id)) == (team_id, user_id)
        if is_of_pair and str(delivery.event_type).startswith("team_permission."):
            newest[data(delivery)["id"]] = delivery
    return sorted(name for name, d in newest.items() if d.event_type == "team_permission.created")


def home(
    user: Row, known: Iterable[Delivery], members: Iterable[Row], companies: dict[str, Row], settings: ShapingSettings
) -> str | None:
    """Return the home company of a user by the mirror row."""
    if user["deleted_at"]:
        return None
    active = {team_id for team_id, company in companies.items() if not company["deleted_at"]}
    joined = [
        (member["joined_at"], member["company_id"])
        for member in members
        if member["user_id"] == user["stack_user_id"] and not member["removed_at"]
    ]
    edit = edited(user["stack_user_id"], known, "company_id")
    candidates = [edit and edit.lower(), user["source_company_id"], *(team_id for _, team_id in sorted(joined))]
    candidates.append(str(settings.default_company_id))
    return next((team_id for team_id in candidates if team_id in active), None)
