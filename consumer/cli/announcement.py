"""What `up` prints once it runs: the addresses, and a line to try it with."""

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rich.markup import escape

from consumer import logs
from consumer.cli.addresses import origin, reachable, webhook_url
from consumer.cli.database import has_urls
from consumer.cli.output import NAME, console, program
from consumer.cli.secret import variable
from consumer.settings.settings import Settings

# Between two attempts to connect to a new receiver.
ASK_SECONDS = 0.05


async def announce(
    settings: Settings,
    *,
    ops_ports: Sequence[int],
    conninfo: str,
    secret_files: Mapping[str, Path],
    console_link: str | None = None,
) -> None:
    """Wait until the receiver listens, then print the addresses and a line to try it with.

    *conninfo* is shown only for the embedded database, because any other may hold a password.
    """
    await until_listening(settings.host, settings.port)
    has_app = bool(settings.app_webhook_secrets) or "app" in secret_files
    app = {"Your backend's": webhook_url(settings, "app"), "Its secret": _secret_source(settings, "app", secret_files)}
    metrics = (f"{origin(settings.ops_host, port)}/metrics" for port in ops_ports)
    unset = {"Metrics": f"on the ports that the log names in {logs.OPS_STARTED}"} if settings.ops_port is None else {}
    facts = {
        "Webhook URL": webhook_url(settings, "stack"),
        "Secret": _secret_source(settings, "stack", secret_files),
        **(app if has_app else {}),
        "Database": "from DATABASE_URL" if has_urls(settings) else f"embedded: psql {shlex.quote(conninfo)}",
        **dict(zip(("Receiver's ops", "Worker's ops"), metrics, strict=False)),
        **unset,
        **({"Console": console_link} if console_link else {}),
        "Try it": _sample_line(settings),
    }
    lines = [f"[bold cyan]{name:<16}[/]{escape(value)}" for name, value in facts.items()]
    # Never wrapped, so that each line can be pasted; in one write, so that no line of a log comes between.
    console().print("\n".join(lines), soft_wrap=True)


def _secret_source(settings: Settings, source: str, secret_files: Mapping[str, Path]) -> str:
    return f"kept in {secret_files[source]}" if source in secret_files else f"from {variable(settings, source)}"


async def until_listening(host: str, port: int) -> None:
    """Return as soon as the port accepts connections."""
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(reachable(host), port)
            writer.close()
            return
        await asyncio.sleep(ASK_SECONDS)


def _sample_line(settings: Settings) -> str:
    """Return a command that sends a signed sample to this receiver."""
    folder = f"CONSUMER_DATA_DIR={shlex.quote(str(settings.data_dir))} " if settings.data_dir else ""
    return folder + shlex.join([*_this_program(), "send", "user.created", "--url", webhook_url(settings, "stack")])


def _this_program() -> list[str]:
    if (typed := program()) != NAME:
        return [typed]
    file = Path(sys.argv[0])
    if file.name == "__main__.py":
        return [sys.executable, "-m", "consumer"]
    if shutil.which(file.name) == str(file):
        return [file.name]
    return [os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)]
