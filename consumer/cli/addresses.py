"""Where a process listens, as others reach it."""

import os
import random
import socket

from consumer.settings.settings import Settings

# Below those that Linux gives to outgoing connections: whoever asks again and again whether somebody listens on one of
# those is some day connected to itself, and then nobody else can listen there.
FREE_PORTS = range(20_000, 32_000)
PORTS_TRIED = 50
# Addresses to listen on that nobody can connect to everywhere.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  Compared with, not listened on.


def webhook_url(settings: Settings, source: str) -> str:
    """Return the URL of this machine's receiver for the deliveries of *source*."""
    return f"{origin(settings.host, settings.port)}/webhooks/{source}"


def origin(host: str, port: int) -> str:
    """Return the scheme, host and port of a URL for what listens there."""
    host = reachable(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reachable(host: str) -> str:
    """Return an address to connect to for one to listen on."""
    return EVERYWHERE.get(host, host)


def listen_problem(host: str, port: int) -> str | None:
    """Return why nothing can listen there now, or None."""
    try:
        socket.create_server((host, port), family=_family(host)).close()
    except OSError as error:
        return f"Cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}."
    return None


def free_port(host: str) -> int:
    """Return a port that nobody listens on now; any, where nothing can listen at all."""
    ports = random.sample(FREE_PORTS, PORTS_TRIED)
    return next((port for port in ports if listen_problem(host, port) is None), ports[0])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
