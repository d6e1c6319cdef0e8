"""What came of an action, in sentences: one that puts back or queues is done before workers are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

# What is told in a sentence; the rest of a result by its names.
TOLD = frozenset({"put_back", "to_rebuild", "still_unusable", "queued", "users", "companies", "differing", "first"})
# How the fields of a form that chooses users and companies are recorded.
CHOICE = {"user": "user_id", "team": "team_id", "since": "since", "verified_by": "verified_by"}
# Kinds of rows that a user or a company has one of, and those that can't be made anew.
ONE_EACH = {"profile": ("profile", "profiles"), "company": ("company", "companies")}
REFUSED = "refused"


class Sentence(NamedTuple):
    """A sentence, and the page that tells more."""

    text: str
    path: str | None = None
    link: str = ""


def sentences(result: Mapping[str, Any], *, is_finished: bool) -> Sequence[Sentence]:
    """Return what a result tells."""
    found = []
    if n := result.get("put_back"):
        text = f"{n:,} put back to pending; workers apply {_them(n)}."
        found.append(Sentence(text, "/dead", "What is dead now"))
    if n := result.get("to_rebuild"):
        text = f"The users and companies of {n:,} are queued; workers make them anew."
        found.append(Sentence(text, "/recovery", "What waits"))
    if n := result.get("still_unusable"):
        found.append(Sentence(f"{n:,} still unusable, so dead."))
    if n := result.get("queued"):
        found.append(Sentence(f"{n:,} queued; workers make {_them(n)} anew.", "/recovery", "What waits"))
    if "differing" in result:
        found.append(Sentence(_compared(result, is_finished=is_finished)))
    return found


def rebuild_of(chosen: Mapping[str, Any]) -> str:
    """Return the address of the page that asks for a rebuild of what a check has compared."""
    fields = {field: chosen[name] for field, name in CHOICE.items() if chosen.get(name)}
    return f"/recovery/rebuild?{urlencode(fields)}" if fields else "/recovery/rebuild"


def _compared(result: Mapping[str, Any], *, is_finished: bool) -> str:
    users, companies = result.get("users", 0), result.get("companies", 0)
    compared = f"{_number(users, 'user', 'users')} and {_number(companies, 'company', 'companies')} compared"
    if not is_finished:
        compared += " so far"
    differing = dict(result["differing"])
    refused = differing.pop(REFUSED, 0)
    changes = ", ".join(_kind(kind, n) for kind, n in differing.items()) or "nothing"
    failing = f" {refused:,} can't be made anew: their rows are refused." if refused else ""
    return f"{compared}. A rebuild would change {changes}.{failing}"


def _kind(kind: str, n: int) -> str:
    if kind in ONE_EACH:
        return _number(n, *ONE_EACH[kind])
    return f"the {kind.replace('_', '-')} of {_number(n, 'user', 'users')}"


def _number(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _them(n: int) -> str:
    return "it" if n == 1 else "them"
