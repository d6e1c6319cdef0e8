"""A sender like Svix under a fault: it repeats what is not acknowledged, and now and then what is."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple, Self

from consumer.providers.standard_webhooks import sign
from consumer.simulator.sender import NotDelivered, Sender
from tests.faults.messages import Message, any_message
from tests.support.processes import APP_SECRET, HOST, SECRET, until

SENDERS = 12
SECRETS = {"stack": SECRET, "app": APP_SECRET}
REPEAT_SECONDS = 0.1
# Between two messages of one sender: a rate that leaves two cores time for the processes under test.
PAUSE_SECONDS = 0.025
# How often an acknowledged message of any age is sent once more, with a fresh timestamp.
REPEATED_SHARE = 0.15
STRANGER_PAUSE_SECONDS = 0.1
# How long the end waits for what is not acknowledged yet.
LAST_SECONDS = 40.0
NO_ANSWER = 0


class Attempt(NamedTuple):
    """One request: when its answer came, what it was and how long it took; status 0 is no answer."""

    at: float
    status: int
    seconds: float


class Line:
    """One sender's connections; after a failure it goes on to the next receiver, as behind a load balancer."""

    def __init__(self, ports: Sequence[int], chance: random.Random) -> None:
        self._ports = chance.sample(ports, len(ports))
        self._open = ExitStack()
        self._senders = {
            (port, source): self._open.enter_context(Sender(f"http://{HOST}:{port}/webhooks/{source}", secret=secret))
            for port in ports
            for source, secret in SECRETS.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def post(self, message: Message) -> Attempt:
        """Send once."""
        began = time.monotonic()
        try:
            status = self._senders[self._ports[0], message.source].post(message.body, message.message_id).status
        except NotDelivered:
            status = NO_ANSWER
        if status != 204:
            self._ports.append(self._ports.pop(0))
        return Attempt(now := time.monotonic(), status, now - began)


@dataclass
class Storm:
    """Deliveries of every kind, and what was answered to them."""

    ports: Sequence[int]
    window: int = 0
    sent: dict[str, Message] = field(default_factory=dict)
    # In the order of the first acknowledgements.
    acknowledged: dict[str, Message] = field(default_factory=dict)
    # Sent at least once without learning whether it was stored.
    unknown: dict[str, Message] = field(default_factory=dict)
    answers: list[Attempt] = field(default_factory=list)
    strangers: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _lost_patience: threading.Event = field(default_factory=threading.Event)

    @property
    def count(self) -> int:
        """How many deliveries are acknowledged by now."""
        return len(self.acknowledged)

    def reach(self, count: int) -> None:
        """Return when so many deliveries are acknowledged."""
        until(lambda: self.count >= count)

    def more(self, count: int) -> None:
        """Return when so many more deliveries are acknowledged."""
        self.reach(self.count + count)

    def since(self, began: float, status: int | None = None) -> list[Attempt]:
        """Return the answers, or those with one status, from a moment on."""
        return [a for a in tuple(self.answers) if a.at >= began and (status is None or a.status == status)]

    def deliver(self, messages: Sequence[Message], *, at_once: int = 1) -> None:
        """Deliver these besides the storm, in this order or with several senders; return when all are acknowledged."""
        left = iter(messages)
        senders = [threading.Thread(target=self._deliver_from, args=(left,), daemon=True) for _ in range(at_once)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(LAST_SECONDS)
        assert not any(sender.is_alive() for sender in senders), "some delivery was never acknowledged"

    def hang_up(self, message: Message) -> None:
        """Send a message and do not wait for the answer."""
        self.sent[message.message_id] = self.unknown[message.message_id] = message
        headers = sign(SECRETS[message.source], message.message_id, datetime.now(UTC), message.body)
        connection = HTTPConnection(HOST, self.ports[0], timeout=10)
        connection.request("POST", f"/webhooks/{message.source}", message.body, headers)
        connection.close()

    def _deliver_from(self, messages: Iterator[Message]) -> None:
        with Line(self.ports, random.Random()) as line:
            for message in messages:
                self._deliver(line, message)

    def send(self, seed: int) -> None:
        """Deliver until the storm is over, then finish the delivery at hand."""
        chance = random.Random(seed)
        with Line(self.ports, chance) as line:
            while not self._over.wait(PAUSE_SECONDS):
                self._deliver(line, any_message(chance, self.window))
                if chance.random() < REPEATED_SHARE and self.acknowledged:
                    self._deliver(line, chance.choice(tuple(self.acknowledged.values())))

    def _deliver(self, line: Line, message: Message) -> None:
        self.sent[message.message_id] = message
        while not self._lost_patience.is_set():
            attempt = line.post(message)
            self.answers.append(attempt)
            if attempt.status == 204:
                self.acknowledged.setdefault(message.message_id, message)
                return
            if message.message_id not in self.acknowledged:
                self.unknown[message.message_id] = message
            time.sleep(REPEAT_SECONDS)

    def intrude(self) -> None:
        """Send what no sender signed, until the storm is over."""
        number = 0
        while not self._over.wait(STRANGER_PAUSE_SECONDS):
            number += 1
            self.strangers.append(_intrusion(self.ports[number % len(self.ports)], number))

    @property
    def is_settled(self) -> bool:
        """Everything begun is acknowledged."""
        return self.sent.keys() == self.acknowledged.keys()

    def calm(self, senders: Sequence[threading.Thread]) -> None:
        """Let each sender finish; what is not acknowledged after a while is left so."""
        self._over.set()
        deadline = time.monotonic() + LAST_SECONDS
        for sender in senders:
            sender.join(max(0.0, deadline - time.monotonic()))
        self._lost_patience.set()


@contextmanager
def storm(*ports: int) -> Iterator[Storm]:
    """Send from several connections for the duration; on leaving, everything begun is acknowledged."""
    made = Storm(ports)
    with blowing(made):
        yield made
    assert made.is_settled, "some delivery was never acknowledged"


@contextmanager
def blowing(made: Storm) -> Iterator[None]:
    """Let a storm blow for the duration."""
    senders = [threading.Thread(target=made.send, args=(seed,), daemon=True) for seed in range(SENDERS)]
    senders.append(threading.Thread(target=made.intrude, daemon=True))
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        made.calm(senders)


def _intrusion(port: int, number: int) -> int:
    body = b'{"type":"user.deleted","data":{"id":"00000000-0000-4000-8000-000000000001"}}'
    message_id, now = f"stranger-{number}", datetime.now(UTC)
    headers = (
        {},
        sign(APP_SECRET, message_id, now, body),
        sign(SECRET, message_id, now, body + b" "),
        sign(SECRET, message_id, now - timedelta(hours=1), body),
    )[number % 4]
    connection = HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("POST", "/webhooks/stack", body, headers)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return NO_ANSWER
    finally:
        connection.close()
