"""Sets of deliveries and ways in which they may arrive, as hypothesis draws them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import orjson
from hypothesis import strategies as st

from consumer.events.check import check
from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings

# `HISTORIES=2000 ./test tests/laws` is the nightly run.
HISTORIES = int(os.environ.get("HISTORIES", "200"))
DELIVERIES_MAX = 14
USERS = [UUID(int=n) for n in (1, 2, 3)]
# The first is the default company, where there is one.
COMPANIES = [UUID(int=n) for n in (77, 78, 79)]
# In New York the clocks went back at 6:00 UTC of this night: the hour from 5:00 came twice.
NIGHT = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
MOMENTS = [NIGHT + timedelta(minutes=minutes, milliseconds=4 * n) for minutes in (0, 29, 60) for n in (0, 1)]
ABROAD = "America/New_York"
ZONES = ["UTC", ABROAD, "Asia/Kolkata"]

Strategy = st.SearchStrategy[dict[str, object]]
# Users and members of teams may write what nobody can store: it stands for these words in a body.
UNSTORABLE = {
    "@deep": b"[" * 513 + b"]" * 513,
    "@nul": rb'{"a": "\u0000"}',
    "@surrogate": rb'["\ud800"]',
    "@tiny": b"[1e-3000]",
    "@huge": b"1e400",
    "@bytes": b'"\xff"',
}
NAMES = st.sampled_from(["Ada", " Grace ", "\u3000", "", "José 🦊", None])
JSON: st.SearchStrategy[object] = st.sampled_from(
    [None, {}, [], 7, "x", {"role": "admin"}, {"role": " ", "department": "R&D"}, {"role": 5, "a": [1]}]
    + [{"company_id": name} for name in (str(COMPANIES[1]), str(COMPANIES[2]).upper(), COMPANIES[0].hex, "", None)]
)
HOMES: st.SearchStrategy[object] = st.sampled_from(
    [None, *({"company_id": str(company_id)} for company_id in COMPANIES[:2])]
)
A_TEAM: dict[str, st.SearchStrategy[object]] = {
    "display_name": st.sampled_from([" Team ", "", "Crew", "@nul"]),
    "profile_image_url": st.sampled_from(["https://example.com/t.png", None, *UNSTORABLE]),
}
MILLIS = st.integers(0, 5).map(lambda n: int(NIGHT.timestamp() * 1000) + n * 1001)


class Late(NamedTuple):
    """Arrivals that are stored in one transaction, which ends *delay* arrivals later."""

    first: int
    size: int
    delay: int


@dataclass(frozen=True, slots=True)
class History:
    """A set of deliveries and one way in which they may arrive."""

    deliveries: list[Delivery]
    arrivals: list[int]
    batch_sizes: list[int]
    projection: ShapingSettings
    # Of the worker's session: one batch after the other has the next of them.
    zones: list[str]
    late: Late | None


def optional(strategy: st.SearchStrategy[object], *keys: str) -> Strategy:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, strategy))


def joined(*parts: Strategy) -> Strategy:
    return st.tuples(*parts).map(lambda drawn: {key: value for part in drawn for key, value in part.items()})


A_USER = joined(
    st.fixed_dictionaries(
        {
            "display_name": NAMES,
            "primary_email": st.sampled_from(["a@example.com", "b@example.com", " ", None]),
            "primary_email_verified": st.booleans(),
            "profile_image_url": st.sampled_from(["https://example.com/a.png", None]),
            "signed_up_at_millis": MILLIS,
            "client_metadata": JSON | st.sampled_from(sorted(UNSTORABLE)),
            "server_metadata": HOMES | JSON,
        }
    ),
    optional(st.booleans(), "is_anonymous", "is_restricted"),
    optional(MILLIS | st.sampled_from([None, 0, 1.5, "@huge"]), "last_active_at_millis"),
    optional(st.none() | st.fixed_dictionaries(A_TEAM), "selected_team"),
)
# What is no snapshot may carry fields of one: none of them is a fact, and in a deletion none of them is even checked.
PARTIAL = optional(st.sampled_from(["Partial", None]), "display_name", "profile_image_url")
UNCHECKED = optional(
    st.sampled_from([None, "junk", 300_000_000_000_000]), "primary_email", "last_active_at_millis", "is_anonymous"
)
AN_EDIT: Strategy = st.fixed_dictionaries(
    {},
    optional={
        "role_type": st.sampled_from([None, "admin", " Owner "]),
        "department": st.sampled_from([None, "R&D", "\u200b"]),
        "company_id": st.sampled_from([None, *map(str, COMPANIES[:2]), str(COMPANIES[1]).upper()]),
        "edited_by": st.sampled_from([None, "Boss", "HR"]),
    },
)
A_PERMISSION: Strategy = st.fixed_dictionaries({"id": st.sampled_from(["$read", "a:b"])})
NOTHING: Strategy = st.just({})
# What `data` holds beside the ids of user and team.
DATA: Mapping[str, Strategy] = {
    "user.created": A_USER,
    "user.updated": A_USER,
    "user.deleted": UNCHECKED,
    "user.erased": NOTHING,
    **{
        f"user.signed_{verb}": joined(PARTIAL | A_USER, optional(MILLIS, f"signed_{verb}_at_millis"))
        for verb in ("in", "out")
    },
    "profile.edited": AN_EDIT,
    "team.created": st.fixed_dictionaries(A_TEAM),
    "team.updated": st.fixed_dictionaries(A_TEAM),
    "team.deleted": NOTHING,
    "company.declared": NOTHING,
    "team_membership.created": NOTHING,
    "team_membership.deleted": NOTHING,
    "team_permission.created": A_PERMISSION,
    "team_permission.deleted": A_PERMISSION,
}
# Not read from the product's registry, which may be wrong.
SOURCES: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(DATA, ("stack", "backfill", "reconcile")),
    **dict.fromkeys(("user.signed_in", "user.signed_out"), ("stack", "app")),
    "profile.edited": ("app",),
    "company.declared": ("operator",),
    "user.erased": ("operator",),
}


def keys(event_type: str) -> tuple[str | None, str | None]:
    """Return the keys in `data` of the user and of the team."""
    what = event_type.partition(".")[0]
    return {"user": ("id", None), "profile": ("id", None), "team": (None, "id"), "company": (None, "id")}.get(
        what, ("user_id", "team_id")
    )


# Compared by their bytes, Z comes before a. An application may choose an id that Stack uses too.
IDS = st.sampled_from([f"msg_{letter}{n}" for n in range(4) for letter in "aZ"])
RUNS = st.sampled_from([UUID(int=0), UUID(int=2**128 - 1)])


@st.composite
def deliveries(
    draw: st.DrawFn,
    event_types: Sequence[str],
    users: Sequence[UUID],
    companies: Sequence[UUID],
    moments: Sequence[datetime],
) -> Delivery:
    event_type = draw(st.sampled_from(event_types))
    source = draw(st.sampled_from(SOURCES[event_type]))
    data = draw(DATA[event_type])
    user_key, team_key = keys(event_type)
    user_id = draw(st.sampled_from(users)) if user_key else None
    team_id = draw(st.sampled_from(companies)) if team_key else None
    for key, subject in ((user_key, user_id), (team_key, team_id)):
        if key:
            data = {key: draw(st.sampled_from([str(subject), str(subject).upper()])), **data}
    if isinstance(selected := data.get("selected_team"), dict):
        data = data | {"selected_team": {"id": str(draw(st.sampled_from(companies))), **selected}}
    message_id = draw(IDS)
    if source in {"backfill", "reconcile"} and draw(st.booleans()):
        # One answer about a user or team, or a list of them.
        kind = event_type.partition(".")[0] + draw(st.sampled_from(["", "s"]))
        message_id = f"{draw(RUNS)}:{kind}:{user_id or team_id}"
    # No row is made of what stands beside `data`, but it is cut out of the body like a part of it.
    beside = draw(st.sampled_from([{}, {}, {}, {"note": "@surrogate"}, {"note": "@deep"}])) if source == "app" else {}
    body = orjson.dumps({"type": event_type, "data": data, **beside})
    for word, part in UNSTORABLE.items():
        body = body.replace(f'"{word}"'.encode(), part)
    return Delivery(
        source=source,
        message_id=message_id,
        event_type=event_type,
        user_id=user_id,
        team_id=team_id,
        occurred_at=draw(st.sampled_from(moments)),
        verified_by="0123abcd" if source in {"stack", "app"} else None,
        body=body,
        reduced=check(body, source).reduced,
    )


SIGN_INS = ["user.signed_in", "user.signed_out"]
SNAPSHOTS = ["user.created", "user.updated", "user.updated", *SIGN_INS]
MEMBERSHIPS = ["team_membership.created", "team_membership.deleted"]
PERMISSIONS = ["team_permission.created", "team_permission.deleted"]
TEAMS = ["team.created", "team.updated", "company.declared"]
DELETIONS = ["user.deleted", "team.deleted"]
EDITED = "profile.edited"


class Scene(NamedTuple):
    """What is told, of how many users and companies: where these are few, facts about the same thing meet."""

    name: str
    event_types: list[str]
    users: int
    companies: int


SCENES = [
    Scene("everything", [*DATA, *SNAPSHOTS], 3, 3),
    Scene("one user", [*DATA, *SNAPSHOTS, *DELETIONS, EDITED], 1, 2),
    Scene(
        "deletions beside everything",
        [*DELETIONS, *DELETIONS, *DELETIONS, *SIGN_INS, *MEMBERSHIPS, *PERMISSIONS, "user.updated", EDITED],
        1,
        1,
    ),
    Scene("deletions", [*DELETIONS, *DELETIONS, "user.updated", "team.updated"], 1, 1),
    Scene("memberships", [*MEMBERSHIPS, *MEMBERSHIPS, *PERMISSIONS, "user.updated", "team.deleted"], 1, 1),
    Scene(
        "removals and selected teams",
        [*MEMBERSHIPS, "team_membership.deleted", "user.created", "user.updated", "user.updated"],
        1,
        1,
    ),
    Scene("teams", [*TEAMS, *TEAMS, *["team.deleted"] * 3, "user.updated"], 1, 1),
    Scene("edits", [*[EDITED] * 4, *DELETIONS, "team.deleted", "user.updated", "team.updated"], 1, 1),
]


@st.composite
def sets_of_deliveries(draw: st.DrawFn, scenes: Sequence[Scene]) -> list[Delivery]:
    scene = draw(st.sampled_from(scenes))
    companies = COMPANIES[: scene.companies] if scene.companies > 1 else [draw(st.sampled_from(COMPANIES[:2]))]
    moments = draw(st.sampled_from([MOMENTS, MOMENTS[::2], MOMENTS[:2]]))
    told = deliveries(scene.event_types, USERS[: scene.users], companies, moments)
    drawn = draw(st.lists(told, min_size=draw(st.sampled_from([1, *range(4, 9)])), max_size=DELIVERIES_MAX))
    # Not by unique_by, which gives up most of the long lists.
    return list({(delivery.source, delivery.message_id): delivery for delivery in drawn}.values())


@st.composite
def histories(draw: st.DrawFn, scenes: Sequence[Scene] = SCENES) -> History:
    projection = ShapingSettings(
        default_company_id=draw(st.sampled_from([None, COMPANIES[0]])),
        delete_policy=draw(st.sampled_from(["soft", "anonymise", "hard"])),
    )
    late = st.builds(Late, st.integers(0, DELIVERIES_MAX // 2), st.integers(1, 2), st.integers(1, 6))
    batch_sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    zones = draw(st.lists(st.sampled_from(ZONES), min_size=1, max_size=2, unique=True))
    known = draw(sets_of_deliveries(scenes))
    first = draw(st.permutations(range(len(known))))
    repeats = draw(st.lists(st.integers(0, len(known) - 1), max_size=4))
    return History(known, [*first, *repeats], batch_sizes, projection, zones, draw(st.none() | late))


def erases_nobody(history: History) -> bool:
    """Whether nobody is erased: what comes late about an erased user is discarded, so it matters what comes when."""
    return all(delivery.event_type != "user.erased" for delivery in history.deliveries)
