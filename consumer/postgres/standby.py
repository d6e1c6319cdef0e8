"""Whether a commit has waited for the synchronous standby: after a cancelled wait only this server has it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.errors import Diagnostic

# The function of the server that warns when a wait is cancelled, by pg_cancel_backend or by the client itself.
WARNING_FUNCTION = "SyncRepWaitForLSN"


class NotReplicated(psycopg.OperationalError):
    """A commit is durable here alone: its wait for a synchronous standby was cancelled."""


class StandbyWait:
    """The wait of a connection's commits for the synchronous standby.

    Not a part of Connection: a handler that refers to its connection would keep a lost one alive.
    """

    is_cancelled = False

    def note(self, notice: Diagnostic) -> None:
        """Note the warning that a commit ended without the standby."""
        # Warnings have one SQLSTATE in common, and their text is in the server's language.
        if notice.source_function == WARNING_FUNCTION:
            self.is_cancelled = True

    @contextmanager
    def required(self) -> Iterator[None]:
        """Raise NotReplicated if a transaction inside is committed, but less durably than the server is set to."""
        self.is_cancelled = False
        yield
        if self.is_cancelled:
            raise NotReplicated("The wait for the synchronous standby was cancelled: this server alone has the commit.")
