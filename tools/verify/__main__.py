"""`python -m tools.verify`: try the calls that the product relies on at a real project, and compare the answers."""

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import click

from consumer.errors import BadSettings, ConsumerError
from consumer.settings import env_file
from consumer.settings.aliases import ALIASES
from consumer.settings.environment import Reader, number
from consumer.settings.settings import API_RPS_MAX, API_RPS_MIN
from consumer.stack_api.client import StackAccess
from consumer.stack_api.rate import RateLimit
from tools.verify import svix, teams, users
from tools.verify.claims import Finding, tried
from tools.verify.masks import Masks
from tools.verify.visit import PREFIX, Options, Visit, visiting

CLAIMS = (
    *users.READING,
    *teams.READING,
    *teams.DELETING,
    *users.DELETING,
    *svix.ADMINISTERING,
)
VARIABLES = (
    "STACK_API_URL",
    "STACK_PROJECT_ID",
    "STACK_SECRET_SERVER_KEY",
    "STACK_SUPER_SECRET_ADMIN_KEY",
    "SVIX_SERVER_URL",
)
HOSTED = "https://api.stack-auth.com"
RATE = "STACK_API_RPS"
# A free project's limit is unpublished; a visit has about 60 calls.
RATE_DEFAULT = 5.0
WAIT_SECONDS = 60.0
MARKS = {"as expected": "ok", "differs": "DIFFERS", "not tried": "not tried"}


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="verify.json", show_default=True)
@click.option("--yes", is_flag=True, help="Make and remove the test users without a question.")
@click.option("--send-test", is_flag=True, help="Have Stack send stack.test to every endpoint of the project.")
@click.option(
    "--wait",
    "wait_seconds",
    type=float,
    default=WAIT_SECONDS,
    help="Seconds to wait for a replica or a message.",
    show_default=True,
)
def main(out: Path, wait_seconds: float, *, yes: bool, send_test: bool) -> None:
    """Compare a project of Stack with docs/VERIFIED.md; exit with 1 if an answer differs.

    The tool makes three users and a team, and removes them at the end. It reads STACK_PROJECT_ID,
    STACK_SECRET_SERVER_KEY and STACK_API_URL as the product does, and STACK_SUPER_SECRET_ADMIN_KEY for Svix.
    The record has no name, address, id or key.
    """
    values, rate = _values()
    if missing := [name for name in VARIABLES[1:3] if not values[name]]:
        raise click.UsageError(f"{' and '.join(missing)} must be set.")
    url, project_id, server_key, admin_key, svix_url = (values[name] for name in VARIABLES)
    access = StackAccess(url or HOSTED, project_id, server_key, admin_key)
    tag = f"{PREFIX}{token_hex(4)}"
    if not yes:
        click.echo(f"This makes 3 users and 1 team named {tag}… in project {project_id}, and removes them.")
        click.confirm("Go on?", abort=True)
    try:
        opened = visiting(access, rate, Options(tag, wait_seconds, svix_url, send_test))
        findings, visit, left = asyncio.run(_visited(opened))
    except BadSettings as error:
        raise click.UsageError(" ".join(error.problems)) from error
    except ConsumerError as error:
        raise click.ClickException(str(error)) from error
    _print(findings, left)
    out.write_text(_record(findings, visit))
    click.echo(f"Written to {out}. The server's age: {visit.age}.")
    if left or any(finding.verdict == "differs" for finding in findings):
        raise SystemExit(1)


async def _visited(
    opened: AbstractAsyncContextManager[Visit],
) -> tuple[Sequence[Finding], Visit, Sequence[str]]:
    async with opened as visit:
        try:
            findings = [await tried(claim, visit) for claim in CLAIMS]
        finally:
            visit.recorder.claim = "removal"
            left = await visit.remove_all()
            for path in left:
                click.echo(f"Not removed: {path}", err=True)
    return findings, visit, left


def _values() -> tuple[dict[str, str], RateLimit]:
    """Read the variables as the product does: the environment first, then the .env."""
    found = env_file.read(Path.cwd(), os.environ, frozenset((*VARIABLES, RATE)))
    reader = Reader([os.environ, found.values], ALIASES, found.places)
    values = {name: reader.text(name, "") for name in VARIABLES}
    rate = reader.parse(RATE, lambda text: number(text, API_RPS_MIN, API_RPS_MAX), RATE_DEFAULT, is_shown=True)
    if problems := found.problems + reader.problems:
        raise click.UsageError(" ".join(problems))
    return values, RateLimit(rate)


def _print(findings: Sequence[Finding], left: Sequence[str]) -> None:
    for finding in findings:
        click.echo(f"{MARKS[finding.verdict]:>9}  {finding.claim.name}: {finding.claim.sentence}")
        for reason in finding.reasons:
            click.echo(f"{'':11}{reason}")
    click.echo("All that was made is removed." if not left else f"{len(left)} objects were not removed.")


def _record(findings: Sequence[Finding], visit: Visit) -> str:
    masks = Masks()
    record = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "server_age": visit.age,
        "claims": [
            {
                "name": finding.claim.name,
                "verdict": finding.verdict,
                "reasons": [masks.sentence(reason) for reason in finding.reasons],
            }
            for finding in findings
        ],
        "exchanges": [exchange.masked(masks) for exchange in visit.recorder.exchanges],
    }
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
