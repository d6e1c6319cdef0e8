"""The sender's bad habit of repeating, over real HTTP into a real database."""

from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier, Thread

from consumer.providers.standard_webhooks import sign
from consumer.simulator.samples import SampleContext, body
from consumer.simulator.sender import new_message_id
from tests.support.databases import rows
from tests.support.processes import HOST, SECRET, is_ready, on, ports, running, until

COPIES = 100


def test_a_hundred_parallel_copies_of_one_delivery_are_one_row_and_a_hundred_204(emptied: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    text = body("user.created", SampleContext.now())
    headers = sign(SECRET, new_message_id(datetime.now(UTC)), datetime.now(UTC), text)
    together, statuses = Barrier(COPIES, timeout=20), []

    def send() -> None:
        connection = HTTPConnection(HOST, port, timeout=20)
        connection.connect()
        together.wait()
        connection.request("POST", "/webhooks/stack", text, headers)
        statuses.append(connection.getresponse().status)
        connection.close()

    with running(tmp_path, on(emptied, PORT=port), "serve"):
        until(lambda: is_ready(port))
        senders = [Thread(target=send, daemon=True) for _ in range(COPIES)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()

    assert statuses == [204] * COPIES
    assert len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 1
    assert len(rows(emptied, "SELECT seq FROM consumer.pending")) == 1
