"""`consumer demo`: the whole product on a scratch database, with its outcome checked."""

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import IO

import click
from rich.console import Console
from rich.markup import escape
from rich.text import Text

import consumer
from consumer import logs
from consumer.cli.addresses import free_port, webhook_url
from consumer.cli.announcement import until_listening
from consumer.cli.context import examples
from consumer.cli.demo_watch import watch
from consumer.cli.embedded_logins import embedded_uris
from consumer.cli.migrate import migrate
from consumer.cli.output import console, json_option, present, show_rows
from consumer.cli.secret import new
from consumer.errors import ConsumerError
from consumer.outbox import deliveries
from consumer.postgres.connections import Connection, connect, operator_access
from consumer.process.signals import run
from consumer.process.supervision import Program, supervise
from consumer.settings.settings import Settings
from consumer.simulator.checks import SAMPLE, Answered, DemoReport, judge, look
from consumer.simulator.scenario import REQUEST_KINDS, SampleRequest, Scenario, write
from consumer.simulator.sender import Sender

# The same users every time.
SEED = 2026
HOST = "127.0.0.1"
# Enough for the intake to commit several deliveries together.
CONNECTIONS = 16
# A slow machine needs a fraction of it for a thousand deliveries.
DRAIN_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05
# The variables that the processes inherit: the others could be settings or secrets of an installation.
ENVIRONMENT_NAMES = ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "LC_ALL", "CONSUMER_PG_BIN")
# Printed of the processes' log after an error.
LOG_LINES = 20
# The first few show the cause; the JSON document holds all.
DIFFERENCES_SHOWN = 10


@click.command(name="demo", epilog=examples("demo", "demo --watch", "demo --json"))
@click.option("--watch", "is_watched", is_flag=True, help="Send slowly and show it in the console, until Ctrl-C.")
@json_option
def command(*, is_watched: bool, is_json: bool) -> None:
    """Run everything once on a scratch database.

    It sends more than a thousand signed events over HTTP, waits for the worker, and checks answers and profiles. It
    reads no setting and leaves nothing behind.
    """
    if is_watched and is_json:
        raise click.UsageError("--watch shows the demo to people: leave out --json.")
    logs.configure(None, "warning")
    out = console()
    out.quiet = is_json
    scenario = write(Random(SEED), datetime.now(UTC))
    with tempfile.TemporaryDirectory(prefix="consumer-demo-") as folder:
        # Started by root, the server runs as another user, which must be able to enter the folder.
        Path(folder).chmod(0o711)
        report = _demonstrate(Path(folder), scenario, out, is_watched=is_watched)
    if report is None:
        return
    present(report, _show, is_json=is_json)
    if report.differences:
        raise click.ClickException(f"{len(report.differences)} differences from what was expected.")


def _demonstrate(folder: Path, scenario: Scenario, out: Console, *, is_watched: bool) -> DemoReport | None:
    """Return what came of it; None if somebody watched and has seen enough."""
    began = time.perf_counter()
    settings = Settings(
        data_dir=folder / "data",
        host=HOST,
        port=free_port(HOST),
        stack_webhook_secrets=(new(),),
        app_webhook_secrets=(new(),),
        console_port=free_port(HOST),
    )
    out.print(f"A new embedded database in {folder}", soft_wrap=True)
    with embedded_uris(folder / "data", settings.role_prefix, create=True) as conninfos:
        migrate(conninfos["migrate"], settings)
        out.print(f"Database made and migrated in {time.perf_counter() - began:.1f} s")
        play = partial(_play, settings, conninfos["operator"], scenario, out)
        try:
            with (folder / "log").open("ab") as log:
                programs = _programs(settings, log)
                if is_watched:
                    posts = [partial(_post, settings, [request]) for request in scenario.requests]
                    run(partial(watch, settings, programs, posts, out))
                    return None
                return run(partial(_perform, programs, play))
        except ConsumerError:
            sys.stderr.writelines((folder / "log").read_text().splitlines(keepends=True)[-LOG_LINES:])
            raise


async def _perform(
    programs: list[Program], play: Callable[[], Coroutine[None, None, DemoReport]], stop: asyncio.Event
) -> DemoReport:
    """Play the scenario to a running group, and end the group in any case."""
    playing = asyncio.create_task(play())
    playing.add_done_callback(lambda _: stop.set())
    await supervise(programs, stop)
    if not playing.done():
        playing.cancel()
        raise click.Abort
    return playing.result()


