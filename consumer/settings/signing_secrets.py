"""Decodes webhook signing secrets; apart from the verifier, which only a receiver may import."""

import base64
import re
from collections.abc import Sequence
from hashlib import sha256

from consumer.settings import texts

SYMMETRIC_PREFIX = "whsec_"
# The private and the public key of the specification's other kind of signature, v1a.
ASYMMETRIC_PREFIXES = ("whsk_", "whpk_")
# Keys of Stack's REST API: publishable, secret server and super secret admin.
API_PREFIXES = ("pck_", "ssk_", "sak_")
# The version in front of a signature; some dashboards show it in front of a secret too.
VERSION = re.compile(r"v1a?(?:,|$)")
# How dashboards and documents show a secret that one has to copy elsewhere.
SHORTENED = re.compile(r"\.\.\.|[…*•<>]")
# The specification asks for 24 to 64 bytes; under 16 a key can be guessed. The library takes a single byte.
SECRET_BYTES_MIN = 16
COPY = "copy the whole secret anew"
# Anybody can sign with these: the documents and libraries of Svix and Standard Webhooks show them.
EXAMPLES = (
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH",
    "whsec_plJ3nmyCDGBKInavdOK15jsl",
)


def split(text: str) -> tuple[str, ...]:
    """Return the secrets of a setting, which spaces or commas separate; a version stays with its secret."""
    return tuple(re.findall(r"(?:v1a?,)?[^\s,]+", text))


def decoded(text: str) -> bytes:
    """Return the bytes to sign with; raise ValueError, which shows none of them, for an unusable secret."""
    text = text.strip()
    if problem := texts.flaw(text) or _misread(text):
        raise ValueError(problem)
    encoded = text.removeprefix(SYMMETRIC_PREFIX)
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        raise ValueError(f"is not base64: {COPY}") from None
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"is empty or shorter than {SECRET_BYTES_MIN} bytes: {COPY}")
    # Padding aside, a placeholder such as whsec_xxxx… repeats one character, which decodes to three bytes.
    if len(set(secret)) == 1 or len(set(encoded.rstrip("="))) == 1:
        raise ValueError("is one byte or character repeated, which anybody can guess: make a new one")
    return secret


def _misread(text: str) -> str | None:
    """Return what else than a secret the text is, or None."""
    if version := VERSION.match(text):
        return f"begins with {version[0]} of a signature: the secret begins after it, with whsec_"
    if text.startswith(ASYMMETRIC_PREFIXES):
        kind = "a public key, " if text.startswith("whpk_") else ""
        return f"is {kind}half of an asymmetric pair; the signing secret starts with whsec_"
    if text.startswith(API_PREFIXES):
        return "is a key of Stack's API; the signing secret starts with whsec_"
    if text.lower().startswith(SYMMETRIC_PREFIX) and not text.startswith(SYMMETRIC_PREFIX):
        return "has its prefix in capitals: write whsec_"
    if text.removeprefix(SYMMETRIC_PREFIX).startswith(SYMMETRIC_PREFIX):
        return "has its prefix twice"
    if not {text[:1], text[-1:]}.isdisjoint(texts.PLAIN_QUOTES + texts.TYPOGRAPHIC_QUOTES):
        return "has a quote at one end: write it without"
    if ";" in text:
        return "holds a semicolon: separate secrets by spaces or commas"
    if SHORTENED.search(text):
        return f"is shortened, hidden or a placeholder: {COPY}"
    if not text.isprintable():
        return f"holds an invisible character: {COPY}"
    return None


def problems(secrets: Sequence[str]) -> list[str]:
    """Return a sentence on each unusable secret."""
    found = []
    # A space or a comma inside a secret makes two of it, of which the second has no prefix.
    are_prefixed = any(text.strip().startswith(SYMMETRIC_PREFIX) for text in secrets)
    for number, text in enumerate(secrets, start=1):
        is_part = are_prefixed and number > 1 and "_" not in text
        try:
            decoded(text)
            problem = "does not begin with whsec_ as another does" if is_part else ""
        except ValueError as error:
            problem = str(error)
        if problem:
            hint = "; a space or comma inside a secret splits it" if is_part else ""
            found.append(f"Webhook secret {number} of {len(secrets)} {problem}{hint}.")
    return found


def keys(secrets: Sequence[str]) -> frozenset[bytes]:
    """Return the bytes of the usable secrets."""
    found = set()
    for text in secrets:
        try:
            found.add(decoded(text))
        except ValueError:
            continue
    return frozenset(found)


def fingerprint(key: bytes) -> str:
    """Return what deliveries record of the key that verified them: the first 8 hex digits of its SHA-256."""
    return sha256(key).hexdigest()[:8]


def are_examples(secrets: Sequence[str]) -> bool:
    """Tell whether any of the secrets is one that a public document shows."""
    return not keys(secrets).isdisjoint(keys(EXAMPLES))
