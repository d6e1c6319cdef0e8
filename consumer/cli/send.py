"""`consumer send`: sample events, signed and delivered as their sender would."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypedDict, Unpack
from urllib.parse import urlsplit
from uuid import UUID

import click
import orjson

from consumer.cli import secret as secrets
from consumer.cli.addresses import webhook_url
from consumer.cli.cells import printable
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import data_dir, has_urls, looked_in, refuse
from consumer.cli.output import console, emit, json_option
from consumer.embedded import server as embedded
from consumer.errors import BadSettings
from consumer.events.registry import EVENT_TYPES
from consumer.providers.app.payloads import APP_TYPES
from consumer.settings import signing_secrets
from consumer.settings.settings import Settings
from consumer.simulator.samples import SAMPLES, SampleContext, data
from consumer.simulator.sender import Answer, NotDelivered, Sender, new_message_id

# Further deliveries are counted, not listed.
LISTED_MAX = 20
# Enough for the sentence of a refusal, too little for another server's page.
ERROR_CHARACTERS = 200


class SampleChange(NamedTuple):
    """A value of `data` that a sample gets instead of its own, and the keys that lead to it."""

    path: Sequence[str]
    value: object


class Message(TypedDict):
    """What all deliveries of one call share."""

    event_type: str
    file: Path | None
    user_id: UUID | None
    team_id: UUID | None
    changes: Sequence[SampleChange]
    message_id: str | None
    is_printed: bool


def _url(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    try:
        parts = urlsplit(text or "http://unset")
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise click.BadParameter("it must be an http:// or https:// URL.")
    return text


def _usable(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is not None and signing_secrets.problems((text,)):
        raise click.BadParameter("must be whsec_ and base64 of at least 16 bytes")
    return text


def _changes(_: click.Context, __: click.Parameter, texts: Sequence[str]) -> list[SampleChange]:
    """Read each KEY=VALUE; a value is JSON, or text if it is none."""
    found = []
    for text in texts:
        key, is_pair, value = text.partition("=")
        path = key.split(".")
        if not is_pair or not all(path):
            raise click.BadParameter(f"{printable(text)!r} is not KEY=VALUE, such as server_metadata.role=owner.")
        try:
            found.append(SampleChange(path, orjson.loads(value)))
        except orjson.JSONDecodeError:
            found.append(SampleChange(path, value))
    return found


@click.command(
    name="send",
    epilog=f"Types: {', '.join(SAMPLES)}.\n\n"
    + examples(
        "send user.created",
        "send user.updated --count 100",
        "send profile.edited --set role_type=owner",
        "send user.created --set server_metadata.role=owner --print",
    ),
)
@click.argument("event_type", metavar="TYPE")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Send the bytes of this file instead of a sample.",
)
@click.option("--url", callback=_url, help="The receiver. Default: this machine's, at HOST and PORT.")
@click.option("--secret", callback=_usable, help="Sign with it. Default: the newest configured one, else that of `up`.")
@click.option(
    "--user", "user_id", type=click.UUID, help="The sample's user, without --file. Default: a new one each time."
)
@click.option(
    "--team", "team_id", type=click.UUID, help="The sample's team, without --file. Default: a new one each time."
)
@click.option(
    "--set",
    "changes",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_changes,
    help="A value of the sample's data, as JSON or text; dots lead into objects. May be repeated.",
)
@click.option("--print", "is_printed", is_flag=True, help="Print the body and send nothing.")
@click.option("--message-id", help="Default: a new id each time; a repeated id is one event.")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="The number of deliveries.")
@json_option
@pass_settings()
def command(
    settings: Settings, *, url: str | None, secret: str | None, count: int, is_json: bool, **message: Unpack[Message]
) -> None:
    """Sign and POST sample events of TYPE.

    The exit code is 1 unless every answer is a 2xx. --print shows what would be sent, one body a line.
    """
    event_type = message["event_type"]
    _refuse_unusable(message)
    if message["is_printed"]:
        for _ in range(count):
            click.echo(_body(message))
        return
    url = url or webhook_url(settings, "app" if event_type in APP_TYPES else "stack")
    with Sender(url, secret=secret or _secret(settings, url)) as sender:
        answers, failure = _send_all(sender, message, count)
    if failure and not answers:
        raise failure
    if is_json:
        emit({"url": url, "statuses": Counter(answer.status for answer in answers), "answers": answers})
    else:
        _show(event_type, url, answers)
    if failure:
        raise click.ClickException(f"{failure} {len(answers):,} of {count:,} were answered before.")
    if refused := next((answer for answer in answers if not answer.is_accepted), None):
        if refused.status == 404 and _source(url) == "app":
            sentence = "The receiver has no /webhooks/app: set APP_WEBHOOK_SECRETS for it and restart it."
            raise click.ClickException(sentence)
        cure = " Sign with the receiver's secret: --secret, or the same STACK_WEBHOOK_SECRETS."
        sentence = f"The receiver answered {refused.status}: {refused.text[:ERROR_CHARACTERS]}"
        raise click.ClickException(sentence + cure * (refused.status == 401))


def _refuse_unusable(message: Message) -> None:
    """Refuse a type without a sample, and what a body from a file or a type without a team leaves no place for."""
    event_type, file = message["event_type"], message["file"]
    if file:
        for option, value in (("user", message["user_id"]), ("team", message["team_id"]), ("set", message["changes"])):
            if value:
                raise click.UsageError(f"--file and --{option} exclude each other: the file is sent as it is.")
        _refuse_another_type(file, event_type)
    elif event_type not in SAMPLES:
        raise click.BadParameter(
            f"there is no sample of {event_type}, only of {', '.join(SAMPLES)}; --file takes any body."
        )
    elif message["team_id"] and not EVENT_TYPES[event_type].team:
        raise click.UsageError(f"A sample of {event_type} is about no team.")


def _body(message: Message) -> bytes:
    """Return the bytes of the file, or a new sample with the values of --set."""
    if message["file"]:
        return message["file"].read_bytes()
    event_type = message["event_type"]
    made = data(event_type, SampleContext.now(message["user_id"], message["team_id"]))
    for change in message["changes"]:
        place = made
        for key in change.path[:-1]:
            inner = place.get(key)
            place[key] = inner if isinstance(inner, dict) else {}
            place = place[key]
        place[change.path[-1]] = change.value
    return orjson.dumps({"type": event_type, "data": made})


def _source(url: str) -> str:
    return "app" if urlsplit(url).path.rstrip("/").endswith("/app") else "stack"


def _secret(settings: Settings, url: str) -> str:
    """Return the secret that the receiver at this URL verifies with."""
    source = _source(url)
    if known := settings.app_webhook_secrets if source == "app" else settings.stack_webhook_secrets:
        return known[0]
    unset = f"{source.upper()}_WEBHOOK_SECRETS is not set, no --secret is given"
    if has_urls(settings):
        raise BadSettings([f"{unset}, and `consumer up` keeps a secret only beside the embedded database."])
    refuse(embedded.problems(data_dir(settings)))
    try:
        if kept := secrets.kept(data_dir(settings), source):
            return secrets.read(kept)
    except PermissionError:
        raise BadSettings([f"{unset}, and the one in {looked_in(settings)} belongs to another user."]) from None
    raise BadSettings([f"{unset}, and `consumer up` has kept none in {looked_in(settings)}."])


def _refuse_another_type(file: Path, event_type: str) -> None:
    """Refuse a body that names another type; a body that is no event may be sent on purpose."""
    try:
        document = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError:
        return
    found = document.get("type") if isinstance(document, dict) else None
    if isinstance(found, str) and found != event_type:
        raise click.BadParameter(f"the body in {file} is of type {printable(found)}, not {event_type}.")


def _send_all(sender: Sender, message: Message, count: int) -> tuple[list[Answer], NotDelivered | None]:
    """Send until one delivery gets no answer; return the answers and that delivery's error."""
    answers: list[Answer] = []
    for _ in range(count):
        try:
            answers.append(sender.post(_body(message), message["message_id"] or new_message_id(datetime.now(UTC))))
        except NotDelivered as failure:
            return answers, failure
    return answers, None


def _show(event_type: str, url: str, answers: list[Answer]) -> None:
    out = console()
    for answer in answers[:LISTED_MAX]:
        colour = "green" if answer.is_accepted else "red"
        line = f"[{colour}]{answer.status}[/]  {event_type}  {answer.message_id}  {answer.seconds * 1000:.1f} ms"
        out.print(line, soft_wrap=True)
    if len(answers) > LISTED_MAX:
        statuses = ", ".join(f"{n} × {status}" for status, n in Counter(answer.status for answer in answers).items())
        out.print(f"… {statuses} from {url}", soft_wrap=True)
