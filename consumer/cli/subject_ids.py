"""Users and teams that a command line names by an id or its first digits."""

from typing import Any
from uuid import UUID

import click

from consumer.lookup.id_prefixes import DIGITS_MIN, IdRange, id_range
from consumer.postgres.first_rows import FirstRows

BEGINNING = "an id that begins like this"


class SubjectId(click.ParamType[UUID | IdRange]):
    """An id, or the ids that begin with some digits."""

    name = "uuid"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> UUID | IdRange:
        """Refuse what is neither."""
        try:
            return UUID(value)
        except ValueError:
            return id_range(value) or self.fail(f"Name an id, or at least its first {DIGITS_MIN} digits.", param, ctx)


def the_only(found: FirstRows[UUID], kind: str, what: str) -> UUID:
    """Return the one user or team that has *what*; refuse none and several."""
    if not found:
        raise click.ClickException(f"No stored {kind} has {what}.")
    if len(found) > 1:
        number = f"Over {len(found)}" if found.is_more else len(found)
        raise click.ClickException(f"{number} {kind}s have {what}: {', '.join(map(str, found))}.")
    return found[0]
