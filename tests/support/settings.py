"""What every test of the settings needs."""

import pytest

from consumer.errors import BadSettings
from consumer.settings.settings import load

URL = "postgresql://user:pa%20ss@localhost:5432/app"
HIDDEN = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


def faults(**environment: str) -> list[str]:
    with pytest.raises(BadSettings) as raised:
        load(environment)
    return raised.value.problems
