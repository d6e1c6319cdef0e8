"""`consumer reconcile`: find where rows and Stack differ, and delete what Stack no longer has."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict, Unpack

import click

from consumer.cli import run_progress
from consumer.cli.context import examples, pass_settings
from consumer.cli.decision import shell_action
from consumer.cli.deliveries import yes_option
from consumer.cli.output import as_called, console, json_option, present, show_rows
from consumer.cli.stack import access_problems, project_id, with_api_as_operator
from consumer.operations import maintenance, reconcile
from consumer.operations.reconcile import DriftCount, Excess, Reconciled, ReconcileOptions
from consumer.operations.runs import BegunRun
from consumer.operations.suspects import LISTED, Suspect
from consumer.postgres.connections import Access, Connection
from consumer.settings.settings import Settings
from consumer.stack_api.client import StackApi

# What people read of each kind, in the order of the table.
KINDS = {
    "missing_user": "users unknown here",
    "stale_user": "users with a stale field",
    "undeleted_user": "users that Stack no longer has",
    "revived_user": "users that a reconciliation deleted although Stack has them",
    "missing_team": "teams unknown here",
    "stale_team": "teams with a stale field",
    "undeleted_team": "teams that Stack no longer has",
    "revived_team": "teams that a reconciliation deleted although Stack has them",
    "missing_creator": "team creators without a membership",
    "missing_membership": "memberships unknown here",
    "extra_membership": "memberships that Stack no longer has",
    "missing_permission": "permissions unknown here",
    "extra_permission": "permissions that Stack no longer has",
    "listed_user": "users deleted here by an event, and listed by Stack",
    "listed_team": "teams deleted here by an event, and listed by Stack",
}


class Flags(TypedDict):
    """What a call is told, as ReconcileOptions has it."""

    is_new: bool
    is_fixing: bool
    is_forced: bool


@click.command(
    name="reconcile", epilog=examples("reconcile", "reconcile --fix", "reconcile --fix --force", "reconcile --new")
)
@click.option("--fix", "is_fixing", is_flag=True, help="Also delete here what two answers of Stack lacked.")
@click.option("--force", "is_forced", is_flag=True, help="Ask and delete, however many Stack seems to lack.")
@click.option("--new", "is_new", is_flag=True, help="Begin another run, and give up one that is not complete.")
@yes_option
@json_option
@pass_settings("operator", access_problems)
def command(settings: Settings, *, is_confirmed: bool, is_json: bool, **flags: Unpack[Flags]) -> None:
    """Find where rows and Stack differ, and repair it.

    It lists everything as `backfill` does, and stores what only adds or updates. What Stack does not list it asks for
    twice, five minutes apart. --fix deletes here what both answers lacked: users, teams, members, permissions; on a
    terminal it names some of them and asks first. A second call goes on with a run that was stopped. The exit code is 1
    while a difference stays.
    """
    options = ReconcileOptions(**flags, action=shell_action("reconcile", flags))
    is_asking = options.is_fixing and not is_confirmed and not is_json and console().is_terminal
    begun, reconciled = _run(settings, options, replace(options, is_fixing=options.is_fixing and not is_asking))
    if is_asking and reconciled.gone and not reconciled.excess:
        _show(reconciled, options)
        click.confirm("Delete here what is left?", abort=True)
        options = replace(options, is_new=False)
        begun, reconciled = _run(settings, options, options)
    present(_document(begun, reconciled), lambda _: _show(reconciled, options), is_json=is_json)
    if reconciled.is_drifting:
        click.get_current_context().exit(1)


def _run(settings: Settings, begin: ReconcileOptions, options: ReconcileOptions) -> tuple[BegunRun, Reconciled]:
    """Begin a run, or go on with one, as *begin* tells, and follow it with *options*."""

    async def found(conn: Connection, access: Access, api: StackApi) -> tuple[BegunRun, Reconciled]:
        begun = await reconcile.begin(conn, access, project_id(settings), begin)
        if begun.is_resumed:
            run_progress.say_resumed(begun.run)
        reconciled = await _followed(conn, access, api, begun, options)
        if not reconciled.is_drifting:
            await maintenance.settle(conn, access, "reconcile")
        return begun, reconciled

    begun, reconciled = with_api_as_operator(settings, found)
    run_progress.refuse_abandoned(reconciled.run)
    return begun, reconciled


async def _followed(
    conn: Connection, access: Access, api: StackApi, begun: BegunRun, options: ReconcileOptions
) -> Reconciled:
    """Run to the end, and wait where Stack must be asked again later."""
    run = begun.run
    while True:
        run = await run_progress.followed(reconcile.reconcile(conn, access, api, run, options), api, run)
        reconciled = await reconcile.report(conn, access, run, options)
        if reconciled.due_at is None:
            return reconciled
        seconds = max(0.0, (reconciled.due_at - reconciled.run.now).total_seconds())
        text = f"Stack is asked again at {reconciled.due_at:%H:%M:%S}Z; after a stop the same command goes on"
        out = console(is_error=True)
        if not out.is_terminal:
            out.print(f"{text}.")
        with out.status(text):
            await asyncio.sleep(seconds)


def _document(begun: BegunRun, reconciled: Reconciled) -> dict[str, object]:
    return {
        **run_progress.document(begun._replace(run=reconciled.run)),
        "drift": {
            each.kind: {"found": each.found, "repaired": each.repaired, "left": each.left} for each in reconciled.drift
        },
        "refused": [each._asdict() for each in reconciled.excess],
        "due_at": reconciled.due_at,
        "gone": [{name: value for name, value in _named(each).items() if value} for each in reconciled.gone],
    }


def _show(reconciled: Reconciled, options: ReconcileOptions) -> None:
    run_progress.show(reconciled.run)
    found = {each.kind: each for each in reconciled.drift}
    out = console()
    if not found:
        out.print("Nothing differs.")
        return
    show_rows(
        [_row(found[kind], name) for kind, name in KINDS.items() if kind in found],
        numbers={"found", "repaired", "left"},
    )
    if reconciled.gone:
        show_rows([{**_named(each), "kind": KINDS[each.kind]} for each in reconciled.gone])
        out.print(f"These are the first {len(reconciled.gone)} of what Stack no longer has.")
    if reconciled.excess:
        _show_refusal(reconciled.excess)
    elif not options.is_fixing and any(each.left for each in reconciled.drift if each.kind not in LISTED):
        sentence = "`consumer reconcile --fix` deletes here what is left. docs/BACKFILL.md says how to see who it is."
        out.print(as_called(sentence), style="yellow", soft_wrap=True)


def _named(suspect: Suspect) -> dict[str, object]:
    return {
        "kind": suspect.kind,
        "user": suspect.user_id,
        "team": suspect.team_id,
        "permission": suspect.permission_id,
    }


def _row(drift: DriftCount, name: str) -> dict[str, str]:
    return {"drift": name, "found": f"{drift.found:,}", "repaired": f"{drift.repaired:,}", "left": f"{drift.left:,}"}


def _show_refusal(excess: Sequence[Excess]) -> None:
    for each in excess:
        console().print(
            f"{each.suspected:,} of {each.living:,} {KINDS[each.kind]}: more than {each.limit:,} are never deleted "
            "without --force. Another project, a wrong key or an empty list is the usual cause.",
            style="yellow",
        )
