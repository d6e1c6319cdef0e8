"""The env file: which one is read, whose it may be, its variables, and what is wrong with its lines."""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream
from dotenv.variables import Variable, parse_variables

from consumer.settings import near_names, texts
from consumer.settings.ownership import foreign, writable

# The variable that names the file to read instead of ``.env``.
ENV_FILE = "CONSUMER_ENV_FILE"
# `./run` names itself in this variable: then the ``.env`` beside it is read, from any folder.
RUN = "CONSUMER_RUN"
# The name that a line begins with, whatever follows it.
FIRST_WORD = re.compile(r"""\s*(?:export\s+)?["']?([\w-]+)""")


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The variables of an env file, the place of each, and what is wrong with the file and its lines."""

    values: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read(directory: Path, environment: Mapping[str, str], settings: frozenset[str]) -> EnvFile:
    """Read the file that CONSUMER_ENV_FILE names, else the ``.env`` beside `./run` or in *directory*, if there is one.

    Only of variables that are *settings* a line is judged: the rest may be another program's.
    """
    found = EnvFile()
    named, run = (environment.get(name, "").strip() for name in (ENV_FILE, RUN))
    path = directory / (named or Path(run).parent / ".env")
    try:
        text = _text(path, is_named=bool(named))
    except FileNotFoundError:
        if named:
            found.problems.append(f"{ENV_FILE} names {path}, which does not exist.")
        elif path.is_symlink():
            found.problems.append(f"{path} is a link to a file that does not exist.")
        return found
    except IsADirectoryError:
        # Docker makes a folder where the file of a bind mount is missing; but a virtual environment may have this name.
        (found.problems if named else found.warnings).append(f"{path} is a folder; no variable was read from it.")
        return found
    except OSError as error:
        found.problems.append(f"{path} cannot be read ({type(error).__name__}).")
        return found
    except ValueError as error:
        found.problems.append(f"{path} {error}.")
        return found
    if text.startswith(texts.BYTE_ORDER_MARKS):
        found.problems.append(f"{path.name} {texts.MARK_FLAW}.")
        text = text.lstrip("".join(texts.BYTE_ORDER_MARKS))
    _parse(text, path.name, found, environment, settings)
    return found


def _text(path: Path, *, is_named: bool) -> str:
    """Return the file's text; ValueError says why it is not read. A file that somebody named may be a pipe."""
    descriptor = os.open(path, os.O_RDONLY | (0 if is_named else os.O_NONBLOCK))
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError
        # An operator who names a file vouches for its owner. A link has an owner too.
        if not is_named and (problem := foreign(status) or foreign(path.lstat())):
            raise ValueError(f"{problem}. Set {ENV_FILE}={path} to read it all the same")
        if problem := writable(status):
            raise ValueError(problem)
        if not is_named and not stat.S_ISREG(status.st_mode):
            raise ValueError("is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            # Another program's value may have any bytes; a setting's is judged as text.
            return texts.decoded(file.read(texts.FILE_BYTES_MAX + 1), errors="surrogateescape")
    finally:
        os.close(descriptor)


def _parse(text: str, name: str, found: EnvFile, environment: Mapping[str, str], settings: frozenset[str]) -> None:
    assignments: list[str] = []
    written: dict[str, str] = {}
    # Universal newlines, as of a file that is opened as text.
    for binding in parse_stream(StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))):
        original = binding.original.string
        line = binding.original.line + original[: -len(original.lstrip())].count("\n")
        place = f"{name} line {line}"
        key, value = binding.key, binding.value
        if key and value is not None:
            if key in settings:
                found.problems.extend(_judged(binding, place, found, environment, written))
            found.places[texts.printable(key)] = place
            written[key] = value
            assignments.append(original)
        elif any(_names_setting(each, settings) for each in original.splitlines()):
            found.problems.append(f"{place} is not NAME=value.")
        elif key or binding.error:
            found.warnings.append(f"{place} is not NAME=value and was skipped.")
    # Of any other line dotenv_values would print a warning of its own.
    values = dotenv_values(stream=StringIO("".join(assignments)))
    found.values.update({key: value for key, value in values.items() if value is not None})


def _names_setting(line: str, settings: frozenset[str]) -> bool:
    """Tell whether a line that is no assignment begins with a setting's name, or with one near to it."""
    if not (found := FIRST_WORD.match(line)):
        return False
    name = found[1]
    # In prose many a short word is near to one: "just" to HOST.
    is_name = name.isupper() or len(name) >= near_names.CHARACTERS_MIN
    return name.upper() in settings or (is_name and any(near_names.near([name], settings)))


def _judged(
    binding: Binding, place: str, found: EnvFile, environment: Mapping[str, str], written: Mapping[str, str]
) -> list[str]:
    """Return what is wrong with the assignment to a setting: a second one that differs, or a reference to nothing."""
    key, value = str(binding.key), str(binding.value)
    problems = [
        f"{place} refers to ${{{atom.name}}}, which was not expanded because it is not set."
        for atom in parse_variables(value)
        if isinstance(atom, Variable) and atom.default is None and not {atom.name} & {*written, *environment}
    ]
    if key in written and written[key] != value:
        problems.append(f"{place} sets {key} to another value than {found.places[key]}; keep one of them.")
    return problems
