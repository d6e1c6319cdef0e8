"""How templates become pages: read once, laid out without empty lines, and never with a value that is not there."""

import os
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from consumer.console import render
from consumer.console.base import base_of
from consumer.console.render import Renderer
from consumer.console.routes import STEPS
from consumer.console.sampler import View

HERE = base_of("https://ops.example.com/x", 8003, STEPS)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(render, "FOLDER", tmp_path)
    return tmp_path


def rendered(folder: Path, text: str, **values: object) -> str:
    (folder / "a.html").write_text(text)
    return Renderer(HERE, "label", "https://hooks").render("a.html", **values)


def test_a_line_that_only_decides_something_leaves_no_line(folder: Path) -> None:
    text = "<p>\n  {% if is_there %}\n  yes\n  {% endif %}\n</p>\n"

    assert rendered(folder, text, is_there=True) == "<p>\n  yes\n</p>"
    assert rendered(folder, text, is_there=False) == "<p>\n</p>"


def test_a_value_that_is_not_there_is_an_error(folder: Path) -> None:
    with pytest.raises(UndefinedError):
        rendered(folder, "{{ nobody }}")
    with pytest.raises(UndefinedError):
        rendered(folder, "{% if nobody %}x{% endif %}")


def test_a_running_console_goes_on_with_the_templates_that_it_began_with(folder: Path) -> None:
    file = folder / "a.html"
    file.write_text("old")
    renderer = Renderer(HERE, "label", "https://hooks")
    assert renderer.render("a.html") == "old"

    file.write_text("new")
    os.utime(file, (1, 1))

    assert renderer.render("a.html") == "old"
    assert Renderer(HERE, "label", "https://hooks").render("a.html") == "new"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{ url('/system') }}", "/x/system"),
        ("{{ static('console.css')[:10] }}", "/x/static/"),
        ("{{ sources['app'] }}", "Your backend"),
        ("{{ reports_kept|duration|replace('\u00a0', ' ') }}", "6 h"),
        ("{{ label }}, {{ webhook_url }}", "label, https://hooks"),
        ("{{ 1234|count }} {{ 3.25|rate }} {{ 20000|size|replace('\u00a0', ' ') }}", "1,234 3.2 19 kB"),
        ("{{ '<b>' }}", "&lt;b&gt;"),
        ("{{ ([('type', 'x')]|conditions)[0].label }}", "event"),
    ],
)
def test_what_every_template_may_use_is_there(folder: Path, text: str, shown: str) -> None:
    assert rendered(folder, text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<code>consumer migrate</code>", "<code>./run migrate</code>"),
        ("<pre>consumer up\nconsumer status\n</pre>", "<pre>./run up\n./run status\n</pre>"),
        ("Run `consumer doctor` now", "Run `./run doctor` now"),
        ("a consumer of memory", "a consumer of memory"),
        ("<code>consumer</code>", "<code>consumer</code>"),
        ("<code>consumer_app</code>", "<code>consumer_app</code>"),
    ],
)
def test_a_command_to_copy_is_named_as_it_is_typed_and_a_word_is_left(folder: Path, text: str, shown: str) -> None:
    (folder / "a.html").write_text(text)

    assert Renderer(HERE, "label", "https://hooks", "./run").render("a.html") == shown


def test_a_door_is_rendered_without_anybody() -> None:
    person: Any = {"role": "nobody", "name": ""}
    page = Renderer(HERE, "label", "https://hooks").render("door.html", title="Sign in", person=person, view=View())

    assert "<title>Sign in · Users console</title>" in page
    assert "label" not in page.partition("<body")[2].partition("<main")[0]
    assert '<nav class="side"' not in page
