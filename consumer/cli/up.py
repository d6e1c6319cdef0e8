"""`consumer up`: receiver and worker as one supervised group, on the embedded database unless another is set."""

import asyncio
import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
import psycopg

import consumer
from consumer import logs
from consumer.cli import console, secret
from consumer.cli.addresses import free_port, listen_problem
from consumer.cli.announcement import announce
from consumer.cli.context import embedded_option, examples, pass_settings
from consumer.cli.database import (
    ProcessKind,
    data_dir,
    database_problems,
    embedded_database,
    has_urls,
    platform_problems,
    refuse,
    url,
)
from consumer.cli.migrate import migrate
from consumer.cli.output import as_called
from consumer.deadline import first_of
from consumer.embedded import server as embedded
from consumer.embedded.keeper import is_free_within, lock_file
from consumer.process.outage_log import Outage
from consumer.process.readiness import POLL_SECONDS
from consumer.process.signals import run
from consumer.process.supervision import Program, supervise
from consumer.settings.settings import Settings

PROCESSES: tuple[ProcessKind, ...] = ("receiver", "worker", "migrate")
# The worker's ops port is the one after the receiver's.
OPS_PORT_MAX = 65_534
# After a kill of its supervisor a process ends by itself, usually within a second.
PREDECESSOR_SECONDS = 3.0
# Each `up` on a data directory holds it shared, so that a second one can say why the ports are in use.
RUNNING_LOCK = "up.lock"
NO_MAINTENANCE = (
    "DATABASE_URL is not set, so `up` maintains and tells nothing: run `consumer maintain --watch` where it is."
)
# A person waits for the ports, and asking costs next to nothing.
ASK_SECONDS = 0.1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UpPlan:
    """What one `up` runs, decided before any process starts."""

    settings: Settings
    # The receiver's and the worker's; none if OPS_PORT is off or unset.
    ops_ports: tuple[int, ...]
    migrate_conninfo: str
    secret_files: Mapping[str, Path]
    # Of the console; none if it is off or can't run.
    console_sockets: Sequence[socket.socket] = ()

    @property
    def uses_embedded(self) -> bool:
        """Whether the embedded database is used, because no other is configured."""
        return not has_urls(self.settings)


def _problems(settings: Settings, *, host: str | None, is_embedded: bool, **_: object) -> list[str]:
    problems = secret.example_problems(settings, host or settings.host)
    if has_urls(settings):
        for kind in PROCESSES:
            problems += database_problems(settings, kind, is_embedded=is_embedded)
        if not settings.stack_webhook_secrets:
            problems.append("STACK_WEBHOOK_SECRETS is not set; `up` makes one only for the embedded database.")
    else:
        folder = data_dir(settings)
        problems += embedded.problems(folder) or secret.problems(folder, settings)
    problems += platform_problems(settings, is_embedded=is_embedded) + console.problems(settings)
    if isinstance(settings.ops_port, int) and settings.ops_port > OPS_PORT_MAX:
        problems.append(f"OPS_PORT must be at most {OPS_PORT_MAX}, because the worker uses the next port.")
    return list(dict.fromkeys(problems))


@click.command(name="up", epilog=examples("up", "up --port 9000", "up --host 0.0.0.0"))
@click.option("--host", help="The receiver's address. Default: HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Its port; 0: a free one. Default: PORT, else 8000.")
@embedded_option
@pass_settings(problems=_problems)
def command(settings: Settings, *, host: str | None, port: int | None, is_embedded: bool) -> None:
    """Migrate, then run receiver and worker.

    `consumer maintain --watch` runs beside them. All run until SIGTERM or Ctrl-C; a process that dies is started again.
    """
    host, port = host or settings.host, settings.port if port is None else port
    settings = replace(settings, host=host, port=port or free_port(host))
    plan = UpPlan(
        settings=settings,
        ops_ports=_ops_ports(settings),
        migrate_conninfo=url(settings, "migrate") or "",
        secret_files={},
    )
    refuse(_port_problems(plan))
    plan = replace(plan, console_sockets=console.listen_beside(settings))
    with ExitStack() as opened:
        for each in plan.console_sockets:
            opened.enter_context(each)
        run(partial(_up, opened.enter_context(_embedded(plan)) if plan.uses_embedded else plan))


def _ops_ports(settings: Settings) -> tuple[int, ...]:
    """Return OPS_PORT and the next port, two that are free for 0; none if it is off.

    None either if it is unset: each process then takes the first free one by listening on it, so that two groups that
    start together never choose the same.
    """
    if not isinstance(settings.ops_port, int):
        return ()
    first = settings.ops_port or free_port(settings.ops_host, count=2)
    return first, first + 1


