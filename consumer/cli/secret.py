"""The webhook secret that `up` makes for the embedded database, kept beside it."""

import base64
import os
import secrets
from contextlib import suppress
from pathlib import Path

FILE = "webhook-secret"
# Standard Webhooks asks for 24 to 64 bytes.
SECRET_BYTES = 32


def kept(data_dir: Path) -> Path | None:
    """Return the file that holds the secret, None before `up` made one."""
    path = data_dir / FILE
    return path if path.is_file() else None


def keep(data_dir: Path) -> Path:
    """Return the file that holds the secret, made now if there is none; only its owner can read it."""
    path = data_dir / FILE
    if not path.is_file():
        # Under its name there is only ever a whole secret, whenever we are killed and however many make it at once.
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
