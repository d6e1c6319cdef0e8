"""The small functions of the schema, called one by one: each value, each boundary, and null."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.databases import session

NOON = datetime(2026, 11, 3, 12, 0, 0, 1, tzinfo=UTC)
ID = UUID("0a0b0c0d-0000-4000-8000-00000000fe2b")
FIELDS = (
    *("avatar_url", "company_id", "deleted_at", "department", "email", "email_verified", "full_name", "is_restricted"),
    "role_type",
)


def answer(url: str, call: str, *values: Any) -> Any:
    """Return what a function returns."""
    with session(url) as conn:
        [(found,)] = conn.execute(f"SELECT {call}".encode(), values or None).fetchall()
        return found


@pytest.mark.parametrize(
    ("millis", "at"),
    [
        ("1700000000123", datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        (None, None),
    ],
)
def test_an_instant_is_read_from_milliseconds(database_url: str, millis: str | None, at: datetime | None) -> None:
    assert answer(database_url, "consumer.instant(%s)", millis) == at


@pytest.mark.parametrize(
    ("source", "rank"), [("app", "0"), ("stack", "1"), ("backfill", "1"), ("reconcile", "1"), ("operator", "1")]
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_a_version_is_rank_and_time_in_utc_and_message_and_source(
    database_url: str, source: str, rank: str, zone: str
) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("SELECT set_config('timezone', %s, TRUE)", [zone])
        [(found,)] = conn.execute("SELECT consumer.version(%s, %s, 'msg_1')", [source, NOON]).fetchall()

    assert found == f"{rank}20261103120000000001msg_1\x01{source}"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (str(ID), ID),
        (str(ID).upper(), ID),
        (f"{{{ID}}}", None),
        (ID.hex, None),
        (f"{ID}0", None),
        ("", None),
        (7, None),
        (None, None),
        ([str(ID)], None),
    ],
)
def test_an_id_in_metadata_is_a_canonical_uuid(database_url: str, value: object, found: UUID | None) -> None:
    assert answer(database_url, "consumer.metadata_id(%s, 'k')", Jsonb({"k": value})) == found
    assert answer(database_url, "consumer.metadata_id(%s, 'other')", Jsonb({"k": value})) is None


@pytest.mark.parametrize(
    ("value", "found"),
    [("x", "x"), (" x ", " x "), (" \t\u00a0", None), ("", None), (7, None), (None, None), ({}, None)],
)
def test_a_text_in_metadata_is_not_blank(database_url: str, value: object, found: str | None) -> None:
    assert answer(database_url, "consumer.metadata_text(%s, 'k')", Jsonb({"k": value})) == found


def test_the_stripe_of_a_company_is_the_last_byte_of_its_id(database_url: str) -> None:
    assert answer(database_url, "consumer.company_stripe(%s)", ID) == 0x2B


def test_a_guest_key_is_half_of_the_hash_of_salt_and_company(database_url: str) -> None:
    salt = b"salt of thirty-two bytes or less"
    digest = hashlib.sha256(salt + ID.bytes).digest()

    assert answer(database_url, "consumer.guest_key(%b, %s)", salt, ID) == UUID(bytes=digest[:16])


def test_a_message_key_is_half_of_the_hash_of_source_and_message(database_url: str) -> None:
    digest = hashlib.sha256("app msg_é".encode()).digest()

    assert answer(database_url, "consumer.message_key('app', 'msg_é')") == UUID(bytes=digest[:16])


EARLY, MIDDLE, LATE = (NOON + timedelta(days=days) for days in range(3))


@pytest.mark.parametrize(
    ("deletion", "missing", "seen", "found"),
    [
        (None, None, None, None),
        (MIDDLE, None, None, MIDDLE),
        (MIDDLE, None, LATE, MIDDLE),
        (None, MIDDLE, None, MIDDLE),
        (None, MIDDLE, EARLY, MIDDLE),
        (None, MIDDLE, MIDDLE, None),
        (None, MIDDLE, LATE, None),
        (EARLY, MIDDLE, None, EARLY),
        (LATE, MIDDLE, None, MIDDLE),
        (LATE, EARLY, MIDDLE, LATE),
    ],
)
def test_a_deletion_that_was_told_stays_and_one_that_was_found_ends_when_the_user_is_seen(
    database_url: str,
    deletion: datetime | None,
    missing: datetime | None,
    seen: datetime | None,
    found: datetime | None,
) -> None:
    assert answer(database_url, "consumer.tombstone(%s, %s, %s)", deletion, missing, seen) == found


def test_places_of_removed_messages_are_counted_from_one_and_by_source(emptied: str) -> None:
    with psycopg.connect(emptied) as conn:
        conn.execute("INSERT INTO consumer.pruned SELECT consumer.message_key('app', m) FROM unnest('{b,d}'::text[]) m")
        [(found,)] = conn.execute(
            "SELECT consumer.pruned_places('{app,app,stack,app}', '{a,b,b,d}')",
        ).fetchall()
        [(nothing,)] = conn.execute("SELECT consumer.pruned_places('{}', '{}')").fetchall()
        conn.rollback()

    assert (sorted(found), nothing) == ([2, 4], [])


def test_repeats_of_removed_messages_are_told_by_source_and_message(emptied: str) -> None:
    with psycopg.connect(emptied) as conn:
        insert = "INSERT INTO consumer.outbox (source, message_id, occurred_at, body) VALUES (%s, %s, now(), '')"
        seqs = {}
        for key in (("app", "a"), ("app", "b"), ("stack", "b"), ("app", "c")):
            [(seqs[key],)] = conn.execute(f"{insert} RETURNING seq".encode(), key).fetchall()
        asked = [seqs["app", "a"], seqs["app", "b"], seqs["stack", "b"]]
        [(before,)] = conn.execute("SELECT consumer.pruned_repeats(%s)", [asked]).fetchall()
        conn.execute("INSERT INTO consumer.pruned SELECT consumer.message_key('app', m) FROM unnest('{b,c}'::text[]) m")
        [(found,)] = conn.execute("SELECT consumer.pruned_repeats(%s)", [asked]).fetchall()
        conn.rollback()

    assert (before, found) == ([], [seqs["app", "b"]])


@pytest.mark.parametrize("length", [0, 1, 2048, 2049])
def test_an_image_holds_an_avatar_of_2048_characters_and_the_hash_of_a_longer_one(
    database_url: str, length: int
) -> None:
    avatar = "é" * length
    profile = {"user_id": str(ID), "avatar_url": avatar, "deleted_at": "2026-11-03T12:00:00.000001+00:00"}
    with psycopg.connect(database_url) as conn:
        conn.execute("SET LOCAL timezone TO 'Asia/Kathmandu'")
        record = "jsonb_populate_record(NULL::identity.profiles, %s)"
        [(image,)] = conn.execute(f"SELECT identity.image({record})".encode(), [Jsonb(profile)]).fetchall()

    digest = hashlib.sha256(avatar.encode()).hexdigest()
    assert image.keys() == set(FIELDS)
    assert image["avatar_url"] == (avatar if length <= 2048 else f"sha256:{digest}, {length} characters")
    assert image["deleted_at"] == "2026-11-03T12:00:00.000001+00:00"


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_is_changed_where_the_images_differ_and_where_one_has_none(database_url: str, field: str) -> None:
    same = dict.fromkeys(FIELDS, "x")
    call = "identity.changed_fields(%s, %s)"
    values = [{**same, field: value} for value in ("a", "b", None)]

    for before in values:
        for after in values:
            changed = [field] if before != after else []
            assert answer(database_url, call, Jsonb(before), Jsonb(after)) == changed


def test_all_fields_of_a_first_image_that_are_not_null_are_changed_by_name(database_url: str) -> None:
    call = "identity.changed_fields(%s, %s)"
    image = dict.fromkeys(FIELDS, "x")

    assert answer(database_url, call, None, Jsonb(image)) == list(FIELDS)
    assert answer(database_url, call, None, Jsonb({**image, "email": None})) == [f for f in FIELDS if f != "email"]


def test_the_company_and_the_user_of_a_transaction_are_canonical_uuids(database_url: str) -> None:
    values = {str(ID): ID, str(ID).upper(): ID, "": None, "x": None, ID.hex: None, f"{ID} ": None, f"{{{ID}}}": None}
    with psycopg.connect(database_url) as conn:
        for name in ("company", "user"):
            other = str(uuid4())
            unset = conn.execute(f"SELECT identity.current_{name}_id()".encode()).fetchone()
            assert unset == (None,)
            for text, found in values.items():
                conn.execute("SELECT set_config(%s, %s, TRUE)", [f"app.{name}_id", text])
                assert conn.execute(f"SELECT identity.current_{name}_id()".encode()).fetchone() == (found,)
            conn.execute("SELECT set_config(%s, %s, TRUE)", [f"app.{name}_id", other])
        conn.rollback()
