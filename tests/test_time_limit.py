"""A test that hangs fails under its own name, whatever it waits for, and the next one runs."""

import re
import subprocess
import sys

from tests.support.processes import ROOT

HANGING = ROOT / "tests" / "data" / "hanging.py"


def test_what_hangs_fails_with_its_name_and_place_and_the_next_test_runs() -> None:
    names = set(re.findall(r"def (test_\w+)", HANGING.read_text())) - {"test_next"}

    command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", str(HANGING)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    _, *sections = re.split(r"(?m)^_{3,} (?:ERROR at \w+ of )?(test_\w+) _{3,}$", run.stdout)
    failed = dict(zip(sections[::2], sections[1::2], strict=True))
    assert failed.keys() == names
    for name, told in failed.items():
        assert f"::{name} was not over after 0.3 s." in told
        assert "# hangs" in told, told
    # The other one passed before the end of its fixture hung.
    assert f"{len(names) - 2} failed, 2 passed" in run.stdout
