"""What the sampler reads of an installation in one transaction."""

from dataclasses import dataclass
from datetime import datetime

from consumer.outbox import deliveries
from consumer.outbox.deliveries import Stats
from consumer.postgres import session
from consumer.postgres.connections import Connection


@dataclass(frozen=True, slots=True)
class Sample:
    """The installation at the time *at*, by the database's clock."""

    at: datetime
    stats: Stats


async def read(conn: Connection) -> Sample:
    """Read a sample."""
    return Sample(at=await session.now(conn), stats=await deliveries.stats(conn))
