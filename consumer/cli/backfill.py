"""`consumer backfill`: bring everything in that Stack's API lists."""

import click

from consumer.cli import run_progress
from consumer.cli.context import examples, pass_settings
from consumer.cli.output import console, json_option, present
from consumer.cli.stack import access_problems, project_id, with_api, with_api_as_operator
from consumer.operations import runs
from consumer.operations.backfill import backfill, calls_expected
from consumer.operations.runs import BegunRun
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings
from consumer.stack_api.client import StackApi

# The users, and the teams, of the example that a dry run gives: a product of some years.
MANY = 80_000


@click.command(name="backfill", epilog=examples("backfill --dry-run", "backfill", "backfill --new"))
@click.option("--new", "is_new", is_flag=True, help="Begin another run, and give up one that is not complete.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only list the first page, and count the calls of a run.")
@json_option
@pass_settings("operator", access_problems)
def command(settings: Settings, *, is_new: bool, is_dry_run: bool, is_json: bool) -> None:
    """Bring users and teams in from Stack's REST API.

    The members of teams and their permissions come too. Each finding that would change a row is stored as a delivery,
    which workers apply: a newer webhook wins. Nothing is deleted. A second call goes on with a run that was stopped.
    Project permissions have no effect and are left out.
    """
    if is_dry_run:
        document = with_api(settings, lambda api: _first_page(settings, api))
        present(document, _show_first_page, is_json=is_json)
        return

    async def filled(conn: Connection, access: Access, api: StackApi) -> BegunRun:
        begun = await runs.begin(conn, access, "backfill", project_id(settings), is_new=is_new)
        if begun.is_resumed:
            run_progress.say_resumed(begun.run)
        pages = backfill(conn, access, api, begun.run)
        return begun._replace(run=await run_progress.followed(pages, api, begun.run))

    begun = with_api_as_operator(settings, filled)
    present(run_progress.document(begun), lambda _: run_progress.show(begun.run), is_json=is_json)
    run_progress.refuse_abandoned(begun.run)


async def _first_page(settings: Settings, api: StackApi) -> dict[str, object]:
    page = await api.users()
    calls = calls_expected(MANY, MANY)
    return {
        "users_listed": len(page.items),
        "is_whole_list": page.next_cursor is None,
        "calls": calls_expected(len(page.items), len(page.items)) if page.next_cursor is None else None,
        "calls_for_80000": calls,
        "hours_for_80000": round(calls / settings.stack_api_rps / 3600, 1),
        "calls_a_second": settings.stack_api_rps,
    }


def _show_first_page(document: dict[str, object]) -> None:
    out = console()
    if document["is_whole_list"]:
        out.print(
            f"Stack lists {document['users_listed']:,} users. With a personal team each a run takes "
            f"{document['calls']:,} calls."
        )
    else:
        out.print(f"Stack lists {document['users_listed']:,} users on the first page, and more follow.")
    out.print(
        f"80,000 users with a personal team each take {document['calls_for_80000']:,} calls: "
        f"{document['hours_for_80000']} hours at {document['calls_a_second']:g} a second (STACK_API_RPS)."
    )
