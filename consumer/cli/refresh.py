"""`consumer refresh`: bring one user in now."""

from uuid import UUID

import click

from consumer.cli.context import examples, pass_settings
from consumer.cli.decision import shell_action
from consumer.cli.output import console, emit, json_option
from consumer.cli.stack import access_problems, project_id, with_api_as_operator
from consumer.operations.refresh import Refresh, Refreshed, refresh
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings
from consumer.stack_api.client import StackApi


@click.command(name="refresh", epilog=examples("refresh 6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10"))
@click.argument("user_id", type=click.UUID)
@json_option
@pass_settings("operator", access_problems)
def command(settings: Settings, *, user_id: UUID, is_json: bool) -> None:
    """Bring one user in from Stack's REST API, now.

    The answer is stored as a delivery, which workers apply. The exit code is 1 if Stack has no such user: then nothing
    is stored, and nothing is deleted.
    """

    async def refreshed(conn: Connection, access: Access, api: StackApi) -> Refreshed:
        action = shell_action("refresh", {"user_id": user_id})
        return await refresh(conn, access, api, Refresh(project_id(settings), user_id, action))

    found = with_api_as_operator(settings, refreshed)
    if is_json:
        emit(
            {
                "user_id": user_id,
                "is_found": found.message_id is not None,
                "message_id": found.message_id,
                "error": found.error,
            }
        )
    if found.message_id is None:
        raise click.ClickException(
            f"Stack has no user {user_id}; nothing was stored or deleted. `consumer reconcile --fix` deletes here what "
            "Stack no longer has."
        )
    if found.error:
        raise click.ClickException(
            f"The user can't be used: {found.error}. `consumer dead show {found.message_id}` shows it."
        )
    if not is_json:
        console().print(f"Stored as {found.message_id}; workers apply it.", soft_wrap=True)
