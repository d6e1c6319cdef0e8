"""How `consumer adopt` shows a plan and the differences to people."""

from typing import TextIO

import click

from consumer.adopt.compare import Comparison
from consumer.adopt.edits import StoredEdits
from consumer.adopt.plan import AdoptPlan
from consumer.cli.cells import printable
from consumer.cli.output import as_called, console, show_rows

# The first few show the cause; the JSON document holds more.
IDS_SHOWN = 5


def show_plan(plan: AdoptPlan, target: TextIO | None) -> None:
    """Show the plan to people; with *target*, where its statement was written instead of the statement."""
    out = console()
    steps = [
        {"table": step.table, "column": step.column, "value": " ".join(step.value.split()), "written": step.when}
        for step in plan.steps
    ]
    show_rows(steps, title=f"{plan.table} is kept in step by {plan.key}")
    for title, lines in (
        ("To decide", plan.decide),
        ("Columns left alone", plan.left_alone),
        ("Triggers that fire; one that runs as the worker needs grants for other tables it uses", plan.triggers),
        ("Foreign keys to your users", plan.referrers),
        ("Unique indexes, which may refuse a user", plan.unique_indexes),
        ("Checks, which may refuse a user", plan.checks),
        ("Grants, which `consumer adopt grant` gives and `undo` takes back", plan.grants),
        ("To keep roles and companies that only your rows have: `consumer adopt fill --edits` runs", [plan.edits]),
    ):
        if any(lines):
            out.print(f"\n[bold]{as_called(title)}[/]")
        for line in "\n".join(lines).splitlines():
            click.echo(f"  {printable(line)}")
    if target:
        click.echo(f"\nThe statement is in {target.name}: read it and change it as you like.")
    else:
        console().print("\n[bold]The statement[/]")
        click.echo(plan.statement, nl=False)


def show_comparison(comparison: Comparison) -> None:
    """Show the rows that differ by column, and how many belong to unknown users."""
    rows = [
        {
            "table": each.table,
            "column": each.column or "(no row yet)",
            "rows": f"{each.rows:,}",
            "ids": ", ".join(each.ids[:IDS_SHOWN]) + (", …" if each.rows > IDS_SHOWN else ""),
        }
        for each in comparison.differences
    ]
    if rows:
        show_rows(rows, numbers={"rows"})
    else:
        console().print("Your rows are what the statement would write.")
    if n := comparison.unknown_users:
        click.echo(f"{n:,} of your rows belong{'s' * (n == 1)} to users that no event has named.")


def show_stored_edits(stored: StoredEdits) -> None:
    """Show how many edits were stored, and how many of them for unknown users."""
    line = f"{stored.edits:,} edit{'s' * (stored.edits != 1)} stored"
    if stored.unknown_users:
        line += f", {stored.unknown_users:,} of them for users that no event has named yet"
    click.echo(f"{line}.")
