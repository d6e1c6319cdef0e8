"""The signing secrets of a setting: what is taken for one, and which problems are told of which."""

import base64
import re

import pytest

from consumer.settings.signing_secrets import COPY, are_examples, decoded, fingerprint, keys, problems, split
from tests.support.settings import HIDDEN, load

PLAIN = HIDDEN.removeprefix("whsec_")
KEY = base64.b64decode(PLAIN)
OTHER = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3"
EXAMPLE = "whsec_plJ3nmyCDGBKInavdOK15jsl"
SIXTEEN = base64.b64encode(bytes(range(16))).decode()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (HIDDEN, KEY),
        (PLAIN, KEY),
        (f" {HIDDEN}\n", KEY),
        (f"whsec_{SIXTEEN}", bytes(range(16))),
        (SIXTEEN.rstrip("="), bytes(range(16))),
        (base64.b64encode(b"a" * 15 + b"b").decode(), b"a" * 15 + b"b"),
    ],
)
def test_a_secret_is_base64_with_or_without_its_prefix_and_its_padding(text: str, secret: bytes) -> None:
    assert decoded(text) == secret


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{HIDDEN}!", f"is not base64: {COPY}"),
        (f"{PLAIN[:8]}!{PLAIN[8:]}", f"is not base64: {COPY}"),
        (f"{PLAIN}A", f"is not base64: {COPY}"),
        (base64.b64encode(bytes(range(15))).decode(), f"is empty or shorter than 16 bytes: {COPY}"),
        (f"pck_{PLAIN}", "is a key of Stack's API; the signing secret starts with whsec_"),
        (f"sak_{PLAIN}", "is a key of Stack's API; the signing secret starts with whsec_"),
        (f"Whsec_{PLAIN}", "has its prefix in capitals: write whsec_"),
        ("v1", "begins with v1 of a signature: the secret begins after it, with whsec_"),
        ("v1a", "begins with v1a of a signature: the secret begins after it, with whsec_"),
        ("'", "is in quotes: write it without them"),
        (f"`{PLAIN}", "has a quote at one end: write it without"),
        (f"{PLAIN}•", f"is shortened, hidden or a placeholder: {COPY}"),
        (f"{PLAIN[:10]}\x7f{PLAIN[10:]}", f"holds an invisible character: {COPY}"),
    ],
)
def test_what_is_no_secret_is_refused_with_its_reason(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)) as raised:
        decoded(text)

    assert str(raised.value) == problem


def test_secrets_are_parted_by_spaces_and_commas_and_a_version_belongs_to_the_next() -> None:
    assert split(" a,b\n c,,v1,d v1a,e v2,f ") == ("a", "b", "c", "v1,d", "v1a,e", "v2", "f")
    assert split(" , ") == ()


def test_each_unusable_secret_is_counted_from_one_among_all() -> None:
    assert problems([HIDDEN, OTHER]) == []
    assert problems(["x", OTHER, "ssk_y"]) == [
        f"Webhook secret 1 of 3 is not base64: {COPY}.",
        "Webhook secret 3 of 3 is a key of Stack's API; the signing secret starts with whsec_.",
    ]


def test_a_part_without_a_prefix_is_named_if_another_has_one_and_it_is_not_the_first() -> None:
    hint = "; a space or comma inside a secret splits it"

    assert problems([PLAIN, OTHER]) == []
    assert problems([PLAIN, PLAIN]) == []
    assert problems([OTHER, PLAIN]) == [
        f"Webhook secret 2 of 2 does not begin with whsec_ as another does{hint}.",
    ]
    assert problems([PLAIN, OTHER, "x"]) == [f"Webhook secret 3 of 3 is not base64: {COPY}{hint}."]
    # What has an underscore is no piece of base64.
    assert problems([OTHER, f"pck_{PLAIN}"]) == [
        "Webhook secret 2 of 2 is a key of Stack's API; the signing secret starts with whsec_."
    ]


def test_an_old_secret_without_a_prefix_may_stand_before_the_new_one() -> None:
    assert load({"APP_WEBHOOK_SECRETS": f"{PLAIN} {OTHER}"}).app_webhook_secrets == (PLAIN, OTHER)


def test_an_unusable_secret_hides_no_key_behind_it() -> None:
    assert keys(["x", HIDDEN, "whsec_", OTHER]) == {KEY, b"new" * 6}
    assert keys([]) == frozenset()
    assert are_examples(["x", EXAMPLE])
    assert not are_examples(["x", HIDDEN])


def test_a_key_is_known_by_eight_digits_of_its_digest() -> None:
    assert fingerprint(b"abc") == "ba7816bf"
