"""The code map names every module there is."""

from tests.cli_support import ROOT


def test_every_module_is_on_the_code_map() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    folder = ROOT / "consumer"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    packages = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}

    assert not {name for name in modules | packages if f"`{name}`" not in text}
