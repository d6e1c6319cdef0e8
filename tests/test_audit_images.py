"""What the images of the audit hold of an avatar, which may be a data: URL of a megabyte."""

import hashlib
from uuid import UUID

import pytest

from tests.support.databases import rows
from tests.support.effects import applied, audit
from tests.support.factories import user_updated

USER = UUID(int=7)
COLUMNS = "previous_values ->> 'avatar_url' AS before, new_values ->> 'avatar_url' AS after, changed_fields[1]"
LONG = "data:image/png;base64,"


def summary(url: str) -> str:
    return f"sha256:{hashlib.sha256(url.encode()).hexdigest()}, {len(url)} characters"


@pytest.mark.parametrize("length", [2049, 1_000_000])
async def test_of_a_long_avatar_the_audit_keeps_hash_and_length_and_the_profile_the_url(
    length: int, emptied: str
) -> None:
    first, second = (LONG.ljust(length, letter) for letter in "AB")

    await applied(emptied, *(user_updated(USER, profile_image_url=url) for url in (first, second, first)))

    [profile] = rows(emptied, "SELECT avatar_url FROM identity.profiles")
    assert profile["avatar_url"] == first
    assert audit(emptied, COLUMNS) == [
        (None, summary(first), "avatar_url"),
        (summary(first), summary(second), "avatar_url"),
        (summary(second), summary(first), "avatar_url"),
    ]
    [size] = rows(emptied, "SELECT max(octet_length(t::text)) AS bytes FROM identity.profile_audit AS t")
    assert size["bytes"] < 2000


@pytest.mark.parametrize("url", [None, "", "https://example.com/ä.png", LONG.ljust(2048, "A"), "ä" * 2048])
async def test_of_any_other_avatar_the_audit_keeps_the_url(url: str | None, emptied: str) -> None:
    await applied(emptied, user_updated(USER, profile_image_url=url))

    assert audit(emptied, "new_values ->> 'avatar_url'") == [(url,)]
