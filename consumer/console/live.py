"""The stream behind each page: what changes on it, every two seconds."""

from collections.abc import AsyncIterator, Mapping, Sequence

from starlette.responses import Response

from consumer.console.render import Renderer
from consumer.console.reported import QUARTER
from consumer.console.sampler import View
from consumer.console.visit import Endpoint, Visit

# A page's script leaves for the door. A refusal would be no answer: the browser would ask again without end.
ENDED = b"event: ended\ndata: ended\n\n"
# The pages of which more changes than what all have, each with the templates of that.
LIVE_PAGES: Mapping[str, Sequence[str]] = {
    "overview": ("live_overview.html", "live_charts.html"),
    "overview-hours": ("live_overview.html",),
    "deliveries": (),
}
# A list does not move: it says that there are newer deliveries, and its own address shows them.
NEWER = (
    b'data: <hx-partial hx-target="#newer" hx-swap="innerHTML"><a href="">Newer deliveries have come. Show them</a>'
    b"</hx-partial>\n\n"
)


async def show(visit: Visit) -> Response:
    """Stream the changes of a page until the session ends; to nobody say that it has ended."""
    return visit.stream(_events(visit))


async def _events(visit: Visit) -> AsyncIterator[bytes]:
    person = visit.person
    if person.may("viewer"):
        page = visit.query.text("page")
        async for frame in visit.console.sampler.frames(page if page in LIVE_PAGES else "", person.until):
            yield frame
            if page == "deliveries" and _is_newer(visit):
                yield NEWER
    if not person.may("viewer") or (person.until and person.until <= visit.console.sampler.clock()):
        yield ENDED


def _is_newer(visit: Visit) -> bool:
    """Tell whether a delivery has come after the one that the address names as the newest of the page."""
    sample, after = visit.console.sampler.view.sample, visit.query.text("after")
    newest = max((each.seq for each in sample.latest), default=0) if sample else 0
    return after.isascii() and after.isdecimal() and len(after) < 20 and newest > int(after)


def frames(renderer: Renderer, view: View) -> dict[str, bytes]:
    """Return the event for each kind of page."""
    names = ("live.html", "live_overview.html", "live_charts.html")
    texts = {name: renderer.render(name, view=view, span=QUARTER.name) for name in names}
    pages: Mapping[str, Sequence[str]] = {"": (), **LIVE_PAGES}
    return {page: _event("".join(texts[name] for name in ("live.html", *more))) for page, more in pages.items()}


def _event(text: str) -> bytes:
    return "".join(f"data: {line}\n" for line in text.splitlines() if line).encode() + b"\n"


ENDPOINTS = (Endpoint("GET", "/live", "nobody", show),)
