"""One finding of the verdict."""

from dataclasses import dataclass
from typing import Literal

# A note is no reason to act.
Gravity = Literal["note", "warning", "failing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an operator should know: its subject, a sentence, and the cure unless it is a note.

    *link*: a page of the console, below its base path. *magnitude*: the number that tells how bad it is, if one does.
    """

    code: str
    gravity: Gravity
    subject: str
    sentence: str
    cure: str | None = None
    link: str | None = None
    magnitude: float | None = None
