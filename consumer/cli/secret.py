"""The webhook secrets that `up` makes for the embedded database, kept beside it: one for each source."""

import base64
import os
import secrets
from contextlib import suppress
from pathlib import Path

from consumer.cli.addresses import is_loopback
from consumer.cli.database import data_dir, has_urls
from consumer.errors import BadSettings
from consumer.settings import signing_secrets
from consumer.settings.settings import Settings

FILES = {"stack": "webhook-secret", "app": "app-webhook-secret"}
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


def unconfigured(settings: Settings) -> list[str]:
    """Return the sources without a configured secret."""
    return [source for source in FILES if not secrets_of(settings, source)]


def expected_sources(settings: Settings) -> list[str]:
    """Return the sources whose deliveries a receiver takes: with a configured secret, or one that `up` keeps."""
    folder = None if has_urls(settings) else data_dir(settings)
    unset = unconfigured(settings)
    return [source for source in FILES if source not in unset or (folder and kept(folder, source))]


def read(path: Path) -> str:
    """Return the first secret in a kept file; BadSettings if one of its secrets is unusable, or it has none."""
    texts = path.read_text(errors="replace").replace(",", " ").split()
    if not texts or signing_secrets.problems(tuple(texts)):
        cure = "restore it, or delete it and `consumer up` makes a new one"
        raise BadSettings([f"{path} holds no usable secret: {cure}."])
    return texts[0]


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
    path = data_dir / FILES[source]
    if not path.is_file():
        # The file has its name only once the secret is whole, even if this process is killed or runs twice.
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.touch(mode=0o600)
        scratch.write_text(f"{new()}\n")
        with suppress(FileExistsError):
            os.link(scratch, path)
        scratch.unlink()
    return path


def new() -> str:
    """Return a new secret in the form that Svix uses."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
