"""Variables of the environment, each looked up under all its names; what is wrong with them is collected."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from consumer.settings import signing_secrets
from consumer.settings.conninfo import for_libpq

T = TypeVar("T")
D = TypeVar("D")
C = TypeVar("C", bound=str)
N = TypeVar("N", int, float)

Aliases = Mapping[str, tuple[str, ...]]


class Reader:
    """Reads variables; a bad one is noted in *faults* and read as its default, so that all faults are found at once."""

    def __init__(self, environment: Mapping[str, str], aliases: Aliases) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._environment = environment
        self._aliases = aliases

    def value(self, name: str) -> str | None:
        """Return the text under the name, an alias, or in the file that either with ``_FILE`` names; blank is unset."""
        found = {}
        for candidate in (name, *self._aliases.get(name, ())):
            if text := self._text(candidate):
                found[candidate] = text
            if text := self._content(f"{candidate}_FILE"):
                found[f"{candidate}_FILE"] = text
        if len(set(found.values())) > 1:
            self.problems.append(f"{' and '.join(found)} name one setting and disagree; keep one of them.")
        return next(iter(found.values()), None)

    def parse(self, name: str, convert: Callable[[str], T], default: D) -> T | D:
        """Return what *convert* makes of the text; its ValueError is the fault."""
        text = self.value(name)
        return default if text is None else self._converted(name, text, convert, default)

    def text(self, name: str, default: str) -> str:
        """Return the text."""
        return self.value(name) or default

    def integer(self, name: str, default: D, least: int, most: int) -> int | D:
        """Return a whole number within both limits."""
        return self.parse(name, lambda text: _bounded(_integer(text), least, most), default)

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Return a number within both limits."""
        return self.parse(name, lambda text: _bounded(_number(text), least, most), default)

    def choice(self, name: str, choices: tuple[C, ...], default: D) -> C | D:
        """Return the choice that the text names in any case."""
        return self.parse(name, lambda text: _one_of(text, choices), default)

    def words(self, name: str) -> tuple[str, ...]:
        """Return what spaces and commas separate."""
        return tuple(filter(None, re.split(r"[\s,]+", self.value(name) or "")))

    def signing_secrets(self, name: str) -> tuple[str, ...]:
        """Return the secrets that spaces and commas separate, the unusable among them too: they are set."""
        secrets = self.words(name)
        self.problems += [f"{name}: {problem}" for problem in signing_secrets.problems(secrets)]
        return secrets

    def database_url(self, name: str) -> str | None:
        """Return a connection string that libpq takes; what had to be dropped for that is a warning."""
        # A bad one is not read as unset: whoever looks for a database would call that a second fault.
        text = self.value(name)
        url, warnings = (None, []) if text is None else self._converted(name, text, for_libpq, (text, []))
        self.warnings += [f"{name}: {warning}" for warning in warnings]
        return url

    def _converted(self, name: str, text: str, convert: Callable[[str], T], default: D) -> T | D:
        try:
            return convert(text)
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return default

    def _text(self, name: str) -> str:
        return self._environment.get(name, "").strip()

    def _content(self, name: str) -> str:
        path = self._text(name)
        if not path:
            return ""
        try:
            text = Path(path).read_text().strip()
        except (OSError, ValueError) as error:  # ValueError: not text.
            self.problems.append(f"{name}: the file cannot be read ({type(error).__name__}).")
            return ""
        if not text:
            self.problems.append(f"{name}: the file is empty.")
        return text


def _integer(text: str) -> int:
    # Eighteen digits hold every limit here; Python refuses thousands of them with advice for programmers.
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError("must be an integer.")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number.") from None


def _bounded(value: N, least: N, most: N) -> N:
    if not least <= value <= most:
        raise ValueError(f"must be from {least} to {most}.")
    return value


def _one_of(text: str, choices: tuple[C, ...]) -> C:
    for choice in choices:
        if choice == text.lower():
            return choice
    raise ValueError(f"must be one of {', '.join(choices)}.")
