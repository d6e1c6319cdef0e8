"""URLs and their paths."""

import re
from urllib.parse import urlsplit

# Path segments of characters that nobody encodes (RFC 3986, 2.3), because the path is compared as it was sent.
PATH_PREFIX_PATTERN = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[\w.~-]+)+", re.ASCII)


def http_url(text: str) -> str:
    """Return a URL of HTTP without a slash at its end; ValueError if it is none."""
    if urlsplit(text).scheme not in {"http", "https"}:
        raise ValueError("must be an http:// or https:// URL")
    return text.rstrip("/")


def path_prefix(text: str) -> str:
    """Return a path without a slash at its end, empty for the root; ValueError if it can't be used."""
    prefix = f"/{text.strip('/')}" if text.strip("/") else ""
    if prefix and not PATH_PREFIX_PATTERN.fullmatch(prefix):
        raise ValueError("must be a path such as /hooks, of letters, digits and . _ ~ -")
    return prefix
