"""What a run of the torture tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from consumer.cli.output import console, show_rows
from tests.faults.judge import Flaw

# Promise P7: a process works again that soon after its database is back.
GAP_SECONDS_MAX = 3.0
# Promise P10: who is refused hears so within 5 s; the rest is this machine's.
REFUSAL_SECONDS_MAX = 5.0 + 0.5
WRONG, INVALID = 1, 3
FLAWS_SHOWN = 20
VERDICTS = {0: "everything holds", WRONG: "NOT SURVIVED", INVALID: "INVALID: a planned fault did not strike, twice"}


@dataclass
class Episode:
    """One fault and what came of it."""

    fault: str
    fired: int = 0
    tries: int = 1
    seconds: float = 0.0
    broken: str = ""
    gap_seconds: float = 0.0
    refusal_seconds: float = 0.0
    drain_seconds: float = 0.0
    deadlocks: int = 0
    unknown: int = 0
    resolved: int = 0
    flaws: dict[str, int] = field(default_factory=dict)

    @property
    def survived(self) -> bool:
        """Nothing is lost or wrong, and everything was as quick as promised."""
        is_prompt = self.gap_seconds <= GAP_SECONDS_MAX and self.refusal_seconds <= REFUSAL_SECONDS_MAX
        return is_prompt and not self.broken and not self.flaws

    def count(self, *kinds: str) -> int:
        """Count flaws of these kinds."""
        return sum(self.flaws.get(kind, 0) for kind in kinds)


@dataclass
class Report:
    """One run."""

    seed: int
    receivers: int
    seconds: float = 0.0
    deliveries: int = 0
    acknowledged: int = 0
    requests: int = 0
    drain_seconds: float = 0.0
    episodes: list[Episode] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """What the process says: what is wrong outweighs what did not happen."""
        if self.flaws or not all(episode.survived for episode in self.episodes):
            return WRONG
        return 0 if all(episode.fired for episode in self.episodes) else INVALID


COLUMNS: Mapping[str, Callable[[Episode], object]] = {
    "fault": lambda episode: episode.fault,
    "fired": lambda episode: episode.fired or "NO",
    "survived": lambda episode: "yes" if episode.survived else "NO",
    "gap s": lambda episode: f"{episode.gap_seconds:.2f}",
    "503 s": lambda episode: f"{episode.refusal_seconds:.1f}",
    "lost": lambda episode: episode.count("lost", "unacknowledged"),
    "unknown": lambda episode: f"{episode.resolved}/{episode.unknown}",
    "wrong rows": lambda episode: episode.count("wrong row", "double", "altered", "pending"),
    "audit": lambda episode: episode.count("audit missing", "audit double"),
    "poison": lambda episode: episode.count("poison"),
    "deadlocks": lambda episode: episode.deadlocks,
    "drain s": lambda episode: f"{episode.drain_seconds:.1f}",
    "all s": lambda episode: f"{episode.seconds:.1f}",
}


def show(report: Report) -> None:
    """Print the table, what is wrong, and the verdict."""
    screen = console()
    show_rows([{name: cell(episode) for name, cell in COLUMNS.items()} for episode in report.episodes])
    for episode in report.episodes:
        if episode.broken:
            screen.print(f"{episode.fault}: {episode.broken}", markup=False)
        if episode.tries > 1:
            screen.print(f"{episode.fault}: tried once more, because it did not strike in time at first", markup=False)
    for flaw in report.flaws[:FLAWS_SHOWN]:
        screen.print(f"{flaw.kind}: {flaw.what}", markup=False)
    screen.print(
        f"seed {report.seed}: {len(report.episodes)} faults in {report.seconds:.0f} s, {report.receivers} receivers, "
        f"{report.requests} requests, {report.acknowledged} of {report.deliveries} acknowledged, "
        f"{len(report.flaws)} flaws, last drain {report.drain_seconds:.1f} s: " + VERDICTS[report.exit_code]
    )
