"""What users write into their own objects keeps no page from being read."""

import time

import orjson
import pytest

from consumer.stack_api import listing
from consumer.stack_api.listing import ListedObject, NotAnAnswer

LEVELS = 100_000
ODA = "0b6f7d52-1c3e-4f0a-9a41-5d2e8c7b1f01"
TEAM = "9d2b4f60-8e1c-4a35-bd74-c6e8f0a2b402"
ODD = {
    "deep lists": b"[" * LEVELS + b"]" * LEVELS,
    "deep objects": b'{"a":' * LEVELS + b"1" + b"}" * LEVELS,
    "a lone surrogate": rb'"\ud800"',
    "a large number": b"9" * 5_000,
    "a tiny number": b"1e-999999",
    "brackets in a string": rb'"]}\"],[{\\"',
}


def user(metadata: bytes, **fields: object) -> bytes:
    shown = orjson.dumps({"id": ODA, "signed_up_at_millis": 1795100000000, **fields})
    return shown[:-1] + b',"client_metadata":%b}' % metadata


def page(*items: bytes) -> bytes:
    paging = b'"is_paginated":true,"pagination":{"next_cursor":"%b"}' % TEAM.encode()
    return b'{"items":[%b],%b}' % (b",".join(items), paging)


@pytest.mark.parametrize("metadata", ODD.values(), ids=ODD)
def test_a_page_is_read_whatever_one_user_has_written(metadata: bytes) -> None:
    odd, other = user(metadata), user(b"{}")

    found = listing.page(page(odd, other))

    assert [item.body for item in found.items] == [odd, other]
    assert {item.id for item in found.items} == {ODA}
    assert {item.signed_up_at_millis for item in found.items} == {1795100000000}
    assert found.next_cursor == TEAM


@pytest.mark.parametrize("metadata", ODD.values(), ids=ODD)
def test_one_user_and_a_member_are_read_whatever_they_have_written(metadata: bytes) -> None:
    odd = user(metadata)
    member = b'{"team_id":"%b","user_id":"%b","user":%b}' % (TEAM.encode(), ODA.upper().encode(), odd)

    assert listing.one(odd).body == odd
    assert [each.user_body for each in listing.member_profiles(b'{"items":[%b]}' % member)] == [odd]


def test_an_object_is_the_text_that_the_server_wrote() -> None:
    text = b'{ "id" : "%b" , "n": 1.50, "big": 123456789012345678901234567890 }' % ODA.encode()

    assert listing.page(page(text)).items[0].body == text


@pytest.mark.parametrize("millis", ['"1795100000000"', "1.5", "-1", "null", "true", "[]", "9" * 400])
def test_a_time_that_is_no_number_of_milliseconds_is_none(millis: str) -> None:
    text = f'{{"id":"{ODA}","signed_up_at_millis":{millis}}}'.encode()

    assert listing.one(text) == ListedObject(ODA, text)


NO_MEMBERS = {
    "no user": {"team_id": TEAM, "user_id": ODA},
    "another user": {"team_id": TEAM, "user_id": ODA, "user": {"id": TEAM}},
    "no UUID": {"team_id": "1", "user_id": ODA, "user": {"id": ODA}},
    "a number": {"team_id": 1, "user_id": ODA, "user": {"id": ODA}},
}


@pytest.mark.parametrize("member", NO_MEMBERS.values(), ids=NO_MEMBERS)
def test_what_is_no_member_is_no_answer(member: object) -> None:
    with pytest.raises(NotAnAnswer):
        listing.member_profiles(orjson.dumps({"items": [member]}))


BROKEN = {
    "a deep page that ends early": b'{"items":[{"id":"x","m":' + b"[" * LEVELS,
    "a deep list that ends early": b'{"items":' + b"[" * LEVELS + b"}",
    "a deep list of other things": b'{"items":[1,' + b"[" * LEVELS + b"]" * LEVELS + b"]}",
    "bytes that are no text": b'{"items":[{"id":"\xff"}]}',
    "a key that is no text": b'{"\xff":1}',
    "a deep id that is no text": b'{"items":[{"id":"\xff","m":' + b"[" * LEVELS + b"]" * LEVELS + b"}]}",
    "a list": b"[]",
    "a byte order mark": b'\xef\xbb\xbf{"items":[]}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_no_page_is_no_answer(body: bytes) -> None:
    with pytest.raises(NotAnAnswer):
        listing.page(body)


def test_a_page_of_a_thousand_users_is_read_in_a_moment() -> None:
    """It takes 33 ms; a search for each member byte by byte takes 20 times as long."""
    body = page(*[user(orjson.dumps({str(number): "x" * 10 for number in range(100)}))] * 1000)
    before = time.process_time()

    found = listing.page(body)

    assert len(found.items) == 1000
    assert time.process_time() - before < 2
