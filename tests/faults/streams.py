"""Faults of the sender's making: repeats, disorder, equal times, a burst. Each tells how often it struck."""

from datetime import UTC, datetime, timedelta
from functools import partial

from tests.faults.messages import USERS_PER_WINDOW, Message, any_message, deleted, shuffled, updated, user
from tests.faults.world import World

COPIES = 50
SHUFFLED = 400
BURST = 2_000
SENDERS_OF_BURST = 12
# Beside the users of the storm, so that nothing else decides about them.
OWN_USERS = range(USERS_PER_WINDOW, USERS_PER_WINDOW + 20)


def repeated_at_once(world: World) -> int:
    """F46: one delivery arrives fifty times at once."""
    message = any_message(world.chance, world.weather.window)
    world.weather.deliver([message] * COPIES, at_once=COPIES)
    return COPIES


def out_of_order(world: World) -> int:
    """F47: what happened in one order arrives in another."""
    happened = sorted(_many(world, SHUFFLED), key=lambda message: message.message_id)
    arriving = shuffled(world.chance, happened)
    world.weather.deliver(arriving, at_once=4)
    return sum(one is not other for one, other in zip(happened, arriving, strict=True))


def late_after_deletion(world: World) -> int:
    """F48: users are deleted, then older and newer snapshots of them arrive."""
    now, window = datetime.now(UTC), world.weather.window
    make = partial(updated, world.chance, window)
    for number in OWN_USERS:
        user_id = user(window, number)
        gone = deleted(world.chance, window, user_id, now)
        late = [make(user_id, now - timedelta(minutes=1)), make(user_id, now + timedelta(seconds=1))]
        world.weather.deliver([make(user_id, now - timedelta(minutes=2)), gone, *shuffled(world.chance, late)])
    return len(OWN_USERS)


def equal_times(world: World) -> int:
    """F49: several snapshots of a user carry one time."""
    now, window = datetime.now(UTC), world.weather.window
    same = [updated(world.chance, window, user(window, n), now) for n in OWN_USERS for _ in range(5)]
    world.weather.deliver(shuffled(world.chance, same), at_once=4)
    return len(same)


def burst(world: World) -> int:
    """F54: after an outage everything arrives at once."""
    world.to_receivers.cut()
    messages = _many(world, BURST)
    world.to_receivers.mend()
    world.weather.deliver(messages, at_once=SENDERS_OF_BURST)
    return BURST


def _many(world: World, count: int) -> list[Message]:
    return [any_message(world.chance, world.weather.window) for _ in range(count)]
