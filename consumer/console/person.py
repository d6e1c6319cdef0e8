"""The people at the doors: their names and roles."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ConsoleRole = Literal["nobody", "viewer", "operator"]
# Each may do what those before it may.
ROLES: tuple[ConsoleRole, ...] = ("nobody", "viewer", "operator")


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person behind a request; *until*: when the cookie ends, None if a proxy names the person."""

    name: str = ""
    role: ConsoleRole = "nobody"
    until: datetime | None = None

    def may(self, role: ConsoleRole) -> bool:
        """Tell whether this person has at least that role."""
        return ROLES.index(self.role) >= ROLES.index(role)


NOBODY = Visitor()
