from pathlib import Path

import pytest

from tests.planted.bugs import BUGS, Bug

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: str(bug.name))
def test_a_planted_bug_fits_the_code_and_names_a_test_that_exists(bug: Bug) -> None:
    file, _, function = bug.test.partition("::")

    assert bug.old in (ROOT / bug.file).read_text()
    assert f"def {function}" in (ROOT / file).read_text()
