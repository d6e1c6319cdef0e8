"""Values in tables for people: a sender's text must neither control the terminal nor count as markup."""

from datetime import UTC, datetime

from rich.text import Text

# The next unit begins at ten of it, as in PostgreSQL's pg_size_pretty.
SIZE_STEP = 10_240


def cell(value: object) -> Text:
    """Return a value as inert text: times in UTC to the second, None as a dash."""
    if value is None:
        return Text("-")
    if isinstance(value, datetime):
        return Text(f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}")
    return Text(printable(str(value)))


def printable(text: str) -> str:
    """Escape control characters, escapes, and marks that change the direction of a line."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def size(count: int) -> str:
    """Return a number of bytes in the unit that leaves at most five digits."""
    amount, units = count, ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= SIZE_STEP and len(units) > 1:
        amount //= 1024
        units.pop(0)
    return f"{amount} {units[0]}"
