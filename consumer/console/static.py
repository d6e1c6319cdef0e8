"""The style sheet, the scripts and the icon, read once; their address changes with what they hold."""

import mimetypes
from hashlib import sha256
from pathlib import Path

from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
SERVED = (".css", ".js", ".svg")
# The address has a part that changes with the content.
CACHED = "public, max-age=31536000, immutable"

_FILES = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in SERVED}
VERSION = sha256(b"".join(_FILES.values())).hexdigest()[:12]


def address(name: str) -> str:
    """Return the path of a file below the console's; KeyError if there is none."""
    assert name in _FILES, name
    return f"/static/{VERSION}/{name}"


def answer(version: str, name: str) -> Response | None:
    """Return the answer with a file; None if there is none."""
    if version != VERSION or name not in _FILES:
        return None
    media_type = mimetypes.types_map[Path(name).suffix]
    return Response(_FILES[name], media_type=media_type, headers={"cache-control": CACHED})
