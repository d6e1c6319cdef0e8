"""Which deliveries are believed."""

import base64
import hashlib
import hmac
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from svix.webhooks import Webhook

from consumer.errors import BadSettings, BadSignature
from consumer.providers.standard_webhooks import MESSAGE_ID_CHARACTERS_MAX, SIGNED_HEADERS, Verifier, sign
from consumer.settings.signing_secrets import COPY
from tests.support.vectors import NAMES, VECTORS, Vector

KEY = bytes(range(24))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
OLD_KEY = b"an older secret, 24 long"
OLD_SECRET = f"whsec_{base64.b64encode(OLD_KEY).decode()}"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TOLERANCE = timedelta(seconds=300)
BODY = b'{"type":"stack.test","data":{}}'


def signed(
    secret: str = SECRET, message_id: str = "msg_1", at: datetime = NOW, body: bytes = BODY
) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in sign(secret, message_id, at, body).items()}


def refusal(headers: list[tuple[bytes, bytes]], body: bytes = BODY, now: datetime = NOW) -> str:
    with pytest.raises(BadSignature) as caught:
        Verifier([SECRET], TOLERANCE).verify(headers, body, now)
    return caught.value.refusal


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_every_vector_gets_its_verdict(vector: Vector) -> None:
    if vector.refusal == "bad_secret":
        with pytest.raises(BadSettings):
            Verifier(vector.secrets, vector.tolerance)
        return
    verifier = Verifier(vector.secrets, vector.tolerance)

    if vector.refusal:
        with pytest.raises(BadSignature) as caught:
            verifier.verify(vector.headers, vector.body, vector.now)
        assert caught.value.refusal == vector.refusal
    else:
        verified = verifier.verify(vector.headers, vector.body, vector.now)
        headers = dict(vector.headers)
        assert verified.message_id.encode() in {headers.get(b"svix-id"), headers.get(b"webhook-id")}
        assert str(int(verified.signed_at.timestamp())).encode() in headers.values()


def test_what_is_verified_is_the_id_the_time_and_the_secret_that_matched() -> None:
    verified = Verifier([SECRET, OLD_SECRET], TOLERANCE).verify(signed(OLD_SECRET, "msg_7").items(), BODY, NOW)

    assert verified.message_id == "msg_7"
    assert verified.signed_at == NOW
    assert verified.verified_by == hashlib.sha256(OLD_KEY).hexdigest()[:8]


def test_the_newest_secret_that_matches_is_the_one_recorded() -> None:
    headers = signed()
    headers[b"svix-signature"] = signed(OLD_SECRET)[b"svix-signature"] + b" " + headers[b"svix-signature"]

    verified = Verifier([SECRET, OLD_SECRET], TOLERANCE).verify(headers.items(), BODY, NOW)

    assert verified.verified_by == hashlib.sha256(KEY).hexdigest()[:8]


def test_a_secret_that_was_rotated_out_is_refused() -> None:
    assert refusal(list(signed(OLD_SECRET).items())) == "no_match"


def test_a_signature_over_bytes_that_are_not_utf8_is_believed() -> None:
    body = b"\xff\xfe\x00{}"
    mac = hmac.digest(KEY, b"msg_1.%d." % NOW.timestamp() + body, "sha256")
    headers = [
        (b"svix-id", b"msg_1"),
        (b"svix-timestamp", b"%d" % NOW.timestamp()),
        (b"svix-signature", b"v1," + base64.b64encode(mac)),
    ]

    assert Verifier([SECRET], TOLERANCE).verify(headers, body, NOW).message_id == "msg_1"
    assert refusal(headers, body + b"\xff") == "no_match"


def test_what_we_sign_the_library_verifies() -> None:
    now = datetime.now(UTC)

    Webhook(SECRET).verify(BODY, sign(SECRET, "msg_1", now, BODY))


@pytest.mark.parametrize("seconds", [-300, 300], ids=["old", "future"])
@pytest.mark.parametrize("fraction", [0, 1, 999_999], ids=["sharp", "just after", "just before the next"])
def test_the_tolerance_includes_its_last_whole_second(seconds: int, fraction: int) -> None:
    now = NOW + timedelta(microseconds=fraction)
    headers = signed(at=NOW + timedelta(seconds=seconds))

    assert Verifier([SECRET], TOLERANCE).verify(headers.items(), BODY, now)


@pytest.mark.parametrize(("seconds", "code"), [(-301, "too_old"), (301, "too_new")])
def test_a_second_beyond_the_tolerance_is_refused(seconds: int, code: str) -> None:
    assert refusal(list(signed(at=NOW + timedelta(seconds=seconds)).items())) == code


@pytest.mark.parametrize("seconds", [0, 4_294_967_295])
def test_the_tolerance_may_be_anything_the_settings_allow(seconds: int) -> None:
    verifier = Verifier([SECRET], timedelta(seconds=seconds))

    assert verifier.verify(signed().items(), BODY, NOW)
    assert verifier.verify(signed(at=NOW + timedelta(seconds=seconds)).items(), BODY, NOW)
    with pytest.raises(BadSignature, match="in the future"):
        verifier.verify(signed(at=NOW + timedelta(seconds=seconds + 1)).items(), BODY, NOW)


def test_a_time_before_1970_is_too_old_for_any_tolerance() -> None:
    verifier = Verifier([SECRET], timedelta(seconds=4_294_967_295))

    with pytest.raises(BadSignature, match="too long ago"):
        verifier.verify(signed(at=datetime(1969, 12, 31, tzinfo=UTC)).items(), BODY, NOW)


