"""`consumer up`: the whole product as one supervised group, on the embedded database unless another is given."""

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
import psycopg

from consumer import logs
from consumer.cli import secret
from consumer.cli.addresses import free_port, listen_problem
from consumer.cli.announcement import announce
from consumer.cli.context import (
    PLATFORMS,
    ProcessKind,
    data_dir,
    database_problems,
    embedded_option,
    has_urls,
    pass_settings_unless,
    refuse,
    url,
)
from consumer.cli.migrate import migrate
from consumer.embedded import server as embedded
from consumer.embedded.keeper import lock_file, try_lock_file
from consumer.process.outage import Outage
from consumer.process.readiness import POLL_SECONDS
from consumer.process.signals import first_of, run
from consumer.process.supervision import Program, supervise
from consumer.settings.settings import Settings

PROCESSES: tuple[ProcessKind, ...] = ("receiver", "worker", "migrate")
OPS_PORT = 8001
# The receiver's and the worker's ops ports are neighbours.
OPS_PORT_MAX = 65_534
# Processes whose supervisor was killed end by themselves, most within a second.
PREDECESSOR_SECONDS = 3.0
# Shared by each `up` on a data directory: it tells a second one why the ports are taken.
RUNNING_LOCK = "up.lock"
ASK_SECONDS = 0.1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UpPlan:
    """What one `up` runs, settled before anything starts."""

    settings: Settings
    ops_port: int
    migrate_conninfo: str
    secret_files: Mapping[str, Path]

    @property
    def is_embedded(self) -> bool:
        """No database was configured."""
        return not has_urls(self.settings)

    @property
    def ports(self) -> Mapping[int, str]:
        """Where the group listens: a host for each port."""
        ops_host = self.settings.ops_host
        return {self.settings.port: self.settings.host, self.ops_port: ops_host, self.ops_port + 1: ops_host}


def _problems(settings: Settings, *, is_embedded: bool, **_: object) -> list[str]:
    problems: list[str] = []
    if has_urls(settings):
        for kind in PROCESSES:
            problems += database_problems(settings, kind, is_embedded=is_embedded)
        if not settings.stack_webhook_secrets:
            problems.append("STACK_WEBHOOK_SECRETS is not set; only for the embedded database is one made.")
    elif not is_embedded and (seen := [name for name in PLATFORMS if name in os.environ]):
        problems.append(
            f"DATABASE_URL is not set on a platform ({seen[0]} is); --embedded would use its volatile disk."
        )
    if (settings.ops_port or 0) > OPS_PORT_MAX:
        problems.append(f"OPS_PORT: must be at most {OPS_PORT_MAX}, for the worker's is the next one.")
    return list(dict.fromkeys(problems))


@click.command(name="up")
@click.option("--host", help="Where the receiver listens; default HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default PORT, else 8000; 0 picks a free one.")
@embedded_option
@pass_settings_unless(_problems)
def command(settings: Settings, *, host: str | None, port: int | None, is_embedded: bool) -> None:
    """Migrate, then run receiver and worker until SIGTERM or Ctrl-C; either is started again when it dies."""
    host, port = host or settings.host, settings.port if port is None else port
    plan = UpPlan(
        settings=replace(settings, host=host, port=port or free_port(host)),
        ops_port=OPS_PORT if settings.ops_port is None else settings.ops_port or free_port(settings.ops_host),
        migrate_conninfo=url(settings, "migrate") or "",
        secret_files={},
    )
    refuse(_port_problems(plan))
    with _embedded(plan) if plan.is_embedded else nullcontext(plan) as settled:
        run(partial(_up, settled))


def _port_problems(plan: UpPlan) -> list[str]:
    """Return which ports are taken and by whom, after waiting for a group that was stopped just now to end."""
    deadline = time.monotonic() + PREDECESSOR_SECONDS
    while problems := [problem for port, host in plan.ports.items() if (problem := listen_problem(host, port))]:
        if time.monotonic() > deadline:
            return [*_other_up(plan), *problems]
        time.sleep(ASK_SECONDS)
    return []


def _other_up(plan: UpPlan) -> list[str]:
    """Say so when another `up` runs on this data directory."""
    folder = data_dir(plan.settings)
    # Where this user may not look, the ports alone are told.
    with suppress(OSError):
        if plan.is_embedded and (folder / RUNNING_LOCK).is_file():
            if (lock := try_lock_file(folder / RUNNING_LOCK)) is None:
                return [
                    f"`consumer up` is already running on {folder}; another needs its own CONSUMER_DATA_DIR and ports."
                ]
            lock.close()
    return []


@contextmanager
def _embedded(plan: UpPlan) -> Iterator[UpPlan]:
    """Run the embedded server, made if there is none, and keep a secret for each source that has none."""
    folder = data_dir(plan.settings)
    with embedded.server(folder, create=True) as conninfo, lock_file(folder / RUNNING_LOCK, fcntl.LOCK_SH):
        configured = {"stack": plan.settings.stack_webhook_secrets, "app": plan.settings.app_webhook_secrets}
        files = {source: secret.keep(folder, source) for source, secrets in configured.items() if not secrets}
        yield replace(plan, migrate_conninfo=conninfo, secret_files=files)


async def _up(plan: UpPlan, stop: asyncio.Event) -> None:
    """Start the processes at once: they wait for the migrations, and receive and apply as soon as they may."""
    settling = asyncio.create_task(first_of(stop, _settle(plan)))
    settling.add_done_callback(partial(_stop_on_failure, stop))
    await supervise(_programs(plan), stop)
    await settling


def _stop_on_failure(stop: asyncio.Event, settling: "asyncio.Task[None]") -> None:
    if not settling.cancelled() and settling.exception():
        stop.set()


def _programs(plan: UpPlan) -> list[Program]:
    environment = dict(os.environ)
    for source, file in plan.secret_files.items():
        environment[f"{source.upper()}_WEBHOOK_SECRETS_FILE"] = str(file)
    flags = ["--embedded"] if plan.is_embedded else []
    listen = ["--host", plan.settings.host, "--port", str(plan.settings.port)]
    return [
        Program("receiver", ["serve", *listen, *flags], {**environment, "OPS_PORT": str(plan.ops_port)}),
        Program("worker", ["work", *flags], {**environment, "OPS_PORT": str(plan.ops_port + 1)}),
    ]


async def _settle(plan: UpPlan) -> None:
    """Migrate, and only then say that all is there."""
    await _migrate(plan)
    files, conninfo = plan.secret_files, plan.migrate_conninfo
    await announce(plan.settings, ops_port=plan.ops_port, conninfo=conninfo, secret_files=files)


async def _migrate(plan: UpPlan) -> None:
    """Migrate as soon as the database is there; it may boot more slowly than we do."""
    outage = Outage("migrate", plan.migrate_conninfo)
    while True:
        try:
            report = await asyncio.to_thread(migrate, plan.migrate_conninfo, plan.settings)
            break
        except psycopg.OperationalError as error:
            outage.record(error)
        await asyncio.sleep(POLL_SECONDS)
    outage.record(None)
    if report.applied:
        log.info(logs.MIGRATIONS_APPLIED, extra={"migrations": report.applied})
