"""What every test of the settings needs."""

from collections.abc import Mapping

import pytest

from consumer.errors import BadSettings
from consumer.settings.settings import Settings, read

URL = "postgresql://user:pa%20ss@localhost:5432/app"
HIDDEN = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


def load(environment: Mapping[str, str]) -> Settings:
    """Read variables as a process does, which refuses them all together."""
    settings, problems = read(environment)
    if problems:
        raise BadSettings(problems)
    return settings


def faults(**environment: str) -> list[str]:
    with pytest.raises(BadSettings) as raised:
        load(environment)
    return raised.value.problems
