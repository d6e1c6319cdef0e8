"""A backfill beside live webhooks and a worker: the rows follow from what is stored, and end in what Stack holds."""

import asyncio
from random import Random

import pytest

from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.backfills import filled, held, long_ago, named, now_is_now, outbox, truth, webhook
from tests.support.fake_stack import FakeStack
from tests.support.outbox import arrive, work
from tests.support.stack_requests import one

CHANGES = 40


def change(fake: FakeStack, chance: Random) -> None:
    """Change something, as users do all the time."""
    project, state = fake.project, truth(fake)
    user_id = chance.choice(sorted(state["mirror"]))
    team_id = chance.choice(sorted(state["companies"]))
    now_is_now(fake)
    match chance.randrange(7):
        case 0:
            project.sign_up(display_name="New", primary_email=f"{chance.random()}@example.com")
        case 1 if user_id not in state["profiles"]:
            project.upgrade(user_id, f"{chance.random()}@example.com")
        case 2:
            project.delete_user(user_id)
        case 3 if (team_id, user_id) not in state["members"]:
            project.join(team_id, user_id)
        case 4 if (team_id, user_id) in state["members"]:
            project.leave(team_id, user_id)
        case 5:
            project.update_team(team_id, display_name=f"Team {chance.random()}")
        case _:
            project.update_user(user_id, display_name=f"Name {chance.random()}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_the_rows_are_those_of_the_set_and_of_stack(
    emptied: str, any_fake: FakeStack, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("consumer.stack_api.client.USERS_LIMIT", 5)
    monkeypatch.setattr("consumer.stack_api.client.TEAMS_LIMIT", 5)
    chance = Random(seed)
    long_ago(any_fake)
    users = named(any_fake, 30) + [one(any_fake.project.sign_up_anonymously()) for _ in range(20)]
    for user_id in users[::4]:
        any_fake.project.create_team(creator=user_id)
    # Nobody was connected then.
    any_fake.project.events.clear()

    async def live() -> None:
        late = []
        for _ in range(CHANGES):
            change(any_fake, chance)
            late += [webhook(event) for event in any_fake.project.events]
            any_fake.project.events.clear()
            chance.shuffle(late)
            arrived, late = late[:1], late[1:]
            await arrive(emptied, *arrived, *arrived)
            await work(emptied)
        await arrive(emptied, *late)

    run, _ = await asyncio.gather(filled(emptied, any_fake), live())
    await work(emptied)

    assert run.finished_at is not None
    assert model.state(emptied) == model.fold(outbox(emptied), ShapingSettings())
    assert held(emptied) == truth(any_fake)
