"""What was true at which moment, so that a replica may lag."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

K = TypeVar("K", str, tuple[str, ...])

Record = Mapping[str, object]


@dataclass(frozen=True)
class Replica:
    """A copy of the database that lags, some ids more than others."""

    lag: timedelta = timedelta()
    lag_of: Mapping[str, timedelta] = field(default_factory=dict)

    def moment(self, now: datetime, key: str | tuple[str, ...]) -> datetime:
        """Return up to when the replica knows the changes of a key."""
        parts = (key,) if isinstance(key, str) else key
        return now - max(self.lag, *(self.lag_of.get(part, timedelta()) for part in parts))

    @property
    def is_current(self) -> bool:
        return not self.lag and not any(self.lag_of.values())


def grouped(records: Mapping[K, Record]) -> dict[str, dict[K, Record]]:
    """Return records by the first part of their keys."""
    groups: dict[str, dict[K, Record]] = {}
    for key, record in records.items():
        groups.setdefault(key[0], {})[key] = record
    return groups


class Versions(Generic[K]):
    """Records by key, each with all that it was; the keys keep the order in which they were first put."""

    def __init__(self) -> None:
        self.latest: dict[K, Record] = {}
        # By the first part of their keys: a project has as many teams as users.
        self.groups: dict[str, dict[K, Record]] = {}
        self.changes = 0
        self._history: dict[K, list[tuple[datetime, Record | None]]] = {}

    def put(self, key: K, record: Record, at: datetime) -> None:
        self.latest[key] = record
        self.groups.setdefault(key[0], {})[key] = record
        self.changes += 1
        self._history.setdefault(key, []).append((at, record))

    def drop(self, key: K, at: datetime) -> None:
        del self.latest[key], self.groups[key[0]][key]
        self.changes += 1
        self._history[key].append((at, None))

    def at(self, moment_of: Callable[[K], datetime]) -> dict[K, Record]:
        """Return what was true, for each key at a moment of its own."""
        found: dict[K, Record] = {}
        for key, changes in self._history.items():
            number = bisect_right(changes, moment_of(key), key=lambda change: change[0])
            record = changes[number - 1][1] if number else None
            if record is not None:
                found[key] = record
        return found
