import subprocess
import sys
from pathlib import Path

import pytest

from tests.planted.bug import Bug
from tests.planted.bugs import BUGS

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: str(bug.name))
def test_a_planted_bug_fits_the_code_and_names_a_test_that_exists(bug: Bug) -> None:
    file, _, function = bug.test.partition("::")

    assert bug.old in (ROOT / bug.file).read_text()
    assert f"def {function}" in (ROOT / file).read_text()


@pytest.mark.slow
def test_one_command_plants_a_bug_and_tells_that_it_is_caught() -> None:
    command = [sys.executable, "-m", "tests.planted", "poison kills its neighbours"]

    planting = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (planting.returncode, planting.stdout.splitlines()[-1]) == (0, "1 of 1 caught")
