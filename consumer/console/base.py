"""Where the console lies: scheme, host, port and path of its URL, and the hosts under which it answers."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from consumer.errors import BadSettings

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Base:
    """The console's URL: its path is empty or begins with a slash. *port* is the one that it listens on."""

    scheme: str
    authority: str
    path: str
    port: int
    # All values of a request's Host that are ours.
    hosts: frozenset[str]

    @property
    def is_secure(self) -> bool:
        """Whether people come by https."""
        return self.scheme == "https"

    @property
    def origin(self) -> str:
        """The origin of our pages as a browser writes it."""
        return f"{self.scheme}://{self.authority}"

    def url(self, path: str = "/") -> str:
        """Return the address of a page for a link: below the path of the console."""
        return f"{self.path}{path}"


def base_of(url: str | None, port: int, pages: frozenset[str]) -> Base:
    """Return the base of CONSOLE_URL, or of a console on this machine's *port*.

    Raises BadSettings if the URL's path begins with a step of *pages*, the first steps of our addresses: then a proxy
    that strips the path and one that does not can't be told apart.
    """
    parts = urlsplit(url or f"http://127.0.0.1:{port}")
    assert parts.hostname
    if parts.path.strip("/").split("/")[0] in pages:
        raise BadSettings([f"CONSOLE_URL has the path {parts.path}, which is a page of the console: choose another."])
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = DEFAULT_PORTS[parts.scheme]
    with_port = f"{name}:{parts.port or usual}"
    authority = name if parts.port in {None, usual} else with_port
    local = {f"{host}:{port}" for host in LOOPBACK_HOSTS}
    return Base(parts.scheme, authority, parts.path, port, frozenset(local | {authority, with_port}))
