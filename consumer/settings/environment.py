"""Variables of the environment, each looked up under all its names; their problems are collected."""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

from consumer.settings import signing_secrets, texts
from consumer.settings.conninfo import for_libpq

T = TypeVar("T")
D = TypeVar("D")
N = TypeVar("N", int, float)

Aliases = Mapping[str, tuple[str, ...]]

# Of a bad value: enough for a typing error, too little for a pasted key.
SHOWN_CHARACTERS = 20


class Reader:
    """Reads variables. A bad value is read as its default and noted in *problems*, so that all are reported together.

    The first of the *sources* that sets a setting, by any of its names, hides the others.
    *places* holds the file and line of each variable that an env file sets; *variables* gets, for each setting that is
    set, the variable that sets it.
    """

    def __init__(self, sources: Sequence[Mapping[str, str]], aliases: Aliases, places: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.variables: dict[str, str] = {}
        self._sources = sources
        self._aliases = aliases
        self._places = places

    def parse(self, name: str, convert: Callable[[str], T], default: D, *, is_shown: bool) -> T | D:
        """Return the converted text; *convert* raises ValueError with the predicate of a sentence on the variable.

        The sentence quotes the text if *is_shown*.
        """
        return self._parsed(self._found(name), convert, default, is_shown=is_shown)

    def text(self, name: str, default: D) -> str | D:
        """Return the text under the name, an alias, or in the file that either with ``_FILE`` names; blank is unset."""
        return self._found(name)[1] or default

    def secrets(self, name: str, _: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the secrets, separated by spaces or commas; the unusable ones too, because they are set."""
        # In another order or with other separators they are the same secrets.
        variable, text = self._found(name, meaning=lambda text: frozenset(signing_secrets.split(text)))
        secrets = signing_secrets.split(text or "")
        for problem in signing_secrets.problems(secrets):
            self._note(variable, f"{variable}: {problem.removesuffix('.')}")
        return secrets or ((variable,) if text == "" else ())

    def database_url(self, name: str, _: None = None) -> str | None:
        """Return a connection string that libpq takes; warn of each part that had to be dropped."""
        variable, text = found = self._found(name)
        # A bad URL or file counts as set: a second problem "is not set" would mislead.
        url, warnings = self._parsed(found, for_libpq, (variable if text == "" else text, []), is_shown=False)
        self.warnings += [f"{name}: {warning}" for warning in warnings]
        return url

    def _found(self, name: str, meaning: Callable[[str], Hashable] = str) -> tuple[str, str | None]:
        """Return the variable that sets this setting, and its text; '': it has no usable one, None: it is not set.

        Several that set it agree if their texts have the same *meaning*.
        """
        for source in self._sources:
            found: dict[str, str] = {}
            for candidate in (name, *self._aliases.get(name, ())):
                if text := source.get(candidate, "").strip():
                    found[candidate] = text
                if path := source.get(f"{candidate}_FILE", "").strip():
                    found[f"{candidate}_FILE"] = self._content(f"{candidate}_FILE", path)
            read = {variable: text for variable, text in found.items() if text}
            if len(set(map(meaning, read.values()))) > 1:
                self.problems.append(f"{' and '.join(read)} name one setting and disagree; keep one of them.")
            if found:
                self.variables[name], text = next(iter((read or found).items()))
                return self._checked(self.variables[name], text)
        return name, None

    def _checked(self, variable: str, text: str) -> tuple[str, str]:
        if text and (problem := texts.flaw(text)):
            self._note(variable, f"{_subject(variable)} {problem}")
            return variable, ""
        return variable, text

    def _parsed(
        self, found: tuple[str, str | None], convert: Callable[[str], T], default: D, *, is_shown: bool
    ) -> T | D:
        variable, text = found
        try:
            return convert(text) if text else default
        except ValueError as error:
            # A file may hold a secret that was meant for another variable.
            is_quoted = is_shown and not variable.endswith("_FILE")
            quoted = f", not {str(text)[:SHOWN_CHARACTERS]!r}" if is_quoted else ""
            self._note(variable, f"{_subject(variable)} {error}{quoted}")
            return default

    def _note(self, variable: str, problem: str) -> None:
        place = self._places.get(variable)
        self.problems.append(problem + (f" ({place})." if place else "."))

    def _content(self, name: str, path: str) -> str:
        try:
            return texts.content(path)
        except ValueError as error:
            self._note(name, f"{name} names a file that {error}")
            return ""


def _subject(variable: str) -> str:
    return f"The text of {variable}" if variable.endswith("_FILE") else variable


def integer(text: str, least: int, most: int) -> int:
    """Return a whole number within both limits."""
    # Eighteen digits hold every limit here; Python refuses thousands of them with advice for programmers.
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError("must be a whole number")
    return _bounded(int(text), least, most)


def number(text: str, least: float, most: float) -> float:
    """Return a number within both limits."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError("must be a number") from None
    return _bounded(value, least, most)


def _bounded(value: N, least: N, most: N) -> N:
    if not least <= value <= most:
        raise ValueError(f"must be from {least} to {most}")
    return value


def one_of(text: str, choices: tuple[str, ...]) -> str:
    """Return the choice that the text names in any case."""
    if text.lower() not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}")
    return text.lower()
