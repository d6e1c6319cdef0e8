"""`consumer export`: everything that is held about a user, as one JSON document."""

from contextlib import aclosing
from uuid import UUID

import click
import orjson

from consumer.cli.context import examples, pass_settings
from consumer.cli.database import as_operator
from consumer.cli.decision import shell_action
from consumer.errors import ConsumerError
from consumer.operations import export
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings


@click.command(name="export", epilog=examples("export 3f0c7a52-5d0f-4a53-9d0e-6f2f4d1f0b11"))
@click.argument("user_id", metavar="USER_ID", type=click.UUID)
@click.option("--json", is_flag=True, expose_value=False, help="Accepted, because it is always one JSON document.")
@pass_settings("operator")
def command(settings: Settings, *, user_id: UUID) -> None:
    """Print everything that is held about a user.

    One JSON document: mirror, profile, memberships, permissions, edits, audit, deliveries with their bodies, and
    actions. It is personal data, and that it was exported is recorded. Bodies about others, and the application's own
    tables, are not part of it.
    """

    async def exported(conn: Connection, access: Access) -> None:
        if not await export.begin(conn, access, user_id, shell_action("export", {"user_id": user_id})):
            raise ConsumerError("Nothing is held about this user.")
        click.echo(f'{{\n"user_id": {orjson.dumps(user_id).decode()}', nl=False)
        for name, is_many in export.PARTS.items():
            await _print(conn, access, user_id, name, is_many=is_many)
        click.echo("\n}")

    as_operator(settings, exported)


async def _print(conn: Connection, access: Access, user_id: UUID, name: str, *, is_many: bool) -> None:
    """Write a part as it is read: an array of any number of rows, or the row, null if there is none."""
    count = 0
    click.echo(f',\n"{name}": {"[" * is_many}', nl=False)
    # Closed at once, also when the reader of the pipe has gone.
    async with aclosing(export.part(conn, access, user_id, name)) as documents:
        async for document in documents:
            click.echo((",\n" if count else "\n" * is_many) + document, nl=False)
            count += 1
    click.echo("]" if is_many else "null" * (not count), nl=False)
