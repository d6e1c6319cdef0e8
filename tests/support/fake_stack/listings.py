"""What Stack's lists hold, in which order, and where their cursors point."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from tests.support.fake_stack.answers import Refused
from tests.support.fake_stack.project import Project
from tests.support.fake_stack.queries import Query
from tests.support.fake_stack.shapes import Age, restriction, team_shape, user_shape
from tests.support.fake_stack.state import Groups, State
from tests.support.fake_stack.versions import Record

Listing = dict[str, Any]
Place = Callable[[Record], tuple[Any, ...]]

# New servers refuse to return more users than that without a limit.
UNLIMITED_MAX = 1000


def users(project: Project, state: State, age: Age, query: Query) -> Listing:
    """List users; without flags the anonymous and the restricted are left out."""
    if query.get("only_anonymous") and not query.get("include_anonymous"):
        raise Refused(400)
    order = f"{query.get('order_by', 'signed_up_at')}_millis"

    def place(user: Record) -> tuple[Any, ...]:
        return user[order], user["id"]

    def is_listed(user: Record) -> bool:
        return _is_listed(user, project, state, query)

    rows, cursor = _page(
        _in_order(state, order, state.users, place), place, query, is_listed, is_inclusive=age != "new"
    )
    if "limit" not in query and age == "new" and len(rows) > UNLIMITED_MAX:
        raise Refused(400)
    items = [user_shape(user, state.teams, project.requires_verified_email, age) for user in rows]
    return {"items": items, "is_paginated": True, "pagination": {"next_cursor": cursor}}


def teams(state: State, query: Query) -> Listing:
    """List teams, paged only if the query has a limit. Teams of one millisecond are in any order."""
    if "cursor" in query and "limit" not in query:
        raise Refused("SCHEMA_ERROR", message="cursor needs limit")
    text = query.get("query", "").lower()

    def place(team: Record) -> tuple[Any, ...]:
        return (team["created_at_millis"],)

    def is_listed(team: Record) -> bool:
        is_of_user = "user_id" not in query or (team["id"], query["user_id"]) in state.members
        return is_of_user and text in str(team["display_name"]).lower()

    rows, cursor = _page(_in_order(state, "teams", state.teams, place), place, query, is_listed, is_inclusive=False)
    items = [team_shape(team) for team in rows]
    if "limit" not in query:
        return {"items": items, "is_paginated": False}
    return {"items": items, "is_paginated": True, "pagination": {"next_cursor": cursor}}


def member_profiles(project: Project, state: State, age: Age, query: Query) -> Listing:
    """List members with their users, hidden ones too; all of the project's without a filter."""
    if "team_id" in query and query["team_id"] not in state.teams:
        raise Refused("TEAM_NOT_FOUND", team_id=query["team_id"])
    if "user_id" in query and query["user_id"] not in state.users:
        raise Refused("USER_NOT_FOUND")
    # A replica may still know a member whose user it knows to be gone.
    keys = [
        key for key in _matching(state.members, state.members_of, query, "team_id", "user_id") if key[1] in state.users
    ]
    return {"items": [member_profile(project, state, age, key) for key in keys], "is_paginated": False}


def member_profile(project: Project, state: State, age: Age, key: tuple[str, ...]) -> dict[str, object]:
    """Return one member with the whole user."""
    team_id, user_id = key
    user = user_shape(state.users[user_id], state.teams, project.requires_verified_email, age)
    return {"team_id": team_id, "user_id": user_id, **state.members[key], "user": user}


def team_permissions(project: Project, state: State, query: Query) -> Listing:
    """List what members may do in teams."""
    names = ("team_id", "user_id", "id")
    keys = _matching(state.team_permissions, state.team_permissions_of, query, "team_id", "user_id")
    return _permissions(project, keys, names, query)


def project_permissions(project: Project, state: State, query: Query) -> Listing:
    """List what users may do in the project."""
    keys = [key for key in state.project_permissions if query.get("user_id") in {None, key[0]}]
    return _permissions(project, keys, ("user_id", "id"), query)


def _is_listed(user: Record, project: Project, state: State, query: Query) -> bool:
    reason = restriction(user, project.requires_verified_email)
    if user["is_anonymous"]:
        is_shown = query.get("include_anonymous", False)
    else:
        is_shown = query.get("include_anonymous") or query.get("include_restricted") or reason is None
    if not is_shown or (query.get("only_anonymous") and not user["is_anonymous"]):
        return False
    if "team_id" in query and (query["team_id"], user["id"]) not in state.members:
        return False
    channels: Iterable[Any] = user["contact_channels"]  # type: ignore[assignment]  # A record's values are objects.
    texts = [user["display_name"], user["primary_email"], *channels]
    text = query.get("query", "").lower()
    return text in {"", user["id"]} or any(text in str(each).lower() for each in texts if each)


def _in_order(state: State, order: str, records: Mapping[str, Record], place: Place) -> Sequence[Record]:
    if order not in state.sorted:
        state.sorted[order] = sorted(records.values(), key=place)
    return state.sorted[order]


def _page(
    rows: Sequence[Record], place: Place, query: Query, is_listed: Callable[[Record], bool], *, is_inclusive: bool
) -> tuple[Sequence[Record], object]:
    """Return a page and its next cursor. Old servers name the next page's first row, new ones this page's last.

    A cursor's row that is gone leaves nothing, and says that nothing follows; one that moved leads to its new place.
    """
    is_down, cursor = query.get("desc", False), query.get("cursor")
    if cursor is not None:
        row = next((row for row in rows if row["id"] == cursor), None)
        if row is None:
            return [], None
        first, behind = bisect_left(rows, place(row), key=place), bisect_right(rows, place(row), key=place)
        rows = rows[:behind] if is_down else rows[first:]
    found = reversed(rows) if is_down else iter(rows)
    if cursor is not None and not is_inclusive:
        # Up to the cursor's row, among rows of the same place.
        next(row for row in found if row["id"] == cursor)
    size = query.get("limit")
    page = list(islice(filter(is_listed, found), None if size is None else size + 1))
    if size is None or len(page) <= size:
        return page, None
    return page[:size], page[size if is_inclusive else size - 1]["id"]


def _matching(
    kept: Mapping[tuple[str, ...], Record], groups: Groups, query: Query, *names: str
) -> Sequence[tuple[str, ...]]:
    """Return the keys whose parts the query names; the first of them leads to its group."""
    among = groups.get(query[names[0]], {}) if names[0] in query else kept
    wanted = [(place, query[name]) for place, name in enumerate(names) if name in query]
    return [key for key in among if all(key[place] == value for place, value in wanted)]


def _permissions(project: Project, keys: Iterable[tuple[str, ...]], names: tuple[str, ...], query: Query) -> Listing:
    """List the direct permissions that are still defined, or all that they contain."""
    found = {key for key in keys if key[-1] in project.definitions or key[-1].startswith("$")}
    if query.get("recursive"):
        found |= {(*key[:-1], each) for key in found for each in _contained(project, key[-1])}
    wanted = query.get("permission_id")
    items = [dict(zip(names, key, strict=True)) for key in sorted(found) if wanted in {None, key[-1]}]
    return {"items": items, "is_paginated": False}


def _contained(project: Project, permission: str) -> set[str]:
    inner = set(project.definitions.get(permission, ()))
    return inner.union(*(_contained(project, each) for each in inner))
