"""The house rules that no linter knows: one name for one type, a query beside its module, short files and functions."""

import ast
import re
from collections.abc import Iterator

from tests.support.processes import ROOT

PACKAGE = ROOT / "consumer"
MODULES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
QUERIES = {
    path.relative_to(ROOT / "sql" / "queries").with_suffix("").as_posix() for path in ROOT.glob("sql/queries/*/*")
}
FILE_LINES_MAX = 250
FUNCTION_LINES_MAX = 40
WHOM_MAX = 5
# It has the server plan the statements of all, and runs none.
REHEARSAL = "doctor/rehearsal.py"
# An alias of a type is written like a class: ``Headers = Sequence[tuple[bytes, bytes]]``.
TYPE_NAME = re.compile(r"_?[A-Z]\w*[a-z]\w*")


def types(module: ast.Module) -> Iterator[str]:
    """Yield the names of a module's classes and of the aliases at its top level."""
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for statement in module.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        yield from (t.id for t in targets if isinstance(t, ast.Name) and TYPE_NAME.fullmatch(t.id))


def named_queries(module: ast.Module) -> Iterator[str]:
    """Yield the folder/name in each call of `query`, and each text that is the name of a query."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id="query"), args=[ast.JoinedStr(values=[ast.Constant(value=str(text)), *_])]):
                yield text
            case ast.Call(func=ast.Name(id="query"), args=[ast.Constant(value=str(text))]):
                yield text
            case ast.Constant(value=str(text)) if text in QUERIES:
                yield text


def test_no_type_is_named_twice() -> None:
    places: dict[str, list[str]] = {}
    for path, module in MODULES.items():
        for name in types(module):
            places.setdefault(name, []).append(path)

    assert {"Intake", "Headers", "Delivery", "Pool"} <= places.keys()
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_a_module_runs_the_queries_of_its_own_folder() -> None:
    """With one exception: effects/apply.py runs the statement of an event type of your own, effects/<name>.sql."""
    running = {path: module for path, module in MODULES.items() if path != REHEARSAL}
    named = {(path, text) for path, module in running.items() for text in named_queries(module)}
    elsewhere = {(path, text) for path, text in named if text.split("/")[0] != path.split("/")[-1].removesuffix(".py")}

    assert len(named) > 50
    assert elsewhere == {("effects/apply.py", "effects/")}


def test_no_file_is_longer_than_250_lines() -> None:
    files = {path: len((PACKAGE / path).read_text().splitlines()) for path in MODULES}

    assert {path: lines for path, lines in files.items() if lines > FILE_LINES_MAX} == {}


def test_sentences_do_without_whom_and_whoever() -> None:
    """Subject, verb, object: a reader whose first language is another one stumbles over these two words."""
    files = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "sql").rglob("*.sql"), *PACKAGE.rglob("*.py"), ROOT / "README.md"]
    found = [path.name for path in files for _ in re.finditer(r"\b(whom|whoever)\b", path.read_text(), re.IGNORECASE)]

    assert len(files) > 200
    assert len(found) <= WHOM_MAX, found


def test_no_function_is_longer_than_40_lines() -> None:
    functions = {
        f"{path}::{node.name}": node.end_lineno - node.lineno + 1
        for path, module in MODULES.items()
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }

    assert {name: lines for name, lines in functions.items() if lines > FUNCTION_LINES_MAX} == {}
