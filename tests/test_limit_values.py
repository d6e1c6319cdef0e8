"""Every number that the product names: tests/data/limits.toml is the closed list of them.

A limit, a delay or a size changes there too, so that nobody changes one unseen. What it does is tested elsewhere.
"""

import ast
import importlib
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIST = ROOT / "tests" / "data" / "limits.toml"
UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "min": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}


def named_numbers() -> dict[str, object]:
    """Return the numbers, times and tuples of them that modules name, but for those that programs of others bring."""
    found = {}
    for file in sorted(file for folder in ("consumer", "bench") for file in (ROOT / folder).rglob("*.py")):
        path = file.relative_to(ROOT).with_suffix("")
        if path.name != "__main__" and "peers" not in path.parts:
            module = ".".join(path.parts).removesuffix(".__init__")
            for name in numbered(ast.parse(file.read_text())):
                found[f"{module}.{name}"] = shown(getattr(importlib.import_module(module), name))
    return {name: number for name, number in found.items() if number is not None}


def numbered(module: ast.Module) -> Iterator[str]:
    """Yield the names to which a module gives a value that is written with a number."""
    for statement in module.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        if any(isinstance(part, ast.Constant) and is_number(part.value) for part in ast.walk(statement.value)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))


def shown(value: object) -> object:
    """Return a value as the list has it: a time in its largest whole unit, as `3 min`; None for what is no number."""
    if isinstance(value, timedelta):
        unit = next(unit for unit, time in UNITS.items() if value % time == timedelta())
        return f"{value // UNITS[unit]} {unit}"
    if isinstance(value, tuple):
        numbers = [shown(each) for each in value]
        return None if None in numbers else numbers
    return value if is_number(value) else None


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_every_named_number_is_the_one_that_is_listed() -> None:
    assert named_numbers() == tomllib.loads(LIST.read_text())
