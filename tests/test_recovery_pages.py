"""The pages of docs/recovery have one form, are found, and are each drilled."""

import re

import pytest

from tests.support.processes import ROOT
from tests.support.recovery import FOLDER, PAGES, PARTS, lines

# The pages whose commands a test runs, each as test_<name>….
DRILLED = (
    "dead-letters",
    "failover",
    "leaked-secret",
    "leaving",
    "lost-table",
    "lost-week",
    "restore",
    "rotated-secret",
    "staging-copy",
    "wrong-mapping",
)
DRILLS = "\n".join(path.read_text() for path in (ROOT / "tests").glob("test_recovery_*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_the_four_parts_and_commands(page: str) -> None:
    text = (FOLDER / f"{page}.md").read_text()

    assert re.findall(r"^## (.*)", text, re.MULTILINE) == list(PARTS)
    assert lines(page, "Run")
    assert lines(page, "Done when")


@pytest.mark.parametrize("page", DRILLED)
def test_a_page_is_drilled(page: str) -> None:
    assert page in PAGES
    assert f"def test_{page.replace('-', '_')}" in DRILLS
    assert f'"{page}", ' in DRILLS


def test_the_index_leads_to_each_page() -> None:
    linked = re.findall(r"\]\(([a-z-]+)\.md\)", (FOLDER / "README.md").read_text())

    assert sorted(linked) == PAGES


def test_links_of_the_pages_lead_somewhere() -> None:
    links = {
        (path.name, link) for path in FOLDER.glob("*.md") for link in re.findall(r"\]\(([^)#]+\.md)", path.read_text())
    }

    assert len(links) > len(PAGES)
    assert {(name, link) for name, link in links if not (FOLDER / link).exists()} == set()


def test_a_cure_that_names_a_page_names_one_that_exists() -> None:
    files = [path for suffix in ("py", "json") for path in (ROOT / "consumer").rglob(f"*.{suffix}")]
    named = {name for path in files for name in re.findall(r"docs/recovery/([\w-]+)\.md", path.read_text())}

    assert {"dead-letters", "leaked-secret", "restore"} <= named <= set(PAGES)


def test_no_recipe_empties_a_table() -> None:
    """Nothing but a rebuild: an emptied table is what the pages mend, never what they ask for."""
    recipes = [line for page in PAGES for part in PARTS for line in lines(page, part)]
    texts = [path.read_text() for path in (ROOT / "docs").rglob("*.md") if path.parent != FOLDER]

    assert [line for line in recipes if re.search("truncate|delete from", line, re.IGNORECASE)] == []
    assert [text for text in texts if re.search("truncate", text, re.IGNORECASE)] == []
