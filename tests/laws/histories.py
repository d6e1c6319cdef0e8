"""Sets of deliveries and ways in which they may arrive, as hypothesis draws them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
from hypothesis import strategies as st

from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings

# `HISTORIES=2000 ./test tests/laws` is the nightly run.
HISTORIES = int(os.environ.get("HISTORIES", "200"))
USERS = [UUID(int=n) for n in (1, 2, 3)]
# The first is the default company, where there is one.
COMPANIES = [UUID(int=n) for n in (77, 78, 79)]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = st.sampled_from(["Ada", " Grace ", "\u3000", "", "José 🦊", None])
JSON: st.SearchStrategy[object] = st.sampled_from(
    [None, {}, [], 7, "x", {"role": "admin"}, {"role": " ", "department": "R&D"}, {"role": 5, "a": [1]}]
    + [{"company_id": name} for name in (str(COMPANIES[1]), str(COMPANIES[2]).upper(), COMPANIES[0].hex, "", None)]
)
HOMES: list[object] = [None, *({"company_id": str(company_id)} for company_id in COMPANIES[:2])]
TEAM_NAMES = st.sampled_from([" Team ", "", "Crew"])
TEAMS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(COMPANIES).map(str),
        "display_name": TEAM_NAMES,
        "profile_image_url": st.sampled_from(["https://example.com/t.png", None]),
    }
)
MILLIS = st.integers(0, 5).map(lambda n: int(NOON.timestamp() * 1000) + n * 1001)


@dataclass(frozen=True, slots=True)
class History:
    """A set of deliveries and one way in which they may arrive."""

    deliveries: list[Delivery]
    arrivals: list[int]
    batch_sizes: list[int]
    projection: ShapingSettings


def optional(strategy: st.SearchStrategy[object], *keys: str) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, strategy))


SNAPSHOTS = st.builds(
    lambda *parts: {key: value for part in parts for key, value in part.items()},
    st.fixed_dictionaries(
        {
            "display_name": NAMES,
            "primary_email": st.sampled_from(["a@example.com", "b@example.com", None]),
            "primary_email_verified": st.booleans(),
            "profile_image_url": st.sampled_from(["https://example.com/a.png", None]),
            "signed_up_at_millis": MILLIS,
            "client_metadata": JSON,
            "server_metadata": JSON,
        }
    ),
    optional(st.booleans(), "is_anonymous", "is_restricted"),
    optional(MILLIS, "last_active_at_millis"),
    optional(st.none() | TEAMS, "selected_team"),
)


# What is no snapshot may carry fields of one: none of them is a fact, and in a deletion none of them is even checked.
PARTIAL = optional(st.sampled_from(["Partial", None]), "display_name", "profile_image_url")
UNCHECKED = optional(
    st.sampled_from([None, "junk", 300_000_000_000_000]), "primary_email", "last_active_at_millis", "is_anonymous"
)


def delivered(draw: st.DrawFn, source: str, event_type: str, data: Mapping[str, object], **ids: UUID) -> Delivery:
    return Delivery(
        source=source,
        message_id=draw(st.sampled_from("abcdAB")) + draw(st.sampled_from("0123456789")),
        event_type=event_type,
        user_id=ids.get("user_id"),
        team_id=ids.get("team_id"),
        occurred_at=NOON + timedelta(milliseconds=4 * draw(st.integers(0, 6))),
        verified_by=None,
        body=orjson.dumps({"type": event_type, "data": data}),
    )


@st.composite
def team_deliveries(draw: st.DrawFn) -> Delivery:
    event_type = draw(st.sampled_from(["team.created", "team.updated", "team.deleted"]))
    team = draw(TEAMS)
    data: dict[str, object] = {"id": str(team["id"]).upper()}
    if event_type != "team.deleted":
        data = {**team}
    source = draw(st.sampled_from(["stack", "backfill"]))
    return delivered(draw, source, event_type, data, team_id=UUID(str(team["id"])))


@st.composite
def membership_deliveries(draw: st.DrawFn) -> Delivery:
    kind = draw(st.sampled_from(["membership", "membership", "permission"]))
    event_type = f"team_{kind}.{draw(st.sampled_from(['created', 'created', 'deleted']))}"
    team_id, user_id = draw(st.sampled_from(COMPANIES)), draw(st.sampled_from(USERS))
    data: dict[str, object] = {"team_id": str(team_id).upper(), "user_id": str(user_id)}
    if kind == "permission":
        data["id"] = draw(st.sampled_from(["$read", "write", "a:b"]))
    return delivered(draw, "stack", event_type, data, team_id=team_id, user_id=user_id)


VALUES = {"role_type": ["admin", " Owner "], "department": ["R&D", "\u200b"]}
EDITS = st.fixed_dictionaries(
    {},
    optional={
        **{field: st.sampled_from([None, *texts]) for field, texts in VALUES.items()},
        "company_id": st.sampled_from([None, *map(str, COMPANIES), str(COMPANIES[1]).upper()]),
    },
)


@st.composite
def edit_deliveries(draw: st.DrawFn, users: Sequence[UUID] = USERS) -> Delivery:
    user_id = draw(st.sampled_from(users))
    return delivered(draw, "app", "profile.edited", draw(EDITS) | {"id": str(user_id)}, user_id=user_id)


@st.composite
def user_deliveries(draw: st.DrawFn) -> Delivery:
    user_id = draw(st.sampled_from(USERS))
    source, event_type = draw(
        st.sampled_from(
            [
                ("stack", "user.created"),
                ("stack", "user.updated"),
                ("stack", "user.updated"),
                ("backfill", "user.updated"),
                ("stack", "user.deleted"),
                ("app", "user.signed_in"),
                ("app", "user.signed_out"),
                ("stack", "user.signed_in"),
            ]
        )
    )
    data: dict[str, object] = {"id": str(user_id).upper() if draw(st.booleans()) else str(user_id)}
    if event_type in {"user.created", "user.updated"} or (event_type != "user.deleted" and draw(st.booleans())):
        data |= draw(SNAPSHOTS)
    else:
        data |= draw(UNCHECKED if event_type == "user.deleted" else PARTIAL)
    if event_type in {"user.signed_in", "user.signed_out"}:
        data |= draw(optional(MILLIS, f"{event_type.removeprefix('user.')}_at_millis"))
    return delivered(draw, source, event_type, data, user_id=user_id)


# One user and two teams, of which little else is told: here facts about the same thing meet.
@st.composite
def crowded_deliveries(draw: st.DrawFn) -> Delivery:
    user_id, team_id = USERS[0], draw(st.sampled_from(COMPANIES[:2]))
    ids = {"user_id": str(user_id), "team_id": str(team_id)}
    kind = draw(
        st.sampled_from(["user", "user", "user", "membership", "membership", "permission", "team", "edit", "edit"])
    )
    verb = draw(st.sampled_from(["created", "deleted"]))
    if kind == "edit":
        return draw(edit_deliveries(USERS[:1]))
    if kind == "user":
        data = draw(SNAPSHOTS) | {"id": str(user_id), "server_metadata": draw(st.sampled_from(HOMES))}
        return delivered(draw, "stack", "user.updated", data, user_id=user_id)
    if kind == "team":
        data = draw(TEAMS) | {"id": str(team_id)}
        return delivered(draw, "stack", f"team.{verb}", data, team_id=team_id)
    return delivered(draw, "stack", f"team_{kind}.{verb}", ids | {"id": "$read"}, user_id=user_id, team_id=team_id)


DELIVERIES = user_deliveries() | user_deliveries() | team_deliveries() | membership_deliveries() | edit_deliveries()


@st.composite
def histories(draw: st.DrawFn) -> History:
    drawn = draw(st.sampled_from([DELIVERIES, crowded_deliveries()]))
    known = draw(st.lists(drawn, min_size=1, max_size=14, unique_by=lambda d: (d.source, d.message_id)))
    first = draw(st.permutations(range(len(known))))
    repeats = draw(st.lists(st.integers(0, len(known) - 1), max_size=4))
    return History(
        deliveries=known,
        arrivals=[*first, *repeats],
        batch_sizes=draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)),
        projection=ShapingSettings(
            default_company_id=draw(st.sampled_from([None, COMPANIES[0]])),
            delete_policy=draw(st.sampled_from(["soft", "anonymise", "hard"])),
        ),
    )
