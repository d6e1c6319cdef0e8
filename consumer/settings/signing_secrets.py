"""Decodes webhook signing secrets; apart from the verifier, which only a receiver may import."""

import base64

SYMMETRIC_PREFIX = "whsec_"
# The private and the public key of the specification's other kind of signature, v1a.
ASYMMETRIC_PREFIXES = ("whsk_", "whpk_")
# The specification asks for 24 to 64 bytes; under 16 a key can be guessed. The library takes a single byte.
SECRET_BYTES_MIN = 16


def decoded(text: str) -> bytes:
    """Return the bytes to sign with; raise ValueError, which shows none of them, for an unusable secret."""
    text = text.strip()
    if text.startswith(ASYMMETRIC_PREFIXES):
        raise ValueError("is half of an asymmetric pair; the signing secret starts with whsec_")
    encoded = text.removeprefix(SYMMETRIC_PREFIX)
    if encoded.startswith(SYMMETRIC_PREFIX):
        raise ValueError("has its prefix twice")
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        raise ValueError("is not base64") from None
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"is empty or shorter than {SECRET_BYTES_MIN} bytes")
    return secret


def problems(texts: tuple[str, ...]) -> list[str]:
    """Return a sentence on each unusable secret."""
    found = []
    for number, text in enumerate(texts, start=1):
        try:
            decoded(text)
        except ValueError as error:
            found.append(f"Webhook secret {number} of {len(texts)} {error}.")
    return found
