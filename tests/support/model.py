"""The judge: a plain Python fold of a set of deliveries into the tables they must end in.

It follows semantics line by line and shares no code with the product.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from consumer.outbox.storage import Delivery
from consumer.settings.settings import DeletePolicy, ShapingSettings
from tests.support import model_teams as teams
from tests.support.databases import session
from tests.support.model_facts import Row, data, edited, ended, identifier, instant, is_snapshot, text, version

# The softest first.
POLICIES: tuple[DeletePolicy, ...] = ("soft", "anonymise", "hard")
NOBODY: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class State:
    """What the laws speak of: every column save sync_version, last_synced_at, created_at and updated_at."""

    mirror: dict[str, Row]
    profiles: dict[str, Row]
    companies: dict[str, Row]
    members: dict[tuple[str, str], Row]
    sign_ins: set[tuple[str, ...]]


def fold(deliveries: Iterable[Delivery], settings: ShapingSettings, forgotten: Mapping[str, str] = NOBODY) -> State:
    """Return the state that the set of deliveries must end in; their order and repeats are not looked at.

    *forgotten* has the users that a harder delete policy made the product forget, with that policy.
    """
    unique = {(d.source, d.message_id): d for d in deliveries}.values()
    by_user: dict[str, list[Delivery]] = {}
    for delivery in unique:
        if delivery.user_id:
            by_user.setdefault(str(delivery.user_id), []).append(delivery)
    policies = {user_id: _policy(user_id, known, settings, forgotten) for user_id, known in by_user.items()}
    mirror = {user_id: _mirror(user_id, known, settings, policies[user_id]) for user_id, known in by_user.items()}
    gone = {user_id: row["deleted_at"] for user_id, row in mirror.items() if row["deleted_at"]}
    companies = teams.companies(unique, settings)
    members = teams.members(unique, companies, gone)
    for row in mirror.values():
        row["company_id"] = teams.home(row, unique, members.values(), companies, settings)
    for member in members.values():
        is_at_home = member["company_id"] == mirror[member["user_id"]]["company_id"]
        member["is_guest"] = not member["removed_at"] and not is_at_home
    for user_id, row in mirror.items():
        visited = {m["company_id"] for m in members.values() if m["user_id"] == user_id and m["is_guest"]}
        row["guest_of"] = sorted(visited)
    removed = {user_id for user_id in gone if policies[user_id] == "hard"}
    profiles = {
        user_id: _profile(mirror[user_id], known, settings, policies[user_id])
        for user_id, known in by_user.items()
        if user_id not in removed and any(not data(d).get("is_anonymous") for d in known if is_snapshot(d))
    }
    for member in members.values():
        profile = profiles.get(member["user_id"])
        member["guest_name"] = profile["full_name"] if profile and member["is_guest"] else None
    return State(
        mirror=mirror,
        profiles=profiles,
        sign_ins=_sign_ins(unique),
        companies=companies,
        members={pair: row for pair, row in members.items() if row["user_id"] not in removed},
    )


def _sign_ins(known: Collection[Delivery]) -> set[tuple[str, ...]]:
    return {
        (str(d.user_id), str(d.event_type).removeprefix("user."), d.source, d.message_id)
        for d in known
        if d.event_type in {"user.signed_in", "user.signed_out"}
    }


def _policy(user_id: str, known: list[Delivery], settings: ShapingSettings, forgotten: Mapping[str, str]) -> str:
    """Return the hardest delete policy that was ever applied to a user."""
    if any(d.event_type == "user.erased" for d in known):
        return "hard"
    return max(settings.delete_policy, forgotten.get(user_id, "soft"), key=POLICIES.index)


def _mirror(user_id: str, known: list[Delivery], settings: ShapingSettings, policy: str) -> Row:
    deleted_at = ended(known, "user")
    winner = max(filter(is_snapshot, known), key=version, default=None)
    user = data(winner) if winner else {}
    stack = user if winner and winner.source != "app" else {}
    metadata = {
        "client": stack.get("client_metadata"),
        "client_read_only": stack.get("client_read_only_metadata"),
        "server": stack.get("server_metadata"),
    }
    row = {
        "stack_user_id": user_id,
        "stack_display_name": user.get("display_name"),
        "stack_primary_email": text(user, "primary_email"),
        "stack_primary_email_verified": stack.get("primary_email_verified"),
        "stack_profile_image_url": user.get("profile_image_url"),
        "stack_metadata": metadata if stack else None,
        "is_anonymous": bool(user.get("is_anonymous")) if winner else None,
        "is_restricted": stack.get("is_restricted"),
        "signed_up_at": instant(stack.get("signed_up_at_millis")),
        "source_role": text(stack.get("server_metadata"), settings.role_key),
        "source_department": text(stack.get("server_metadata"), settings.department_key),
        "source_company_id": identifier(stack.get("server_metadata"), settings.company_key),
        "last_active_at": _latest(instant(data(d).get("last_active_at_millis")) for d in known if is_snapshot(d)),
        "last_sign_in_at": _latest(_at(d, "signed_in") for d in known),
        "last_sign_out_at": _latest(_at(d, "signed_out") for d in known),
        "occurred_at": winner.occurred_at if winner else None,
        "message_id": winner.message_id if winner else None,
        "deleted_at": deleted_at,
    }
    return row | _forgotten(policy) if deleted_at else row


def _forgotten(policy: str) -> Row:
    if policy == "soft":
        return {}
    personal = dict.fromkeys((
        "stack_display_name", "stack_primary_email", "stack_primary_email_verified", "stack_profile_image_url",
        "stack_metadata", "signed_up_at", "source_company_id", "last_active_at", "last_sign_in_at", "last_sign_out_at",
    ))  # fmt: skip
    flags = dict.fromkeys(("is_anonymous", "is_restricted", "source_role", "source_department"))
    return personal if policy == "anonymise" else personal | flags


def _profile(mirror: Row, known: list[Delivery], settings: ShapingSettings, policy: str) -> Row:
    user_id = mirror["stack_user_id"]
    is_anonymised = bool(mirror["deleted_at"]) and policy == "anonymise"
    return {
        "user_id": user_id,
        "company_id": mirror["company_id"],
        "guest_of": mirror["guest_of"],
        "full_name": "Deleted user"
        if is_anonymised
        else (mirror["stack_display_name"] or "").strip() or "Unknown User",
        "email": mirror["stack_primary_email"],
        "email_verified": mirror["stack_primary_email_verified"],
        "avatar_url": mirror["stack_profile_image_url"],
        "role_type": edited(user_id, known, "role_type") or mirror["source_role"] or settings.default_role,
        "department": edited(user_id, known, "department")
        or mirror["source_department"]
        or settings.default_department,
        "is_restricted": mirror["is_restricted"],
        "last_active_at": mirror["last_active_at"],
        "last_sign_in_at": mirror["last_sign_in_at"],
        "last_sign_out_at": mirror["last_sign_out_at"],
        "deleted_at": mirror["deleted_at"],
    }


def _at(delivery: Delivery, verb: str) -> datetime | None:
    if delivery.event_type != f"user.{verb}":
        return None
    return instant(data(delivery).get(f"{verb}_at_millis")) or delivery.occurred_at


def _latest(instants: Any) -> datetime | None:
    return max(filter(None, instants), default=None)


def state(database_url: str) -> State:
    """Return what the tables hold, in the judge's terms."""
    outside = {
        "last_synced_at",
        "sync_version",
        "has_profile",
        "search_name",
        "guest_key",
        "guest_keys",
        "is_forgotten",
        "is_held",
        "is_removed",
        "is_erased",
        "deletion_at",
        "missing_at",
        "seen_at",
        "version",
        "created_at",
        "updated_at",
    }
    visited = "SELECT c.id::text FROM identity.companies AS c WHERE c.guest_key = ANY(guest_keys) ORDER BY 1"
    columns = f"*, ARRAY({visited}) AS guest_of"
    with session(database_url) as conn:
        mirror, profiles, companies, members, sign_ins = (
            conn.cursor(row_factory=dict_row).execute(statement).fetchall()
            for statement in (
                f"SELECT {columns} FROM identity.stack_user_profiles",
                f"SELECT {columns} FROM identity.profiles",
                "SELECT * FROM identity.companies",
                # A search name is folded, so it is judged by the profile whose name it is.
                "SELECT b.*, "
                "CASE WHEN b.search_name = p.search_name THEN p.full_name ELSE b.search_name END AS guest_name "
                "FROM identity.company_members AS b LEFT JOIN identity.profiles AS p USING (user_id)",
                "SELECT user_id, operation, source, message_id FROM identity.profile_audit "
                "WHERE operation LIKE 'signed%'",
            )
        )
    return State(
        mirror=_by_key(mirror, "stack_user_id", outside),
        profiles=_by_key(profiles, "user_id", outside),
        companies=_by_key(companies, "id", outside),
        members={(str(row["company_id"]), str(row["user_id"])): _plain(row, outside) for row in members},
        sign_ins={tuple(map(str, row.values())) for row in sign_ins},
    )


def _by_key(table: list[Row], key: str, outside: set[str]) -> dict[str, Row]:
    return {str(row[key]): _plain(row, outside) for row in table}


def _plain(row: Row, outside: set[str]) -> Row:
    return {
        name: str(value) if isinstance(value, UUID) else value for name, value in row.items() if name not in outside
    }
