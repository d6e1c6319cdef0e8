"""`consumer rebuild --as-of`: print a state as it was."""

from datetime import datetime, timedelta
from uuid import UUID

import click
import orjson
import psycopg
from psycopg.errors import RaiseException

from consumer.lookup.times import instant
from consumer.operations import as_of
from consumer.operations.rebuild import Subjects
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection, transaction
from consumer.postgres.error_classes import summary


async def show(conn: Connection, access: Access, time: datetime | timedelta, subjects: Subjects) -> None:
    """Print one JSON document, page by page: the users, then the companies that their rows depend on."""
    async with transaction(conn, access):
        until = instant(time, await session.now(conn))
    companies: dict[UUID, str] = {}
    # Printed with the first page: a refusal prints nothing else.
    lead = f'{{\n"as_of": {orjson.dumps(until, option=orjson.OPT_UTC_Z).decode()},\n"users": [\n'
    try:
        async for page in as_of.state(conn, access, until, subjects):
            companies.update(page.companies)
            for document in page.users.values():
                click.echo(lead + document, nl=False)
                lead = ",\n"
    # A row as it was may collide with a row as it is, in a constraint or trigger that the application has added.
    except (psycopg.IntegrityError, RaiseException) as error:
        raise click.ClickException(f"The rows as they were are refused: {summary(error)}.") from error
    click.echo("" if lead == ",\n" else lead, nl=False)
    click.echo('],\n"companies": [\n' + ",\n".join(companies.values()) + "]\n}")
