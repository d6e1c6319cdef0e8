"""One precondition, and what was found of it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failing"]


@dataclass(frozen=True, slots=True)
class Check:
    """A line of the doctor's; a cure only where something is wrong."""

    name: str
    state: State
    finding: str
    cure: str | None = None


def ok(name: str, finding: str) -> Check:
    """Return a precondition that holds."""
    return Check(name, "ok", finding)


def fail_unless(holds: bool, name: str, finding: str, cure: str) -> Check:
    """Return a check without which the product does not work, or loses or shows what it must not."""
    return ok(name, finding) if holds else Check(name, "failing", finding, cure)


def warn_unless(holds: bool, name: str, finding: str, cure: str) -> Check:
    """Return a check that somebody should look at."""
    return ok(name, finding) if holds else Check(name, "warning", finding, cure)
