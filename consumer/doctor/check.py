"""One precondition and its finding."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import orjson

State = Literal["ok", "warning", "failing"]

# The cure of each check that always has the same.
CURES: Mapping[str, str] = orjson.loads(files(__package__).joinpath("cures.json").read_bytes())


@dataclass(frozen=True, slots=True)
class Check:
    """A line of the doctor's report; a cure only for a warning or a failure."""

    name: str
    state: State
    finding: str
    cure: str | None = None


def ok(name: str, finding: str) -> Check:
    """Return a check that passes."""
    return Check(name, "ok", finding)


def fail_unless(holds: bool, name: str, finding: str, cure: str | None = None) -> Check:
    """Return a check that must hold: otherwise the product fails, loses data, or shows it to the wrong reader."""
    return ok(name, finding) if holds else Check(name, "failing", finding, cure or CURES[name])


def warn_unless(holds: bool, name: str, finding: str, cure: str | None = None) -> Check:
    """Return a check that the operator should look at if it does not hold."""
    return ok(name, finding) if holds else Check(name, "warning", finding, cure or CURES[name])
