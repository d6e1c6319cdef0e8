"""The console's files: vendored ones are what they say, templates hold nothing inline and escape everything."""

import ast
import gzip
import re
from hashlib import sha256

import pytest

from consumer.console import static
from consumer.console.base import base_of
from consumer.console.render import FOLDER, Renderer
from consumer.console.routes import STEPS
from consumer.console.sampler import View
from tests.support.processes import ROOT

TEMPLATES = sorted(FOLDER.glob("*.html"))
SCRIPT_LINES_MAX = 200
# What a browser loads at the first visit, compressed.
FIRST_VISIT_BYTES_MAX = 150_000
VENDORED = re.compile(r"^\| `([\w.-]+)` \| .+ \| (\d+\.\d+\.\d+) \| (0BSD|MIT) \| `([0-9a-f]{64})` \|$", re.MULTILINE)
OURS = {"console.css", "console.js", "favicon.svg"}
# The libraries of the extra, and the modules that may import them or the console: the core works without.
EXTRA = {"jinja2", "itsdangerous", "markupsafe"}


def test_each_vendored_file_is_the_one_that_its_list_names() -> None:
    listed = VENDORED.findall((static.FOLDER / "VENDOR.md").read_text())
    files = {path.name for path in static.FOLDER.iterdir()} - OURS - {"VENDOR.md"}

    assert {name for name, *_ in listed} == files
    for name, _, _, digest in listed:
        assert sha256((static.FOLDER / name).read_bytes()).hexdigest() == digest, name


def test_our_own_script_is_short() -> None:
    assert len((static.FOLDER / "console.js").read_text().splitlines()) < SCRIPT_LINES_MAX


def test_a_first_visit_is_small() -> None:
    files = [path.read_bytes() for path in static.FOLDER.iterdir() if path.suffix in static.SERVED]

    assert sum(len(gzip.compress(each, 6)) for each in files) < FIRST_VISIT_BYTES_MAX


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in [static.FOLDER / name for name in OURS] + TEMPLATES:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|url\(['\"]?(?:https?:)?//|@import", text), path.name


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_holds_nothing_inline_and_escapes_everything(path: object) -> None:
    """The policy would refuse the first, and `hx-on` and `js:` need eval; the second is how a name becomes a script."""
    text = path.read_text()  # type: ignore[attr-defined]

    assert not re.search(r"\|\s*safe\b|autoescape|Markup", text)
    assert not re.search(r"\bhx-on|\bjs:|javascript:|\bon[a-z]+\s*=|\bstyle\s*=|<style", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\bhx-vals|\bhx-headers|\bhx-trigger=.*\[", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_writes_addresses_below_the_console_s_path(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    addresses = re.findall(r"(?:href|src|action|formaction|hx-[a-z:-]+)=\"([^\"]*)", text)

    assert [each for each in addresses if each.startswith("/")] == []


def test_no_python_marks_text_as_safe() -> None:
    for path in (ROOT / "consumer" / "console").glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert not names & {"Markup", "mark_safe", "format_html"}, path.name


def test_a_name_that_is_markup_is_shown_as_text() -> None:
    renderer = Renderer(base_of(None, 8003, STEPS), "<b>label</b>", "http://x/<i>")
    link = {"name": "<script>alert(1)</script>", "role": "viewer"}
    person = {"role": "nobody", "name": ""}

    text = renderer.render("open.html", title="'\"><x>", link=link, token='"><img>', person=person, view=View())

    assert not re.search(r"<script|<b>label|<img|<x>", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize(
    ("program", "typed"), [("./run", "./run"), ("/a&b/run", "/a&amp;b/run"), ("consumer", "consumer")]
)
def test_commands_name_the_program_as_people_type_it(program: str, typed: str) -> None:
    renderer = Renderer(base_of(None, 8003, STEPS), "label", "http://x/", program)
    values = {"title": "Away", "sentence": "Run `consumer migrate`.", "cure": "A consumer of memory."}

    person = {"role": "nobody", "name": ""}
    door = renderer.render("door.html", **values, person=person, view=View())
    problem = renderer.render("problem.html", **values, person=person, view=View())

    assert f"<pre>{typed} console link --as NAME" in door
    assert f"Run `{typed} migrate`. A consumer of memory." in problem


def test_a_list_without_a_process_says_for_how_long_none_has_reported() -> None:
    renderer = Renderer(base_of(None, 8003, STEPS), "label", "http://x/")
    text = renderer.render("processes.html", view={"sample": {"observation": {"processes": []}}})

    assert "No process has reported within the last 6\u00a0h." in text


def test_htmx_begins_only_when_its_extension_is_there() -> None:
    """Deferred it would begin at once, and a page whose next script came late would stay without its stream."""
    scripts = re.findall(r"<script[^>]*>", (ROOT / "consumer/console/templates/base.html").read_text())

    assert scripts[:2] == [
        """<script src="{{ static('htmx.min.js') }}">""",
        """<script src="{{ static('hx-sse.min.js') }}" defer>""",
    ]


def test_the_core_knows_nothing_of_the_console() -> None:
    """Only the console and the process of its command import what the extra brings, or the console itself."""
    importing = set()
    for path in sorted((ROOT / "consumer").rglob("*.py")):
        module = ast.parse(path.read_text())
        names = {alias.name for node in ast.walk(module) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in ast.walk(module) if isinstance(node, ast.ImportFrom)}
        if any(name.split(".")[0] in EXTRA or name.startswith("consumer.console") for name in names):
            importing.add(path.relative_to(ROOT / "consumer").as_posix())

    assert {name for name in importing if not name.startswith("console/")} == {"cli/console_process.py"}
