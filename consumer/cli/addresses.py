"""Where a process listens, and how others reach it."""

import random
from ipaddress import IPv6Address, ip_address

from consumer.errors import BadSettings
from consumer.settings.settings import Settings
from consumer.web.listen import hosts, listen

# Below the ports that Linux gives to outgoing connections. A program that keeps asking whether one of those is listened
# on is some day connected to itself, and then no other program can listen there.
FREE_PORTS = range(20_000, 32_000)
PORTS_TRIED = 50
# A server that listens on one of these is reached at the other.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}  # noqa: S104  Compared with, not listened on.

# As /etc/hosts names this machine; Debian gives IPv6 names of its own.
LOOPBACK_NAMES = ("localhost", "ip6-localhost", "ip6-loopback")


def webhook_url(settings: Settings, source: str) -> str:
    """Return the URL of this machine's receiver for the deliveries of *source*."""
    return f"{origin(settings.host, settings.port)}{settings.path_prefix}/webhooks/{source}"


def origin(host: str, port: int) -> str:
    """Return scheme, host and port of a server's URL."""
    host = reachable(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reachable(host: str) -> str:
    """Return the address to connect to for the addresses to listen on."""
    first = hosts(host)[0]
    return EVERYWHERE.get(first, first)


def is_loopback(host: str) -> bool:
    """Tell whether all addresses of HOST, one or a list, can be reached from this machine only."""
    return all(map(_is_loopback, hosts(host)))


def _is_loopback(name: str) -> bool:
    try:
        address = ip_address(name)
    except ValueError:
        return name.lower() in LOOPBACK_NAMES
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def listen_problem(host: str, port: int, variable: str) -> str | None:
    """Return why no server can listen there now, or None."""
    try:
        for listener in listen(host, port, variable):
            listener.close()
    except BadSettings as error:
        return str(error)
    return None


def free_port(host: str, *, count: int = 1) -> int:
    """Return the first of *count* neighbouring ports that are free now; any port if none can be listened on."""
    ports = random.sample(FREE_PORTS, PORTS_TRIED)
    return next((p for p in ports if not any(listen_problem(host, p + n, "PORT") for n in range(count))), ports[0])
