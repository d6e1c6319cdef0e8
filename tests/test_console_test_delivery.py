"""A test delivery from the console: what it stores, what it leaves alone, and what it says when it is not taken."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from consumer.operations import test_delivery
from consumer.operations.test_delivery import NotTaken
from consumer.providers.standard_webhooks import Verifier
from tests.support.cli import work
from tests.support.confirming import confirm, finished, order
from tests.support.console import Desk, running
from tests.support.databases import change, rows
from tests.support.web import APP_SECRET, SECRET, TOLERANCE, Site

PATH = "/system/test"
FOREIGN = "a page of another server"


@contextmanager
def console(url: str, port: int, secret: str | None = SECRET) -> Iterator[Desk]:
    secrets = {"STACK_WEBHOOK_SECRETS": secret} if secret else {}
    with running(url, PORT=str(port), **secrets) as desk:
        yield desk.as_("operator")


@pytest.fixture
def taking(site: Site) -> Site:
    """A receiver whose clock is right."""
    site.app = site.receiver({"stack": Verifier([SECRET], TOLERANCE)}, datetime.now(UTC))
    return site


@pytest.fixture
def desk(taking: Site, emptied: str) -> Iterator[Desk]:
    with console(emptied, taking.port) as desk:
        yield desk


def deliveries(url: str) -> list[dict[str, Any]]:
    return rows(
        url, "SELECT seq, source, message_id, event_type, coalesce(outcome, state) AS state FROM consumer.deliveries"
    )


def answering(status: int) -> ASGIApp:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"location", b"http://127.0.0.1:1/")]}
        )
        await send({"type": "http.response.body", "body": FOREIGN.encode()})

    return app


@contextmanager
def dripping() -> Iterator[int]:
    """A server that sends a byte of its answer every now and then, without an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(0.05)
                while True:
                    try:
                        peer.sendall(b"H")
                        if not peer.recv(65536):
                            return
                    except TimeoutError:
                        continue
                    except OSError:
                        return

        thread = Thread(target=drip)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def failed(desk: Desk, url: str) -> str:
    """Send a test delivery and return why it was not taken, as the action's page says it too."""
    answer = confirm(desk, PATH)
    done = finished(url, answer)
    page = desk.get(answer.headers["location"]).text
    assert "It ended early" in page
    assert (done["affected"], done["result"]) == (0, {})
    assert FOREIGN not in page
    assert "Traceback" not in page
    return str(done["error"])


def test_it_is_stored_and_ignored_and_its_action_leads_to_it(desk: Desk, emptied: str) -> None:
    answer = confirm(desk, PATH)
    done = finished(emptied, answer)
    work(emptied)

    [stored] = deliveries(emptied)
    assert (stored["source"], stored["event_type"], stored["state"]) == ("stack", "stack.test", "ignored")
    assert rows(emptied, "SELECT FROM identity.stack_user_profiles") == []
    assert rows(emptied, "SELECT FROM identity.profiles") == []
    assert (done["actor"], done["via"], done["role"], done["action"]) == ("kim", "console", "operator", "test")
    assert (done["filter"], done["affected"], done["error"]) == ({"message_ids": [stored["message_id"]]}, 1, None)
    assert done["result"].keys() == {"delivery", "milliseconds"}
    assert f'href="/deliveries/{stored["seq"]}"' in desk.get(answer.headers["location"]).text
    assert desk.get(f"/deliveries/{stored['seq']}").status == 200


def test_the_page_says_where_it_goes_and_sends_nothing(desk: Desk, site: Site, emptied: str) -> None:
    page = desk.get(PATH).text

    assert f"http://127.0.0.1:{site.port}/webhooks/stack" in page
    assert "it changes no user" in page
    assert f'href="{PATH}"' in desk.get("/system").text
    assert f'href="{PATH}"' not in desk.as_("viewer").get("/system").text
    assert (deliveries(emptied), rows(emptied, "SELECT FROM consumer.actions")) == ([], [])


def test_a_form_sent_twice_sends_one(desk: Desk, emptied: str) -> None:
    address, fields = order(desk.get(PATH))

    first, second = desk.post(address, fields), desk.post(address, fields)
    finished(emptied, first)

    assert first.headers["location"] == second.headers["location"]
    assert len(deliveries(emptied)) == len(rows(emptied, "SELECT FROM consumer.actions")) == 1


def test_a_form_with_the_id_of_another_action_sends_nothing(desk: Desk, emptied: str) -> None:
    """What it sent would stand in the name of somebody else."""
    desk.as_("viewer", "lee").post(PATH)
    [others] = rows(emptied, "SELECT * FROM consumer.actions")

    answer = desk.post(PATH, {"id": str(others["id"])})

    assert (answer.status, rows(emptied, "SELECT FROM consumer.background")) == (303, [])
    assert rows(emptied, "SELECT * FROM consumer.actions") == [others]


