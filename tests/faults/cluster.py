"""A PostgreSQL server of a test's own: it listens on TCP, and nobody starts it again when it has ended."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from consumer import embedded
from consumer import embedded_keeper as keeper
from tests.cli_support import HOST, ports, until
from tests.faults.namespace import NETWORK
from tests.faults.world import answers, opened

START_SECONDS_MAX = 20.0


@dataclass
class Cluster:
    """One server, which may be started and ended at will."""

    home: keeper.Home
    port: int
    host: str = HOST
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The superuser's conninfo."""
        return f"postgresql://{embedded.SUPERUSER}@{self.host}:{self.port}/postgres"

    @property
    def is_running(self) -> bool:
        """The server has not ended."""
        return self.process.poll() is None

    def make(self, *more: str) -> None:
        """Make the data; everybody who gets as far as the port is let in."""
        options = (f"--username={embedded.SUPERUSER}", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        keeper.make_private(self.home, self.home.cluster)
        made = keeper.spawn(self.home, "initdb", *options, *more, f"--pgdata={self.home.cluster}")
        assert made.wait() == 0, keeper.last_words(self.home)
        with (self.home.cluster / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {NETWORK} trust\n")

    def start(self) -> None:
        """Return when the server answers."""
        addresses = ",".join(dict.fromkeys((HOST, self.host)))
        own = {"listen_addresses": addresses, "port": str(self.port), "unix_socket_directories": ""}
        settings = keeper.OPTIONS | own | dict(self.options)
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.process: subprocess.Popen[bytes] = keeper.spawn(
            self.home, "postgres", "-D", str(self.home.cluster), *arguments
        )
        until(lambda: not self.is_running or answers(self.url), START_SECONDS_MAX)
        assert self.is_running, keeper.last_words(self.home)

    def end(self) -> None:
        """End the server at once, if it still runs."""
        if self.is_running:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()


@contextmanager
def cluster(
    *more: str, host: str = HOST, options: Mapping[str, str] | None = None, binaries: Path | None = None
) -> Iterator[Cluster]:
    """Run a server for the duration; *more* is for initdb."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home = embedded._home(opened(Path(name)))
        made = Cluster(replace(home, binaries=binaries or home.binaries), ports(1)[0], host, options or {})
        made.make(*more)
        try:
            made.start()
            yield made
        finally:
            made.end()
