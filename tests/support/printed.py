"""What was printed, line by line."""

from collections.abc import Callable

import pytest

Printed = Callable[[], list[str]]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """Return the lines that were printed since the last call, with one space between words, without rules."""

    def lines() -> list[str]:
        found = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        return [line for line in found if line.strip("─ ")]

    return lines
