"""The sessions that hold our locks. Any login may hold an advisory lock, so a held one must be named."""

from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from consumer.postgres.migrator import LOCK_KEY
from consumer.postgres.queries import rows

# The application names of our own processes, which hold these locks as long as a batch takes.
OWN_PREFIX = "consumer "
# A batch takes a second: a session that makes one of our processes wait longer is named, one of our own too.
WAITED_SECONDS_MIN = 1.0


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A session or a prepared transaction, and the locks of ours that it holds."""

    # None: a prepared transaction, which has no process.
    pid: int | None
    prepared_transaction: str | None
    login: str | None
    application: str | None
    locks: str
    # How long one of our processes has waited for it; None: none does.
    waited_seconds: float | None
    # The age of its transaction, or the time since its last statement; None: hidden.
    seconds: float | None
    # The server shows the transactions of other logins only to members of pg_read_all_stats.
    is_hidden: bool

    @property
    def is_noteworthy(self) -> bool:
        """Whether it is not one of our own processes at its ordinary work."""
        is_own = (self.application or "").startswith(OWN_PREFIX)
        return not is_own or (self.waited_seconds or 0) >= WAITED_SECONDS_MIN

    @property
    def sentence(self) -> str:
        """Return who holds which locks, and for how long."""
        if self.pid is None:
            who = f"prepared transaction {self.prepared_transaction!r} (login {self.login})"
        else:
            name = repr(self.application) if self.application else "without a name"
            who = f"pid {self.pid} (login {self.login or 'hidden'}, application {name})"
        since = ", since when is hidden from this login" if self.is_hidden else ""
        since = f" for {self.seconds:.0f} s" if self.seconds is not None else since
        waited = f"; one of our processes has waited {self.waited_seconds:.0f} s" if self.waited_seconds else ""
        return f"{who} holds {self.locks}{since}{waited}"

    @property
    def cure(self) -> str:
        """Return how to free the locks."""
        if self.pid is None:
            quoted = (self.prepared_transaction or "").replace("'", "''")
            return f"ROLLBACK PREPARED '{quoted}', unless its owner is about to end it."
        return f"Let its owner end it, or run SELECT pg_terminate_backend({self.pid})."


async def noteworthy(conn: AsyncConnection[Any], *, readers_of: str | None = None) -> list[LockHolder]:
    """Return who holds our locks, except our own processes at ordinary work; with *readers_of* a table's readers too.

    Ask without a role: the server shows a login its own sessions.
    """
    values = {"migrations_key": LOCK_KEY, "readers_of": readers_of}
    return [
        holder for holder in await rows(conn, class_row(LockHolder), "locks/holders", values) if holder.is_noteworthy
    ]
