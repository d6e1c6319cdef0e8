"""Where the members of a JSON object and the elements of an array are, whatever their values hold."""

import json
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.events.json_members import BLOCK_BYTES, FIRST_BLOCK_BYTES, MEMBERS_MAX, JsonText

# Brackets, quotes and backslashes are what a search for brackets may trip over.
STRINGS = st.text(st.sampled_from('[]{}"\\,: \n\0aé🦊'), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=12,
)
MEBIBYTE = 2**20
HOSTILE = {
    "deep": b"[" * MEBIBYTE + b"]" * MEBIBYTE,
    "open": b"[" * 2 * MEBIBYTE,
    "wide": b"[" + b"[[]]," * (MEBIBYTE // 3) + b"1]",
    "strings": b"[" + b'"[",' * (MEBIBYTE // 2) + b"1]",
    "quotes": b'["' * MEBIBYTE,
    "backslashes": b'"' + b"\\" * 2 * MEBIBYTE,
    "commas": b"[," * MEBIBYTE,
    "blanks": b" " * 2 * MEBIBYTE + b"x",
    "members": b"{" + b'"a":1,' * (MEBIBYTE // 3) + b'"b":1}',
}


def members(text: bytes) -> dict[bytes, bytes] | None:
    found = JsonText(text).members(slice(0, len(text)))
    return None if found is None else {text[key]: text[value] for key, value in found}


def elements(text: bytes) -> list[bytes] | None:
    found = JsonText(text).elements(slice(0, len(text)))
    return None if found is None else [text[place] for place in found]


@given(st.dictionaries(STRINGS, VALUES, max_size=6), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_the_members_are_those_that_a_parser_finds(
    document: dict[str, object], indent: int | str | None, is_ascii: bool
) -> None:
    found = members(json.dumps(document, indent=indent, ensure_ascii=is_ascii).encode())

    assert found is not None
    assert {json.loads(key): json.loads(value) for key, value in found.items()} == document


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_the_elements_are_those_that_a_parser_finds(
    document: list[object], indent: int | str | None, is_ascii: bool
) -> None:
    found = elements(json.dumps(document, indent=indent, ensure_ascii=is_ascii).encode())

    assert found is not None
    assert [json.loads(element) for element in found] == document


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{}", b"1", b'"a"', b"[", b"[,]", b"[}", b"[1", b"[1,]", b"[1 2]", b"[1]]", b"[[}", b'["]', b"[1]x"),
    ],
)
def test_what_is_no_array_has_no_elements(text: bytes) -> None:
    assert elements(text) is None


@pytest.mark.parametrize("length", [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
def test_a_value_may_end_in_any_block(length: int) -> None:
    value = b"[" + b"[]," * (length // 3) + b"1]"

    assert members(b'{"a":%b,"b":{}}' % value) == {b'"a"': value, b'"b"': b"{}"}


# The last places of the first block and of the second, and those around them.
PLACES = [end + n for end in (FIRST_BLOCK_BYTES, FIRST_BLOCK_BYTES + BLOCK_BYTES) for n in (-2, -1, 0, 1, 2)]


@pytest.mark.parametrize("size", PLACES)
@pytest.mark.parametrize("inner", [b"%b", b"{%b}", b'"]",%b', b"[[],%b]"], ids=["flat", "nested", "string", "two"])
def test_a_value_may_end_at_any_place_of_a_block(size: int, inner: bytes) -> None:
    frame = len(b"[]") + len(inner) - len(b"%b")
    value = b"[%b]" % (inner % (b" " * (size - frame)))
    assert len(value) == size

    assert members(b'{"a":%b,"b":[]}' % value) == {b'"a"': value, b'"b"': b"[]"}
    assert elements(b"[%b,%b]" % (value, value)) == [value, value]
    assert elements(b"[%b" % value[:-1]) is None


@pytest.mark.parametrize(
    "value",
    [b"NaN", b"1e999", b"'x'", b'"\xff"', b'"\n"', rb'"\q"', b"[}", b"[1,]", b'{"a"}', b"[" * 5000 + b"]" * 5000],
    ids=len,
)
def test_a_value_need_not_be_json(value: bytes) -> None:
    assert members(b'{"a":%b,"b":1}' % value) == {b'"a"': value, b'"b"': b"1"}


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"[]", b"1", b'"a"', b"{", b"{,}", b"{]", b"{a:1}", b'{"a"}', b'{"a":}', b'{"a":]}', b'{"a":1'),
        *(b'{"a":1,}', b'{"a":1 2}', b'{"a":1}}', b'{"a":[}', b'{"a":"}', b'{"a":1}x'),
    ],
)
def test_what_is_no_object_has_no_members(text: bytes) -> None:
    assert members(text) is None


def test_an_object_has_a_most_number_of_members() -> None:
    most = orjson.dumps({str(number): number for number in range(MEMBERS_MAX)})

    assert len(members(most) or ()) == MEMBERS_MAX
    assert members(most.replace(b"{", b'{"more":1,')) is None


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_text_takes_a_time_that_grows_with_its_length(value: bytes) -> None:
    """All take less than a second on one core; a search that begins again at each bracket takes hours."""
    before = time.process_time()

    members(b'{"a":%b}' % value)
    elements(value)

    assert time.process_time() - before < 10
