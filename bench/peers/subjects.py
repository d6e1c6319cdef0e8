"""The systems that are measured, and how each is driven."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Subject:
    """One system in one way of driving it."""

    key: str
    name: str
    way: str
    kind: Literal["drain", "ingest"]
    runtime: Literal["ours", "python", "node"]
    program: str
    # The version of this package is shown; empty for ours, `pgq` for the server's extension.
    package: str = ""
    arguments: tuple[str, ...] = ()
    processes: int = 1
    # Of the events: slow ones get fewer, so that a run ends.
    share: float = 1.0
    is_one_transaction: bool = False
    held: str = ""
    effect: str = "upsert"
    killed_effect: str = "note"


OURS_DRAIN = Subject(
    key="ours",
    name="ours",
    way="the same upsert",
    kind="drain",
    runtime="ours",
    program="ours",
    is_one_transaction=True,
    held="held_ours",
)
OURS_WHOLE = Subject(
    key="ours-whole",
    name="ours",
    way="mirror, profile, audit",
    kind="drain",
    runtime="ours",
    program="ours",
    is_one_transaction=True,
    held="held_ours",
    effect="whole",
    killed_effect="whole_note",
)
OURS_INGEST = Subject(
    key="ours-ingest",
    name="ours",
    way="group commit",
    kind="ingest",
    runtime="ours",
    program="",
)

SUBJECTS: Sequence[Subject] = (
    OURS_DRAIN,
    OURS_WHOLE,
    Subject(
        key="pgq",
        name="PgQ",
        way="batches",
        kind="drain",
        runtime="python",
        program="pgq",
        package="pgq",
        is_one_transaction=True,
        held="held_pgq",
    ),
    Subject(
        key="pgboss-set",
        name="pg-boss",
        way="batches",
        kind="drain",
        runtime="node",
        program="pgboss",
        package="pg-boss",
        arguments=("set",),
        held="held_pgboss",
    ),
    Subject(
        key="pgboss-tx",
        name="pg-boss",
        way="batches, transactional",
        kind="drain",
        runtime="node",
        program="pgboss",
        package="pg-boss",
        arguments=("transactional",),
        is_one_transaction=True,
        held="held_pgboss",
    ),
    Subject(
        key="pgboss",
        name="pg-boss",
        way="one by one",
        kind="drain",
        runtime="node",
        program="pgboss",
        package="pg-boss",
        arguments=("one",),
        share=0.5,
        held="held_pgboss",
    ),
    Subject(
        key="graphile",
        name="graphile-worker",
        way="one by one",
        kind="drain",
        runtime="node",
        program="graphile",
        package="graphile-worker",
        share=0.5,
        held="held_graphile",
    ),
    Subject(
        key="pgqueuer",
        name="PgQueuer",
        way="one by one",
        kind="drain",
        runtime="python",
        program="pgqueuer_worker",
        package="pgqueuer",
        share=0.25,
        held="held_pgqueuer",
    ),
    Subject(
        key="procrastinate",
        name="Procrastinate",
        way="one by one",
        kind="drain",
        runtime="python",
        program="procrastinate_worker",
        package="procrastinate",
        processes=2,
        share=0.05,
        held="held_procrastinate",
    ),
    OURS_INGEST,
    Subject(
        key="starlette-psycopg",
        name="Starlette",
        way="psycopg, a commit a request",
        kind="ingest",
        runtime="python",
        program="receive",
        package="starlette",
        arguments=("psycopg",),
        share=0.5,
    ),
    Subject(
        key="starlette-asyncpg",
        name="Starlette",
        way="asyncpg, a commit a request",
        kind="ingest",
        runtime="python",
        program="receive",
        package="starlette",
        arguments=("asyncpg",),
        share=0.5,
    ),
    Subject(
        key="fastify-pg",
        name="Fastify",
        way="pg, a commit a request",
        kind="ingest",
        runtime="node",
        program="receive",
        package="fastify",
        share=0.5,
    ),
)


def chosen(keys: Sequence[str]) -> list[Subject]:
    """Return those with these keys, or all; ours of the same kind comes along, for nothing is a ratio without it."""
    if not keys:
        return list(SUBJECTS)
    kinds = {subject.kind for subject in SUBJECTS if subject.key in keys}
    return [s for s in SUBJECTS if s.key in keys or (s.kind in kinds and s in (OURS_DRAIN, OURS_INGEST))]
