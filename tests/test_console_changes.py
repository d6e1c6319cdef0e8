"""Pages of an installation that is empty, of what has ended, and of a list while deliveries come."""

from http.client import HTTPResponse
from uuid import UUID

import pytest

from tests.support.cli import arrive, work
from tests.support.console import running
from tests.support.factories import membership, team_event, user_deleted, user_updated
from tests.support.told import Told, listed, told, words


def seen(world: Told, path: str) -> str:
    return words(world.desk.as_("viewer").get(path).text)


def test_a_team_s_delivery_says_whom_it_moved(emptied: str) -> None:
    with told(emptied) as world:
        gone = team_event("deleted", world.team_id)
        arrive(emptied, gone)
        while work(emptied):
            pass

        page = seen(world, f"/deliveries/{world.seq(gone)}")
        company = seen(world, f"/companies/{world.team_id}")

    assert "z•••••@example.com, updated company_id Northwind none" in page
    assert "N••• deleted" in company or "Northwind deleted" in company


def test_a_deleted_user_is_said_to_be_deleted(emptied: str) -> None:
    with told(emptied) as world:
        arrive(emptied, user_deleted(world.user_id))
        work(emptied)

        assert "deleted" in seen(world, f"/users/{world.user_id}")[:400]


def test_the_name_of_a_company_with_one_member_is_masked(emptied: str) -> None:
    with told(emptied) as world:
        alone = user_updated()
        assert alone.user_id
        team_id = UUID("0b7d5e9a-9d3b-4a57-8c21-6f1c2f0e4f10")
        lonely = team_event("created", team_id, display_name="Zaphod Canary")
        arrive(emptied, alone, lonely, membership("created", team_id, alone.user_id))
        work(emptied)

        assert "Z••• C••• active" in seen(world, f"/companies/{team_id}")


def test_an_empty_list_says_where_deliveries_come_in(emptied: str) -> None:
    with running(emptied) as desk:
        seen = words(desk.as_("viewer").get("/deliveries").text)

    assert "No delivery has come yet" in seen
    assert "Point Stack at http://127.0.0.1:8000/webhooks/stack" in seen


def test_newer_deliveries_are_announced_and_not_pushed_in(emptied: str) -> None:
    with running(emptied) as desk:
        viewer = desk.as_("viewer")
        arrive(emptied, user_updated())
        page = viewer.get("/deliveries")
        [newest] = listed(page.text)
        older = viewer.get(f"/deliveries?before={newest + 1}")
        assert f'hx-sse:connect="/live?page=deliveries&amp;after={newest}"' in page.text
        with viewer.open("GET", f"/live?page=deliveries&after={newest}", "", {}) as stream:
            before = frame(stream) + frame(stream)
            arrive(emptied, user_updated())
            after = next(text for text in iter(lambda: frame(stream), "") if "Newer" in text)

    assert "#newer" not in before
    assert after.startswith('data: <hx-partial hx-target="#newer"')
    assert '<a href="">Newer deliveries have come. Show them</a>' in after
    assert 'hx-sse:connect="/live"' in older.text


def frame(stream: HTTPResponse) -> str:
    """Return the next event of a stream."""
    lines: list[str] = []
    while (line := stream.readline().decode()) not in {"\n", ""}:
        lines.append(line)
    return "".join(lines)


@pytest.mark.parametrize("query", ["", "?by=event", "?by=each"])
def test_nothing_dead_is_said_plainly(emptied: str, query: str) -> None:
    with running(emptied) as desk:
        assert "No delivery is dead." in words(desk.as_("viewer").get(f"/dead{query}").text)
