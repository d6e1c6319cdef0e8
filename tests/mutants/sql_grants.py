"""Bugs in who may do what: the role or the verb of a grant or policy, a definer's rights, an owner."""

import re
from collections.abc import Iterator
from itertools import pairwise

from tests.mutants.sql_tokens import Statement

Change = tuple[int, int, str, str]
ROLE = re.compile(r"consumer_(receiver|worker|operator|viewer|app|tenant|definer|masker)")
# The role that somebody would most easily write instead.
OTHER_ROLE = {
    "receiver": "worker",
    "worker": "operator",
    "operator": "worker",
    "viewer": "app",
    "app": "tenant",
    "tenant": "app",
    "definer": "tenant",
    "masker": "viewer",
}
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def grants(statement: Statement) -> Iterator[Change]:
    """Yield the changes of a statement that gives or takes rights."""
    tokens, words = statement.tokens, statement.words
    whole = (tokens[0].start, tokens[-1].end)
    if statement.begins("GRANT", "CREATE POLICY"):
        yield from _roles(statement)
    if statement.begins("GRANT", "REVOKE"):
        yield (*whole, "", "grant")
        yield from _verbs(statement)
    elif statement.begins("CREATE POLICY"):
        yield (*whole, "", "grant")
    elif "OWNER" in words and statement.begins("ALTER"):
        yield (*whole, "", "owner")
    for place, pair in enumerate(pairwise(words)):
        yield from _pair(statement, place, pair)


def _pair(statement: Statement, place: int, pair: tuple[str, str]) -> Iterator[Change]:
    """Yield the changes of two words that stand side by side."""
    first, second = statement.tokens[place], statement.tokens[place + 1]
    if pair == ("SECURITY", "DEFINER"):
        yield second.start, second.end, "INVOKER", "definer"
    elif pair == ("ENABLE", "ROW"):
        yield first.start, first.end, "DISABLE", "row level security"
    elif pair == ("FORCE", "ROW") and statement.words[place - 1] != "NO":
        yield first.start, first.end, "NO FORCE", "row level security"
    elif pair[0] == "FOR" and pair[1] in VERBS and statement.begins("CREATE POLICY"):
        yield first.start, second.end, "", "grant"


def _roles(statement: Statement) -> Iterator[Change]:
    places = [place for place, token in enumerate(statement.tokens) if ROLE.fullmatch(token.text)]
    present = {statement.tokens[place].text for place in places}
    for place in places:
        token = statement.tokens[place]
        other = f"consumer_{OTHER_ROLE[token.text.removeprefix('consumer_')]}"
        if other not in present:
            yield token.start, token.end, other, "role"
            yield token.start, token.end, f"{token.text}, {other}", "role"
    for place, following in zip(places[1:], places, strict=False):
        yield statement.tokens[following].end, statement.tokens[place].end, "", "role"


def _verbs(statement: Statement) -> Iterator[Change]:
    """Drop one verb of several, and add one that a whole table's grant lacks."""
    tokens, words = statement.tokens, statement.words
    ends = [place for place in range(len(words)) if words[place] == "ON" and tokens[place].bracket == 0]
    if not ends or words[1] not in VERBS:
        return
    present = [place for place in range(ends[0]) if words[place] in VERBS and tokens[place].bracket == 0]
    for place, following in zip(present, [*present[1:], ends[0]], strict=True):
        is_last = following == ends[0]
        if not is_last:
            yield tokens[place].start, tokens[following].start, "", "verb"
        elif len(present) > 1:
            yield tokens[present[-2]].end, tokens[following - 1].end, "", "verb"
    if words[1] not in ("EXECUTE", "USAGE", "CREATE") and statement.begins("GRANT"):
        for verb in VERBS:
            if verb not in words[: ends[0]]:
                yield tokens[ends[0] - 1].end, tokens[ends[0] - 1].end, f", {verb}", "verb"
