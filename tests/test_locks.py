"""The lock files: whole, hashed, without a host, and in step with pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-test.lock")


def pins(name: str) -> dict[str, set[str]]:
    """Return the versions of each package: more than one where they depend on the Python."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_a_hash_for_everything_and_names_no_host(name: str) -> None:
    text = (ROOT / name).read_text()
    requirements = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]

    assert len(requirements) > 30
    assert [requirement for requirement in requirements if "--hash=sha256:" not in requirement] == []
    assert not re.search(r"://|^-|@ ", text, re.MULTILINE)


def test_every_dependency_is_locked_at_a_version_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    shipped = project["project"]["dependencies"] + project["dependency-groups"]["build"]
    shipped += [text for extra in ("console", "embedded", "otel") for text in extras[extra]]
    tested = [*shipped, *(text for text in extras["test"] if not text.startswith("stack-auth-consumer"))]

    assert unlocked(shipped, pins("requirements.lock")) == []
    assert unlocked(tested, pins("requirements-test.lock")) == []


def test_the_tests_run_with_what_is_shipped() -> None:
    shipped, tested = (pins(name) for name in LOCKS)

    assert {package: tested.get(package) for package in shipped} == shipped


def unlocked(requirements: list[str], locked: dict[str, set[str]]) -> list[str]:
    """Return the requirements that no locked version meets."""
    parsed = [Requirement(text) for text in requirements]
    return [str(each) for each in parsed if not any(map(each.specifier.contains, locked.get(each.name, ())))]
