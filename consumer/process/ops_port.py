"""The operator's port as a socket; without the libraries of a server, because `up` needs none."""

import socket
from contextlib import suppress

from consumer.errors import BadSettings
from consumer.settings.settings import Settings
from consumer.web.listen import PortInUse, listen

# Where OPS_PORT is unset, so that several processes of a machine each have one. The ports between are the console's.
OPS_PORTS = (8001, 8002, *range(8011, 8100))


def listen_ops(settings: Settings) -> list[socket.socket]:
    """Return sockets on OPS_PORT, or on the first free port that it stands for when it is unset; else BadSettings."""
    if isinstance(settings.ops_port, int):
        return listen(settings.ops_host, settings.ops_port, "OPS_PORT")
    for port in OPS_PORTS:
        # Of this process or of one that shares its settings.
        if port != settings.port:
            with suppress(PortInUse):
                return listen(settings.ops_host, port, "OPS_PORT")
    raise BadSettings([f"No port from {OPS_PORTS[0]} to {OPS_PORTS[-1]} is free for metrics and health; set OPS_PORT."])
