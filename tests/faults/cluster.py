"""A PostgreSQL server of a test's own: it listens on TCP, and nobody starts it again when it has ended."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from consumer.embedded import keeper, programs
from consumer.embedded.server import SUPERUSER
from tests.faults.namespace import NETWORK
from tests.faults.world import answers, opened
from tests.support.processes import HOST, ports, until

START_SECONDS_MAX = 20.0
# What a server that can encrypt asks of OpenSSL.
TLS_SYMBOL = b"SSL_CTX_new"


@dataclass
class Cluster:
    """One server, which may be started and ended at will."""

    installation: keeper.Installation
    port: int
    host: str = HOST
    options: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The superuser's conninfo."""
        return f"postgresql://{SUPERUSER}@{self.host}:{self.port}/postgres"

    @property
    def is_running(self) -> bool:
        """The server was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def make(self, *more: str) -> None:
        """Make the data; everybody who gets as far as the port is let in."""
        options = (f"--username={SUPERUSER}", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        keeper.make_private(self.installation, self.installation.cluster)
        made = keeper.spawn(self.installation, "initdb", *options, *more, f"--pgdata={self.installation.cluster}")
        assert made.wait() == 0, keeper.last_words(self.installation)
        with (self.installation.cluster / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {NETWORK} trust\n")

    def start(self) -> None:
        """Return when the server answers."""
        assert not self.is_running
        addresses = ",".join(dict.fromkeys((HOST, self.host)))
        own = {"listen_addresses": addresses, "port": str(self.port), "unix_socket_directories": ""}
        settings = keeper.OPTIONS | own | dict(self.options)
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.process = keeper.spawn(self.installation, "postgres", "-D", str(self.installation.cluster), *arguments)
        until(lambda: not self.is_running or answers(self.url), START_SECONDS_MAX)
        assert self.is_running, keeper.last_words(self.installation)

    def reload(self) -> None:
        """Have the server read its files again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """End the server at once, if it still runs."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()


def with_tls() -> Path | None:
    """Return the programs of a PostgreSQL that can encrypt, None when none here was built so."""
    folders = (folder for folder in programs.candidates() if programs.major_version(folder) >= programs.MAJOR_MIN)
    return next((folder for folder in folders if TLS_SYMBOL in (folder / "postgres").read_bytes()), None)


@contextmanager
def bare(host: str = HOST, options: Mapping[str, str] | None = None, binaries: Path | None = None) -> Iterator[Cluster]:
    """Have a server that is not made yet; it ends with the block."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        installation = programs.prepare(opened(Path(name)))
        installation = replace(installation, binaries=binaries or installation.binaries)
        made = Cluster(installation, ports(1)[0], host, options or {})
        try:
            yield made
        finally:
            made.end()


@contextmanager
def cluster(host: str = HOST) -> Iterator[Cluster]:
    """Run a server for the duration."""
    with bare(host) as made:
        made.make()
        made.start()
        yield made
