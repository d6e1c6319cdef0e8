"""What the page of an action finds of what has become of it."""

from typing import cast
from uuid import UUID

import pytest

from consumer.console import actions
from consumer.console.actions import ActionInBackground, Aftermath
from consumer.lookup import labels
from consumer.postgres.connections import Connection
from tests.test_console_results import ADA, TEAM, action

ANEW = "/recovery/rebuild"


@pytest.mark.parametrize(
    ("acted", "known"),
    [
        (action("check", {"first": str(ADA)}), Aftermath(None, str(ADA), f"/users/{ADA}", ANEW)),
        (action("check", {"first": str(TEAM)}), Aftermath(None, str(TEAM), f"/companies/{TEAM}", ANEW)),
        (action("check", {"first": None}), Aftermath(None, None, None, ANEW)),
        (action("check", {}, finished_at=None), Aftermath()),
        (action("check", {"first": str(ADA)}, finished_at=None), Aftermath(None, str(ADA), f"/users/{ADA}")),
        (action("retry", {"put_back": 2}, filter={"seqs": [7, 8]}), Aftermath(2)),
        (action("retry", {"put_back": 0}, filter={"seqs": [7, 8]}), Aftermath()),
        (action("retry", {"put_back": 2}), Aftermath()),
        (action("retry", None, filter={"seqs": [7, 8]}), Aftermath()),
    ],
    ids=lambda each: each.action if isinstance(each, ActionInBackground) else "",
)
async def test_what_has_become_of_an_action_is_found_by_what_it_names(
    acted: ActionInBackground, known: Aftermath, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_team(_: object, subject_id: UUID) -> bool:
        return subject_id == TEAM

    async def dead_now(_: object, __: object, name: str, values: dict[str, list[int]]) -> list[int]:
        assert name == "actions/dead_now"
        return [len(values["seqs"])]

    monkeypatch.setattr(labels, "is_team", is_team)
    monkeypatch.setattr(actions, "rows", dead_now)

    assert await actions._aftermath(cast("Connection", None), acted) == known
