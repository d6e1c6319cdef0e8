"""Faults of the sender's making: repeats, disorder, equal times, a burst. Each tells how often it struck."""

from datetime import UTC, datetime, timedelta
from functools import partial

from tests.faults.messages import USERS_PER_WINDOW, Message, any_message, deleted, shuffled, updated, user
from tests.faults.world import World, kill
from tests.support.databases import rows
from tests.support.processes import PATIENCE_SECONDS, on, running

COPIES = 50
SHUFFLED = 400
HUNG_UP = 100
BURST = 2_000
SENDERS_OF_BURST = 12
REAPPLIED = """
SELECT count(*) AS n FROM consumer.outcomes AS c JOIN consumer.outbox AS o USING (seq)
WHERE c.at > '{0}' AND o.received_at < '{0}'::timestamptz - interval '0.5 s'
"""
SOME_OLD = "SELECT seq FROM consumer.outbox WHERE received_at < now() - interval '1 s' LIMIT 1"
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


def hung_up(world: World) -> int:
    """F29: the sender goes away before the answer, and comes again."""
    messages = _many(world, HUNG_UP)
    for message in messages:
        world.weather.hang_up(message)
    world.weather.deliver(messages, at_once=4)
    return HUNG_UP


def replayed(world: World) -> int:
    """F50, F51: everything is replayed under load, first by a command that is killed on the way."""
    world.sees(lambda: rows(world.url, SOME_OLD))
    reapplied = _Reapplied(world.url)
    for is_killed in (True, False):
        with running(world.folder, on(world.url), "replay", "--all") as replay:
            if is_killed and world.sees(lambda: reapplied.count):
                kill(replay)
            else:
                assert replay.process.wait(PATIENCE_SECONDS) == 0, "a replay failed"
    return reapplied.count


def burst(world: World) -> int:
    """F54: after an outage everything arrives at once."""
    world.to_receivers.cut()
    messages = _many(world, BURST)
    world.to_receivers.mend()
    world.weather.deliver(messages, at_once=SENDERS_OF_BURST)
    return BURST


class _Reapplied:
    """Tells how many deliveries that were stored a while ago have been applied since."""

    def __init__(self, url: str) -> None:
        (row,) = rows(url, "SELECT now() AS began")
        self._url, self._began = url, row["began"]

    @property
    def count(self) -> int:
        (row,) = rows(self._url, REAPPLIED.format(self._began))
        return int(row["n"])


def _many(world: World, count: int) -> list[Message]:
    weather = world.weather
    return [any_message(world.chance, weather.window) for _ in range(count)]