@pytest.mark.parametrize(
    "text", ["+1", "-0", "00", "1e9", "1 ", "１", "1" * 16, "1" * 5000], ids=lambda text: ascii(text)[:12]
)
def test_a_timestamp_that_is_not_canonical_is_refused(text: str) -> None:
    assert refusal(list({**signed(), b"svix-timestamp": text.encode()}.items())) == "bad_timestamp"


def test_a_message_id_of_256_characters_is_the_longest() -> None:
    longest = signed(message_id="m" * MESSAGE_ID_CHARACTERS_MAX)
    longer = signed(message_id="m" * (MESSAGE_ID_CHARACTERS_MAX + 1))

    assert Verifier([SECRET], TOLERANCE).verify(longest.items(), BODY, NOW)
    assert refusal(list(longer.items())) == "bad_message_id"


def test_a_message_id_that_is_not_ascii_is_refused() -> None:
    assert refusal(list(signed(message_id="msg_é").items())) == "bad_message_id"


@pytest.mark.parametrize("name", sorted(SIGNED_HEADERS))
def test_a_repeated_signature_header_is_ambiguous_even_with_the_same_value(name: bytes) -> None:
    headers = list(signed().items())
    if name.startswith(b"webhook-"):
        headers = [(b"webhook-" + header.removeprefix(b"svix-"), value) for header, value in headers]

    assert refusal([*headers, (name, dict(headers)[name])]) == "ambiguous_headers"


def test_both_families_are_believed_when_they_agree_word_for_word() -> None:
    headers = signed()
    both = {**headers, **{name.replace(b"svix", b"webhook"): value for name, value in headers.items()}}

    assert Verifier([SECRET], TOLERANCE).verify(both.items(), BODY, NOW)
    for name, value in both.items():
        assert refusal(list({**both, name: value + b"x"}.items())) == "ambiguous_headers"
        assert refusal([header for header in both.items() if header[0] != name]) == "ambiguous_headers"


def test_a_family_mixed_from_both_is_ambiguous() -> None:
    headers = signed()
    headers[b"webhook-id"] = headers.pop(b"svix-id")

    assert refusal(list(headers.items())) == "ambiguous_headers"


@pytest.mark.parametrize(
    ("secrets", "faults"),
    [
        ([], ["There is no webhook secret."]),
        ([""], [f"Webhook secret 1 of 1 is empty or shorter than 16 bytes: {COPY}."]),
        (["whsec_"], [f"Webhook secret 1 of 1 is empty or shorter than 16 bytes: {COPY}."]),
        (["whsec_eA=="], [f"Webhook secret 1 of 1 is empty or shorter than 16 bytes: {COPY}."]),
        ([f"whsec_{SECRET}"], ["Webhook secret 1 of 1 has its prefix twice."]),
        (["whsec_%%%%%%%%%%%%%%%%%%%%%%%%"], [f"Webhook secret 1 of 1 is not base64: {COPY}."]),
        (["whsec_ééééééééééééééééééééééé"], [f"Webhook secret 1 of 1 is not base64: {COPY}."]),
        (["whsec_AAAAA"], [f"Webhook secret 1 of 1 is not base64: {COPY}."]),
        (
            [SECRET, "whsk_AAAA", "x"],
            [
                "Webhook secret 2 of 3 is half of an asymmetric pair; the signing secret starts with whsec_.",
                f"Webhook secret 3 of 3 is not base64: {COPY}; a space or comma inside a secret splits it.",
            ],
        ),
    ],
    ids=["none", "empty", "only a prefix", "one byte", "twice", "percent", "not ascii", "five characters", "several"],
)
def test_an_unusable_secret_is_refused_at_start_without_being_told(secrets: list[str], faults: list[str]) -> None:
    with pytest.raises(BadSettings) as caught:
        Verifier(secrets, TOLERANCE)

    assert caught.value.problems == faults


def test_sixteen_bytes_are_the_shortest_secret() -> None:
    shortest = f"whsec_{base64.b64encode(bytes(range(16))).decode()}"
    shorter = f"whsec_{base64.b64encode(bytes(range(15))).decode()}"

    assert Verifier([shortest], TOLERANCE).verify(signed(shortest).items(), BODY, NOW)
    with pytest.raises(BadSettings):
        Verifier([shorter], TOLERANCE)


@pytest.mark.parametrize("text", [f" {SECRET}", f"{SECRET}\r\n", f"\t{SECRET}\x0b\x0c"])
def test_white_space_around_a_secret_does_not_count(text: str) -> None:
    assert Verifier([text], TOLERANCE).verify(signed().items(), BODY, NOW)


header_values = st.binary(max_size=80) | st.sampled_from([*signed().values(), b"v1,", b"v1,,", b",", b"v1,\xe9"])


@given(st.lists(st.tuples(st.sampled_from(sorted(SIGNED_HEADERS)), header_values), max_size=6), st.binary())
def test_no_header_and_no_body_leads_to_any_other_error(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    with suppress(BadSignature):
        Verifier([SECRET, OLD_SECRET], TOLERANCE).verify(headers, body, NOW)


@given(value=header_values)
def test_a_strange_signature_is_refused_and_nothing_else(value: bytes) -> None:
    headers = {**signed(), b"svix-signature": value or b" "}
    if value == signed()[b"svix-signature"]:
        return

    assert refusal(list(headers.items())) == "no_match"
