"""One precondition and its finding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failing"]

# The cure of each check that always has the same.
CURES: Mapping[str, str] = {
    "server version": "Move to PostgreSQL 15 or later.",
    "encoding": "Use a database made with ENCODING 'UTF8': names in other scripts could not be stored.",
    "writable": "Point DATABASE_URL at the primary; set default_transaction_read_only to off.",
    "durability": "Switch both on in postgresql.conf: a crash would lose acknowledged events or break the database.",
    "synchronous_commit": "Our transactions set it to on; your application's may be lost in a crash.",
    "clocks": "Run NTP on both: the receiver judges a signature's age by its host's clock.",
    "autovacuum": "Switch autovacuum and track_counts on, for each table too: the queue's tables need it.",
    "old transactions": "End that transaction: vacuum can't remove newer dead rows, and claims slow down.",
    "prepared transactions": "COMMIT PREPARED or ROLLBACK PREPARED the transactions in pg_prepared_xacts, "
    "unless they are about to end.",
    "oldest snapshot": "Look for old transactions and unused replication slots (pg_replication_slots): "
    "they hold vacuum back.",
    "connections": "Raise max_connections, or use a pooler in transaction mode.",
    "roles": "Correct ROLE_PREFIX, or run `consumer migrate` as a login that may create roles: "
    "it names a wrong prefix.",
    "privileges of roles": "ALTER ROLE … NOSUPERUSER NOBYPASSRLS: such a role sees every tenant.",
    "row-level security": "ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY.",
    "policies": "CREATE POLICY as sql/schema.sql shows it, or DROP POLICY: "
    "without its policy a role sees no row, and another one may show every tenant's rows.",
    "application's logins": "ALTER ROLE … NOSUPERUSER NOBYPASSRLS, or give the application another login: "
    "this one sees every tenant.",
    "grants": "REVOKE ALL ON … FROM PUBLIC, and from anon and authenticated where they exist.",
    "workers": "Start one: `consumer work`. A worker behind a pooler can't be counted: see its log.",
    "queue": "Read the worker's log; start more workers if it is busy.",
    "retries": "Repair the cause, then `consumer replay --state retrying --all`: the next attempt may be an hour away.",
    "dead letters": "`consumer dead list` shows why; then `consumer dead retry` or `consumer dead discard`.",
}


@dataclass(frozen=True, slots=True)
class Check:
    """A line of the doctor's report; a cure only for a warning or a failure."""

    name: str
    state: State
    finding: str
    cure: str | None = None


def ok(name: str, finding: str) -> Check:
    """Return a check that passes."""
    return Check(name, "ok", finding)


def fail_unless(holds: bool, name: str, finding: str, cure: str | None = None) -> Check:
    """Return a check that must hold: otherwise the product fails, loses data, or shows it to the wrong reader."""
    return ok(name, finding) if holds else Check(name, "failing", finding, cure or CURES[name])


def warn_unless(holds: bool, name: str, finding: str, cure: str | None = None) -> Check:
    """Return a check that the operator should look at if it does not hold."""
    return ok(name, finding) if holds else Check(name, "warning", finding, cure or CURES[name])
