"""Which JSON texts PostgreSQL can store."""

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.errors import BadPayload
from consumer.events.json_limits import (
    DEPTH_MAX,
    FRACTION_DIGITS_MAX,
    depth,
    read,
)
from tests.support.json_texts import NESTS, NUMBERS, ODDITIES, STRINGS

MANY = 100_000
LEAVES = st.one_of(NUMBERS, STRINGS, ODDITIES, NESTS, st.sampled_from(["null", "true"]))
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]"),
        st.lists(st.tuples(STRINGS, inner), max_size=4).map(lambda items: f"{{{','.join(map(':'.join, items))}}}"),
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def conn(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


def as_stored(conn: psycopg.Connection, body: bytes) -> str:
    """Return the text of a body that PostgreSQL casts as the effects do."""
    row = conn.execute("SELECT (convert_from(%b::bytea, 'UTF8')::jsonb)::text", [body]).fetchone()
    assert row
    return str(row[0])


def refusal(body: bytes) -> str | None:
    try:
        read(body)
    except BadPayload as error:
        return error.code
    return None


def nested(levels: int, core: bytes = b"") -> bytes:
    return b"[" * levels + core + b"]" * levels


NOT_JSON_TEXTS = [
    pytest.param(b"", id="empty"),
    pytest.param(b" \n", id="blank"),
    pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
    pytest.param("{}".encode("utf-16"), id="UTF-16"),
    pytest.param(b"{} x", id="something after it"),
    pytest.param(b"{}\0", id="NUL after it"),
    pytest.param(b'{"a":1', id="cut off"),
    pytest.param(b'["\xff"]', id="not UTF-8"),
    pytest.param(b'["\xed\xa0\x80"]', id="a surrogate in UTF-8"),
    pytest.param(b'["\xc0\x80"]', id="NUL the long way"),
    pytest.param(b'["\0"]', id="NUL in a string"),
    pytest.param(b'["\n"]', id="line feed in a string"),
    pytest.param(rb'["\ud800"]', id="lone high surrogate"),
    pytest.param(rb'["\udc00\ud800"]', id="surrogates in the wrong order"),
    pytest.param(rb'["\x41"]', id="unknown escape"),
    pytest.param(b"['a']", id="single quotes"),
    pytest.param(b"[1,]", id="trailing comma"),
    pytest.param(b"[01]", id="leading zero"),
    pytest.param(b"[NaN]", id="NaN"),
    pytest.param(b"[Infinity]", id="Infinity"),
    pytest.param(b"[1e400]", id="beyond a double"),
    pytest.param(b"[" + b"9" * 140_000 + b"]", id="140,000 digits"),
    pytest.param(b'"' * MANY + b"\\", id="ends in a backslash"),
]
STORABLE_TEXTS = [
    pytest.param(rb'["\\u0000"]', id="an escaped backslash before u0000"),
    pytest.param(rb'["\\\\u0000", "u0000"]', id="two of them"),
    pytest.param(rb'["\ud83d\ude80"]', id="a pair of surrogates"),
    pytest.param(b'{"a":1,"a":2}', id="a key twice"),
    pytest.param(nested(DEPTH_MAX), id="deepest"),
    pytest.param(nested(DEPTH_MAX - 1, b'{"a":1}'), id="deepest with an object"),
    pytest.param(nested(1, b"[]," * MANY + b"{}"), id="wide"),
    pytest.param(b'["' + rb"[\"[{" * MANY + b'"]', id="brackets in a string"),
    pytest.param(nested(1, b"9" * 300), id="300 digits"),
    pytest.param(b"[123456789012345680000, 1e+21, 5e-324, 1.7976931348623157e308]", id="the edges of a double"),
    pytest.param(b"[1e-%d, 1.0E-%d]" % (FRACTION_DIGITS_MAX, FRACTION_DIGITS_MAX - 1), id="the smallest number"),
    pytest.param(b"[0." + b"1" * FRACTION_DIGITS_MAX + b"]", id="the longest fraction"),
    pytest.param(b"[0e999999999, 0e+999999999, 0e-0000]", id="a zero with an exponent"),
    pytest.param(b'["1e-99999", "0e-1234", "0e9999999999", "' + b"1" * MANY + b'"]', id="odd numbers as strings"),
]
UNSTORABLE_TEXTS = [
    pytest.param(rb'["\u0000"]', "nul", id="NUL escape"),
    pytest.param(rb'["\\\u0000"]', "nul", id="NUL escape after an escaped backslash"),
    pytest.param(rb'{"a\u0000":1}', "nul", id="NUL escape in a key"),
    pytest.param(b'["' + rb"\\" * MANY + rb"\u0000" + b'"]', "nul", id="NUL escape after many backslashes"),
    pytest.param(nested(DEPTH_MAX + 1), "too_deep", id="one level too deep"),
    pytest.param(b'{"a":' * (DEPTH_MAX + 1) + b"1" + b"}" * (DEPTH_MAX + 1), "too_deep", id="objects too deep"),
    pytest.param(nested(MANY), "too_deep", id="100,000 levels"),
    pytest.param(b"[" * MANY, "too_deep", id="100,000 levels left open"),
    pytest.param(b"[" * (2 * DEPTH_MAX + 1), "too_deep", id="so many left open that they are counted"),
    # Whoever reads it ends at the error: no level is built for nothing.
    pytest.param(b"[" * 2 * DEPTH_MAX, "not_json", id="fewer left open"),
    pytest.param(b"[" * DEPTH_MAX + b"[]" * 3, "not_json", id="one level too deep left open"),
    pytest.param(b"[1e-400000]", "number_out_of_range", id="tiny"),
    pytest.param(b"[1E-16384]", "number_out_of_range", id="a little too tiny for PostgreSQL"),
    pytest.param(b"[1e-%d]" % (FRACTION_DIGITS_MAX + 1), "number_out_of_range", id="a little too tiny for us"),
    pytest.param(b"[1.0e-%d]" % FRACTION_DIGITS_MAX, "number_out_of_range", id="a little too tiny with a fraction"),
    pytest.param(b"[0." + b"1" * (FRACTION_DIGITS_MAX + 1) + b"]", "number_out_of_range", id="fraction too long"),
    pytest.param(b"[1" + b"0" * 5000 + b".5e-4990]", "number_out_of_range", id="long and scaled down"),
    pytest.param(b"[0e2147483647]", "number_out_of_range", id="a zero with a huge exponent"),
    pytest.param(b"[0E+2147483647]", "number_out_of_range", id="a zero with a huge signed exponent"),
    pytest.param(b"[0e-99999999999999999999]", "number_out_of_range", id="a zero with a huge negative exponent"),
    pytest.param(b"[0e" + b"9" * MANY + b"]", "number_out_of_range", id="an exponent of 100,000 digits"),
]


@pytest.mark.parametrize("body", NOT_JSON_TEXTS)
def test_what_is_not_json_is_refused_by_the_parser(body: bytes) -> None:
    assert refusal(body) == "not_json"


@pytest.mark.parametrize(("body", "code"), UNSTORABLE_TEXTS)
def test_what_postgres_must_not_get_is_refused(body: bytes, code: str) -> None:
    assert refusal(body) == code


@pytest.mark.parametrize("body", STORABLE_TEXTS)
def test_what_passes_is_stored(conn: psycopg.Connection, body: bytes) -> None:
    assert refusal(body) is None
    assert as_stored(conn, body)


@settings(deadline=None)
@given(DOCUMENTS)
def test_whatever_passes_is_stored(conn: psycopg.Connection, document: str) -> None:
    body = document.encode("utf-8", "surrogatepass")

    if refusal(body) is None:
        assert as_stored(conn, body)


@pytest.mark.parametrize(
    ("body", "levels"),
    [(b"1", 0), (b"[]", 1), (b'{"a":[{}],"b":[]}', 3), (rb'["\"[[[", {}]', 2), (b'["[', 1), (b'["[\\', 1)],
)
def test_depth_counts_levels_outside_strings(body: bytes, levels: int) -> None:
    assert depth(body) == levels


@pytest.mark.parametrize(
    ("numbers", "more", "code"),
    [
        (["1e-2000"] * 500, ["1.5", "7"], None),
        (["1e-2000"] * 500, ["1e1"], "number_out_of_range"),
        (["1e-2000"] * 499 + ["1e-1999"], ["1e-1"], None),
        (["0e999999999"] * 500, ["0.5"], None),
        (["0e-999999999"] * 500, ["1e-1"], "number_out_of_range"),
        (["1e300"] * 3_333, ["1E+100"], None),
        (["1e300"] * 3_333, ["1E+101"], "number_out_of_range"),
        (["1e-300"] * 3_334, [], "number_out_of_range"),
    ],
    ids=["all", "one more", "just all", "zeros", "too many zeros", "large", "too large", "too small"],
)
def test_the_exponents_of_a_body_add_up_to_a_million_digits(
    numbers: list[str], more: list[str], code: str | None
) -> None:
    assert refusal(f"[{','.join(numbers + more)}]".encode()) == code
