"""The limits on what a sender may send, as numbers: the last value that is taken, and the first that is not."""

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from consumer.errors import BadPayload, BadSignature
from consumer.events.check import check
from consumer.providers.stack import message_ids
from consumer.providers.standard_webhooks import Verifier, sign
from consumer.receiver import waits
from consumer.settings import app_statement, signing_secrets
from tests.support.samples import body, payload, source

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BODY = b"{}"
# UTF-16 units and characters differ.
ROCKET = "\N{ROCKET}"
YEAR_2000, YEAR_2100 = 946_684_800_000, 4_102_444_800_000


def text_refusal(text: bytes, from_source: str = "stack") -> str | None:
    try:
        return "left out" if check(text, from_source).left_out else None
    except BadPayload as error:
        return error.code


def in_field(event_type: str, field: str, value: Callable[[int], object]) -> Callable[[int], str | None]:
    return lambda n: text_refusal(body(event_type, payload(event_type, **{field: value(n)})), source(event_type))


def in_metadata(write: Callable[[int], bytes]) -> Callable[[int], str | None]:
    """Put JSON text where any JSON is taken, and needed; it lies three levels deep."""
    user = body("user.updated", payload("user.updated", server_metadata={"x": "here"}))
    return lambda n: text_refusal(user.replace(b'"here"', write(n)))


def signed_refusal(message_id: str = "msg_1", timestamp: str | None = None) -> str | None:
    return refusal_of(sign(SECRET, message_id, NOW, BODY) | ({"svix-timestamp": timestamp} if timestamp else {}))


def signed_at(seconds: int, tolerance: int = 300) -> str | None:
    return refusal_of(sign(SECRET, "msg_1", NOW + timedelta(seconds=seconds), BODY), tolerance)


def refusal_of(headers: dict[str, str], tolerance: int = 300) -> str | None:
    try:
        Verifier([SECRET], timedelta(seconds=tolerance)).verify(
            [(name.encode(), value.encode()) for name, value in headers.items()], BODY, NOW
        )
    except BadSignature as error:
        return error.refusal
    return None


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


