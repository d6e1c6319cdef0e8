"""A primary and its synchronous standby: two servers of a test's own, and ways to keep them apart."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from consumer.embedded import keeper, programs
from tests.faults.cluster import Cluster, bare
from tests.faults.world import prepare
from tests.support.databases import change, rows
from tests.support.processes import HOST, until

STANDBY = "standby"
# A standby is called by its cluster's name. Without anybody who waits, a commit is flushed late.
COMMON = {"wal_level": "replica", "max_wal_senders": "4", "cluster_name": STANDBY, "wal_writer_delay": "10s"}
WAITING = "SELECT pid, query_start FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
# What came last may be the first half of a record, which is never replayed: then the standby waits for the rest.
IS_REPLAYED = """
SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() OR EXISTS (
    SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'RecoveryRetrieveRetryInterval'
) AS holds
"""


def missing() -> str | None:
    """Return why no standby can be made here, None when one can."""
    chosen = os.environ.get("CONSUMER_PG_BIN")
    folders = (folder for folder in programs.candidates() if programs.major_version(folder) >= programs.MAJOR_MIN)
    folder = Path(chosen) if chosen else next(folders, None)
    if folder is None or (folder / "pg_basebackup").exists():
        return None
    return f"a standby is made by pg_basebackup, which is not in {folder}"


@dataclass
class Pair:
    """A primary whose commits wait for the standby."""

    primary: Cluster
    standby: Cluster
    _held: set[int] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The conninfo of whichever of the two accepts writes."""
        both = f"{self.primary.port},{self.standby.port}"
        return make_conninfo(self.primary.url, host=f"{HOST},{HOST}", port=both, target_session_attrs="read-write")

    def start_standby(self) -> None:
        """Start the standby; return when commits can end again."""
        self.standby.start()
        until(lambda: rows(self.primary.url, "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"))

    def hold_receiving(self) -> None:
        """Stop the process of the standby that writes and confirms what the primary sends."""
        self._hold(self.standby, "SELECT pid FROM pg_stat_wal_receiver")

    def hold_sending(self) -> None:
        """Stop the process of the primary that sends: nothing is on its way to the standby any more."""
        self._hold(self.primary, "SELECT pid FROM pg_stat_replication")

    def _hold(self, server: Cluster, pids: str) -> None:
        for row in until(lambda: rows(server.url, pids)):
            os.kill(row["pid"], signal.SIGSTOP)
            self._held.add(row["pid"])

    def release(self) -> None:
        """Let what is stopped go on."""
        while self._held:
            with suppress(ProcessLookupError):
                os.kill(self._held.pop(), signal.SIGCONT)

    def waiting(self) -> set[tuple[int, datetime]]:
        """Return each process of the primary whose commit waits for the standby, and when that statement began."""
        return {(row["pid"], row["query_start"]) for row in rows(self.primary.url, WAITING)}

    def lose_primary(self) -> None:
        """Kill the primary and everything that it had not sent."""
        with suppress(psycopg.OperationalError):
            self._hold(self.primary, "SELECT pid FROM pg_stat_replication")
        for pid in self._held:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._held.clear()
        self.primary.end()

    def promote(self) -> set[str]:
        """Make the standby the primary; return the ids of the messages that it had before."""
        until(lambda: rows(self.standby.url, IS_REPLAYED)[0]["holds"])
        stored = rows(self.standby.url, "SELECT message_id FROM consumer.outbox")
        change(self.standby.url, "SELECT pg_promote()")
        return {row["message_id"] for row in stored}


@contextmanager
def pair() -> Iterator[Pair]:
    """Run a primary with our schema, and a standby of it, for the duration."""
    with ExitStack() as last:
        made = Pair(last.enter_context(bare(options=COMMON)), last.enter_context(bare(options=COMMON)))
        last.callback(made.release)
        made.primary.make()
        made.primary.start()
        prepare(made.primary.url)
        _copy(made.primary, made.standby)
        # After the copy: the standby that becomes the primary waits for nobody.
        change(made.primary.url, f"ALTER SYSTEM SET synchronous_standby_names = {STANDBY}")
        made.primary.reload()
        made.start_standby()
        yield made


def _copy(primary: Cluster, standby: Cluster) -> None:
    """Make the standby's data from the running primary's."""
    installation = standby.installation
    keeper.make_private(installation, installation.cluster)
    target = (f"--pgdata={installation.cluster}", f"--dbname={primary.url}")
    copied = keeper.spawn(
        installation, "pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync", *target
    )
    assert copied.wait() == 0, keeper.last_words(installation)
