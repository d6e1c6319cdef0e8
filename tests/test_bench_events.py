"""What the benches store: whose events, of which kinds, in which order, with what."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest

from bench import events
from bench.checks import _newest_names
from bench.events import SHARES, everything, fill, mixed, of_kind, twice_each, updates
from bench.support import database
from consumer.outbox.storage import Delivery
from consumer.postgres import migrations
from tests.support.benches import RECORDED, is_checkpointed, kept_records, written
from tests.support.names import own

START = datetime(2026, 11, 22, tzinfo=UTC)
USER, TEAM = UUID(int=7, version=4), UUID(int=9, version=4)


def data(delivery: Delivery) -> dict[str, object]:
    event = orjson.loads(delivery.body)
    assert event["type"] == delivery.event_type
    return dict(event["data"])


# The kinds and the numbers of the users that the seed 1 chooses.
FIRST = [
    ("user.updated", UUID(int=27)),
    ("team_membership.created", UUID(int=28)),
    ("team_membership.created", UUID(int=18)),
    ("user.updated", UUID(int=8)),
]


def test_users_are_always_the_same_and_random() -> None:
    users = twice_each(100)

    assert [user.version for user in users] == [4] * 200
    # The first two of the seed 1, in the order of their making; the second time in another.
    assert [str(user) for user in users[:2]] == [
        str(UUID(int=0xCD613E30D8F16ADF91B7584A2265B1F5, version=4)),
        str(UUID(int=0x1E2FEB89414C343C1027C4D1C386BBC4, version=4)),
    ]
    assert len({user.int >> 100 for user in users}) > 50


def test_updates_are_about_half_as_many_users_and_one_follows_the_other() -> None:
    found = updates(10)

    assert [delivery.user_id for delivery in found] == twice_each(5)
    assert [delivery.message_id for delivery in found] == [f"msg_{number:027}" for number in range(10)]
    assert [delivery.occurred_at - START for delivery in found] == [timedelta(milliseconds=4 * n) for n in range(10)]
    assert {delivery[:1] + delivery[2:3] + delivery[4:5] + delivery[6:7] for delivery in found} == {
        ("stack", "user.updated", None, "0123abcd")
    }
    assert [data(delivery)["display_name"] for delivery in found] == [f"User {number}" for number in range(10)]
    assert [data(delivery)["id"] for delivery in found] == [str(delivery.user_id) for delivery in found]


def test_a_mix_has_its_shares_and_ends_with_the_end_of_the_first_team() -> None:
    users, teams = [UUID(int=n) for n in range(1, 31)], [UUID(int=n) for n in range(100, 104)]

    found = mixed(8_001, users, teams)

    assert sum(SHARES.values()) == 100
    types = Counter(delivery.event_type for delivery in found[:-1])
    shares = {
        "user.updated": SHARES["user"],
        "user.signed_in": SHARES["sign_in"],
        "team_membership.created": SHARES["membership"],
        "team_permission.created": SHARES["permission"],
        "profile.edited": SHARES["edit"],
        "team.updated": SHARES["team"],
        "user.deleted": SHARES["deleted"],
    }
    assert {kind: 100 * count / 8_000 for kind, count in types.items()} == {
        kind: pytest.approx(share, rel=0.1 if share > 1 else 0.4) for kind, share in shares.items()
    }
    assert (found[-1].event_type, found[-1].team_id, len(found)) == ("team.deleted", teams[0], 8_001)
    assert {delivery.user_id for delivery in found} == {*users, None}
    # The others are spread over all teams.
    assert {delivery.team_id for delivery in found[:-1]} == {*teams, None}
    assert [(each.event_type, each.user_id) for each in found[:4]] == FIRST


def test_everything_is_about_a_user_for_each_four_events_in_teams_of_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    found = everything(2_000)

    users = {delivery.user_id for delivery in found} - {None}
    teams = {delivery.team_id for delivery in found} - {None}
    assert len(found) == 2_000
    assert 480 < len(users) <= 2_000 * 50 // 200
    assert len(teams) == 500 // 20
    assert {each.version for each in (*users, *teams) if each} == {4}
    assert not users & teams
    # The first user of the seed 1 is of updates, too.
    assert twice_each(1)[0] in users
    monkeypatch.setattr(events, "mixed", lambda count, users, teams: (count, len(users), len(teams)))
    counts: Any = events.everything(2_000)
    assert counts == (2_000, 500, 25)


KINDS = {
    "user": ("stack", "user.updated", True, False),
    "sign_in": ("app", "user.signed_in", True, False),
    "membership": ("stack", "team_membership.created", True, True),
    "permission": ("stack", "team_permission.created", True, True),
    "edit": ("app", "profile.edited", True, False),
    "team": ("stack", "team.updated", False, True),
    "ended": ("stack", "team.deleted", False, True),
    "deleted": ("stack", "user.deleted", True, False),
}
TEAM_DATA = {
    "id": str(TEAM),
    "display_name": "Team 12",
    "profile_image_url": None,
    "created_at_millis": round(1000 * datetime(2026, 11, 22, 7, 0, 0, 123_000, tzinfo=UTC).timestamp()),
}
BODIES = {
    "sign_in": {"id": str(USER)},
    "membership": {"user_id": str(USER), "team_id": str(TEAM)},
    "permission": {"user_id": str(USER), "team_id": str(TEAM), "id": "$read_members"},
    "edit": {"id": str(USER), "role_type": "role 5", "company_id": str(TEAM)},
    "team": TEAM_DATA,
    "ended": {"id": str(TEAM)},
    "deleted": {"id": str(USER)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_delivery_of_each_kind_is_about_its_user_or_its_team(kind: str) -> None:
    source, event_type, has_user, has_team = KINDS[kind]

    delivery = of_kind(kind, 12, USER, TEAM)

    assert (delivery.source, delivery.event_type) == (source, event_type)
    assert (delivery.user_id, delivery.team_id) == (USER if has_user else None, TEAM if has_team else None)
    assert (delivery.message_id, delivery.verified_by) == (f"msg_{12:027}", "0123abcd")
    assert delivery.occurred_at == START + timedelta(milliseconds=48)
    if kind == "user":
        told = data(delivery)
        assert (told["id"], told["display_name"]) == (str(USER), "User 12")
        assert (told["selected_team_id"], told["selected_team"]) == (str(TEAM), TEAM_DATA)
        assert told["server_metadata"] == {"company_id": str(TEAM)}
    else:
        assert data(delivery) == BODIES[kind]


def test_the_newest_name_of_a_user_is_that_of_its_last_update_until_it_is_deleted() -> None:
    """The first of two at the same time stands, and a sign-in has no name."""
    first, other, gone = (UUID(int=n, version=4) for n in (1, 2, 3))
    made = [of_kind("user", number, user, TEAM) for number, user in ((5, first), (3, first), (4, first), (6, other))]
    same = of_kind("user", 9, other, TEAM)._replace(occurred_at=made[3].occurred_at)
    after = [of_kind("sign_in", 20, first, first), of_kind("user", 7, gone, TEAM), of_kind("deleted", 8, gone, TEAM)]

    assert _newest_names([*made, same, *after]) == {first: "User 5", other: "User 6"}


async def test_a_fill_stores_all_in_order_behind_a_history_that_is_done(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "FILL_BATCH", 4)
    records = kept_records(monkeypatch)
    with database(server_url, own("bench_fill")) as url:
        migrations.apply(url, "consumer")
        before = written(url)
        await fill(url, updates(10), 3)
        assert is_checkpointed(url, before)

        with psycopg.connect(url) as conn:
            stored = conn.execute("SELECT message_id, body FROM consumer.outbox ORDER BY seq").fetchall()
            pending = conn.execute("SELECT count(*) FROM consumer.pending").fetchall()
            done = conn.execute("SELECT seq, outcome FROM consumer.outcomes ORDER BY seq").fetchall()
            [(vacuumed, forced)] = conn.execute(
                "SELECT (SELECT count(*) FROM pg_class WHERE oid = 'consumer.outbox'::regclass AND reltuples = 13),"
                " (SELECT count(*) FROM consumer.settings)"
            ).fetchall()

    assert [message_id for message_id, _ in stored] == ["old_1", "old_2", "old_3", *(f"msg_{n:027}" for n in range(10))]
    assert orjson.loads(bytes(stored[0][1]))["data"]["id"] == str(UUID(int=1))
    assert pending == [(10,)]
    assert [outcome for _, outcome in done] == ["applied"] * 3
    assert (vacuumed, forced, records) == (1, 1, [RECORDED])
