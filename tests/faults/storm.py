"""A sender like Svix under a fault, and the judge of what came of it."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import orjson

from consumer.cli.sender import NotDelivered, Sender, new_message_id
from consumer.outbox import Delivery
from consumer.settings import Projection
from tests import model
from tests.cli_support import APP_SECRET, HOST, SECRET, until
from tests.factories import snapshot
from tests.support import rows

USERS = [UUID(int=n, version=4) for n in range(1, 25)]
SENDERS = 4
REPEAT_SECONDS = 0.1


@dataclass
class Storm:
    """Deliveries of every kind, each repeated until it is acknowledged, and now and then once more."""

    port: int
    acknowledged: list[str] = field(default_factory=list)
    answers: list[tuple[float, int]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def count(self) -> int:
        """How many deliveries are acknowledged by now."""
        return len(self.acknowledged)

    def reach(self, count: int) -> None:
        """Return when so many deliveries are acknowledged."""
        until(lambda: self.count >= count)

    def send(self, seed: int) -> None:
        """Deliver until the storm is over, then finish the delivery at hand."""
        chance = random.Random(seed)
        address = f"http://{HOST}:{self.port}/webhooks"
        with Sender(f"{address}/stack", secret=SECRET) as stack, Sender(f"{address}/app", secret=APP_SECRET) as app:
            while not self._over.is_set():
                is_app, body = _event(chance)
                message_id = new_message_id(datetime.now(UTC))
                for _ in range(chance.choice((1, 1, 1, 2))):
                    self._deliver(app if is_app else stack, body, message_id)

    def _deliver(self, sender: Sender, body: bytes, message_id: str) -> None:
        while True:
            try:
                answer = sender.post(body, message_id)
            except NotDelivered:
                self.answers.append((time.monotonic(), 0))
            else:
                self.answers.append((time.monotonic(), answer.status))
                if answer.is_accepted:
                    self.acknowledged.append(message_id)
                    return
            time.sleep(REPEAT_SECONDS)

    def stop(self) -> None:
        """Let each sender finish."""
        self._over.set()


@contextmanager
def storm(port: int) -> Iterator[Storm]:
    """Send from several connections for the duration; on leaving, everything begun is acknowledged."""
    made = Storm(port)
    senders = [threading.Thread(target=made.send, args=(seed,), daemon=True) for seed in range(SENDERS)]
    for sender in senders:
        sender.start()
    try:
        yield made
    finally:
        made.stop()
        for sender in senders:
            sender.join(timeout=60)
    assert not any(sender.is_alive() for sender in senders), "some delivery was never acknowledged"


def judge(url: str, weather: Storm) -> None:
    """Hold the tables to the promise: what is acknowledged is stored once, and what is stored is as the model says."""
    until(lambda: not rows(url, "SELECT seq FROM consumer.deliveries WHERE state IN ('pending', 'retrying')"))
    columns = ("source", "message_id", "event_type", "user_id", "team_id", "occurred_at", "verified_by", "body")
    stored = rows(
        url, "SELECT o.*, d.state, d.error_code FROM consumer.outbox AS o JOIN consumer.deliveries AS d USING (seq)"
    )
    ids = [row["message_id"] for row in stored]
    assert len(ids) == len(set(ids))
    assert set(weather.acknowledged) <= set(ids)
    dead = [row for row in stored if row["state"] == "dead"]
    assert all(row["error_code"] == "bad_shape" for row in dead)
    usable = [Delivery(**{name: row[name] for name in columns}) for row in stored if row["state"] == "done"]
    assert len(usable) + len(dead) == len(stored)
    assert model.state(url) == model.fold(usable, Projection())


def _event(chance: random.Random) -> tuple[bool, bytes]:
    user_id = str(chance.choice(USERS))
    kind = chance.choices(("updated", "signed_in", "deleted", "broken"), (80, 15, 3, 2))[0]
    data: dict[str, object] = {"id": user_id}
    if kind == "updated":
        data |= snapshot(display_name=f"User {chance.randrange(1000)}", last_active_at_millis=int(time.time() * 1000))
    if kind == "broken":
        return False, orjson.dumps({"type": "user.updated", "data": data})
    return kind == "signed_in", orjson.dumps({"type": f"user.{kind}", "data": data})
