"""The sockets that a server listens on; without the libraries of a server, because `up` and `send` need none."""

import errno
import re
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from consumer.errors import BadSettings

# Connections that wait to be accepted; the kernel holds them while a deploy or a burst keeps the event loop busy.
BACKLOG = 2048
# All addresses of a family. Without any of IPv4 beside it, that of IPv6 is for both families.
WILDCARDS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104  What a user may ask for.
# All addresses of both families; of the one alone on a machine that has no other.
EVERYWHERE = "*"
# This machine lacks the family or the address.
ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)

# A family, and its address as a socket takes it, whose port is not known yet.
Target = tuple[socket.AddressFamily, tuple[Any, ...]]


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
    with ExitStack() as opened:
        try:
            listeners = _listen(_targets(names), port, opened)
        except OSError as error:
            raise _refusal(error, host, port, variable) from error
        opened.pop_all()
    return listeners


def _targets(names: Sequence[str]) -> list[list[Target]]:
    """Return the addresses of each name; one that an earlier name or a wildcard of its family covers is left out."""
    found: list[list[Target]] = []
    for name in names:
        node = None if name == EVERYWHERE else name
        infos = socket.getaddrinfo(node, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        found.append(list(dict.fromkeys((family, address) for family, *_, address in infos)))
    wildcards = {target for targets in found for target in targets if target[1][0] == WILDCARDS[target[0]]}
    whole = {family for family, _ in wildcards}
    seen: set[Target] = set()
    for targets in found:
        targets[:] = [one for one in targets if one not in seen and (one[0] not in whole or one in wildcards)]
        seen.update(targets)
    return found


def _listen(groups: Sequence[Sequence[Target]], port: int, opened: ExitStack) -> list[socket.socket]:
    """Return a socket for each address; of a name's several, those that this machine lacks are left out."""
    is_dual = all(family == socket.AF_INET6 for targets in groups for family, _ in targets)
    listeners: list[socket.socket] = []
    for targets in groups:
        absent: OSError | None = None
        before = len(listeners)
        for family, (address, _, *rest) in targets:
            try:
                listener = socket.create_server(
                    (address, port, *rest),
                    family=family,
                    backlog=BACKLOG,
                    dualstack_ipv6=is_dual and address == WILDCARDS[socket.AF_INET6],
                )
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                absent = error
                continue
            listeners.append(opened.enter_context(listener))
            port = listener.getsockname()[1]
        if absent and len(listeners) == before:
            raise absent
    return listeners


def _refusal(error: OSError, host: str, port: int, variable: str) -> BadSettings:
    where = f"{variable} {port} on {host}"
    if error.errno == errno.EADDRINUSE:
        return PortInUse([f"{where} is in use (`ss -ltnp` shows by which process); set {variable}."])
    # create_server repeats the address in parentheses.
    reason = str(error.strerror).partition(" (")[0]
    setting = f"{variable} or {variable.replace('PORT', 'HOST')}"
    return BadSettings([f"{where} can't be listened on ({reason}); set {setting}."])
