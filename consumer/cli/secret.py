"""The webhook secrets that `up` makes for the embedded database, kept beside it: one for each source."""

import base64
import os
import secrets
from contextlib import suppress
from pathlib import Path

from consumer.cli.database import data_dir, has_urls
from consumer.errors import BadSettings
from consumer.settings import signing_secrets
from consumer.settings.settings import Settings

FILES = {"stack": "webhook-secret", "app": "app-webhook-secret"}
# Standard Webhooks asks for 24 to 64 bytes.
SECRET_BYTES = 32


def kept(data_dir: Path, source: str) -> Path | None:
    """Return the file that holds a source's secret, or None before `up` made one."""
    path = data_dir / FILES[source]
    return path if path.is_file() else None


def unconfigured(settings: Settings) -> list[str]:
    """Return the sources without a configured secret."""
    return [source for source in FILES if not getattr(settings, f"{source}_webhook_secrets")]


def configured(settings: Settings) -> list[str]:
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
    for source in unconfigured(settings):
        try:
            read(data_dir / FILES[source])
        except BadSettings as error:
            found += error.problems
        except OSError:
            continue
    return found


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
