"""When an event happened, by its message id."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.providers.stack.message_ids import ALPHABET, DIGITS, EPOCH, RANDOM_BYTES, STEP, compose, occurred_at

SEQUENCES = Path(__file__).parent / "data" / "sequences"
KNOWN_ID = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"
KNOWN_TIME = datetime(2022, 4, 7, 21, 39, 13, 200_000, tzinfo=UTC)
SIGNED_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOLERANCE = timedelta(seconds=300)
# The last instant that 32 bits of seconds and 249 steps can tell.
LAST = EPOCH + timedelta(seconds=2**32) - STEP

instants = st.integers(0, (LAST - EPOCH) // STEP).map(lambda steps: EPOCH + steps * STEP)
randomness = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


def encoded(number: int) -> str:
    """Write a number as a message id, whether it makes sense as one or not."""
    digits = "".join(ALPHABET[number // 62**place % 62] for place in reversed(range(DIGITS)))
    return f"msg_{digits}"


def raw(seconds: int, step_byte: int, tail: bytes = bytes(RANDOM_BYTES)) -> str:
    return encoded(int.from_bytes(seconds.to_bytes(4) + bytes([step_byte]) + tail))


def test_a_real_id_tells_its_time() -> None:
    assert occurred_at(KNOWN_ID, SIGNED_AT, TOLERANCE) == KNOWN_TIME


@pytest.mark.parametrize("path", sorted(SEQUENCES.glob("*.json")), ids=lambda path: path.stem)
def test_every_id_of_the_recorded_sequences_was_made_shortly_before_it_was_signed(path: Path) -> None:
    for delivery in json.loads(path.read_bytes())["deliveries"]:
        signed_at = datetime.fromtimestamp(int(delivery["svix_timestamp"]), UTC)

        at = occurred_at(delivery["svix_id"], signed_at, TOLERANCE)

        assert at != signed_at
        assert timedelta(days=-2) < at - signed_at < TOLERANCE


@given(instants, randomness)
def test_an_id_tells_the_time_it_was_composed_from(at: datetime, tail: bytes) -> None:
    assert occurred_at(compose(at, tail), LAST, TOLERANCE) == at


@given(instants, st.integers(0, 3999))
def test_composing_cuts_the_time_to_4_ms(at: datetime, microseconds: int) -> None:
    tail = bytes(RANDOM_BYTES)

    assert compose(at + timedelta(microseconds=microseconds), tail) == compose(at, tail)


@given(st.tuples(instants, randomness), st.tuples(instants, randomness))
def test_ids_sort_by_bytes_as_their_times_do(one: tuple[datetime, bytes], other: tuple[datetime, bytes]) -> None:
    assert (compose(*one).encode() < compose(*other).encode()) == (one < other)


@given(st.text(ALPHABET, min_size=DIGITS, max_size=DIGITS))
def test_any_27_digits_are_read_as_plain_arithmetic_reads_them(digits: str) -> None:
    number = 0
    for digit in digits:
        number = number * 62 + ALPHABET.index(digit)
    seconds, step = divmod(number // 2**120, 256)
    expected = EPOCH + timedelta(seconds=seconds, milliseconds=4 * step)
    is_id = number < 2**160 and step < 250

    assert occurred_at(f"msg_{digits}", LAST, TOLERANCE) == (expected if is_id else LAST)


@pytest.mark.parametrize(
    ("message_id", "expected"),
    [
        pytest.param("msg_" + "0" * DIGITS, EPOCH, id="the smallest"),
        pytest.param(raw(0, 249), EPOCH + timedelta(milliseconds=996), id="the last step of a second"),
        pytest.param(raw(2**32 - 1, 249, b"\xff" * RANDOM_BYTES), LAST, id="the largest"),
    ],
)
def test_the_edges_of_the_format(message_id: str, expected: datetime) -> None:
    assert occurred_at(message_id, LAST, TOLERANCE) == expected


def test_a_capital_comes_before_its_small_letter() -> None:
    capital, small = (occurred_at(f"msg_0{digit}".ljust(31, "0"), LAST, TOLERANCE) for digit in "Aa")

    assert EPOCH < capital < small < LAST


@pytest.mark.parametrize(
    "message_id",
    [
        pytest.param(raw(1, 250), id="a 251st step"),
        pytest.param(encoded(2**160 - 1), id="the largest number of 160 bits"),
        pytest.param(encoded(2**160), id="161 bits"),
        pytest.param("msg_" + "z" * DIGITS, id="the largest 27 digits"),
        pytest.param(KNOWN_ID[:-1], id="26 digits"),
        pytest.param(KNOWN_ID + "0", id="28 digits"),
        pytest.param(KNOWN_ID + "\n", id="a line feed after it"),
        pytest.param(KNOWN_ID[4:], id="no prefix"),
        pytest.param(KNOWN_ID.replace("msg", "MSG"), id="a capital prefix"),
        pytest.param(KNOWN_ID.replace("msg", "edit"), id="another prefix"),
        pytest.param(KNOWN_ID[:-1] + "-", id="a hyphen"),
        pytest.param(KNOWN_ID[:-1] + "\u0663", id="an Arabic digit"),
        pytest.param("0b9f2c1e-7d54-4f0a-9a52-6f0f1c0e8d11:user:6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10", id="a backfill"),
        pytest.param("", id="nothing"),
    ],
)
def test_another_id_happened_when_it_was_signed(message_id: str) -> None:
    assert occurred_at(message_id, LAST, TOLERANCE) == LAST


def test_an_id_at_the_end_of_the_tolerance_is_believed() -> None:
    at = SIGNED_AT + TOLERANCE

    assert occurred_at(compose(at, bytes(RANDOM_BYTES)), SIGNED_AT, TOLERANCE) == at


def test_an_id_from_further_in_the_future_happened_when_it_was_signed() -> None:
    message_id = compose(SIGNED_AT + TOLERANCE + STEP, bytes(RANDOM_BYTES))

    assert occurred_at(message_id, SIGNED_AT, TOLERANCE) == SIGNED_AT


def test_the_widest_tolerance_at_the_latest_time_does_not_overflow() -> None:
    signed_at = datetime.max.replace(tzinfo=UTC)

    assert occurred_at(KNOWN_ID, signed_at, timedelta(seconds=4_294_967_295)) == KNOWN_TIME


@pytest.mark.parametrize("at", [EPOCH - STEP, LAST + STEP], ids=["before", "after"])
def test_a_time_outside_the_format_is_not_composed(at: datetime) -> None:
    with pytest.raises(OverflowError):
        compose(at, bytes(RANDOM_BYTES))
