"""The settings of the console's doors: its URL, its secret, and the header by which a proxy names the person."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from consumer.settings.urls import http_url, path_prefix

# 128 bits as hexadecimal digits: a person who guesses it signs in as anybody.
SECRET_CHARACTERS_MIN = 32
# A field name of HTTP (RFC 9110, 5.1).
FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
FORM = "must be a header's name, then perhaps peers=ADDRESS,… and operators=NAME,…"


@dataclass(frozen=True, slots=True)
class UserHeader:
    """A header that names the person, the proxies that may send it, and who of the people acts; others look."""

    name: str
    peers: tuple[IPv4Network | IPv6Network, ...] = LOOPBACK
    operators: frozenset[str] = frozenset()

    def is_from(self, address: str) -> bool:
        """Tell whether a request from this address may name the person."""
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in self.peers)


def user_header(text: str) -> UserHeader:
    """Read CONSOLE_TRUST_USER_HEADER; ValueError with the predicate of a sentence if it can't be used."""
    name, *words = text.split()
    options = dict(word.partition("=")[::2] for word in words)
    if not FIELD_NAME.fullmatch(name) or not options.keys() <= {"peers", "operators"} or len(options) < len(words):
        raise ValueError(FORM)
    try:
        peers = tuple(ip_network(peer) for peer in filter(None, options.get("peers", "").split(",")))
    except ValueError:
        raise ValueError(f"{FORM}; each peer is an address or a network such as 10.0.0.0/8") from None
    operators = frozenset(filter(None, options.get("operators", "").split(",")))
    return UserHeader(name.lower(), peers or LOOPBACK, operators)


def console_url(text: str) -> str:
    """Return CONSOLE_URL without a slash at its end; ValueError if it is no URL of a host and a path."""
    parts = urlsplit(http_url(text))
    if parts.query or parts.fragment or "@" in parts.netloc or not parts.hostname:
        raise ValueError("must be a URL of a host and a path, such as https://ops.example.com/users")
    return f"{parts.scheme}://{parts.netloc.lower()}{path_prefix(parts.path)}"


def console_secret(text: str) -> str:
    """Return CONSOLE_SECRET; ValueError if it is short."""
    if len(text) < SECRET_CHARACTERS_MIN:
        raise ValueError(f"must have at least {SECRET_CHARACTERS_MIN} characters")
    return text
