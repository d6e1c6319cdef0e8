"""The socket that a server listens on; without the libraries of a server, because `up` and `send` need none."""

import errno
import socket

from consumer.errors import BadSettings

# Connections that wait to be accepted; the kernel holds them while a deploy or a burst keeps the event loop busy.
BACKLOG = 2048


def listen(host: str, port: int, variable: str) -> socket.socket:
    """Return a socket that listens there, on a free port for 0; raise BadSettings that names the port's *variable*."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            problem = f"is in use (`ss -ltnp` shows by which process); set {variable}."
        else:
            # create_server repeats the address in parentheses.
            reason = str(error.strerror).partition(" (")[0]
            problem = f"can't be listened on ({reason}); set {variable} or {variable.replace('PORT', 'HOST')}."
        raise BadSettings([f"{variable} {port} on {host} {problem}"]) from error
