"""What the documents and the help texts name exists."""

import re

from consumer.cli.main import COMMANDS
from tests.support.processes import ROOT


def test_every_module_is_on_the_code_map() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    folder = ROOT / "consumer"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    packages = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}

    assert not {name for name in modules | packages if f"`{name}`" not in text}


def test_no_text_sends_its_reader_to_a_command_that_does_not_exist() -> None:
    files = [
        ROOT / ".env.example",
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "consumer").rglob("*.py"),
    ]
    texts = {path.name: path.read_text() for path in files}
    named = {
        (name, match[1])
        for name, text in texts.items()
        for match in re.finditer(r"`(?:consumer|\./run) ([a-z]+)[^`]*`(?! \(to come)", text)
    }

    assert len(named) > 10
    assert {pair for pair in named if pair[1] not in COMMANDS} == set()
