"""Another host on this machine: a network namespace behind a cable that may fall silent, lose packets or be slow."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# For measurements inside a network (RFC 2544): no host is there, and nothing routes it.
NETWORK = "198.18.0.0/15"
PROGRAMS = ("ip", "tc", "nft")
PATH = os.defpath + ":/usr/sbin:/sbin"
TABLE = "inet consumer_faults"
CLONE_NEWNET = 0x40000000
# A queue of some packets: what comes faster is dropped at the door, as by a cheap router.
BURST_BYTES, QUEUE_MILLISECONDS = 8_192, 50


class Elsewhere:
    """A host with an address of its own; everything done to its cable ends with it."""

    def __init__(self) -> None:
        # Two runs at once are two hosts: names and addresses follow the process.
        number = os.getpid() % 2**15
        self.name, self._cable = f"consumer-faults-{number}", (f"cf{number}a", f"cf{number}b")
        first = number * 4
        self.here, self.there = (f"198.{18 + (first >> 16)}.{first >> 8 & 255}.{(first & 255) + n}" for n in (1, 2))

    def make(self) -> None:
        """Make the host and plug it in."""
        here, there = self._cable
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", self.name)
        _run("ip", "address", "add", f"{self.here}/30", "dev", here)
        _run("ip", "link", "set", here, "up")
        self._run("ip", "address", "add", f"{self.there}/30", "dev", there)
        for device in (there, "lo"):
            self._run("ip", "link", "set", device, "up")

    def remove(self) -> None:
        """Remove the host; the cable goes with it."""
        subprocess.run(["ip", "netns", "delete", self.name], env={"PATH": PATH}, capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", self._cable[0]], env={"PATH": PATH}, capture_output=True, check=False)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be there: sockets, processes and threads that this thread makes meanwhile are that host's."""
        with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{self.name}") as there:  # noqa: PTH123
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())

    def silence(self, port: int, clients: Sequence[int] = ()) -> None:
        """Drop every packet from and to a port, without a word; with *clients*, only those of these ports."""
        few = f"{{ {', '.join(map(str, clients))} }}"
        self._filter(
            f"tcp dport {port} {f'tcp sport {few}' if clients else ''} counter drop",
            f"tcp sport {port} {f'tcp dport {few}' if clients else ''} counter drop",
        )

    def lose(self, port: int, percent: int) -> None:
        """Drop some packets from and to a port."""
        some = f"numgen random mod 100 < {percent} counter drop"
        self._filter(f"tcp dport {port} {some}", f"tcp sport {port} {some}")

    @contextmanager
    def slowed(self, rate: str) -> Iterator[None]:
        """Send no more than this each way for the duration; begin and end it here, not there."""
        shape = ("root", "tbf", "rate", rate, "burst", str(BURST_BYTES), "latency", f"{QUEUE_MILLISECONDS}ms")
        here, there = self._cable
        _run("tc", "qdisc", "add", "dev", here, *shape)
        self._run("tc", "qdisc", "add", "dev", there, *shape)
        try:
            yield
        finally:
            _run("tc", "qdisc", "delete", "dev", here, "root")
            self._run("tc", "qdisc", "delete", "dev", there, "root")

    def mend(self) -> int:
        """Let packets through again, and tell how many were dropped."""
        listed = self._run("nft", "list", "table", *TABLE.split()).split()
        self._run("nft", "delete", "table", *TABLE.split())
        return sum(int(listed[at + 1]) for at, word in enumerate(listed) if word == "packets")

    def _filter(self, out: str, back: str) -> None:
        chains = (("output", out), ("input", back))
        rules = "".join(f"chain {hook} {{ type filter hook {hook} priority 0; {rule} ; }}\n" for hook, rule in chains)
        self._run("nft", f"table {TABLE} {{ {rules} }}")

    def _run(self, *command: str) -> str:
        return _run("ip", "netns", "exec", self.name, *command)


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Have another host for the duration."""
    made = Elsewhere()
    try:
        made.make()
        yield made
    finally:
        made.remove()


def what_is_missing() -> str | None:
    """Return why there can't be another host here, None when there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if missing := [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]:
        return f"network namespaces need {', '.join(missing)} (Debian: iproute2, nftables)"
    try:
        with elsewhere() as host, host.slowed("1mbit"):
            host.silence(1)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"this kernel grants no network namespace, filter or shaper: {error}"
    return None


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"PATH": PATH}).stdout


def _enter(namespace: int) -> None:
    # os.setns came with Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(number := ctypes.get_errno(), os.strerror(number))
