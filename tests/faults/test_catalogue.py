"""What docs/FAULTS.md names exists."""

import re
from pathlib import Path

from tests.faults.plan import KINDS
from tests.support.processes import ROOT

TEXT = (ROOT / "docs" / "FAULTS.md").read_text()
ROWS = dict(re.findall(r"^\| (F\d\d) \| [^|]+ \| (.+) \|$", TEXT, re.MULTILINE))
TESTS = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
# What is written "torture `F40`, `F40b`".
TORTURES = re.compile(r"torture ((?:`F\d\d\w?`(?:, )?)+)")


def test_every_fault_of_the_catalogue_has_one_row() -> None:
    numbers = re.findall(r"^\| (F\d\d) \|", TEXT, re.MULTILINE)

    assert numbers == [f"F{number:02}" for number in range(1, 79)]
    assert list(ROWS) == numbers


def test_every_row_names_a_proof_or_says_that_there_is_none() -> None:
    unproven = {number for number, proof in ROWS.items() if not TESTS.search(proof) and not TORTURES.search(proof)}

    assert all(ROWS[number].startswith(("drill: ", "not covered: ")) for number in unproven)


def test_every_named_test_exists() -> None:
    named = TESTS.findall(TEXT)
    missing = {f"{path}::{name}" for path, name in named if not is_test(ROOT / path, name)}

    assert len(named) > 80
    assert missing == set()


def is_test(path: Path, name: str) -> bool:
    return path.is_file() and bool(re.search(rf"^(async )?def {name}\(", path.read_text(), re.MULTILINE))


def test_the_named_kinds_are_those_of_the_torture() -> None:
    named = {code for codes in TORTURES.findall(TEXT) for code in re.findall(r"F\d\d\w?", codes)}

    assert named == {kind.code for kind in KINDS}
