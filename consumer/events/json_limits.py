"""The limits of a JSON text that PostgreSQL can store as jsonb."""

import json
import re
from itertools import accumulate

import orjson

from consumer.errors import BadPayload
from consumer.events.json_members import LEVELS

# Generous, because end users write metadata; orjson stops at 1,024 levels and PostgreSQL far later.
DEPTH_MAX = 512
# A double written out in full has at most 1,074 fraction digits. PostgreSQL refuses more than 16,383,
# and prints each of them: a short exponent becomes a long text.
FRACTION_DIGITS_MAX = 2_000
# PostgreSQL refuses an exponent from 2^30 on, even that of a zero.
EXPONENT_DIGITS_MAX = 9
# All digits that exponents add to one part of a body. PostgreSQL prints 2 MiB of `1e308` as 105 MB, in each dump. Users
# write into five parts, which makes 5 MB at most. Ordinary measurements add 7 digits a number.
EXPONENTS_MAX = 1_000_000
# Fewer numbers with an exponent can't add so many digits, and each takes at least four bytes: `1e9,`.
EXPONENTS_FEW = EXPONENTS_MAX // FRACTION_DIGITS_MAX
EXPONENT_BYTES_MIN = 4

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# An escape is one only after an even run of backslashes.
NUL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")
# Reading every number would be slow, so two quick patterns find texts that may hold one beyond the limits: an exponent
# of -1,000 or less or of ten digits (once all digits are zeros), or a thousand fraction digits (then ten bytes in a row
# of every hundredth byte are digits).
DIGITS_TO_ZERO = bytes.maketrans(b"123456789E", b"000000000e")
LONG_EXPONENT = re.compile(rb"0e(?:-0{4}|\+?0{10})")
LONG_FRACTION = re.compile(rb"[0-9]{10}")
LONG_FRACTION_STRIDE = 100


def read(text: bytes, depth_max: int = DEPTH_MAX) -> object:
    """Parse a JSON text that PostgreSQL can cast to jsonb, else raise BadPayload."""
    # Before it is parsed: orjson takes 0.3 s to build 2 MiB of nested lists.
    _refuse_deep(text, depth_max)
    document = parse(text)
    refuse_unstorable(text)
    return document


def parse(body: bytes) -> object:
    """Read a JSON text strictly (RFC 8259, UTF-8, no byte order mark, no lone surrogates), else raise BadPayload."""
    try:
        document: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadPayload("not_json", "$", str(error)) from error
    return document


def refuse_unstorable(body: bytes) -> None:
    """Raise BadPayload for a JSON text that PostgreSQL can't cast to jsonb, or prints at an absurd size."""
    if b"\\" in body and NUL_ESCAPE.search(body):
        raise BadPayload("nul", "$", "has the escape \\u0000, which PostgreSQL can't store")
    flat = body.translate(DIGITS_TO_ZERO)
    # The usual body is too short for many exponents, and counting them would be half of this function's time.
    has_many = len(body) > EXPONENT_BYTES_MIN * EXPONENTS_FEW and flat.count(b"0e") > EXPONENTS_FEW
    if has_many or LONG_EXPONENT.search(flat) or LONG_FRACTION.search(body[::LONG_FRACTION_STRIDE]):
        _refuse_long_numbers(body)


def _refuse_deep(body: bytes, depth_max: int) -> None:
    if len(body.translate(None, NOT_BRACKETS)) > 2 * depth_max and depth(body) > depth_max:
        raise BadPayload("too_deep", "$", f"nests more than {depth_max} levels")


def depth(body: bytes) -> int:
    """Return how many levels arrays and objects nest, brackets in strings aside; linear on any bytes."""
    brackets = STRING.sub(b"", body).translate(LEVELS, NOT_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0)


def _refuse_long_numbers(body: bytes) -> None:
    added = 0

    def count(number: str) -> None:
        nonlocal added
        mantissa, _, exponent = number.lower().partition("e")
        _, _, fraction = mantissa.partition(".")
        if len(exponent.lstrip("+-")) > EXPONENT_DIGITS_MAX:
            raise BadPayload("number_out_of_range", "$", f"has an exponent of more than {EXPONENT_DIGITS_MAX} digits")
        if len(fraction) - int(exponent or 0) > FRACTION_DIGITS_MAX:
            reason = f"has a number of more than {FRACTION_DIGITS_MAX} fraction digits"
            raise BadPayload("number_out_of_range", "$", reason)
        # Only a zero has an exponent beyond these digits.
        added += min(abs(int(exponent or 0)), FRACTION_DIGITS_MAX)
        if added > EXPONENTS_MAX:
            raise BadPayload("number_out_of_range", "$", f"has exponents that add over {EXPONENTS_MAX} digits")

    json.loads(body, parse_float=count)
