"""What tests of faults share."""

import os

import pytest

# Told to, the suite also waits as long as the real limits are (docs/FAULTS.md).
IS_LONG = "LONG_FAULTS" in os.environ
takes_long = pytest.mark.skipif(not IS_LONG, reason="it takes long: set LONG_FAULTS=1")
