"""The parts of `consumer send`: how a URL, a secret and a change are read, what is sent, and what is printed."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click
import orjson
import pytest

from consumer.cli import send
from consumer.cli.send import Message, SampleChange
from consumer.errors import BadSettings
from consumer.settings.settings import Settings
from consumer.simulator.sender import Answer, NotDelivered
from tests.support.printed import Printed

CONTEXT, OPTION = click.Context(send.command), click.Option(["--x"])
SECRET = "whsec_TBLusB12Fygrrm8tfpKzVtU3qV40Nelq"


def message(**named: Any) -> Message:
    nothing: dict[str, Any] = dict.fromkeys(("file", "user_id", "team_id", "message_id"))
    made: Message = {"event_type": "user.created", "changes": (), "is_printed": False, **nothing, **named}  # type: ignore[typeddict-item]
    return made


@pytest.mark.parametrize("url", [None, "http://localhost:8000/webhooks/stack", "https://a.b", "http://[::1]:9/"])
def test_a_whole_address_is_taken(url: str | None) -> None:
    assert send._url(CONTEXT, OPTION, url) == url


@pytest.mark.parametrize("url", ["a.b", "ftp://a.b", "http://", "http://:80", "http://a:0", "http://a:x", "http://[a"])
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(click.BadParameter):
        send._url(CONTEXT, OPTION, url)


def test_only_a_usable_secret_is_taken() -> None:
    assert send._usable(CONTEXT, OPTION, None) is None
    assert send._usable(CONTEXT, OPTION, SECRET) == SECRET
    for unusable in ("", "whsec_", "two words"):
        with pytest.raises(click.BadParameter):
            send._usable(CONTEXT, OPTION, unusable)


def test_each_change_is_a_path_and_a_value() -> None:
    assert send._changes(CONTEXT, OPTION, ["a=1", "b.c=x=y", "d={}", "e="]) == [
        SampleChange(["a"], 1),
        SampleChange(["b", "c"], "x=y"),
        SampleChange(["d"], {}),
        SampleChange(["e"], ""),
    ]
    for text in ("a", "=1", "a..b=1", ".a=1"):
        with pytest.raises(click.BadParameter):
            send._changes(CONTEXT, OPTION, [text])


def test_a_body_is_the_file_or_a_sample_with_the_changes(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"[1,")
    changes = [
        SampleChange(["display_name"], "Ada"),
        SampleChange(["new", "deep", "x"], 1),
        SampleChange(["new", "y"], 2),
        SampleChange(["primary_email", "z"], 3),
    ]

    body = orjson.loads(send._body(message(user_id=UUID(int=7), changes=changes)))

    assert send._body(message(file=file)) == b"[1,"
    assert (body["type"], body["data"]["id"]) == ("user.created", str(UUID(int=7)))
    assert body["data"]["display_name"] == "Ada"
    assert body["data"]["new"] == {"deep": {"x": 1}, "y": 2}
    assert body["data"]["primary_email"] == {"z": 3}


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"event_type": "x.y"}, "there is no sample of x.y"),
        ({"team_id": UUID(int=1)}, "A sample of user.created is about no team."),
        ({"is_filed": True, "user_id": UUID(int=1)}, "--file and --user exclude each other"),
        ({"is_filed": True, "team_id": UUID(int=1)}, "--file and --team exclude each other"),
        ({"is_filed": True, "changes": [SampleChange(["a"], 1)]}, "--file and --set exclude each other"),
        ({"is_filed": True, "event_type": "user.deleted"}, "is of type user.created, not user.deleted"),
    ],
)
def test_what_makes_no_message_is_refused(tmp_path: Path, named: dict[str, Any], sentence: str) -> None:
    file = tmp_path / "body"
    file.write_bytes(b'{"type": "user.created"}')
    named = {**named, "file": file} if named.pop("is_filed", False) else named

    with pytest.raises(click.UsageError) as refused:
        send._refuse_unusable(message(**named))
    assert sentence in refused.value.message


@pytest.mark.parametrize("body", [b'{"type": "x.y"}', b'{"type": 7}', b"[1]", b"no json", b"{}"])
def test_a_file_of_the_named_type_or_of_none_is_taken(tmp_path: Path, body: bytes) -> None:
    file = tmp_path / "body"
    file.write_bytes(body)

    send._refuse_unusable(message(file=file, event_type="x.y"))
    send._refuse_unusable(message(event_type="team.created", team_id=UUID(int=1)))
    send._refuse_unusable(message())


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("http://a/webhooks/app", "app"),
        ("http://a/webhooks/app/", "app"),
        ("http://a/webhooks/stack", "stack"),
        ("http://a/app/x", "stack"),
        ("http://a/x?y=/app", "stack"),
    ],
)
def test_a_receiver_is_the_applications_if_its_path_ends_so(url: str, source: str) -> None:
    assert send._source(url) == source
    settings = Settings(stack_webhook_secrets=("s1", "s2"), app_webhook_secrets=("a1", "a2"))
    assert send._secret(settings, url) == {"app": "a1", "stack": "s1"}[source]


def test_a_secret_is_the_one_that_up_keeps_or_none(tmp_path: Path) -> None:
    embedded = Settings(data_dir=tmp_path)
    with pytest.raises(BadSettings, match="has kept none in"):
        send._secret(embedded, "http://a/app")
    (tmp_path / "app-webhook-secret").write_text(SECRET)

    assert send._secret(embedded, "http://a/app") == SECRET
    with pytest.raises(BadSettings, match=r"^STACK_WEBHOOK_SECRETS is not set"):
        send._secret(embedded, "http://a/stack")
    with pytest.raises(BadSettings, match="keeps a secret only beside the embedded database"):
        send._secret(Settings(data_dir=tmp_path, database_url="x"), "http://a/app")


class Posts:
    """A sender that gives up after some answers."""

    def __init__(self, most: int) -> None:
        self.ids: list[str] = []
        self.most = most

    def post(self, _: bytes, message_id: str) -> Answer:
        if len(self.ids) == self.most:
            raise NotDelivered("gone")
        self.ids.append(message_id)
        return Answer(message_id, 204, 0.001, "")


def test_each_message_has_an_id_of_its_own_unless_one_is_named() -> None:
    sender: Any = Posts(9)

    answers, failure = send._send_all(sender, message(), 3)
    repeated, _ = send._send_all(sender, message(message_id="m"), 2)

    assert (len({each.message_id for each in answers}), failure) == (3, None)
    assert all(each.startswith("msg_") for each in sender.ids[:3])
    assert [each.message_id for each in repeated] == ["m", "m"]


def test_the_first_delivery_without_an_answer_ends_it() -> None:
    sender: Any = Posts(2)

    answers, failure = send._send_all(sender, message(), 5)

    assert (len(answers), str(failure)) == (2, "gone")


@pytest.mark.parametrize(
    ("status", "is_accepted"), [(199, False), (200, True), (299, True), (300, False), (401, False)]
)
def test_only_a_2xx_is_an_acceptance(status: int, *, is_accepted: bool) -> None:
    assert Answer("m", status, 0.0, "").is_accepted is is_accepted


def test_twenty_answers_are_listed_and_more_are_counted(printed: Printed) -> None:
    def shown(*statuses: int) -> list[str]:
        send._show("user.created", "http://a", [Answer(f"m{n}", each, 0.0123, "") for n, each in enumerate(statuses)])
        return printed()

    assert shown(204, 401) == ["204 user.created m0 12.3 ms", "401 user.created m1 12.3 ms"]
    assert len(shown(*[204] * 20)) == 20
    many = shown(*[204] * 20, 500, 204)
    assert (len(many), many[-1]) == (21, "… 21 × 204, 1 × 500 from http://a")
