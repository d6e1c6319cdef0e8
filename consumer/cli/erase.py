"""`consumer erase`: forget a user for good, the stored bodies and the audit included."""

import asyncio
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import TypedDict, Unpack
from uuid import UUID

import click

from consumer.cli.cells import printable
from consumer.cli.context import Misconfigured, examples, pass_settings
from consumer.cli.database import databases
from consumer.cli.decision import shell_action
from consumer.cli.embedded_logins import EmbeddedLogin
from consumer.cli.output import console, emit, json_option, show_rows
from consumer.cli.stack import access_problems, with_api
from consumer.errors import ConsumerError
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.operations import erase
from consumer.operations.erase import Erasure, Report
from consumer.outbox import deliveries
from consumer.postgres.connections import Access, Connection, connect, operator_access, transaction, worker_access
from consumer.process.readiness import not_ready_reason
from consumer.settings.settings import Settings
from consumer.worker.batch import BatchRunner

# How long workers may take that hold the erasure or its rows; a page of rows takes less than a second.
WAIT = timedelta(seconds=30)
PAUSE = timedelta(milliseconds=200)
# More mentions would not be read; --json has more of them.
LISTED = 20
# A body that is no JSON, as far as a line shows it.
BODY_CHARACTERS = 200

NOT_ASKED = "Stack can't be asked whether it still has the user; --even-if-alive erases without asking."
UNCONFIRMED = "There is no terminal to ask on: --yes confirms the erasure, --dry-run changes nothing."


def is_terminal() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty()


class EraseOptions(TypedDict):
    """The switches of the command line."""

    is_even_if_alive: bool
    is_dry_run: bool
    is_confirmed: bool


def _problems(
    settings: Settings, *, is_even_if_alive: bool, is_dry_run: bool, is_confirmed: bool, **_: object
) -> list[str]:
    found = []
    if not (is_even_if_alive or is_dry_run):
        unset = access_problems(settings)
        found += [*unset, NOT_ASKED] if unset else []
    if not (is_confirmed or is_dry_run or is_terminal()):
        found.append(UNCONFIRMED)
    return found


@click.command(
    name="erase",
    epilog=examples(
        "erase 3f0c7a52-5d0f-4a53-9d0e-6f2f4d1f0b11 --dry-run",
        "erase 3f0c7a52-5d0f-4a53-9d0e-6f2f4d1f0b11 --even-if-alive",
    ),
)
@click.argument("user_id", metavar="USER_ID", type=click.UUID)
@click.option(
    "--even-if-alive", "is_even_if_alive", is_flag=True, help="Do not ask Stack, which may still have the user."
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only show what would change.")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask for a confirmation.")
@json_option
@pass_settings("operator", _problems)
def command(settings: Settings, *, user_id: UUID, is_json: bool, **options: Unpack[EraseOptions]) -> None:
    """Erase a user for good.

    No personal data of the user is left in the tables, the audit and the stored bodies; bodies keep their type and
    ids. Mentions in other places are listed, not changed. A second call goes on where an interrupted one stopped.
    docs/ERASURE.md says what it can't reach.
    """
    is_dry_run = options["is_dry_run"]
    if not (options["is_even_if_alive"] or is_dry_run):
        _refuse_if_alive(settings, user_id)
    if not (is_dry_run or options["is_confirmed"]):
        click.confirm(f"Erase the user {user_id} for good? There is no way back.", abort=True, err=True)
    # A command of the operator's, but the erasure is applied as a worker applies it.
    with databases(settings, "operator") as conninfos:
        work = _preview if is_dry_run else _erase
        changed, report = asyncio.run(work(settings, conninfos, user_id))
    if is_json:
        emit(_document(user_id, changed, report, is_dry_run=is_dry_run))
    else:
        _show(changed, report, is_dry_run=is_dry_run)


def _refuse_if_alive(settings: Settings, user_id: UUID) -> None:
    """Refuse, with exit code 2, a user that Stack still has: its next webhook would be late."""
    if with_api(settings, lambda api: api.user(user_id)) is not None:
        raise Misconfigured("Stack still has this user: delete it there first, or pass --even-if-alive.")


async def _preview(
    settings: Settings, conninfos: Mapping[EmbeddedLogin, str], user_id: UUID
) -> tuple[Counter[str], Report]:
    access = operator_access(settings.role_prefix)
    async with await connect(conninfos["operator"], access) as conn:
        held = await _require_held(conn, access, user_id)
        erasure = await erase.prepare(conn, access, user_id)
        report = await _last(conn, access, erasure, is_kept=False)
    return held + report.changed, report


