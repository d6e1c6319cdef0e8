"""What the Python workers share: the events to fill with, the effect, and the starting shot.

Every worker is called `fill FILE` or `work EFFECT`. It finds PostgreSQL by libpq's variables. At work it
prints `ready`, waits for a line, drains, prints `drained`, and ends.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

SQL = Path(__file__).parent.parent / "sql"
# What a worker that died leaves is free for others after so long. The peers' own defaults are 30 s and more.
LEASE_SECONDS = int(os.environ.get("PEERS_LEASE_SECONDS", "30"))
FILL_BATCH = 1000


def sql(name: str) -> str:
    return (SQL / f"{name}.sql").read_text()


def batches(file: str, size: int = FILL_BATCH) -> Iterator[list[str]]:
    """Yield the bodies of all events, one a line in the file."""
    bodies = Path(file).read_text().splitlines()
    for start in range(0, len(bodies), size):
        yield bodies[start : start + size]


def parameters(effect: str, event: Mapping[str, Mapping[str, object]]) -> list[object]:
    """Return what the effect's statement for one event takes."""
    data = event["data"]
    if effect == "note":
        return [data["last_active_at_millis"]]
    metadata = data["server_metadata"]
    assert isinstance(metadata, dict), "every event of the benchmark has metadata"
    return [
        data["id"],
        data["display_name"],
        data["primary_email"],
        data["profile_image_url"],
        metadata["role"],
        metadata["department"],
        data["last_active_at_millis"],
    ]


def decoded(body: bytes) -> Mapping[str, Mapping[str, object]]:
    event: Mapping[str, Mapping[str, object]] = orjson.loads(body)
    return event


def await_shot() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def report_drained() -> None:
    print("drained", flush=True)
