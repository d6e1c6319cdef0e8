"""The secrets that are kept in the data directory: a webhook secret for each source, and the console's key."""

import base64
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from consumer.cli.addresses import is_loopback
from consumer.cli.database import data_dir, has_urls, refuse
from consumer.embedded import server as embedded
from consumer.errors import BadSettings
from consumer.settings import signing_secrets
from consumer.settings.settings import Settings

FILES = {"stack": "webhook-secret", "app": "app-webhook-secret"}
# The key of the console's links and cookies.
CONSOLE_FILE = "console-secret"
EXAMPLE = "an example key that documents show, so anybody can sign with it"
# Standard Webhooks asks for 24 to 64 bytes.
SECRET_BYTES = 32


def kept(data_dir: Path, source: str) -> Path | None:
    """Return the file that holds a source's secret, or None before `up` made one."""
    path = data_dir / FILES[source]
    return path if path.is_file() else None


def secrets_of(settings: Settings, source: str) -> tuple[str, ...]:
    """Return a source's configured secrets."""
    return settings.stack_webhook_secrets if source == "stack" else settings.app_webhook_secrets


def known(settings: Settings, source: str) -> tuple[str, ...]:
    """Return the secrets that a source's receiver verifies with, as far as this shell knows: set, or kept by `up`."""
    configured = secrets_of(settings, source)
    path = None if configured or has_urls(settings) else kept(data_dir(settings), source)
    return read_all(path) if path else configured


def unconfigured(settings: Settings) -> list[str]:
    """Return the sources without a configured secret."""
    return [source for source in FILES if not secrets_of(settings, source)]


def expected_sources(settings: Settings) -> list[str]:
    """Return the sources whose deliveries a receiver takes: with a configured secret, or one that `up` keeps."""
    folder = None if has_urls(settings) else data_dir(settings)
    unset = unconfigured(settings)
    return [source for source in FILES if source not in unset or (folder and kept(folder, source))]


def read(path: Path) -> str:
    """Return the newest secret in a kept file, as `read_all`."""
    return read_all(path)[0]


def read_all(path: Path) -> tuple[str, ...]:
    """Return the secrets in a kept file, newest first; BadSettings if one of them is unusable, or it has none."""
    texts = signing_secrets.split(path.read_text(errors="replace"))
    if not texts or signing_secrets.problems(texts):
        cure = "restore it, or delete it and `consumer up` makes a new one"
        raise BadSettings([f"{path} holds no usable secret: {cure}."])
    return texts


def problems(data_dir: Path, settings: Settings) -> list[str]:
    """Return a sentence on each kept file that is needed and unusable; one that can't be read is no problem here."""
    found: list[str] = []
    keys = {variable(settings, source): signing_secrets.keys(secrets_of(settings, source)) for source in FILES}
    for source in unconfigured(settings):
        path = data_dir / FILES[source]
        with suppress(OSError):
            try:
                keys[str(path)] = signing_secrets.keys([read(path)])
            except BadSettings as error:
                found += error.problems
    # Only one of them can be configured here: where both are, the settings were refused before.
    shared = [name for name, held in keys.items() if any(held & other for at, other in keys.items() if at != name)]
    if shared:
        found.append(f"{' and '.join(shared)} hold the same key: make another for one of them.")
    return found


def examples(settings: Settings) -> list[str]:
    """Return the variables that hold a key with which anybody can sign, because documents show it."""
    return [
        variable(settings, source) for source in FILES if signing_secrets.are_examples(secrets_of(settings, source))
    ]


def example_problems(settings: Settings, host: str) -> list[str]:
    """Return a sentence on each such variable if other machines can reach the receiver."""
    cure = f"use your own, or let the receiver listen on 127.0.0.1 instead of {host}"
    return [] if is_loopback(host) else [f"{name} holds {EXAMPLE}: {cure}." for name in examples(settings)]


def variable(settings: Settings, source: str) -> str:
    """Return the variable by which a user sets a source's secrets."""
    name = f"{source.upper()}_WEBHOOK_SECRETS"
    return settings.variables.get(name, name)


def keep(data_dir: Path, source: str) -> Path:
    """Return the file that holds a source's secret, made now if it is missing; only its owner can read it."""
    return _keep(data_dir / FILES[source], new())


def keep_console(settings: Settings) -> str:
    """Return CONSOLE_SECRET, or the one in the data directory, made now if it is missing.

    Raises BadSettings if no file can be kept there.
    """
    if settings.console_secret:
        return settings.console_secret
    folder = data_dir(settings)
    refuse(embedded.problems(folder))
    path = folder / CONSOLE_FILE
    try:
        # The account of the embedded server must come through.
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        _keep(path, secrets.token_hex(SECRET_BYTES))
        return path.read_text().strip()
    except OSError as error:
        reason = f"none can be kept in {path} ({type(error).__name__})"
        raise BadSettings([f"CONSOLE_SECRET is not set, and {reason}: set it, or CONSUMER_DATA_DIR."]) from error


def keep_newest(path: Path, secret: str) -> bool:
    """Put a secret first in a file of secrets that only its owner can read; return False if it was first before.

    The one that was first stays behind it: during a rotation both sign, and deliveries that wait bear the old one's.
    """
    before = read_all(path)[:1] if path.exists() else ()
    if before == (secret,):
        return False
    _scratch(path, [secret, *before]).replace(path)
    return True


def _keep(path: Path, text: str) -> Path:
    if not path.is_file():
        scratch = _scratch(path, [text])
        with suppress(FileExistsError):
            os.link(scratch, path)
        scratch.unlink()
    return path


def _scratch(path: Path, secrets_within: Sequence[str]) -> Path:
    """Write a file beside *path* that gets its name once it is whole, even if this process is killed or runs twice."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    scratch.touch(mode=0o600, exist_ok=False)
    scratch.write_text("".join(f"{each}\n" for each in secrets_within))
    return scratch


def new() -> str:
    """Return a new secret in the form that Svix uses."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
