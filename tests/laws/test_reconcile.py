"""The law of reconciliation: whatever webhooks are lost, repeated, reordered or late, the rows end as Stack's."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.backfills import held, named, outbox, truth, webhook
from tests.support.fake_stack import Event, FakeStack, Replica
from tests.support.outbox import arrive, work
from tests.support.reconciling import FORCE, differences, fixed
from tests.support.stack_requests import one

CHANGES = 80
PERMISSIONS = ("team_admin", "team_member")


def change(fake: FakeStack, chance: Random) -> None:
    """Change something, as users do all the time."""
    project, state = fake.project, truth(fake)
    user_id = chance.choice(sorted(state["mirror"]))
    team_id = chance.choice(sorted(state["companies"]))
    is_member = (team_id, user_id) in state["members"]
    match chance.randrange(11):
        case 0:
            project.sign_up(with_personal_team=True, primary_email=f"{chance.random()}@example.com")
        case 1 if user_id not in state["profiles"]:
            project.upgrade(user_id, f"{chance.random()}@example.com")
        case 2:
            project.delete_user(user_id)
        case 3 | 4 if not is_member:
            project.join(team_id, user_id)
        case 3 | 4:
            project.leave(team_id, user_id)
        case 5:
            project.update_team(team_id, display_name=f"Team {chance.random()}")
        case 6 if len(state["companies"]) > 3:
            project.delete_team(team_id)
        case 7 | 8 if is_member:
            permission = chance.choice(PERMISSIONS)
            is_held = permission in state["members"][team_id, user_id]
            (project.revoke if is_held else project.grant)(user_id, permission, team_id)
        case 9:
            project.change_silently(user_id, primary_email_verified=True)
        case _:
            project.update_user(user_id, display_name=f"Name {chance.random()}")


def sent(events: list[Event], chance: Random) -> tuple[list[Event], list[Event]]:
    """Return what arrives of the events before the run and what arrives after it; the rest is lost."""
    fates = [(event, chance.random()) for event in events]
    before = [event for event, fate in fates if fate < 0.5]
    before += chance.sample(before, len(before) // 3)
    chance.shuffle(before)
    return before, [event for event, fate in fates if 0.5 <= fate < 0.75]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_after_a_reconciliation_the_rows_are_stacks(emptied: str, any_fake: FakeStack, seed: int) -> None:
    chance = Random(seed)
    any_fake.project.now = datetime.now(UTC) - timedelta(hours=1)
    any_fake.project.echoes_upper_case = bool(seed % 2)
    for user_id in [*named(any_fake, 12), one(any_fake.project.sign_up_anonymously())]:
        any_fake.project.create_team(creator=user_id)
    for _ in range(CHANGES):
        change(any_fake, chance)
    before, late = sent(any_fake.project.events, chance)
    any_fake.replicas = [Replica(), Replica(timedelta(seconds=30))]
    any_fake.project.now += timedelta(minutes=1)

    for events in (before, late):
        await arrive(emptied, *map(webhook, events))
        await work(emptied)
        await fixed(emptied, any_fake, FORCE)
        assert held(emptied) == truth(any_fake)
        assert model.state(emptied) == model.fold(outbox(emptied), ShapingSettings())
    assert differences(await fixed(emptied, any_fake)).keys() <= {"listed_user", "listed_team"}
