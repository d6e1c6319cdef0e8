"""Which faults there are, and which of them a seed chooses for the time there is."""

import random
from collections.abc import Callable, Sequence
from itertools import chain, count
from typing import NamedTuple

from bench.pooler import PROGRAM
from tests.faults import contention, crashes, disk, network, streams
from tests.faults.world import World


class Kind(NamedTuple):
    """One kind of fault; the seconds are what it takes with the recovery from it, measured on two cores."""

    code: str
    act: Callable[[World], int]
    seconds: float
    # It leaves receivers and their way to the database alone: acknowledgements go on while it lasts.
    spares_receivers: bool = False
    # Whoever it makes wait for each other are not only ours.
    may_deadlock: bool = False
    # Some need what a machine may lack.
    is_possible: Callable[[], bool] = lambda: True

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.code} {self.act.__name__.replace('_', ' ')}"


KINDS = (
    Kind("F01", crashes.receiver_killed, 2.5),
    Kind("F02", crashes.worker_killed, 1.5, spares_receivers=True),
    Kind("F03", crashes.worker_told_to_go, 2, spares_receivers=True),
    Kind("F04", crashes.worker_paused, 3.5, spares_receivers=True),
    Kind("F04b", crashes.worker_forgotten, 13, spares_receivers=True),
    Kind("F05", crashes.receiver_told_to_go, 3),
    Kind("F05b", crashes.receiver_told_to_go_beside_a_slow_sender, 8),
    Kind("F06", crashes.backend_killed, 2.5),
    Kind("F07", crashes.backends_terminated, 1.5),
    Kind("F08", crashes.server_stopped, 2.5),
    Kind("F09", crashes.postmaster_killed, 2.5),
    Kind("F10", crashes.server_stopped_without_workers, 4),
    Kind("F12", crashes.server_restarted, 2.5),
    Kind("F15", network.refused, 4.5),
    Kind("F16", network.torn, 2),
    Kind("F17", network.receivers_cut_off, 7.5),
    Kind("F18", network.workers_cut_off, 4.5, spares_receivers=True),
    Kind("F18b", network.workers_forgotten, 13, spares_receivers=True),
    Kind("F19", network.receiver_commits_lost, 1.5),
    Kind("F20", network.worker_commits_lost, 1.5, spares_receivers=True),
    Kind("F21", network.slow, 5.5),
    Kind("F27", network.pooled, 5, is_possible=lambda: PROGRAM is not None),
    Kind("F28", contention.read_only, 8),
    Kind("F29", streams.hung_up, 2.5, spares_receivers=True),
    Kind("F31", contention.profiles_locked, 9, spares_receivers=True),
    Kind("F32", contention.outbox_locked, 5.5),
    Kind("F33", contention.profile_locked, 6, spares_receivers=True),
    Kind("F34", contention.deadlocked, 7, spares_receivers=True, may_deadlock=True),
    Kind("F36", contention.serializable, 4.5),
    Kind("F37", contention.snapshot_held, 4.5, spares_receivers=True),
    Kind("F39", contention.connections_exhausted, 4),
    Kind("F40", disk.receivers_disk_full, 5, is_possible=disk.can_mount),
    Kind("F40b", disk.workers_disk_full, 12, spares_receivers=True, is_possible=disk.can_mount),
    Kind("F42", crashes.sync_failed, 3.5, is_possible=crashes.can_trace),
    Kind("F43", contention.receivers_cancelled, 3.5),
    Kind("F43b", contention.workers_cancelled, 4, spares_receivers=True),
    Kind("F46", streams.repeated_at_once, 1.5, spares_receivers=True),
    Kind("F47", streams.out_of_order, 2.5, spares_receivers=True),
    Kind("F48", streams.late_after_deletion, 2.5, spares_receivers=True),
    Kind("F49", streams.equal_times, 2, spares_receivers=True),
    Kind("F50", streams.replayed, 6, spares_receivers=True),
    Kind("F54", streams.burst, 5),
)


def plan(chance: random.Random, seconds: float, codes: Sequence[str] = ()) -> list[Kind]:
    """Return the kinds that fit into the time: each once in an order of its own, then again.

    At least one, however little time there is.
    """
    kinds = [kind for kind in KINDS if kind.is_possible() and (not codes or kind.code in codes)]
    assert kinds, "none of these faults can strike on this machine"
    chosen: list[Kind] = []
    for kind in chain.from_iterable(chance.sample(kinds, len(kinds)) for _ in count()):
        seconds -= kind.seconds
        if chosen and seconds < 0:
            break
        chosen.append(kind)
    return chosen
