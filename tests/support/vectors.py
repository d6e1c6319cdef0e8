"""The published and our own signature vectors, as values."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Vector:
    """One message and the verdict on it; `refusal` is None for one to accept."""

    name: str
    secrets: list[str]
    headers: list[tuple[bytes, bytes]]
    body: bytes
    now: datetime
    tolerance: timedelta
    refusal: str | None


def _body(source: dict[str, object], digest: str) -> bytes:
    match source:
        case {"utf8": str(text)}:
            body = text.encode()
        case {"base64": str(text)}:
            body = base64.b64decode(text)
        case {"repeat": {"utf8": str(text), "count": int(count)}}:
            body = text.encode() * count
    assert hashlib.sha256(body).hexdigest() == digest
    return body


VECTORS = [
    Vector(
        name=vector["name"],
        secrets=vector["secrets"],
        headers=[(name.lower().encode(), value.encode()) for name, value in vector["headers"]],
        body=_body(vector["body"], vector["body_sha256"]),
        now=datetime.fromtimestamp(vector["now"], UTC),
        tolerance=timedelta(seconds=vector["tolerance_s"]),
        refusal=vector["refusal"],
    )
    for vector in json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["vectors"]
    if vector["kind"] != "optional-v1a"
]
NAMES = [vector.name for vector in VECTORS]
