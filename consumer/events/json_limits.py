"""The limits of a JSON text that PostgreSQL can store as jsonb."""

import json
import re
from itertools import accumulate

import orjson

from consumer.errors import BadPayload

# Generous, because end users write metadata; orjson stops at 1,024 levels and PostgreSQL far later.
DEPTH_MAX = 512
# A double written out in full has at most 1,074 fraction digits. PostgreSQL refuses more than 16,383,
# and prints each of them: a short exponent becomes a long text.
FRACTION_DIGITS_MAX = 2_000
# PostgreSQL refuses an exponent from 2^30 on, even that of a zero.
EXPONENT_DIGITS_MAX = 9

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
STEP_OF = {bracket: 1 if bracket in b"[{" else -1 for bracket in b"[]{}"}
# An escape is one only after an even run of backslashes.
NUL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")
# Reading every number would be slow, so two quick patterns find texts that may hold one beyond the limits: an exponent
# of -1,000 or less or of ten digits (once all digits are zeros), or a thousand fraction digits (then ten bytes in a row
# of every hundredth byte are digits).
DIGITS_TO_ZERO = bytes.maketrans(b"123456789E", b"000000000e")
LONG_EXPONENT = re.compile(rb"0e(?:-0{4}|\+?0{10})")
LONG_FRACTION = re.compile(rb"[0-9]{10}")
LONG_FRACTION_STRIDE = 100


def parse(body: bytes) -> object:
    """Read a JSON text strictly (RFC 8259, UTF-8, no byte order mark, no lone surrogates), else raise BadPayload."""
    try:
        document: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        code = "too_deep" if depth(body) > DEPTH_MAX else "not_json"
        raise BadPayload(code, "$", str(error)) from error
    return document


def refuse_unstorable(body: bytes) -> None:
    """Raise BadPayload for a JSON text that PostgreSQL can't cast to jsonb, or only at an absurd size."""
    if b"\\" in body and NUL_ESCAPE.search(body):
        raise BadPayload("nul", "$", "has the escape \\u0000, which PostgreSQL can't store")
    if len(body.translate(None, NOT_BRACKETS)) > 2 * DEPTH_MAX and depth(body) > DEPTH_MAX:
        raise BadPayload("too_deep", "$", f"nests more than {DEPTH_MAX} levels")
    flat = body.translate(DIGITS_TO_ZERO)
    if LONG_EXPONENT.search(flat) or LONG_FRACTION.search(body[::LONG_FRACTION_STRIDE]):
        json.loads(body, parse_float=_refuse_out_of_range)


def depth(body: bytes) -> int:
    """Return how many levels arrays and objects nest, brackets in strings aside; linear on any bytes."""
    brackets = STRING.sub(b"", body).translate(None, NOT_BRACKETS)
    return max(accumulate(map(STEP_OF.__getitem__, brackets)), default=0)


def _refuse_out_of_range(number: str) -> None:
    mantissa, _, exponent = number.lower().partition("e")
    _, _, fraction = mantissa.partition(".")
    if len(exponent.lstrip("+-")) > EXPONENT_DIGITS_MAX:
        raise BadPayload("number_out_of_range", "$", f"has an exponent of more than {EXPONENT_DIGITS_MAX} digits")
    if len(fraction) - int(exponent or 0) > FRACTION_DIGITS_MAX:
        raise BadPayload("number_out_of_range", "$", f"has a number of more than {FRACTION_DIGITS_MAX} fraction digits")
