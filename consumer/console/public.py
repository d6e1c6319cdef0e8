"""What anybody may ask for: the files of the pages, and whether the process runs."""

from starlette.responses import JSONResponse, Response

from consumer.console import static
from consumer.console.visit import Endpoint, Visit


async def show_file(visit: Visit) -> Response:
    """Answer with a style sheet, a script or the icon."""
    return static.answer(**visit.params) or visit.missing()


async def show_icon(_: Visit) -> Response:
    """Answer with the icon where a browser looks for it on its own, as beside a refusal in plain text."""
    icon = static.answer(static.VERSION, "favicon.svg")
    assert icon
    return icon


async def livez(_: Visit) -> Response:
    """Answer 200: the answer itself proves that the process runs."""
    return JSONResponse({"status": "alive"})


ENDPOINTS = (
    Endpoint("GET", "/static/{version}/{name}", "nobody", show_file),
    Endpoint("GET", "/favicon.ico", "nobody", show_icon),
    Endpoint("GET", "/livez", "nobody", livez),
)
