"""Whether a delivery comes from its sender: Standard Webhooks signatures, newest secret first."""

import base64
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from standardwebhooks.webhooks import Webhook

from consumer.errors import BadSettings, BadSignature
from consumer.settings import signing_secrets

# Eight times what Svix sends; it bounds the entries of the unique index on message ids.
MESSAGE_ID_CHARACTERS_MAX = 256
# Whole seconds without a leading zero, as the sender signs them; fifteen digits are beyond any date.
TIMESTAMP = re.compile(rb"0|-?[1-9][0-9]{0,14}")

# Svix's own names and those of Standard Webhooks: the same three values.
SIGNED_HEADERS = frozenset(
    f"{family}-{field}".encode() for family in ("svix", "webhook") for field in ("id", "timestamp", "signature")
)


class Verified(NamedTuple):
    """What a valid signature proves, besides the body."""

    message_id: str
    signed_at: datetime
    verified_by: str


class SignedHead(NamedTuple):
    """What a sender claims before its body has arrived: a usable id, a time within the tolerance, and signatures."""

    message_id: str
    signed_at: datetime
    signatures: list[bytes]


class Verifier:
    """Checks deliveries against one sender's secrets; BadSettings at once for one that can't be used."""

    def __init__(self, secrets: Sequence[str], tolerance: timedelta) -> None:
        self.tolerance = tolerance
        self._keys = _keys(secrets)
        self._tolerance_seconds = int(tolerance.total_seconds())

    def verify(self, headers: Iterable[tuple[bytes, bytes]], body: bytes, now: datetime) -> Verified:
        """Return the signed id and time; raise BadSignature, and nothing else, for any other input."""
        return self.match(self.read_head(headers, now), body)

    def read_head(self, headers: Iterable[tuple[bytes, bytes]], now: datetime) -> SignedHead:
        """Return what the headers claim; raise BadSignature if no body could make it valid.

        *headers* are ASGI's, duplicates included. The age is judged in whole seconds, both limits inclusive.
        """
        id_text, timestamp_text, signature_text = _signed_headers(headers)
        if len(id_text) > MESSAGE_ID_CHARACTERS_MAX or not id_text.isascii():
            text = f"A message id has at most {MESSAGE_ID_CHARACTERS_MAX} ASCII characters."
            raise BadSignature("bad_message_id", text)
        message_id = id_text.decode()
        signed_at = self._signed_at(timestamp_text, int(now.timestamp()))
        return SignedHead(message_id, signed_at, signature_text.split(b" "))

    def match(self, head: SignedHead, body: bytes) -> Verified:
        """Return the id and time if one of the signatures is the body's; raise BadSignature if none is."""
        for key in self._keys:
            expected = key.signature(head.message_id, head.signed_at, body).encode()
            for signature in head.signatures:
                if hmac.compare_digest(expected, signature):
                    return Verified(head.message_id, head.signed_at, key.fingerprint)
        raise BadSignature("no_match", "No signature matches the message and a secret of this endpoint.")

    def _signed_at(self, text: bytes, now_seconds: int) -> datetime:
        if not TIMESTAMP.fullmatch(text):
            raise BadSignature("bad_timestamp", "The timestamp header is not a whole number of seconds.")
        seconds = int(text)
        if seconds < max(0, now_seconds - self._tolerance_seconds):
            raise BadSignature("too_old", "The message was signed too long ago.")
        if seconds > now_seconds + self._tolerance_seconds:
            raise BadSignature("too_new", "The message was signed in the future.")
        return datetime.fromtimestamp(seconds, UTC)


def sign(secret: str, message_id: str, signed_at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers that a sender holding *secret* adds to *body*; BadSettings for an unusable secret."""
    (key,) = _keys([secret])
    return {
        "svix-id": message_id,
        "svix-timestamp": str(int(signed_at.timestamp())),
        "svix-signature": key.signature(message_id, signed_at, body),
    }


@dataclass(frozen=True, slots=True)
class _Key:
    """One decoded secret, and how deliveries name it."""

    secret: bytes
    webhook: Webhook
    fingerprint: str

    def signature(self, message_id: str, signed_at: datetime, body: bytes) -> str:
        """Return the one valid token of the signature header, version included.

        The caller compares whole tokens as text: the library's own `verify` raises other errors for a token without a
        comma or with broken base64, and takes the age from a clock of its own.
        """
        try:
            return self.webhook.sign(message_id, signed_at, body.decode())
        except UnicodeDecodeError:
            # The library signs text only, but a signed body that is not UTF-8 must be stored too.
            signed = b"%b.%d.%b" % (message_id.encode(), int(signed_at.timestamp()), body)
            return f"v1,{base64.b64encode(hmac.digest(self.secret, signed, 'sha256')).decode()}"


def _signed_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in SIGNED_HEADERS:
            if name in found:
                raise BadSignature("ambiguous_headers", "A signature header is repeated.")
            found[name] = value
    svix = found.get(b"svix-id", b""), found.get(b"svix-timestamp", b""), found.get(b"svix-signature", b"")
    webhook = found.get(b"webhook-id", b""), found.get(b"webhook-timestamp", b""), found.get(b"webhook-signature", b"")
    # The verified id must be the stored one, whichever of the two families is read.
    if any(svix) and any(webhook) and svix != webhook:
        raise BadSignature("ambiguous_headers", "The svix- and webhook- headers differ.")
    signed = svix if any(svix) else webhook
    if not all(signed):
        raise BadSignature("missing_header", "A message needs an id, a timestamp and a signature header.")
    return signed


def _keys(secrets: Sequence[str]) -> tuple[_Key, ...]:
    if problems := signing_secrets.problems(tuple(secrets)) if secrets else ["There is no webhook secret."]:
        raise BadSettings(problems)
    decoded = map(signing_secrets.decoded, secrets)
    return tuple(_Key(secret, Webhook(secret), signing_secrets.fingerprint(secret)) for secret in decoded)
