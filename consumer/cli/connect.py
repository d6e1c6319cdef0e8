"""`consumer connect`: the endpoint at Stack's Svix, made or found, looked at, and shown to work."""

from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack
from urllib.parse import urlsplit

import click

from consumer.cli import secret
from consumer.cli.cells import printable
from consumer.cli.context import examples, pass_settings
from consumer.cli.database import data_dir, has_urls
from consumer.cli.output import as_called, console, json_option, present, show_facts
from consumer.cli.stack import AdminSession, admin_problems, project_id, with_svix_as_operator
from consumer.errors import BadSettings, ConsumerError
from consumer.operations import connect, maintenance
from consumer.operations.connect import NotConnected
from consumer.postgres.connections import transaction
from consumer.settings import signing_secrets
from consumer.settings.settings import Settings
from consumer.stack_api.endpoint import EndpointFinding, endpoint_findings, is_among, obstacles, of_url
from consumer.stack_api.svix_answers import SvixEndpoint

RECEIVER_PATH = "/webhooks/stack"
# What Stack's dashboard shows beside the URL.
DESCRIPTION = "stack-auth-consumer"


class ConnectOptions(TypedDict):
    """The options of the command."""

    url: str | None
    is_enabling: bool
    secret_file: Path | None


def _url(_: click.Context, __: click.Parameter, url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    is_address = parts.scheme in {"http", "https"} and parts.hostname and url.isprintable() and " " not in url
    # It is printed and stored, which no password may be.
    if not is_address or parts.username is not None:
        raise click.BadParameter("It must be an address as https://hooks.example.com/webhooks/stack.")
    if not parts.path.rstrip("/").endswith(RECEIVER_PATH):
        click.echo(f"Warning: the receiver answers at …{RECEIVER_PATH} unless a proxy changes the path.", err=True)
    return url


@click.command(
    name="connect",
    epilog=examples(
        "connect --url https://hooks.example.com/webhooks/stack",
        "connect --secret-file /etc/consumer/webhook-secret",
        "connect --check",
    ),
)
@click.option("--url", callback=_url, help="The receiver's address, as Stack reaches it. Default: the last one.")
@click.option("--enable", "is_enabling", is_flag=True, help="Enable an endpoint that Svix has disabled.")
@click.option(
    "--secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the signing secret there, for STACK_WEBHOOK_SECRETS_FILE; only you can read it.",
)
@click.option("--check", "is_check", is_flag=True, help="Only look at the endpoint, and change nothing.")
@json_option
@pass_settings("operator", admin_problems)
def command(settings: Settings, *, is_check: bool, is_json: bool, **options: Unpack[ConnectOptions]) -> None:
    """Connect the receiver with Stack.

    Find the endpoint at Stack's Svix, or make one for all types; fetch its signing secret; have Stack send its test
    event, and wait until the running receiver has stored it. On the embedded database the secret is kept where `up`
    finds it. Call it again after a rotation. The exit code is 1 if something does not hold.
    """
    if is_check:
        findings = with_svix_as_operator(settings, partial(_checked, settings, options["url"]))
        present({"ok": not findings, "findings": [each._asdict() for each in findings]}, _show, is_json=is_json)
        if findings:
            click.get_current_context().exit(1)
        return
    document = with_svix_as_operator(settings, partial(_connected, settings, options))
    present(document, _show_connected, is_json=is_json)


async def _checked(settings: Settings, url: str | None, opened: AdminSession) -> list[EndpointFinding]:
    return await endpoint_findings(opened.svix, await _named(opened, url), secret.known(settings, "stack"))


async def _connected(settings: Settings, options: ConnectOptions, opened: AdminSession) -> dict[str, object]:
    conn, access, _, svix = opened
    url = await _named(opened, options["url"])
    found = of_url(await svix.endpoints(), url)
    endpoint = found[0] if found else await svix.create_endpoint(url, DESCRIPTION)
    if endpoint.is_disabled and options["is_enabling"]:
        endpoint = await svix.patch_endpoint(endpoint.id, {"disabled": False})
    if problems := [f"{printable(each.sentence)}. {each.cure}" for each in obstacles(endpoint)]:
        raise ConsumerError(f"{url}: {' '.join(problems)}")
    signing = await svix.endpoint_secret(endpoint.id)
    if unusable := signing_secrets.problems((signing,)):
        raise ConsumerError(f"Svix's secret of {url} can't be used: {unusable[0]}")
    kept_in = _keep(settings, options["secret_file"], signing)
    await _show_arrival(settings, opened, endpoint, signing)
    await connect.record(conn, access, project_id(settings), url)
    await maintenance.settle(conn, access, "endpoint")
    return {
        "url": url,
        "endpoint": endpoint.id,
        "made": not found,
        "secret": signing_secrets.fingerprint(signing_secrets.decoded(signing)),
        "secret_file": str(kept_in) if kept_in else None,
        "test_event": "received",
    }


async def _named(opened: AdminSession, url: str | None) -> str:
    """Return the given URL, else the recorded one."""
    if url:
        return url
    async with transaction(opened.conn, opened.access):
        recorded = await connect.endpoint_url(opened.conn)
    if recorded is None:
        raise click.UsageError("Name the receiver's address with --url: no endpoint was connected before.")
    return recorded


def _keep(settings: Settings, file: Path | None, signing: str) -> Path | None:
    """Keep the secret in the file, else beside the embedded database; None if it is to be set in the environment.

    Raises ConsumerError if `up` has to read it first.
    """
    is_beside_embedded = file is None and not has_urls(settings) and not settings.stack_webhook_secrets
    path = data_dir(settings) / secret.FILES["stack"] if is_beside_embedded else file
    if path is None:
        return None
    try:
        is_new = secret.keep_newest(path, signing)
    except OSError as error:
        raise ConsumerError(f"{path} can't be written: {error.strerror}.") from error
    except BadSettings as error:
        raise ConsumerError(
            f"{path} holds something else than secrets, and is left alone: name another file."
        ) from error
    if is_beside_embedded and is_new:
        raise ConsumerError(
            f"The secret is kept in {path}. Restart `consumer up`, which reads it, and call this again."
        )
    return path


async def _show_arrival(settings: Settings, opened: AdminSession, endpoint: SvixEndpoint, signing: str) -> None:
    """Show that the test event arrives; if not, say also where the secret is missing, if that can be known here."""
    try:
        await connect.show_arrival(opened.conn, opened.access, opened.admin, endpoint, signing)
    except NotConnected as error:
        known = secret.known(settings, "stack")
        if known and is_among(signing, known):
            raise
        cure = "`consumer connect --secret-file FILE` writes it, STACK_WEBHOOK_SECRETS_FILE=FILE names it"
        raise NotConnected(f"{error} This shell's STACK_WEBHOOK_SECRETS lacks it: {cure}.") from error


def _show_connected(document: dict[str, object]) -> None:
    made = "made now" if document["made"] else "found"
    show_facts(
        {
            "url": document["url"],
            "endpoint": f"{document['endpoint']}, {made}",
            "secret": f"its SHA-256 begins with {document['secret']}",
            "secret file": document["secret_file"],
            "test event": document["test_event"],
        }
    )


def _show(document: dict[str, object]) -> None:
    findings = document["findings"]
    assert isinstance(findings, list)
    if not findings:
        console().print("The endpoint is as it should be.")
    for each in findings:
        console().print(as_called(printable(f"{each['sentence']}. {each['cure']}")), markup=False, soft_wrap=True)
