"""What the benches drain: stored in an empty database, always the same."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson

from bench.support import user_event
from consumer.effects import recorded_settings
from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, operator_access
from consumer.settings.settings import ShapingSettings

FILL_BATCH = 2000
START = datetime(2026, 11, 22, tzinfo=UTC)
# Of a hundred events; each user comes twice on the average, with a selected team and a company in the metadata.
SHARES = {"user": 50, "sign_in": 20, "membership": 15, "permission": 8, "edit": 5, "team": 1, "deleted": 1}
USERS_PER_TEAM = 20


async def fill(url: str, deliveries: Sequence[Delivery], history: int) -> None:
    """Store deliveries behind as many old ones."""
    access = operator_access("consumer")
    async with await connect(url, access) as conn:
        await recorded_settings.record(conn, access, ShapingSettings(), worker_role="consumer_worker", is_forced=False)
        if history:
            await conn.execute(_HISTORY, {"body": user_event(UUID(int=1), 1), "rows": history})
        for start in range(0, len(deliveries), FILL_BATCH):
            await storage.put(conn, deliveries[start : start + FILL_BATCH])
        await conn.execute("VACUUM ANALYZE")
        await conn.execute("CHECKPOINT")


def updates(events: int) -> list[Delivery]:
    """Return updates of half as many users: each comes once, then once more in another order."""
    return [_update(user_id, number) for number, user_id in enumerate(twice_each(events // 2))]


def twice_each(count: int) -> list[UUID]:
    """Return *count* users, made from a fixed seed, and then the same users shuffled.

    In the order of their creation one batch would update all rows of a page, which has no room for most new versions:
    12 % of the updates would stay on their page (HOT). Shuffled, as real events are, 49 % stay (bench/drain.py).
    """
    randomness = random.Random(1)
    users = [UUID(int=randomness.getrandbits(128), version=4) for _ in range(count)]
    return [*users, *randomness.sample(users, count)]


def everything(events: int) -> list[Delivery]:
    """Return the deliveries of a customer with teams: all that has an effect, mixed as applications bring it."""
    chance = random.Random(1)
    users = [UUID(int=chance.getrandbits(128), version=4) for _ in range(events * SHARES["user"] // 200)]
    teams = [UUID(int=chance.getrandbits(128), version=4) for _ in range(len(users) // USERS_PER_TEAM)]
    return mixed(events, users, teams)


def mixed(events: int, users: Sequence[UUID], teams: Sequence[UUID]) -> list[Delivery]:
    """Return such a mix about the given users and teams; the last event deletes the first team."""
    chance = random.Random(1)
    kinds = [*chance.choices(list(SHARES), list(SHARES.values()), k=events - 1), "ended"]
    ended = len(kinds) - 1
    return [
        of_kind(kind, number, chance.choice(users), teams[0] if number == ended else chance.choice(teams))
        for number, kind in enumerate(kinds)
    ]


def of_kind(kind: str, number: int, user_id: UUID, team_id: UUID) -> Delivery:
    """Return the delivery of this number, of a kind in SHARES or `ended`, the deletion of the team."""
    ids = {"user_id": str(user_id), "team_id": str(team_id)}
    user = {"id": str(user_id)}
    team: dict[str, object] = {
        "id": str(team_id),
        "display_name": f"Team {number}",
        "profile_image_url": None,
        "created_at_millis": 1_795_330_800_123,
    }
    types: dict[str, tuple[str, dict[str, object]]] = {
        "user": ("user.updated", _user(user_id, number, team)),
        "sign_in": ("user.signed_in", {**user}),
        "membership": ("team_membership.created", {**ids}),
        "permission": ("team_permission.created", {**ids, "id": "$read_members"}),
        "edit": ("profile.edited", {**user, "role_type": f"role {number % 7}", "company_id": str(team_id)}),
        "team": ("team.updated", {**team}),
        "ended": ("team.deleted", {"id": str(team_id)}),
        "deleted": ("user.deleted", {**user}),
    }
    event_type, data = types[kind]
    return Delivery(
        source="app" if kind in {"sign_in", "edit"} else "stack",
        message_id=f"msg_{number:027}",
        event_type=event_type,
        user_id=None if kind in {"team", "ended"} else user_id,
        team_id=team_id if kind in {"team", "ended", "membership", "permission"} else None,
        occurred_at=START + timedelta(milliseconds=4 * number),
        verified_by="0123abcd",
        body=orjson.dumps({"type": event_type, "data": data}),
    )


def _user(user_id: UUID, number: int, team: dict[str, object]) -> dict[str, object]:
    data: dict[str, object] = orjson.loads(user_event(user_id, number))["data"]
    return {
        **data,
        "selected_team_id": team["id"],
        "selected_team": team,
        "server_metadata": {"company_id": team["id"]},
    }


def _update(user_id: UUID, number: int) -> Delivery:
    return Delivery(
        source="stack",
        message_id=f"msg_{number:027}",
        event_type="user.updated",
        user_id=user_id,
        team_id=None,
        occurred_at=START + timedelta(milliseconds=4 * number),
        verified_by="0123abcd",
        body=user_event(user_id, number),
    )


# What lies behind: stored, done, and none of the measure's business.
_HISTORY = b"""
WITH stored AS (
    INSERT INTO consumer.outbox (source, message_id, event_type, user_id, occurred_at, body)
    SELECT 'stack', 'old_' || n, 'user.updated', md5(n::text)::uuid, now() - interval '1 day', %(body)b
    FROM generate_series(1, %(rows)b::integer) AS n
    RETURNING seq
)
INSERT INTO consumer.outcomes (seq, outcome) SELECT seq, 'applied' FROM stored
"""
