"""What a demo prints in the end: what arrived, what became of it, and some of the people."""

from rich.markup import escape

from consumer.cli.output import console, table
from consumer.simulator.checks import DemoReport
from consumer.simulator.scenario import REQUEST_KINDS, ExpectedProfile

# The first few tell what broke; all are in the JSON document.
DIFFERENCES_SHOWN = 10


def show(report: DemoReport) -> None:
    """Print what arrived, what became of it, and some of the people."""
    out = console()
    sent = table("sent", "requests", numbers=frozenset({"requests"}))
    for kind in REQUEST_KINDS:
        sent.add_row(kind, f"{report.sent[kind]:,}")
    for status, n in sorted(report.answers.items()):
        sent.add_row(f"[dim]answered[/] {status}", f"{n:,}", style="bold")
    became = table("state", "outcome", "deliveries", numbers=frozenset({"deliveries"}))
    for ended in report.deliveries:
        colour = "red" if ended.state == "dead" else "green"
        became.add_row(f"[{colour}]{ended.state}[/]", ended.outcome, f"{ended.deliveries:,}")
    people = table("name", "e-mail", "role", "department", "last sign-in", "")
    for profile in report.sample.values():
        people.add_row(*_cells(profile))
    out.print(sent, became, people)
    for difference in report.differences[:DIFFERENCES_SHOWN]:
        out.print(f"[red]wrong[/]  {escape(difference)}", soft_wrap=True)
    if not report.differences:
        out.print(f"[bold green]All {report.profiles} profiles are what they must be.[/]")


def _cells(profile: ExpectedProfile) -> tuple[str, ...]:
    signed_in = f"{profile.last_sign_in_at:%Y-%m-%d %H:%M:%S}" if profile.last_sign_in_at else "never"
    standing = "[red]deleted[/]" if profile.is_deleted else ""
    return profile.full_name, profile.email, profile.role_type, profile.department, signed_in, standing