def _port_problems(plan: UpPlan) -> list[str]:
    """Return the ports in use, after waiting for a group that was just stopped to end."""
    settings, ops_host = plan.settings, plan.settings.ops_host
    deadline = time.monotonic() + PREDECESSOR_SECONDS
    while True:
        found = [
            listen_problem(settings.host, settings.port, "PORT"),
            *(listen_problem(ops_host, port, "OPS_PORT") for port in plan.ops_ports),
        ]
        if len(found) == 3 and found[2]:
            found[2] += " It is OPS_PORT + 1, for the worker."
        problems = list(filter(None, found))
        if not problems:
            return []
        if time.monotonic() > deadline:
            return _other_up(plan) or problems
        time.sleep(ASK_SECONDS)


def _other_up(plan: UpPlan) -> list[str]:
    """Return a sentence if another `up` runs on this data directory."""
    folder = data_dir(plan.settings)
    # If this user may not read the directory, only the ports are reported.
    with suppress(OSError):
        if plan.uses_embedded and (folder / RUNNING_LOCK).is_file() and not is_free_within(folder / RUNNING_LOCK, 0):
            return [f"`consumer up` is already running on {folder}; another needs its own CONSUMER_DATA_DIR and ports."]
    return []


@contextmanager
def _embedded(plan: UpPlan) -> Iterator[UpPlan]:
    """Run the embedded server, made now if there is none, and keep a secret for each source that has none."""
    folder = data_dir(plan.settings)
    uris = embedded_database(folder, plan.settings.role_prefix, create=True)
    with uris as conninfos, lock_file(folder / RUNNING_LOCK, fcntl.LOCK_SH):
        files = {source: secret.keep(folder, source) for source in secret.unconfigured(plan.settings)}
        yield replace(plan, migrate_conninfo=conninfos["migrate"], secret_files=files)


async def _up(plan: UpPlan, stop: asyncio.Event) -> None:
    """Start the processes at once; they wait for the migrations themselves."""
    supervising = asyncio.create_task(supervise(_programs(plan), stop))
    try:
        await first_of(stop, _start(plan))
        await stop.wait()
    finally:
        stop.set()
        await supervising


def _programs(plan: UpPlan) -> list[Program]:
    # The processes import the same package as this one, even if that was found in the working directory.
    path = filter(None, (str(Path(consumer.__file__).parent.parent), os.environ.get("PYTHONPATH")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    for source, file in plan.secret_files.items():
        environment[f"{source.upper()}_WEBHOOK_SECRETS_FILE"] = str(file)
    # The console names and tries the receiver's address, and the worker's ops port must not be its port.
    environment |= _variable("HOST", plan.settings.host)
    environment |= _variable("PORT", plan.settings.port)
    flags = ["--embedded"] if plan.uses_embedded else []
    arguments = {"receiver": ["serve", "--host", plan.settings.host, *flags], "worker": ["work", *flags]}
    ops_ports = [_variable("OPS_PORT", port) for port in plan.ops_ports] or [{}, {}]
    programs = [
        Program(name, arguments[name], environment | ops_port)
        for name, ops_port in zip(arguments, ops_ports, strict=True)
    ]
    if sockets := plan.console_sockets:
        numbers = ",".join(str(each.fileno()) for each in sockets)
        programs.append(Program("console", ["console", "--listeners", numbers], environment, sockets=sockets))
    if plan.uses_embedded or url(plan.settings, "operator"):
        programs.append(Program("maintenance", ["maintain", "--watch"], environment))
    else:
        log.warning(logs.SETTINGS_WARNED, extra={"warning": as_called(NO_MAINTENANCE)})
    return programs


def _variable(name: str, value: str | int) -> dict[str, str]:
    """Return what sets a variable in an environment that may name a file for it."""
    return {name: str(value), f"{name}_FILE": ""}


async def _start(plan: UpPlan) -> None:
    """Migrate as soon as the database answers, because it may start more slowly than `up`; announce the addresses."""
    conninfo, files = plan.migrate_conninfo, plan.secret_files
    outage = Outage("migrate", conninfo)
    while True:
        try:
            report = await asyncio.to_thread(migrate, conninfo, plan.settings)
            break
        except psycopg.OperationalError as error:
            outage.record(error)
        await asyncio.sleep(POLL_SECONDS)
    outage.record(None)
    if report.applied:
        log.info(logs.MIGRATIONS_APPLIED, extra={"migrations": report.applied})
    if report.mended:
        log.warning(logs.RIGHTS_MENDED, extra={"statements": report.mended})
    link = console.first_link(plan.settings, plan.console_sockets)
    await announce(plan.settings, ops_ports=plan.ops_ports, conninfo=conninfo, secret_files=files, console_link=link)