def test_a_console_that_was_killed_after_it_sent_repeats_the_same_event(desk: Desk, emptied: str) -> None:
    answer = confirm(desk, PATH)
    first = finished(emptied, answer)
    change(emptied, "UPDATE consumer.background SET finished_at = NULL")

    # Another order wakes the console up.
    finished(emptied, confirm(desk, PATH))
    again = finished(emptied, answer)

    assert again["result"]["delivery"] == first["result"]["delivery"]
    assert len(deliveries(emptied)) == 2


def test_a_viewer_and_another_site_send_nothing(desk: Desk, emptied: str) -> None:
    address, fields = order(desk.get(PATH))

    viewer = desk.as_("viewer", "lee").post(address, fields)
    foreign = desk.post(address, fields, sec_fetch_site="cross-site")

    assert (viewer.status, foreign.status, deliveries(emptied)) == (403, 403, [])
    [recorded] = rows(emptied, "SELECT * FROM consumer.actions")
    assert (recorded["actor"], recorded["action"], recorded["filter"]) == ("lee", "refused", {"address": PATH})


def test_the_secret_stands_nowhere(desk: Desk, emptied: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = confirm(desk, PATH)
    finished(emptied, answer)

    pages = [desk.get(path).text for path in (PATH, "/system", answer.headers["location"], "/actions")]
    kept = rows(emptied, "SELECT * FROM consumer.actions JOIN consumer.background USING (id)")
    assert SECRET.removeprefix("whsec_") not in f"{pages} {kept} {caplog.text}"


def test_it_goes_to_the_address_that_connect_has_recorded(taking: Site, emptied: str) -> None:
    url = f"http://127.0.0.1:{taking.port}/webhooks/stack"
    values = f"'00000000-0000-4000-8000-000000000001', '{url}'"
    change(emptied, f"INSERT INTO consumer.project (project_id, endpoint_url) VALUES ({values})")
    with console(emptied, 1) as desk:
        assert url in desk.get(PATH).text
        finished(emptied, confirm(desk, PATH))

    assert len(deliveries(emptied)) == 1


def test_without_a_receiver_it_says_how_to_start_one(emptied: str) -> None:
    with console(emptied, 1) as desk:
        error = failed(desk, emptied)

    assert error == (
        "No receiver answers at http://127.0.0.1:1/webhooks/stack (ConnectError): start a receiver there "
        "(`consumer serve`, or `consumer up`), or correct HOST and PORT."
    )


def test_with_another_secret_it_says_whose_must_be_equal(taking: Site, emptied: str) -> None:
    with console(emptied, taking.port, APP_SECRET) as desk:
        error = failed(desk, emptied)

    assert "answered 401: it verifies with another secret. Give this console and the receivers the same" in error


def test_without_a_secret_the_page_shows_the_command(site: Site, emptied: str) -> None:
    command = f"consumer send stack.test --url http://127.0.0.1:{site.port}/webhooks/stack"
    with console(emptied, site.port, None) as desk:
        page = desk.get(PATH).text
        ordered = finished(emptied, desk.post(PATH, {"id": "6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10"}))

    assert command in page
    assert 'id="order"' not in page
    assert f"`{command}`" in ordered["error"]
    assert deliveries(emptied) == []


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, "404: no delivery of Stack comes in there."),
        (503, "503: it can't store at the moment. `consumer doctor` names what is missing."),
        (307, "307: the log of the receiver has the reason."),
        (500, "500: the log of the receiver has the reason."),
    ],
)
def test_another_answer_is_named_with_what_to_do(
    desk: Desk, site: Site, emptied: str, status: int, sentence: str
) -> None:
    site.app = answering(status)

    assert sentence in failed(desk, emptied)


def test_a_receiver_of_another_database_is_named(desk: Desk, site: Site, emptied: str) -> None:
    site.app = answering(204)

    assert "took it, but not into this database: compare the receiver's DATABASE_URL." in failed(desk, emptied)


async def test_a_server_that_never_ends_its_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert test_delivery.SEND_SECONDS == 4
    monkeypatch.setattr(test_delivery, "SEND_SECONDS", 0.3)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with dripping() as port, pytest.raises(NotTaken, match=r"did not answer within 0\.3 s: see whether a firewall"):
        await test_delivery.send(f"http://127.0.0.1:{port}/", SECRET, "msg_1")

    assert loop.time() - began < 2