async def _play(settings: Settings, conninfo: str, scenario: Scenario, out: Console) -> DemoReport:
    began = time.perf_counter()
    await until_listening(settings.host, settings.port)
    started = time.perf_counter()
    out.print(f"Receiver and worker started in {started - began:.1f} s")
    answers = await asyncio.to_thread(_post_all, settings, scenario.requests)
    posted = time.perf_counter()
    rate = len(answers) / (posted - started)
    out.print(f"{len(answers):,} requests answered in {posted - started:.1f} s, {rate:,.0f} a second")
    async with await connect(conninfo, operator_access(settings.role_prefix)) as conn:
        await _drain(conn)
        drained = time.perf_counter()
        out.print(f"Queue drained {drained - posted:.1f} s later")
        found = await look(conn)
    return DemoReport(
        sent=scenario.kinds,
        answers=Counter(status for _, status in answers),
        requests_per_second=round(rate, 1),
        drained_after_seconds=round(drained - posted, 3),
        deliveries=found.deliveries,
        profiles=len(found.profiles),
        differences=judge(scenario, answers, found),
        sample=dict(list(found.profiles.items())[:SAMPLE]),
    )


def _post_all(settings: Settings, requests: Sequence[SampleRequest]) -> list[Answered]:
    """Deliver over several connections at once, in no particular order."""
    shares = [requests[n::CONNECTIONS] for n in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return [answered for share in pool.map(partial(_post, settings), shares) for answered in share]


def _post(settings: Settings, share: Sequence[SampleRequest]) -> list[Answered]:
    stack_url, app_url = webhook_url(settings, "stack"), webhook_url(settings, "app")
    with (
        Sender(stack_url, secret=settings.stack_webhook_secrets[0]) as stack,
        Sender(app_url, secret=settings.app_webhook_secrets[0]) as app,
        Sender(stack_url, secret=new()) as forger,
    ):
        senders = {"stack": stack, "app": app}
        answered: list[Answered] = []
        for request in share:
            sender = forger if request.kind == "forged" else senders[request.source]
            answered.append((request, sender.post(request.body, request.message_id).status))
        return answered


async def _drain(conn: Connection) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS_MAX
    while (stats := await deliveries.stats(conn)).pending + stats.retrying:
        if time.monotonic() > deadline:
            raise ConsumerError(f"The queue was not empty after {DRAIN_SECONDS_MAX:.0f} s.")
        await asyncio.sleep(POLL_SECONDS)


def _programs(settings: Settings, log: IO[bytes]) -> list[Program]:
    """Return the receiver and the worker, with the smallest environment that they can run in."""
    environment = {name: os.environ[name] for name in ENVIRONMENT_NAMES if name in os.environ} | {
        "PYTHONPATH": str(Path(consumer.__file__).parent.parent),
        "CONSUMER_DATA_DIR": str(settings.data_dir),
        "STACK_WEBHOOK_SECRETS": settings.stack_webhook_secrets[0],
        "APP_WEBHOOK_SECRETS": settings.app_webhook_secrets[0],
        "LOG_FORMAT": "text",
        "LOG_LEVEL": "warning",
        "OPS_PORT": "off",
    }
    listen = ["--host", settings.host, "--port", str(settings.port)]
    return [
        Program("receiver", ["serve", *listen, "--embedded"], environment, settings.data_dir, log),
        Program("worker", ["work", "--embedded"], environment, settings.data_dir, log),
    ]


def _show(report: DemoReport) -> None:
    out = console()
    sent = [{"sent": kind, "requests": f"{report.sent[kind]:,}"} for kind in REQUEST_KINDS]
    sent += [{"sent": f"answered {status}", "requests": f"{n:,}"} for status, n in sorted(report.answers.items())]
    show_rows(sent, numbers={"requests"})
    outcomes = [
        {
            "state": Text(count.state, "red" if count.state == "dead" else "green"),
            "outcome": count.outcome,
            "deliveries": f"{count.deliveries:,}",
        }
        for count in report.deliveries
    ]
    show_rows(outcomes, numbers={"deliveries"})
    people = [
        {
            "name": profile.full_name,
            "e-mail": profile.email,
            "role": profile.role_type,
            "department": profile.department,
            "last sign-in": profile.last_sign_in_at or "never",
            "deleted": Text("yes", "red") if profile.is_deleted else "no",
        }
        for profile in report.sample.values()
    ]
    show_rows(people)
    for difference in report.differences[:DIFFERENCES_SHOWN]:
        out.print(f"[red]wrong[/]  {escape(difference)}", soft_wrap=True)
    if not report.differences:
        out.print(f"[bold green]All {report.profiles} profiles are as expected.[/]")
