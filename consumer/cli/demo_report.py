"""What a demo prints at its end: the requests, the deliveries and some of the profiles."""

from rich.markup import escape

from consumer.cli.output import console, table
from consumer.simulator.checks import DemoReport
from consumer.simulator.scenario import REQUEST_KINDS, ExpectedProfile

# The first few show the cause; the JSON document holds all.
DIFFERENCES_SHOWN = 10


def show(report: DemoReport) -> None:
    """Print the requests, the deliveries and some of the profiles."""
    out = console()
    sent = table("sent", "requests", numbers=frozenset({"requests"}))
    for kind in REQUEST_KINDS:
        sent.add_row(kind, f"{report.sent[kind]:,}")
    for status, n in sorted(report.answers.items()):
        sent.add_row(f"[dim]answered[/] {status}", f"{n:,}", style="bold")
    outcomes = table("state", "outcome", "deliveries", numbers=frozenset({"deliveries"}))
    for count in report.deliveries:
        colour = "red" if count.state == "dead" else "green"
        outcomes.add_row(f"[{colour}]{count.state}[/]", count.outcome, f"{count.deliveries:,}")
    people = table("name", "e-mail", "role", "department", "last sign-in", "")
    for profile in report.sample.values():
        people.add_row(*_cells(profile))
    out.print(sent, outcomes, people)
    for difference in report.differences[:DIFFERENCES_SHOWN]:
        out.print(f"[red]wrong[/]  {escape(difference)}", soft_wrap=True)
    if not report.differences:
        out.print(f"[bold green]All {report.profiles} profiles are as expected.[/]")


def _cells(profile: ExpectedProfile) -> tuple[str, ...]:
    signed_in = f"{profile.last_sign_in_at:%Y-%m-%d %H:%M:%S}" if profile.last_sign_in_at else "never"
    standing = "[red]deleted[/]" if profile.is_deleted else ""
    return profile.full_name, profile.email, profile.role_type, profile.department, signed_in, standing
