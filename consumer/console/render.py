"""Renders the templates: everything is escaped, and an unknown name is an error."""

import re
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from consumer.console import formats, static
from consumer.console.base import Base
from consumer.console.conditions import conditions
from consumer.console.sample import SOURCES
from consumer.operations.hours import REPORTS_KEPT

FOLDER = Path(__file__).parent / "templates"
# Where a page shows one of our commands to copy, or a sentence names one: a line of code or in backquotes.
COMMAND = re.compile(r"(<code>|<pre>|`|^)consumer (?=[a-z])", re.MULTILINE)


class Renderer:
    """The templates of one console: *label* names its installation, *webhook_url* is where deliveries come in.

    *program* is our program as people type it here.
    """

    def __init__(self, base: Base, label: str, webhook_url: str, program: str = "consumer") -> None:
        self._program = escape(program)
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for name in ("ago", "clock", "count", "duration", "rate", "size", "skew"):
            self._environment.filters[name] = getattr(formats, name)
        self._environment.filters["conditions"] = conditions
        self._environment.globals |= {
            "url": base.url,
            "static": lambda name: base.url(static.address(name)),
            "sources": SOURCES,
            "reports_kept": REPORTS_KEPT,
            "label": label,
            "webhook_url": webhook_url,
        }

    def render(self, template: str, /, **values: object) -> str:
        """Return a template filled with values; its commands name the program as people type it."""
        text = self._environment.get_template(template).render(values)
        return COMMAND.sub(lambda found: f"{found[1]}{self._program} ", text)
