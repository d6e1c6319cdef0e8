"""Renders the templates: everything is escaped, and an unknown name is an error."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from consumer.console import formats, static
from consumer.console.base import Base
from consumer.console.conditions import conditions
from consumer.console.sample import SOURCES
from consumer.operations.hours import REPORTS_KEPT

FOLDER = Path(__file__).parent / "templates"


class Renderer:
    """The templates of one console: *label* names its installation, *webhook_url* is where deliveries come in."""

    def __init__(self, base: Base, label: str, webhook_url: str) -> None:
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
        """Return a template filled with values."""
        return self._environment.get_template(template).render(values)
