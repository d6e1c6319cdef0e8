"""`consumer deliveries`: list stored deliveries, show one; exclude some, or let excluded ones count again."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Unpack

import click
from click.core import ParameterSource

from consumer.cli import matches
from consumer.cli.context import Group, examples, pass_settings
from consumer.cli.database import as_operator, read
from consumer.cli.decision import by_option, reason_option, refuse_left_out, shell_action, shell_user
from consumer.cli.delivery import show
from consumer.cli.filters import Filters, all_option, amount, filter_options, refuse_unless_meant, selection
from consumer.cli.follow import follow
from consumer.cli.listing import STATES, ListOptions, list_options, show_list
from consumer.cli.output import as_called, console, json_option, present, show_rows
from consumer.cli.replay import show_replayed, total
from consumer.operations import exclusions
from consumer.operations.exclusions import Decision, Excluded
from consumer.operations.replay import Replayed
from consumer.outbox import deliveries
from consumer.outbox.deliveries import DeliveryCount
from consumer.postgres import session
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings

# More would not be read.
LISTED = 20

dry_run_option = click.option(
    "--dry-run", "is_dry_run", is_flag=True, help="Only count the matches, by state, type and outcome."
)
yes_option = click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask on a terminal.")


class Options(Filters):
    """The options of both commands."""

    reason: str
    by: str | None
    is_all: bool
    is_dry_run: bool
    is_confirmed: bool


@click.group(
    name="deliveries",
    cls=Group,
    invoke_without_command=True,
    epilog=examples(
        "deliveries --type 'user.*' --state dead --since 2h",
        "deliveries --email m.example@example.com",
        "deliveries --follow",
        "deliveries show msg_2xkA8bJcV1nQe7sTgYh4Zr9dPqL",
        "deliveries discard --verified-by 0a1b2c3d --reason leaked --dry-run",
    ),
)
@list_options
@click.option("--follow", "is_following", is_flag=True, help="Print changes as they happen, until Ctrl-C.")
@json_option
@click.pass_context
def command(context: click.Context, *, is_following: bool, is_json: bool, **options: Unpack[ListOptions]) -> None:
    """List stored deliveries, the newest first; show or discard some.

    A delivery must match all filters. No personal data is listed. A filter that no index serves looks at 20,000
    deliveries at a time; the last line says how far it looked, and how to go on. --follow prints a line for each
    delivery that is stored, done or refused; with --json, one document a line.
    """
    if context.invoked_subcommand is None:
        _list(options=options, is_following=is_following, is_json=is_json)
    elif any(context.get_parameter_source(name) is not ParameterSource.DEFAULT for name in context.params):
        raise click.UsageError(f"Options go behind {context.invoked_subcommand}.")


@pass_settings("operator")
def _list(settings: Settings, *, options: ListOptions, is_following: bool, is_json: bool) -> None:
    if not is_following:
        show_list(settings, options, is_json=is_json)
        return
    if options["before"] is not None or options["until"] is not None:
        raise click.UsageError("--follow excludes --before and --until.")
    follow(settings, options, is_json=is_json)


command.add_command(show)


@command.command(
    name="discard",
    epilog=examples(
        "deliveries discard --verified-by 0a1b2c3d --reason leaked --dry-run",
        "deliveries discard --verified-by 0a1b2c3d --reason leaked",
    ),
)
@filter_options
@all_option
@reason_option
@by_option
@dry_run_option
@yes_option
@json_option
@pass_settings("operator")
def discard(settings: Settings, *, is_json: bool, **options: Unpack[Options]) -> None:
    """Exclude deliveries, and rebuild their users and companies.

    It is as if they had never come: the rows are made anew without them, and neither a replay nor a repeat by the
    sender brings them back. What a delete policy other than soft has removed does not return. Erasures are left out.
    `deliveries undiscard` takes it back.
    """
    seen_count = _meant(settings, options, "Discard {}?", is_discarded=False, is_json=is_json)
    if seen_count is None:
        return

    async def discarding(conn: Connection, access: Access) -> list[Excluded]:
        chosen = selection(options, STATES, await session.now(conn))
        decision = Decision(options["by"] or shell_user(), options["reason"])
        action = shell_action("discard", asdict(chosen), seen_count=seen_count, reason=decision.reason)
        return [page async for page in exclusions.exclude(conn, access, chosen, decision, action)]

    pages = as_operator(settings, discarding)
    done = sum(page.deliveries for page in pages)
    user_ids = sorted({user_id for page in pages for user_id in page.user_ids})
    present({"discarded": done, "to_refresh": user_ids}, _show_discarded, is_json=is_json)
    refuse_left_out(sum(page.left_out for page in pages))
    if not done:
        raise click.ClickException("These are erasures, or somebody else has discarded them.")


@command.command(name="undiscard", epilog=examples("deliveries undiscard --verified-by 0a1b2c3d --reason ours"))
@filter_options
@all_option
@reason_option
@by_option
@dry_run_option
@yes_option
@json_option
@pass_settings("operator")
def undiscard(settings: Settings, *, is_json: bool, **options: Unpack[Options]) -> None:
    """Let discarded deliveries count again.

    They are checked by this release and put back to pending; unusable ones are dead, with the reason.
    """
    seen_count = _meant(settings, options, "Let {} count again?", is_discarded=True, is_json=is_json)
    if seen_count is None:
        return

    async def taking_back(conn: Connection, access: Access) -> Replayed:
        chosen = selection(options, ("done",), await session.now(conn), is_discarded=True)
        decision = Decision(options["by"] or shell_user(), options["reason"])
        action = shell_action("undiscard", asdict(chosen), seen_count=seen_count, reason=decision.reason)
        return await total(exclusions.take_back(conn, access, chosen, decision, action))

    done = as_operator(settings, taking_back)
    present(done, show_replayed, is_json=is_json)
    if not done.queued + done.unusable:
        raise click.ClickException("These were discarded because their user is erased, which is never taken back.")


def _show_discarded(document: Mapping[str, Any]) -> None:
    out, user_ids = console(), document["to_refresh"]
    out.print(f"{amount(document['discarded'])} excluded.")
    if user_ids:
        out.print(
            as_called(
                "A prune may have removed what these had superseded: `consumer refresh` brings a user in, `consumer "
                f"backfill` everybody. {len(user_ids):,} user{'s are' if len(user_ids) > 1 else ' is'} concerned:"
            ),
            style="yellow",
        )
        show_rows([{"user": user_id} for user_id in user_ids[:LISTED]])
        if len(user_ids) > LISTED:
            out.print(f"and {len(user_ids) - LISTED:,} more: --json has all of them.")


def _meant(settings: Settings, options: Options, question: str, *, is_discarded: bool, is_json: bool) -> int | None:
    """Return how many match; None: only the matches are printed (--dry-run). On a terminal ask; refuse no match."""
    refuse_unless_meant({name: options[name] for name in Filters.__annotations__}, is_all=options["is_all"])  # type: ignore[literal-required]

    async def counted(conn: Connection) -> list[DeliveryCount]:
        chosen = selection(options, STATES, await session.now(conn), is_discarded=is_discarded)
        return await deliveries.count(conn, chosen)

    if not (counts := read(settings, counted)):
        raise click.ClickException("No discarded delivery matches." if is_discarded else "No delivery matches.")
    if options["is_dry_run"]:
        matches.show(counts, is_json=is_json)
        return None
    # Elsewhere than on a terminal, a script has decided.
    if not options["is_confirmed"] and not is_json and console().is_terminal:
        click.confirm(question.format(amount(matches.total(counts))), abort=True)
    return matches.total(counts)
