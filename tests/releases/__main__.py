"""Every combination of two releases on one database: `python -m tests.releases`. Exits 1 if a row is wrong.

The older release is the one that is kept. The newer one is this tree, or its planted successor.
"""

from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tests.conftest import server_of_its_own
from tests.releases import kept
from tests.releases.drill import NEWER, OLDER, Drill, Plan
from tests.releases.newer import KINDS, made
from tests.support.databases import scratch_database

EITHER_OR_BOTH = ((OLDER,), (NEWER,), (OLDER, NEWER))
MIGRATORS = ((OLDER,), (NEWER,), (NEWER, OLDER))


@click.command()
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, default=KINDS, help="The newer release.")
@click.option("--seed", type=int, default=1, show_default=True, help="What decides on the messages.")
@click.pass_context
def command(context: click.Context, *, kinds: tuple[str, ...], seed: int) -> None:
    """Run each plan and print what is wrong."""
    wrong = 0
    with TemporaryDirectory(ignore_cleanup_errors=True) as name, server_of_its_own() as server_url:
        older = kept.unpacked(kept.oldest(), Path(name) / OLDER)
        newer = {kind: made(kind, Path(name) / kind) for kind in kinds}
        for kind, *chosen in product(kinds, MIGRATORS, EITHER_OR_BOTH, EITHER_OR_BOTH):
            plan = Plan(*chosen)
            with scratch_database(server_url, "releases") as url, TemporaryDirectory() as folder:
                flaws = Drill(url, Path(folder), {OLDER: older, NEWER: newer[kind]}, seed).run(plan, kind)
            wrong += bool(flaws)
            named = [f"{what} {' and '.join(who)}" for what, who in plan._asdict().items()]
            line = f"{kind}: {', '.join(named)}"
            click.echo("\n  ".join([f"{'WRONG' if flaws else 'right'}  {line}", *flaws]))
    click.echo(f"{wrong} wrong")
    context.exit(int(wrong > 0))


if __name__ == "__main__":
    command()
