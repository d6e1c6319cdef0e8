"""Error classes: the worker's reaction to an error depends only on its class."""

from enum import Enum

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from consumer.errors import BadPayload, LostDeliveries, NewerRelease, StatementRefused, UntrustedCode


class ErrorClass(Enum):
    """The classes of docs/OPERATIONS.md, "What an error means"."""

    TRANSIENT = "transient"
    BUSY = "busy"
    OURS = "ours"
    CONSTRAINT = "constraint"
    POISON = "poison"


# By SQLSTATE, the longest prefix wins (https://www.postgresql.org/docs/current/errcodes-appendix.html). A state
# that is not listed is OURS: an unknown error must never cost a delivery.
STATES = {
    ErrorClass.TRANSIENT: "40001 40P01 57P01 57P02 57P03 57P04 57P05 25P03 25P04 08 53000 53200 53300",
    ErrorClass.BUSY: "55P03 57014",
    ErrorClass.CONSTRAINT: "23001 23503 23505 23P01 P0001",
    ErrorClass.POISON: "22 23502 23514 54000 54001",
}
SQLSTATES = {state: kind for kind, states in STATES.items() for state in states.split()}

# Undefined table, insufficient privilege: the server's messages name an object, and no value of a row.
NAMING = ("42P01", "42501")
# The files of the server that say so. A trigger of the application can raise the same states with any text.
NAMING_FILES = ("aclchk.c", "parse_relation.c", "namespace.c", "execMain.c")
# The functions of this schema raise the second with numbers.
OWN_FUNCTION = "PL/pgSQL function consumer."

# By SQLSTATE: the kind of a constraint, and why it refuses a row.
CONSTRAINTS = {
    "23503": ("foreign key", "the other table's row is missing, or still refers to this one"),
    "23505": ("unique constraint", "another row has this value"),
    "23514": ("check constraint", "the row does not satisfy it"),
    "23P01": ("exclusion constraint", "it conflicts with another row"),
}


# The code of a delivery that waits for a newer release (queue/claim_retries).
NEWER_RELEASE = "newer_release"


def error_class(error: BaseException) -> ErrorClass:
    """Return the class of an error, by its SQLSTATE where it has one."""
    if isinstance(error, StatementRefused | LostDeliveries):
        return ErrorClass.CONSTRAINT
    if isinstance(error, psycopg.Error) and error.sqlstate:
        state = error.sqlstate
        return SQLSTATES.get(state) or SQLSTATES.get(state[:2]) or ErrorClass.OURS
    if isinstance(error, psycopg.OperationalError | PoolTimeout | TooManyRequests | TimeoutError | OSError):
        return ErrorClass.TRANSIENT
    if isinstance(error, psycopg.DataError | BadPayload):
        return ErrorClass.POISON
    return ErrorClass.OURS


def code(error: BaseException) -> str:
    """Return a short name of an error for logs, metrics and dead letters: the SQLSTATE, else the type."""
    if isinstance(error, BadPayload | LostDeliveries):
        return error.code
    if isinstance(error, NewerRelease):
        return NEWER_RELEASE
    if isinstance(error, StatementRefused):
        return code(error.reason)
    return (error.sqlstate if isinstance(error, psycopg.Error) else None) or type(error).__name__


def summary(error: BaseException) -> str:
    """Return the part of an error that may be stored and logged; PostgreSQL's own messages carry personal data."""
    # Their texts hold names of fields and of objects of the catalogue, and no value.
    if isinstance(error, BadPayload | LostDeliveries | UntrustedCode | NewerRelease):
        return str(error)
    if isinstance(error, StatementRefused):
        return f"CONSUMER_PROJECTION_SQL was refused: {_refusal(error.reason)}"
    if not isinstance(error, psycopg.Error):
        return type(error).__name__
    diag = error.diag
    names_only = diag.source_file in NAMING_FILES or (diag.context or "").startswith(OWN_FUNCTION)
    named = diag.message_primary if error.sqlstate in NAMING and names_only else None
    parts = (type(error).__name__, diag.schema_name, diag.table_name, diag.constraint_name, named)
    return " ".join(part for part in parts if part)


def _refusal(error: BaseException) -> str:
    """Return why a statement was refused: the table and its constraint, else the summary."""
    if not isinstance(error, psycopg.Error) or not error.diag.constraint_name or error.sqlstate not in CONSTRAINTS:
        return summary(error)
    kind, reason = CONSTRAINTS[error.sqlstate]
    return f"{error.diag.schema_name}.{error.diag.table_name}, {kind} {error.diag.constraint_name} ({reason})"
