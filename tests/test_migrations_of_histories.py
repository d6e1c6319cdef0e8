"""A history that meets migrations on its way: half of it is applied, releases come and go, the rest follows.

The rows must be the model's. The present code runs against the tables of the newest migrations only, so an earlier
release is reached by rolling back from the present one: what the rollback took away must come again.
"""

import random
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from consumer.settings.settings import DeletePolicy, ShapingSettings
from tests.support import model
from tests.support.batches import (
    DEFAULT,
    FIRST,
    SECOND,
    THIRD,
    crew,
    edit,
    gone,
    in_batches,
    may,
    member,
    signed,
    snapshot,
    user,
)
from tests.support.databases import record, roll_back, scratch_database
from tests.support.effects import rehomed
from tests.support.factories import team
from tests.support.outbox import replay_everything
from tests.support.releases import IDS, migrate, release, undo

USERS = [UUID(int=n) for n in range(1, 7)]
TEAMS = [DEFAULT, FIRST, SECOND, THIRD]
# 0010 is the first release with all the tables that the present code reads for a delivery.
EARLIEST = 10
EMPTIED = """
TRUNCATE consumer.edits, consumer.memberships, consumer.team_permissions, consumer.rehome, identity.company_members,
identity.profiles, identity.stack_user_profiles, identity.companies
"""


def history(seed: int, count: int = 120) -> list[Delivery]:
    chance = random.Random(seed)

    def one() -> Delivery:
        second, user_id, team_id = chance.uniform(0, 900), chance.choice(USERS), chance.choice(TEAMS)
        verb = chance.choice(("created", "created", "deleted"))
        metadata = chance.choice((None, {"company_id": str(team_id), "role": "admin"}))
        name = chance.choice(("Ada", "José", " Grace ", "Straße"))
        picks = (
            lambda: user(second, user_id, display_name=name, server_metadata=metadata),
            lambda: user(second, user_id, selected_team=team(team_id), is_anonymous=chance.random() < 0.4),
            lambda: member(verb, second, team_id, user_id),
            lambda: edit(second, user_id, company_id=chance.choice((None, str(team_id))), role_type=name),
            lambda: may(verb, second, chance.choice(("r", "w")), team_id=team_id),
            lambda: crew("updated", second, team_id, display_name=name),
            lambda: crew("deleted", second, team_id),
            lambda: gone(second, user_id),
            lambda: signed(chance.choice(("in", "out")), second, user_id, **snapshot(display_name=name)),
        )
        return chance.choices(picks, (20, 20, 30, 10, 10, 8, 1, 1, 10))[0]()

    return [one() for _ in range(count)]


def chunks(deliveries: list[Delivery], size: int = 9) -> list[list[Delivery]]:
    return [deliveries[n : n + size] for n in range(0, len(deliveries), size)]


async def settled(url: str, *batches: list[Delivery]) -> None:
    await in_batches(url, *batches)
    await rehomed(url, 2)


@pytest.fixture
def old_url(lone_server_url: str) -> Iterator[str]:
    with scratch_database(lone_server_url, "histories") as url:
        yield url


@pytest.mark.parametrize("policy", ["soft", "anonymise", "hard"])
async def test_a_history_goes_on_through_the_migrations_from_the_first_on(old_url: str, policy: DeletePolicy) -> None:
    deliveries = history(1)
    settings = ShapingSettings(default_company_id=DEFAULT, delete_policy=policy)
    early = [each for each in deliveries[:60] if not str(each.event_type).startswith("user.signed")]
    late = [each for each in deliveries if each not in early]
    for count in range(1, EARLIEST + 1):
        migrate(old_url, count)
    with release(EARLIEST):
        await record(old_url, settings)
        await settled(old_url, *chunks(early))
    state = model.state(old_url)
    for count in range(EARLIEST + 1, len(IDS) + 1):
        migrate(old_url, count)
        assert model.state(old_url) == state

    await settled(old_url, *chunks(late))
    found = model.state(old_url)
    await replay_everything(old_url, batch_size=7)

    assert state == model.fold(early, settings)
    assert found == model.fold(deliveries, settings)
    assert model.state(old_url) == found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kept", [6, 5, 4, 3, 2, 1])
async def test_what_a_rollback_takes_away_comes_again(old_url: str, kept: int, seed: int) -> None:
    deliveries = history(seed)
    settings = ShapingSettings(default_company_id=DEFAULT)
    migrate(old_url)
    await record(old_url, settings)
    await settled(old_url, *chunks(deliveries[:60]))
    before = model.state(old_url)

    for migration_id in reversed(IDS[kept:]):
        undo(old_url, migration_id)
    migrate(old_url)

    # 0005 derives its columns anew; from the tables of 0003 and 0004 no row can, a replay must.
    if kept >= 4:
        assert model.state(old_url) == before
    else:
        with psycopg.connect(old_url) as conn:
            conn.execute(EMPTIED)
        await replay_everything(old_url, batch_size=11)
        assert model.state(old_url).members == before.members
    await settled(old_url, *chunks(deliveries[60:]))
    expected = model.fold(deliveries, settings)
    found = model.state(old_url)
    assert (found.mirror, found.profiles) == (expected.mirror, expected.profiles)
    assert (found.companies, found.members) == (expected.companies, expected.members)
    assert found.sign_ins == expected.sign_ins


async def test_a_complete_rollback_and_migration_leave_an_empty_installation(old_url: str) -> None:
    settings = ShapingSettings(default_company_id=DEFAULT)
    migrate(old_url)
    await record(old_url, settings)
    deliveries = history(7, 40)
    await settled(old_url, *chunks(deliveries))

    assert roll_back(old_url, "consumer") == IDS[::-1]
    assert migrate(old_url) == IDS
    await record(old_url, settings)
    await settled(old_url, *chunks(deliveries[::-1]))

    assert model.state(old_url) == model.fold(deliveries, settings)
