"""The recorded bodies and schemas of the sender, and one usable payload of every known type."""

import json
from pathlib import Path

import orjson

from consumer.events.registry import EVENT_TYPES

DATA = Path(__file__).parents[1] / "data"
USER_ID = "6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10"
TEAM_ID = "b7e23ec2-9af4-4f1b-8d36-5c0e9a7f1d42"
# Types that the sender doesn't send.
OURS: dict[str, dict[str, object]] = {
    "user.signed_in": {"id": USER_ID},
    "user.signed_out": {"id": USER_ID},
    "profile.edited": {"id": USER_ID},
    "company.declared": {"id": TEAM_ID},
    "user.erased": {"id": USER_ID},
}


def _bodies(*folders: str) -> dict[str, bytes]:
    paths = [path for folder in folders for path in sorted((DATA / folder).rglob("*.json"))]
    return {str(path.relative_to(DATA)): path.read_bytes() for path in paths}


VALID = _bodies("samples", "samples-historic")
INVALID = _bodies("samples-invalid")
# Refused by the sender's schema, but no row is made of an issue's counter.
ODD = INVALID.pop("samples-invalid/issue-times-seen-number.json")
INVALID_PATHS = {
    "data-array": "$.data",
    "data-missing": "$.data",
    "data-null": "$.data",
    "membership-no-user": "$.data.user_id",
    "permission-bad-id": "$.data.id",
    "type-missing": "$.type",
    "type-not-string": "$.type",
    "user-deleted-no-id": "$.data.id",
    "user-display-name-257": "$.data.display_name",
    "user-id-missing": "$.data.id",
    "user-id-not-uuid": "$.data.id",
    "user-id-null": "$.data.id",
    "user-signed-up-iso-string": "$.data.signed_up_at_millis",
    "user-verified-string": "$.data.primary_email_verified",
}
# The least that any sender since 2024-07 sends.
SCHEMAS = {schema.stem: json.loads(schema.read_bytes()) for schema in (DATA / "schemas" / "compat").glob("*.json")}


def payload(event_type: str, **fields: object) -> dict[str, object]:
    """Return the smallest recorded `data` of a type, changed in the fields that a test names."""
    if event_type in OURS:
        return OURS[event_type] | fields
    data: dict[str, object] = orjson.loads(VALID[f"samples/{event_type}/minimal.json"])["data"]
    return data | fields


def body(event_type: object, data: object) -> bytes:
    """Return the body of an event as the sender writes it."""
    return orjson.dumps({"type": event_type, "data": data})


def source(event_type: str) -> str:
    """Return one source from which a type is known."""
    return min(EVENT_TYPES[event_type].sources)
