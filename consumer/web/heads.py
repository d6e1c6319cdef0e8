"""The head of a request, judged more strictly than the parser does: a proxy in front may read an odd one otherwise."""

import string
from collections.abc import Mapping, Sequence
from itertools import chain

import httptools

Headers = Sequence[tuple[bytes, bytes]]

# A webhook has about ten headers in less than 1 kB; a chain of proxies adds as much again.
HEAD_BYTES_MAX = 16 * 1024
HEADERS_MAX = 100
# A name or an address, its zone, and a port (RFC 9112, 3.2). Empty is taken, because F5 BIG-IP's probe sends it so. No
# comma: it joins two values.
HOST_BYTES = (string.ascii_letters + string.digits + "-._~!$&'()*+;=%:[]").encode()


def size(url: bytes, headers: Headers) -> int:
    """Return the bytes of a head as far as it has arrived, its punctuation aside."""
    return len(url) + sum(map(len, chain.from_iterable(headers)))


def is_well_formed(method: bytes, url: bytes, version: str, headers: Headers, fields: Mapping[bytes, bytes]) -> bool:
    """Tell whether a head can be read in one way only; *fields* are its headers by name.

    The parser has judged its lines and its lengths.
    """
    host, coding = fields.get(b"host"), fields.get(b"transfer-encoding")
    # `*` is the server as a whole (RFC 9110, 9.3.7), and a fragment is never sent (RFC 9112, 3.2).
    is_clear = b"#" not in url and (url != b"*" or method == b"OPTIONS")
    # HTTP/1.0 has no Transfer-Encoding, so a proxy may have read another body (RFC 9112, 6.1). It needs no Host.
    if version == "1.1":
        # Every client writes the coding in small letters; a proxy that compares bytes takes another for none.
        is_clear &= host is not None and (coding is None or coding.strip() == b"chunked")
    else:
        is_clear &= version == "1.0" and coding is None
    if len(fields) < len(headers):
        names = [name for name, _ in headers]
        is_clear &= names.count(b"host") < 2 and names.count(b"transfer-encoding") < 2
    return is_clear and (host is None or not host.translate(None, HOST_BYTES))


def origin_form(url: bytes) -> bytes:
    """Return the path and query of another target, whose scheme and authority decide nothing here; `*` is the root."""
    if url == b"*":
        return b"/"
    parsed = httptools.parse_url(url)
    return (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
