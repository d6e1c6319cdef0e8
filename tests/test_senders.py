"""The made-up sender over real HTTP, its samples, and what a demo finds wrong."""

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from uuid import UUID

import orjson
import pytest

from consumer.providers.stack.message_ids import occurred_at
from consumer.providers.standard_webhooks import Verifier
from consumer.simulator.checks import DemoTables, OutcomeCount, judge
from consumer.simulator.samples import DEPARTMENTS, FIRST_NAMES, LAST_NAMES, ROLES, SAMPLES, SampleContext, body, data
from consumer.simulator.scenario import ExpectedProfile, SampleRequest, Scenario, write
from consumer.simulator.sender import NotDelivered, Sender, new_message_id

SECRET = "whsec_TBLusB12Fygrrm8tfpKzVtU3qV40Nelq"
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Receiver(ThreadingHTTPServer):
    """It keeps what it gets, with the port of each connection, and hangs up where it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, int, list[tuple[bytes, bytes]], bytes]] = []
        self.hangs_up = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        receiver: Any = self.server
        content = self.rfile.read(int(self.headers["content-length"]))
        headers = [(name.lower().encode(), text.encode()) for name, text in self.headers.items()]
        receiver.got.append((self.path, self.client_address[1], headers, content))
        if receiver.hangs_up:
            self.close_connection = True
            return
        self.send_response(503)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"a\xff")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
        yield found
        found.shutdown()


def test_deliveries_are_signed_and_posted_over_one_connection(receiver: Receiver) -> None:
    port = receiver.server_port
    with Sender(f"http://127.0.0.1:{port}/a/b?c=d#e", secret=SECRET) as sender:
        answers = [sender.post(content, message_id) for content, message_id in ((b"{}", "m1"), (b"\xfe", "m2"))]

    assert [(each.message_id, each.status, each.text) for each in answers] == [
        ("m1", 503, "a\ufffd"),
        ("m2", 503, "a\ufffd"),
    ]
    assert all(0 < each.seconds < 30 for each in answers)
    assert [(path, content) for path, _, _, content in receiver.got] == [("/a/b?c=d", b"{}"), ("/a/b?c=d", b"\xfe")]
    assert len({client for _, client, _, _ in receiver.got}) == 1
    for (_, _, headers, content), message_id in zip(receiver.got, ("m1", "m2"), strict=True):
        assert (b"content-type", b"application/json") in headers
        verified = Verifier([SECRET], timedelta(minutes=1)).verify(headers, content, datetime.now(UTC))
        assert verified.message_id == message_id


def test_without_a_path_the_root_is_asked(receiver: Receiver) -> None:
    with Sender(f"http://127.0.0.1:{receiver.server_port}", secret=SECRET) as sender:
        sender.post(b"{}", "m")

    assert [path for path, *_ in receiver.got] == ["/"]


def test_a_lost_answer_is_an_error_and_the_next_delivery_opens_another_connection(receiver: Receiver) -> None:
    port = receiver.server_port
    with Sender(f"http://127.0.0.1:{port}/a", secret=SECRET) as sender:
        receiver.hangs_up = True
        with pytest.raises(NotDelivered, match=rf"^The receiver at 127\.0\.0\.1:{port} did not answer: "):
            sender.post(b"{}", "m1")
        assert sender._connection.sock is None
        receiver.hangs_up = False
        assert sender.post(b"{}", "m2").status == 503
        with pytest.raises(NotDelivered, match="did not answer: "):
            sender.post(b"{}", "two\nlines")
        assert sender.post(b"{}", "m3").message_id == "m3"
    assert sender._connection.sock is None


def test_where_nothing_listens_the_cure_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    with (
        Sender(f"http://127.0.0.1:{port}/a", secret=SECRET) as sender,
        pytest.raises(NotDelivered) as raised,
    ):
        sender.post(b"{}", "m")

    assert str(raised.value) == (
        f"Nothing listens on 127.0.0.1:{port} (Connection refused): "
        "start `consumer up`, or correct --url, HOST or PORT."
    )


@pytest.mark.parametrize(
    ("address", "kind", "port"),
    [
        ("https://a.example/x", HTTPSConnection, 443),
        ("https://a.example:8443/x", HTTPSConnection, 8443),
        ("http://a.example/x", HTTPConnection, 80),
        ("http://[::1]:81/x", HTTPConnection, 81),
    ],
)
def test_a_connection_is_of_the_scheme_and_waits_as_long_as_svix(address: str, kind: type, port: int) -> None:
    connection = Sender(address, secret=SECRET)._connection

    assert (type(connection), connection.port, connection.timeout) == (kind, port, 15.0)


def test_a_new_message_id_tells_its_time_and_is_another_each_time() -> None:
    first, second = new_message_id(NOON), new_message_id(NOON)

    assert first != second
    assert occurred_at(first, NOON, timedelta(0)) == NOON


def test_a_sample_is_of_its_type_and_every_made_up_value_is_one_of_its_kind() -> None:
    context = SampleContext(UUID(int=7, version=4), 1_795_330_800_123, Random(1), UUID(int=9))

    assert orjson.loads(body("user.deleted", context)) == {
        "type": "user.deleted",
        "data": {"id": str(context.user_id), "teams": []},
    }
    user = data("user.created", context)
    first, last = user["display_name"].split()
    assert (first in FIRST_NAMES, last in LAST_NAMES) == (True, True)
    assert user["primary_email"] == f"{first}.{last}.{context.user_id.hex[:6]}@example.com".lower()
    assert user["server_metadata"]["role"] in ROLES
    assert user["server_metadata"]["department"] in DEPARTMENTS
    assert data("team.created", context)["display_name"].removesuffix(" Works") in LAST_NAMES
    assert data("user.signed_in", context) == {"id": str(context.user_id), "signed_in_at_millis": 1_795_330_800_123}
    with pytest.raises(KeyError):
        body("x.y", context)


def test_every_type_has_a_sample_of_its_own_without_a_place_left_open() -> None:
    for event_type in SAMPLES:
        context = SampleContext.now(UUID(int=7, version=4), UUID(int=9))
        assert b'"$' not in body(event_type, context)
    assert SampleContext.now(UUID(int=7)).user_id == UUID(int=7)
    assert SampleContext.now(UUID(int=7)).choices.random() == Random(7).random()
    assert SampleContext.now(team_id=UUID(int=9)).team_id == UUID(int=9)
    team = UUID(data("team.created", SampleContext.now())["id"])
    assert team.version == 4


def test_a_user_has_one_name_and_address_in_all_its_samples() -> None:
    user_id = UUID(int=7, version=4)
    users = [data("user.updated", SampleContext(user_id, 1, Random(seed))) for seed in range(5)]

    assert len({(each["display_name"], each["primary_email"]) for each in users}) == 1
    assert len({each["server_metadata"]["role"] for each in users}) > 1


def test_each_body_of_a_scenario_tells_the_time_of_its_message() -> None:
    scenario = write(Random(2), NOON)
    millis = {"user.created": "signed_up_at_millis", "user.updated": "last_active_at_millis"}
    millis["user.signed_in"] = "signed_in_at_millis"
    for request in scenario.requests:
        if request.body == b'{"type": "user.updated", "data": {':
            assert request.kind in {"unreadable", "repeated"}
            continue
        told = orjson.loads(request.body)
        if told["type"] in millis:
            at = occurred_at(request.message_id, NOON, timedelta(0))
            assert told["data"][millis[told["type"]]] == int(at.timestamp() * 1000)
        if request.kind == "of an unknown type":
            assert told == {"type": "user.sneezed", "data": {"times": 3}}
    ids = scenario.profiles
    assert {each.version for each in ids} == {4}
    assert len({each.int >> 124 for each in ids}) == 16


def test_the_same_choices_make_the_same_scenario() -> None:
    assert write(Random(3), NOON) == write(Random(3), NOON)
    assert write(Random(3), NOON) != write(Random(4), NOON)


PROFILE = ExpectedProfile("Ada", "a@x", "owner", "Sales", False, None)
ADA = UUID(int=1)


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"full_name": "B"}, "full_name"),
        ({"email": "b@x", "role_type": "r"}, "email, role_type"),
        ({"department": "d", "is_deleted": True}, "department, is_deleted"),
        ({"last_sign_in_at": NOON}, "last_sign_in_at"),
    ],
)
def test_a_profile_that_is_not_as_expected_is_named_with_its_fields(wrong: dict[str, Any], fields: str) -> None:
    found = ExpectedProfile(
        **{
            name: getattr(PROFILE, name)
            for name in ("full_name", "email", "role_type", "department", "is_deleted", "last_sign_in_at")
        }
        | wrong
    )
    scenario = Scenario([], {ADA: PROFILE})

    assert judge(scenario, [], DemoTables([], {ADA: found}, 0)) == [f"User {ADA} has a wrong {fields}."]
    assert judge(scenario, [], DemoTables([], {ADA: PROFILE}, 0)) == []


def test_deliveries_are_counted_by_state_and_by_outcome() -> None:
    kinds = ("created", "repeated", "forged", "unreadable", "unreadable", "of an unknown type", "signed in")
    scenario = Scenario([SampleRequest("stack", kind, "m", b"") for kind in kinds])  # type: ignore[arg-type]
    counted = [
        OutcomeCount("done", "applied", 1),
        OutcomeCount("done", "applied", 1),
        OutcomeCount("done", "ignored", 1),
        OutcomeCount("dead", "a", 1),
        OutcomeCount("dead", "b", 1),
    ]

    assert judge(scenario, [(each, each.status) for each in scenario.requests], DemoTables(counted, {}, 1)) == []
    twice = DemoTables([*counted, OutcomeCount("dead", "ignored", 2)], {ADA: PROFILE}, 2)
    assert judge(scenario, [], twice) == [
        "7 deliveries were stored, not 5.",
        "4 deliveries are dead, not 2.",
        "3 deliveries were ignored, not 1.",
        "2 sign-ins are in the audit, not 1.",
        "1 profiles exist, not 0.",
    ]