async def _erase(
    settings: Settings, conninfos: Mapping[EmbeddedLogin, str], user_id: UUID
) -> tuple[Counter[str], Report]:
    access, applying = operator_access(settings.role_prefix), worker_access(settings.role_prefix)
    if reason := await not_ready_reason(conninfos["worker"], applying, settings.shaping, applies=True):
        raise ConsumerError(f"Nothing was erased: {reason}.")
    runner = BatchRunner(
        applying,
        Metrics(EVENT_TYPES),
        attempts_max=settings.max_attempts,
        projection_sql=settings.projection_sql,
    )
    async with (
        await connect(conninfos["operator"], access) as conn,
        await connect(conninfos["worker"], applying) as worker,
    ):
        before = await _require_held(conn, access, user_id)
        erasure = await erase.prepare(conn, access, user_id)
        await erase.store(conn, access, user_id, shell_action("erase", {"user_id": user_id}))
        await _apply(worker, runner, partial(_is_settled, conn, access, user_id))
        report = await _last(conn, access, erasure, is_kept=True)
        await _apply(worker, runner, partial(_is_settled, conn, access, user_id, erasure.company_ids))
        async with transaction(conn, access):
            after = await erase.held(conn, user_id)
    return before - after + report.changed, report


async def _require_held(conn: Connection, access: Access, user_id: UUID) -> Counter[str]:
    async with transaction(conn, access):
        held = await erase.held(conn, user_id)
        if not held.total() and not await deliveries.has_user(conn, user_id):
            raise ConsumerError("Nothing is held about this user: the id may be mistyped.")
    return held


async def _last(conn: Connection, access: Access, erasure: Erasure, *, is_kept: bool) -> Report:
    report = Report()
    with console(is_error=True).status("reading the stored bodies") as status:
        async for report in erase.erase_bodies(conn, access, erasure, is_kept=is_kept):
            status.update(f"{report.changed.total():,} stored bodies changed")
    return report


async def _is_settled(conn: Connection, access: Access, user_id: UUID, company_ids: Collection[UUID] = ()) -> bool:
    async with transaction(conn, access):
        return await erase.is_settled(conn, user_id, company_ids)


async def _apply(worker: Connection, runner: BatchRunner, is_settled: Callable[[], Awaitable[bool]]) -> None:
    """Apply what is due, beside any workers, until the erasure and the rows that follow from it are settled."""
    ends_at = time.monotonic() + WAIT.total_seconds()
    while True:
        batch = await runner.run_once(worker)
        if await is_settled():
            return
        if batch.is_idle:
            if time.monotonic() >= ends_at:
                raise ConsumerError(
                    "The erasure is stored, but not applied in time: `consumer status` may say why. "
                    "Call `consumer erase` again to finish it."
                )
            await asyncio.sleep(PAUSE.total_seconds())


def _document(user_id: UUID, changed: Counter[str], report: Report, *, is_dry_run: bool) -> dict[str, object]:
    return {
        "user_id": user_id,
        "is_dry_run": is_dry_run,
        "changed": +changed,
        "unreadable": [
            {"message_id": stored.message_id, "source": stored.source, "body_base64": b64encode(stored.body).decode()}
            for stored in report.unreadable
        ],
        "mentions": [mention._asdict() for mention in report.mentions],
        "mention_count": report.mention_count,
        "shared_emails": report.shared_emails,
    }


def _show(changed: Counter[str], report: Report, *, is_dry_run: bool) -> None:
    out = console()
    verb = "would change" if is_dry_run else "changed"
    if +changed:
        show_rows([{"where": where, verb: f"{n:,}"} for where, n in sorted((+changed).items())], numbers={verb})
    else:
        out.print("Nothing is left to erase of this user.")
    for stored in report.unreadable:
        text = printable(stored.body[:BODY_CHARACTERS].decode(errors="replace"))
        out.print(f"No JSON, {'to be ' * is_dry_run}emptied: {printable(stored.message_id)}  {text}", markup=False)
    if n := report.shared_emails:
        out.print(f"{n:,} of the user's addresses belong to another user too: in bodies about others they stay.")
    if n := report.mention_count:
        out.print(f"{n:,} other places hold a name or an address of the user. They are yours to judge:")
        show_rows([mention._asdict() for mention in report.mentions[:LISTED]])
        if n > LISTED:
            out.print(f"and {n - LISTED:,} more: --json has the first {erase.MENTIONS_MAX:,}.")
