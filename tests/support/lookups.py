"""A person whose values must not be seen, and what is printed about them."""

from typing import Any

from click.testing import Result

from consumer.outbox.storage import Delivery
from tests.support.factories import user_updated

# Each appears only in deliveries about its person.
NAME, EMAIL, AVATAR, SECRET = (
    "Zaphod Canary",
    "zaphod.canary@example.com",
    "https://img.example.com/canary",
    "canary4711",
)
CANARIES = (NAME, "Canary", EMAIL, "zaphod.canary", AVATAR, SECRET)


def canary(**data: Any) -> Delivery:
    """A snapshot of which every personal part is a canary."""
    personal: dict[str, Any] = {
        "display_name": NAME,
        "primary_email": EMAIL,
        "profile_image_url": AVATAR,
        "client_metadata": {"note": SECRET},
        "server_metadata": {"role": "member", "note": SECRET},
    }
    return user_updated(**(personal | data))


def printed(result: Result) -> str:
    """Return what a command printed if it succeeded and cut nothing: its output is no terminal."""
    assert result.exit_code == 0, result.output
    assert "…" not in result.stdout
    return result.stdout


def shown_canaries(text: str) -> list[str]:
    """Return the personal values in a text."""
    return [each for each in CANARIES if each in text]