SHAPE = "bad_shape"
# By name: what happens at a size, the last size that is taken, the first that is not, and how that is refused.
LIMITS: dict[str, tuple[Callable[[int], str | None], int, int, str]] = {
    "characters of a message id": (lambda n: signed_refusal(message_id="m" * n), 256, 257, "bad_message_id"),
    "age of a signature": (signed_at, -300, -301, "too_old"),
    "future of a signature": (signed_at, 300, 301, "too_new"),
    "age without a tolerance": (lambda n: signed_at(n, tolerance=0), 0, -1, "too_old"),
    "future without a tolerance": (lambda n: signed_at(n, tolerance=0), 0, 1, "too_new"),
    "characters of a type": (lambda n: text_refusal(body("x" * n, {})), 256, 257, "bad_type"),
    "levels": (in_metadata(lambda n: nested(n - 3)), 512, 513, "too_deep"),
    "fraction digits": (in_metadata(lambda n: b"0." + b"1" * n), 2_000, 2_001, "number_out_of_range"),
    "negative exponent": (in_metadata(lambda n: b"1e-%d" % n), 2_000, 2_001, "number_out_of_range"),
    "both together": (in_metadata(lambda n: b"1.%be-%d" % (b"1" * 999, n)), 1_001, 1_002, "number_out_of_range"),
    "digits of all exponents": (
        in_metadata(lambda n: b"[%b1e-%d]" % (b"1e-1000," * 999, n - 999_000)),
        1_000_000,
        1_000_001,
        "number_out_of_range",
    ),
    "digits of an exponent": (in_metadata(lambda n: b"0e" + b"9" * n), 9, 10, "number_out_of_range"),
    "digits of an exponent with +": (in_metadata(lambda n: b"0E+" + b"9" * n), 9, 10, "number_out_of_range"),
    "name": (in_field("user.updated", "display_name", lambda n: "x" * n), 256, 257, SHAPE),
    "UTF-16 units of a name": (
        in_field("user.updated", "display_name", lambda n: ROCKET * (n // 2) + "x" * (n % 2)),
        256,
        257,
        SHAPE,
    ),
    "UTF-16 units of a signed-in name": (
        in_field("user.signed_in", "display_name", lambda n: ROCKET * (n // 2) + "x" * (n % 2)),
        256,
        257,
        SHAPE,
    ),
    "e-mail": (in_field("user.updated", "primary_email", lambda n: "x" * n), 2_048, 2_049, SHAPE),
    "user's image": (in_field("user.updated", "profile_image_url", lambda n: "x" * n), 1_000_000, 1_000_001, SHAPE),
    "team's name": (in_field("team.updated", "display_name", lambda n: "x" * n), 1_000_000, 1_000_001, "left out"),
    "team's image": (
        in_field("team.updated", "profile_image_url", lambda n: "x" * n),
        1_000_000,
        1_000_001,
        "left out",
    ),
    "edited role": (in_field("profile.edited", "role_type", lambda n: "x" * n), 1_000_000, 1_000_001, SHAPE),
    "edited department": (in_field("profile.edited", "department", lambda n: "x" * n), 1_000_000, 1_000_001, SHAPE),
    "team permission": (in_field("team_permission.created", "id", lambda n: "x" * n), 1_024, 1_025, SHAPE),
    "project permission": (in_field("project_permission.created", "id", lambda n: "x" * n), 1_024, 1_025, SHAPE),
    "earliest time": (in_field("user.updated", "signed_up_at_millis", int), YEAR_2000, YEAR_2000 - 1, SHAPE),
    "latest time": (in_field("user.updated", "signed_up_at_millis", int), YEAR_2100, YEAR_2100 + 1, SHAPE),
    "earliest sign-in": (in_field("user.signed_in", "signed_in_at_millis", int), YEAR_2000, YEAR_2000 - 1, SHAPE),
    "latest sign-out": (in_field("user.signed_out", "signed_out_at_millis", int), YEAR_2100, YEAR_2100 + 1, SHAPE),
}


@pytest.mark.parametrize(("refusal", "last", "beyond", "code"), LIMITS.values(), ids=LIMITS.keys())
def test_the_last_value_is_taken_and_the_next_is_not(
    refusal: Callable[[int], str | None], last: int, beyond: int, code: str
) -> None:
    assert refusal(last) is None
    assert refusal(beyond) == code


@pytest.mark.parametrize(("digits", "code"), [(15, "too_new"), (16, "bad_timestamp")], ids=["the most", "more"])
@pytest.mark.parametrize("sign_text", ["", "-"], ids=["after 1970", "before 1970"])
def test_a_timestamp_of_fifteen_digits_is_read_and_a_longer_one_is_not(sign_text: str, digits: int, code: str) -> None:
    expected = "too_old" if sign_text and code == "too_new" else code

    assert signed_refusal(timestamp=sign_text + "9" * digits) == expected


@pytest.mark.parametrize(
    "number",
    [b"0." + b"1" * 2_001, b"1.%be-999" % (b"1" * 1_002), b"1.%be-1002" % (b"1" * 999)],
    ids=["fraction", "mostly fraction", "mostly exponent"],
)
def test_a_number_too_long_is_found_wherever_it_stands(number: bytes) -> None:
    """The quick look takes one byte in a hundred, so that each of a hundred places is a case of its own."""
    found = {in_metadata(lambda n: b" " * n + number)(n) for n in range(100)}

    assert found == {"number_out_of_range"}


@pytest.mark.parametrize("seconds", [0, 300, 86_400])
def test_a_message_id_tells_a_time_up_to_the_tolerance_ahead_of_its_signature(seconds: int) -> None:
    tolerance, step = timedelta(seconds=seconds), timedelta(milliseconds=4)
    last, beyond = (message_ids.compose(NOW + tolerance + ahead, bytes(15)) for ahead in (timedelta(0), step))

    assert message_ids.occurred_at(last, NOW, tolerance) == NOW + tolerance
    assert message_ids.occurred_at(beyond, NOW, tolerance) == NOW


@pytest.mark.parametrize("size", [15, 16, 64])
def test_a_secret_has_sixteen_bytes_at_least(size: int) -> None:
    found = signing_secrets.problems((f"whsec_{base64.b64encode(bytes(range(size))).decode()}",))

    problem = "Webhook secret 1 of 1 is empty or shorter than 16 bytes: copy the whole secret anew."
    assert found == ([problem] if size < 16 else [])


@pytest.mark.parametrize("size", [262_144, 262_145])
def test_a_statement_of_the_application_has_256_kib_at_most(size: int, tmp_path: Path) -> None:
    file, start = tmp_path / "statement.sql", "SELECT %(user_ids)b::uuid[] -- "
    file.write_text(start + "x" * (size - len(start)))

    if size == 262_144:
        assert len(app_statement.read(str(file))) == size
    else:
        with pytest.raises(ValueError, match=r"256 kB"):
            app_statement.read(str(file))


EDIT = "SELECT identity.edit_profile(gen_random_uuid(), jsonb_build_object('{}', repeat('x', %s)))"
PUT = "INSERT INTO consumer.outbox (source, message_id, occurred_at, body) VALUES ('stack', repeat('m', %s), now(), '')"


@pytest.mark.parametrize(
    ("statement", "last"),
    [(PUT, 256), (EDIT.format("role_type"), 1_000_000), (EDIT.format("department"), 1_000_000)],
    ids=["message id", "edited role", "edited department"],
)
def test_the_database_has_the_limits_of_a_signed_event(statement: str, last: int, emptied: str) -> None:
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute(statement.encode(), [last])
        with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.InvalidParameterValue)):
            conn.execute(statement.encode(), [last + 1])


@pytest.mark.parametrize(("asked", "granted"), [(1, 1), (5, 5), (6, 5), (999_999_999, 5)])
def test_whoever_prefers_to_wait_waits_five_seconds_at_most(asked: int, granted: int) -> None:
    waited: list[timedelta] = []

    async def never(_: str, __: UUID, patience: timedelta) -> None:
        waited.append(patience)

    reply = asyncio.run(waits.answer(never, "msg_1", uuid4(), asked))

    assert waited == [timedelta(seconds=granted)]
    assert (reply.status_code, reply.headers["preference-applied"]) == (202, f"wait={granted}")
