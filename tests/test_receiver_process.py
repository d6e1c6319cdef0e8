"""`consumer serve` as a process: where it listens, what it says of refusals, and how it ends."""

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumer.errors import BadSettings
from consumer.providers.standard_webhooks import sign
from consumer.simulator.samples import SampleContext, body
from consumer.simulator.sender import new_message_id
from consumer.web.listen import hosts, listen
from tests.support.databases import rows
from tests.support.ipv6 import needs_ipv6
from tests.support.processes import APP_SECRET, HOST, SECRET, Running, ask, invoke, is_ready, on, ports, running, until

DELIVERY = body("user.created", SampleContext.now())


def signed(event: bytes = DELIVERY, secret: str = SECRET) -> dict[str, str]:
    now = datetime.now(UTC)
    return sign(secret, new_message_id(now), now, event)


def send(
    port: int, path: str = "/webhooks/stack", *, method: str = "POST", event: bytes = DELIVERY, **more: str
) -> int:
    """Return the status of a signed delivery."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=20)) as connection:
        connection.request(method, path, event, {**signed(event), **{k.replace("_", "-"): v for k, v in more.items()}})
        return connection.getresponse().status


def events(process: Running, name: str) -> list[dict[str, object]]:
    """Return the lines of an event in the log."""
    lines = (json.loads(line) for line in process.text.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == name]


def ops_port(process: Running) -> int:
    return int(str(until(lambda: events(process, "ops_started"))[0]["port"]))


@pytest.fixture
def receiver(database_url: str, emptied: str, tmp_path: Path) -> Iterator[tuple[Running, int]]:
    (port,) = ports(1)
    with running(tmp_path, on(database_url, PORT=port), "serve") as process:
        until(lambda: is_ready(port))
        yield process, port


def test_each_refusal_leaves_a_line_and_a_count(receiver: tuple[Running, int]) -> None:
    process, port = receiver
    statuses = [
        send(port, "/webhook/stack"),
        send(port, "/webhooks/stakc"),
        send(port, content_encoding="gzip"),
        send(port, content_length=str(3_000_000), event=b""),
        send(port, method="PUT"),
        send(port, svix_signature="v1,x"),
        send(port, svix_timestamp="1"),
        send(port, svix_id="m" * 300),
        send(port, transfer_encoding="gzip"),
        send(port, x="y" * 20_000),
    ]

    assert statuses == [404, 404, 415, 413, 405, 401, 401, 400, 400, 431]
    expected = {
        ("not_found", None): 2,
        ("encoded_body", "stack"): 1,
        ("body_too_large", None): 1,
        ("method_not_allowed", "stack"): 1,
        ("no_match", "stack"): 1,
        ("too_old", "stack"): 1,
        ("bad_message_id", "stack"): 1,
        ("malformed_request", None): 1,
        ("headers_too_large", None): 1,
    }
    logged = [(line["reason"], line["source"]) for line in events(process, "delivery_refused")]
    assert {key: logged.count(key) for key in logged} == expected
    metrics = ask(ops_port(process), "/metrics")[1]
    counted = re.findall(r'deliveries_refused_total\{reason="(\w+)"\} (\d+)', metrics)
    assert {(reason, int(n)) for reason, n in counted if n != "0"} == {(key[0], n) for key, n in expected.items()}


def test_whoever_waits_for_a_profile_at_sigterm_is_answered_at_once(
    receiver: tuple[Running, int], emptied: str
) -> None:
    process, port = receiver
    event = body("user.signed_in", SampleContext.now())

    def wait() -> tuple[int, bytes, float]:
        with closing(http.client.HTTPConnection(HOST, port, timeout=20)) as connection:
            connection.request("POST", "/webhooks/app", event, {**signed(event, APP_SECRET), "prefer": "wait=5"})
            response = connection.getresponse()
            return response.status, response.read(), time.monotonic()

    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(wait) for _ in range(3)]
        until(lambda: len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 3)
        began = time.monotonic()
        exit_code = process.stop()

        for answer in waiting:
            status, text, at = answer.result()
            assert (status, json.loads(text)["state"], at - began < 2) == (202, "pending", True)
    assert exit_code == 0


def test_the_ops_port_is_on_unless_it_is_off(database_url: str, tmp_path: Path) -> None:
    first, second, third = ports(3)
    with (
        running(tmp_path, on(database_url, PORT=first), "serve") as one,
        running(tmp_path, on(database_url, PORT=second), "work") as other,
        running(tmp_path, on(database_url, PORT=third, OPS_PORT="off"), "serve") as silent,
    ):
        found = ops_port(one), ops_port(other)
        until(lambda: events(silent, "receiver_started"))

        assert len(set(found)) == 2
        assert set(found) <= {8001, 8002, *range(8011, 8100)}
        until(lambda: all(map(is_ready, found)))
        assert events(silent, "ops_started") == []


def test_the_ops_port_is_never_the_receiver_s(database_url: str, tmp_path: Path) -> None:
    with running(tmp_path, on(database_url, PORT=8001), "work") as worker:
        assert ops_port(worker) != 8001


def test_an_ops_port_that_is_set_and_taken_is_refused(database_url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    with socket.create_server((HOST, 0)) as other:
        taken = other.getsockname()[1]
        for command in ("serve", "work"):
            with running(tmp_path, on(database_url, PORT=port, OPS_PORT=taken), command) as process:
                assert process.process.wait(20) == 2
            assert f"OPS_PORT {taken} on {HOST} is in use" in process.text


@needs_ipv6
@pytest.mark.parametrize("host", ["::", "[::]", "0.0.0.0 ::", "127.0.0.1, ::1"])
def test_a_receiver_serves_both_families(host: str, database_url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    with running(tmp_path, on(database_url, PORT=port, HOST=host, OPS_PORT="off"), "serve"):
        until(lambda: is_ready(port))
        with closing(http.client.HTTPConnection("::1", port, timeout=20)) as connection:
            connection.request("GET", "/livez")

            assert connection.getresponse().status == 200


def test_everything_lies_below_a_path_prefix_and_health_at_the_root_too(database_url: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    settings = on(database_url, PORT=port, PATH_PREFIX="hooks/v1/", OPS_PORT="off")
    with running(tmp_path, settings, "serve"):
        until(lambda: is_ready(port))
        sent = invoke(tmp_path, settings, "send", "stack.test")
        found = [send(port, path) for path in ("/hooks/v1/webhooks/stack", "/hooks/v1/webhooks/stack/")]
        strayed = [
            send(port, f"{path}/webhooks/stack") for path in ("", "/hooks", "/Hooks/v1", "/hooks/v1/", "/hooks%2fv1")
        ]
        health = [ask(port, start + path)[0] for start in ("", "/hooks/v1") for path in ("/", "/livez", "/readyz")]

        assert ask(port, "/hooks/v1")[0] == 200
    assert (sent.exit_code, sent.output[:3], found) == (0, "204", [204, 204])
    assert (strayed, health) == ([404] * 5, [200] * 6)


def test_connections_leave_the_process_files_to_work_with(database_url: str, tmp_path: Path) -> None:
    """The receiver may open 128 files, far fewer than the connections that strangers hold."""
    (port,) = ports(1)
    with running(tmp_path, on(database_url, PORT=port), "serve", files_max=128) as process, ExitStack() as held:
        until(lambda: is_ready(port))
        for _ in range(300):
            held.enter_context(socket.create_connection((HOST, port)))

        assert send(port) == 204
        assert is_ready(ops_port(process))
        assert 20 < len(list(Path(f"/proc/{process.process.pid}/fd").iterdir())) < 128
    assert {line["reason"] for line in events(process, "delivery_refused")} == {"too_many_connections"}


@needs_ipv6
def test_every_address_of_a_list_shares_a_free_port_and_one_named_twice_is_one() -> None:
    listeners = listen("127.0.0.1,::1 127.0.0.1", 0, "PORT")
    places = [listener.getsockname()[:2] for listener in listeners]
    for listener in listeners:
        listener.close()

    assert [host for host, _ in places] == ["127.0.0.1", "::1"]
    assert len({port for _, port in places}) == 1


@pytest.mark.parametrize("host", [" , ", "", "[]"])
def test_a_list_without_an_address_is_refused(host: str) -> None:
    with pytest.raises(BadSettings, match="OPS_HOST names no address"):
        listen(host, 0, "OPS_PORT")


def test_one_address_that_cannot_be_had_refuses_the_list_and_leaves_nothing_open() -> None:
    (port,) = ports(1)
    with pytest.raises(BadSettings, match=r"PORT \d+ on 127\.0\.0\.1 192\.0\.2\.1 can't be listened on"):
        listen("127.0.0.1 192.0.2.1", port, "PORT")

    for listener in listen("127.0.0.1", port, "PORT"):
        listener.close()


def test_of_a_name_those_addresses_are_left_out_that_this_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("192.0.2.1", 0))
    own = (socket.AF_INET, socket.SOCK_STREAM, 0, "", (HOST, 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [foreign, own, own])

    [listener] = listen("localhost", 0, "PORT")

    assert listener.getsockname()[0] == HOST
    listener.close()


def test_a_list_is_written_with_spaces_or_commas() -> None:
    assert hosts("a b,c , [::1]\t") == ["a", "b", "c", "::1"]
