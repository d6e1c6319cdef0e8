"""`consumer send`: one sample event or more, signed and delivered as the sender would."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, Unpack
from urllib.parse import urlsplit
from uuid import UUID

import click
import orjson

from consumer.cli import secret as secrets
from consumer.cli.addresses import webhook_url
from consumer.cli.cells import printable
from consumer.cli.context import data_dir, has_urls, looked_in, pass_settings
from consumer.cli.output import console, emit, json_option
from consumer.errors import BadSettings
from consumer.settings.settings import Settings
from consumer.simulator.samples import APP_TYPES, SAMPLES, SampleContext, body
from consumer.simulator.sender import Answer, NotDelivered, Sender, new_message_id

# More deliveries than these are counted, not listed.
LISTED_MAX = 20
# Enough for the sentence in a refusal, too little for a page of some other server.
ERROR_CHARACTERS = 200


class Message(TypedDict):
    """What every delivery of one call has in common."""

    event_type: str
    file: Path | None
    user_id: UUID | None
    message_id: str | None


def _address(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    try:
        parts = urlsplit(text or "http://unset")
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise click.BadParameter("it must be an http:// or https:// URL.")
    return text


@click.command(name="send")
@click.argument("event_type", metavar="TYPE")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Send exactly these bytes, of this TYPE.",
)
@click.option("--url", callback=_address, help="Default: this machine's receiver, by HOST and PORT.")
@click.option("--secret", help="Default: the newest configured one, else the one that `up` made.")
@click.option("--user", "user_id", type=click.UUID, help="Whom the sample is about; default somebody new each time.")
@click.option("--message-id", help="Default: a new one each time; a repeated id is one event.")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="How many deliveries.")
@json_option
@pass_settings
def command(
    settings: Settings, *, url: str | None, secret: str | None, count: int, is_json: bool, **message: Unpack[Message]
) -> None:
    """Sign a sample event of TYPE, or a file that holds one, and POST it; exit with 1 unless every answer is a 2xx."""
    event_type = message["event_type"]
    if file := message["file"]:
        _refuse_another_type(file, event_type)
    elif event_type not in SAMPLES:
        raise click.BadParameter(
            f"there is no sample of {event_type}, only of {', '.join(SAMPLES)}; --file takes any body."
        )
    address = url or webhook_url(settings, "app" if event_type in APP_TYPES else "stack")
    with Sender(address, secret=secret or _secret(settings, address)) as sender:
        answers, failure = _send_all(sender, message, count)
    if failure and not answers:
        raise failure
    if is_json:
        emit({"url": address, "statuses": Counter(answer.status for answer in answers), "answers": answers})
    else:
        _show(event_type, address, answers)
    if failure:
        raise click.ClickException(f"{failure} {len(answers):,} of {count:,} were answered before.")
    if refused := next((answer for answer in answers if not answer.is_accepted), None):
        raise click.ClickException(f"The receiver answered {refused.status}: {refused.text[:ERROR_CHARACTERS]}")


def _secret(settings: Settings, address: str) -> str:
    """Return the secret that the receiver at this address would verify with."""
    source = "app" if urlsplit(address).path.rstrip("/").endswith("/app") else "stack"
    if known := settings.app_webhook_secrets if source == "app" else settings.stack_webhook_secrets:
        return known[0]
    unset = f"{source.upper()}_WEBHOOK_SECRETS is not set, no --secret is given"
    if has_urls(settings):
        raise BadSettings([f"{unset}, and `consumer up` keeps a secret only beside the embedded database."])
    try:
        if kept := secrets.kept(data_dir(settings), source):
            return kept.read_text().strip()
    except PermissionError:
        raise BadSettings([f"{unset}, and the one in {looked_in(settings)} is another user's."]) from None
    raise BadSettings([f"{unset}, and `consumer up` has kept none in {looked_in(settings)}."])


def _refuse_another_type(file: Path, event_type: str) -> None:
    """Refuse a body that names another type; one that can't be read as an event is the sender's business."""
    try:
        document = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError:
        return
    found = document.get("type") if isinstance(document, dict) else None
    if isinstance(found, str) and found != event_type:
        raise click.BadParameter(f"the body in {file} is of type {printable(found)}, not {event_type}.")


def _send_all(sender: Sender, message: Message, count: int) -> tuple[list[Answer], NotDelivered | None]:
    """Send until one delivery is not answered; return the answers, and what became of that one."""
    answers: list[Answer] = []
    for _ in range(count):
        try:
            answers.append(_send(sender, message))
        except NotDelivered as failure:
            return answers, failure
    return answers, None


def _send(sender: Sender, message: Message) -> Answer:
    if message["file"]:
        text = message["file"].read_bytes()
    else:
        text = body(message["event_type"], SampleContext.now(message["user_id"]))
    return sender.post(text, message["message_id"] or new_message_id(datetime.now(UTC)))


def _show(event_type: str, address: str, answers: list[Answer]) -> None:
    out = console()
    for answer in answers[:LISTED_MAX]:
        colour = "green" if answer.is_accepted else "red"
        line = f"[{colour}]{answer.status}[/]  {event_type}  {answer.message_id}  {answer.seconds * 1000:.1f} ms"
        out.print(line, soft_wrap=True)
    if len(answers) > LISTED_MAX:
        statuses = ", ".join(f"{n} × {status}" for status, n in Counter(answer.status for answer in answers).items())
        out.print(f"… {statuses} from {address}", soft_wrap=True)
