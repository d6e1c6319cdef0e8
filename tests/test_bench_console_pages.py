"""What a page of the console costs: milliseconds and rows of one request, and the bytes of a first visit."""

from typing import cast

import pytest

from bench import console_pages
from bench.console_people import Operator
from consumer.console import static
from tests.support.benches import Ticking, returning, silent


class Pages:
    """An operator whose pages have a byte for each that was asked before."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def page(self, address: str) -> bytes:
        self.asked.append(address)
        return b"x" * len(self.asked)


def test_a_page_s_p95_and_its_reads_are_of_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reads of the requests that bring the statistics count too."""
    pages = Pages()
    ends = [n + took for n, took in enumerate([0.02, 0.04, 0.01, 0.03])]
    clock = Ticking(*(reading for pair in zip(range(4), ends, strict=True) for reading in pair))
    monkeypatch.setattr(console_pages, "time", clock)
    monkeypatch.setattr(console_pages, "rows", returning([(1000,)], [(1000 + 12 * 7 + 5,)]))
    silent(monkeypatch, console_pages)

    row = console_pages.page_row("url", cast("Operator", pages), "/dead", 4)

    assert row == {"page": "/dead", "p95 ms": pytest.approx(30), "rows read": 7, "bytes on the wire": 1}
    assert pages.asked == ["/dead"] * (1 + 8 + 4 + 8)
    assert clock.slept == [1.1, 1.1]


def test_a_first_visit_loads_the_overview_and_all_that_it_names() -> None:
    pages = Pages()

    size = console_pages.first_visit(cast("Operator", pages))

    names = [path.name for path in static.FOLDER.iterdir() if path.suffix in {".css", ".js", ".svg"}]
    assert pages.asked[0] == "/"
    assert sorted(pages.asked[1:]) == sorted(f"/static/{static.VERSION}/{name}" for name in names)
    assert size == sum(range(1, len(names) + 2))


def test_the_pages_are_about_the_first_dead_delivery_and_the_last_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_pages, "rows", returning([(10, "a-user")], [(99,)]))

    found = console_pages.addresses("url")

    assert found["/deliveries/SEQ"] == ["/deliveries/10", "/deliveries/99"]
    assert found["/users/ID"] == ["/users/a-user"]
    assert found["/deliveries"][:2] == ["/deliveries", "/deliveries?state=dead"]
    assert "/deliveries?user=a-user" in found["/deliveries"]
    assert len(found["/deliveries"]) == 11
