"""The head of a request, judged more strictly than the parser does: a proxy in front may read an odd one otherwise."""

import re
from collections.abc import Sequence
from itertools import chain

import httptools

Headers = Sequence[tuple[bytes, bytes]]

# A webhook has about ten headers in less than 1 kB; a chain of proxies adds as much again.
HEAD_BYTES_MAX = 16 * 1024
HEADERS_MAX = 100
VERSIONS = ("1.1", "1.0")
# A name or an address, its zone, and a port (RFC 9112, 3.2). Empty, because a health probe of F5 BIG-IP sends it so. No
# comma: it joins two values.
HOST = re.compile(rb"[\w.~!$&'()*+;=%:\[\]-]*", re.ASCII)


def is_too_large(url: bytes, headers: Headers) -> bool:
    """Tell whether a head, as far as it has arrived, is above the limits."""
    return len(headers) > HEADERS_MAX or len(url) + sum(map(len, chain.from_iterable(headers))) > HEAD_BYTES_MAX


def is_well_formed(method: bytes, url: bytes, version: str, headers: Headers) -> bool:
    """Tell whether a head can be read in one way only; the parser has judged its lines and lengths."""
    # `*` is the server as a whole (RFC 9110, 9.3.7), and a fragment is never sent (RFC 9112, 3.2).
    if (url == b"*" and method != b"OPTIONS") or b"#" in url:
        return False
    hosts = [value for name, value in headers if name == b"host"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if version not in VERSIONS or len(hosts) > 1 or not all(map(HOST.fullmatch, hosts)):
        return False
    if version == "1.0":
        # HTTP/1.0 has no Transfer-Encoding, so a proxy may have read another body (RFC 9112, 6.1).
        return not codings
    return bool(hosts) and all(value.strip().lower() == b"chunked" for value in codings)


def origin_form(url: bytes) -> bytes:
    """Return the target without scheme and authority, which decide nothing here (RFC 9112, 3.2.2); `*` is the root."""
    if url.startswith(b"/"):
        return url
    if url == b"*":
        return b"/"
    parsed = httptools.parse_url(url)
    return (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
