"""`consumer send` against a receiver that runs."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.databases import rows, scratch_database
from tests.support.processes import (
    SECRET,
    invoke,
    is_ready,
    on,
    ports,
    running,
    until,
)


@pytest.fixture(scope="module")
def url(server_url: str) -> Iterator[str]:
    """A database that `migrate` was run on."""
    with scratch_database(server_url, "send") as made, TemporaryDirectory() as folder:
        assert invoke(Path(folder), {"DATABASE_URL": made}, "migrate").exit_code == 0
        yield made


@pytest.fixture(scope="module")
def receiver(url: str) -> Iterator[Mapping[str, str]]:
    """The settings of a receiver that runs."""
    (port,) = ports(1)
    settings = on(url, PORT=port)
    with TemporaryDirectory() as folder, running(Path(folder), settings, "serve") as process:
        until(lambda: is_ready(port))
        yield settings
        process.stop()


def test_send_delivers_as_many_as_asked(receiver: Mapping[str, str], tmp_path: Path) -> None:
    result = invoke(tmp_path, receiver, "send", "user.created", "--count", "25", "--json")

    sent = json.loads(result.stdout)
    assert (result.exit_code, sent["statuses"]) == (0, {"204": 25})
    assert len({answer["message_id"] for answer in sent["answers"]}) == 25


def test_send_signs_an_application_s_event_with_its_secret(receiver: Mapping[str, str], tmp_path: Path) -> None:
    result = invoke(tmp_path, receiver, "send", "user.signed_in")

    assert (result.exit_code, result.stdout.split()[:2]) == (0, ["204", "user.signed_in"])


def test_send_repeats_one_message_and_a_file_s_exact_bytes(
    receiver: Mapping[str, str], url: str, tmp_path: Path
) -> None:
    file = tmp_path / "body.json"
    file.write_bytes(b'{ "type" : "user.sneezed",\n "data":{} }')

    result = invoke(
        tmp_path, receiver, "send", "user.sneezed", "--file", str(file), "--message-id", "msg_file", "--count", "30"
    )

    assert (result.exit_code, "30 × 204" in result.stdout) == (0, True)
    stored = rows(url, "SELECT body, event_type FROM consumer.outbox WHERE message_id = 'msg_file'")
    assert stored == [{"body": file.read_bytes(), "event_type": "user.sneezed"}]


def test_send_takes_a_file_that_is_no_event(receiver: Mapping[str, str], tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text("[not json")

    assert invoke(tmp_path, receiver, "send", "user.created", "--file", str(file)).exit_code == 0


def test_send_refuses_a_file_of_another_type(tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text('{"type": "user.deleted", "data": {}}')

    result = invoke(tmp_path, {}, "send", "user.created", "--file", str(file))

    assert (result.exit_code, "is of type user.deleted, not user.created" in result.stderr) == (2, True)


def test_send_fails_when_it_is_refused(receiver: Mapping[str, str], tmp_path: Path) -> None:
    stranger = "whsec_plJ3nmyCDGBKInavdOK15jsl"

    result = invoke(tmp_path, receiver, "send", "user.created", "--secret", stranger)

    assert (result.exit_code, "answered 401" in result.stderr) == (1, True)
    assert "Sign with the receiver's secret: --secret, or the same STACK_WEBHOOK_SECRETS." in result.stderr


def test_send_refuses_a_secret_that_signs_nothing(tmp_path: Path) -> None:
    result = invoke(tmp_path, {}, "send", "user.created", "--secret", "nope")

    assert result.exit_code == 2
    assert "'--secret': must be whsec_ and base64 of at least 16 bytes" in result.stderr


def test_an_endpoint_that_is_off_names_the_variable_that_opens_it(
    receiver: Mapping[str, str], url: str, tmp_path: Path
) -> None:
    (port,) = ports(1)
    closed = {name: value for name, value in on(url, PORT=port).items() if name != "APP_WEBHOOK_SECRETS"}
    with running(tmp_path, closed, "serve") as process:
        until(lambda: is_ready(port))
        result = invoke(tmp_path, closed, "send", "user.signed_in", "--secret", receiver["APP_WEBHOOK_SECRETS"])
        process.stop()

    sentence = "The receiver has no /webhooks/app: set APP_WEBHOOK_SECRETS for it and restart it."
    assert (result.exit_code, result.stderr) == (1, f"Error: {sentence}\n")


def test_what_was_answered_before_the_receiver_died_is_told(tmp_path: Path) -> None:
    """A server of three answers, for a real one can't be killed at a chosen delivery."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=answer, args=(listener, 3), daemon=True)
        answering.start()
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        url = f"http://{where}/webhooks/stack"
        result = invoke(
            tmp_path, {}, "send", "user.created", "--url", url, "--secret", SECRET, "--count", "9", "--json"
        )
        answering.join()

    document = json.loads(result.stdout)
    assert (result.exit_code, document["statuses"], len(document["answers"])) == (1, {"204": 3}, 3)
    assert result.stderr.startswith(f"Error: The receiver at {where} did not answer: ")
    assert result.stderr.endswith(" 3 of 9 were answered before.\n")


def answer(listener: socket.socket, times: int) -> None:
    client, _ = listener.accept()
    with client:
        for _ in range(times):
            head, _, body = client.recv(65_536).partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split()[0])
            while len(body) < length:
                body += client.recv(65_536)
            client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
