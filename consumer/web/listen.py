"""The sockets that a server listens on; without the libraries of a server, because `up` and `send` need none."""

import errno
import re
import socket
from contextlib import ExitStack

from consumer.errors import BadSettings

# Connections that wait to be accepted; the kernel holds them while a deploy or a burst keeps the event loop busy.
BACKLOG = 2048
# All addresses of both families. Beside an address of IPv4 it is for IPv6 alone, or the two would collide.
EVERYWHERE = "::"
# This machine lacks the family or the address.
ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class PortInUse(BadSettings):
    """Another process listens on the port."""


def hosts(text: str) -> list[str]:
    """Return the addresses and names of a HOST, which spaces or commas separate; an address may be in brackets."""
    names = (host.removeprefix("[").removesuffix("]") for host in re.split(r"[\s,]+", text))
    return list(dict.fromkeys(filter(None, names)))


def listen(host: str, port: int, variable: str) -> list[socket.socket]:
    """Return sockets that listen on each address of *host*, all on one port, a free one for 0.

    Raises BadSettings that names the port's *variable*; PortInUse if a free port would do.
    """
    if not (names := hosts(host)):
        raise BadSettings([f"{variable.replace('PORT', 'HOST')} names no address."])
    is_dual = all(":" in name for name in names)
    listeners: list[socket.socket] = []
    with ExitStack() as opened:
        try:
            for name in names:
                for listener in _listen(name, port, is_dual=is_dual):
                    listeners.append(opened.enter_context(listener))
                    port = listener.getsockname()[1]
        except OSError as error:
            raise _refusal(error, host, port, variable) from error
        opened.pop_all()
    return listeners


def _listen(name: str, port: int, *, is_dual: bool) -> list[socket.socket]:
    """Return a socket for each address of a name; of several, those that this machine lacks are left out."""
    found: dict[object, socket.socket] = {}
    targets = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for number, (family, *_, address) in enumerate(targets, start=1):
        if address in found:
            continue
        try:
            found[address] = socket.create_server(
                address,
                family=family,
                backlog=BACKLOG,
                dualstack_ipv6=is_dual and name == EVERYWHERE,
            )
        except OSError as error:
            if error.errno in ABSENT and (found or number < len(targets)):
                continue
            for listener in found.values():
                listener.close()
            raise
    return list(found.values())


def _refusal(error: OSError, host: str, port: int, variable: str) -> BadSettings:
    where = f"{variable} {port} on {host}"
    if error.errno == errno.EADDRINUSE:
        return PortInUse([f"{where} is in use (`ss -ltnp` shows by which process); set {variable}."])
    # create_server repeats the address in parentheses.
    reason = str(error.strerror).partition(" (")[0]
    setting = f"{variable} or {variable.replace('PORT', 'HOST')}"
    return BadSettings([f"{where} can't be listened on ({reason}); set {setting}."])
