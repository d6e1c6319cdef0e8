"""One bug that somebody could write."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """One change to one file, and the test that fails with it."""

    name: str
    file: str
    old: str
    new: str
    test: str
