"""A list that ends at a limit says so, at the console and in a terminal, and begins with what matters most."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from consumer.cli import delivery as delivery_command
from consumer.console import dead, recovery, system
from consumer.console import delivery as delivery_page
from consumer.lookup import one_user
from consumer.outbox.storage import Delivery
from consumer.postgres.first_rows import FirstRows
from consumer.postgres.queries import query
from tests.support.cli import arrive, call, facts, work
from tests.support.console import Desk, running
from tests.support.console_pages import words
from tests.support.databases import change, rows
from tests.support.dead import dead_at_the_door
from tests.support.factories import membership, team_event, user_updated
from tests.support.lookups import EMAIL, canary, printed

AND_MORE = "The first 1, and more"


@pytest.fixture
def desk(emptied: str) -> Iterator[Desk]:
    with running(emptied) as desk:
        yield desk.as_("viewer")


def seen(desk: Desk, path: str) -> str:
    page = desk.get(path)
    assert page.status == 200
    return words(page.text)


def applied(url: str, *deliveries: Delivery) -> None:
    arrive(url, *deliveries)
    while work(url):
        pass


def in_two_teams(url: str) -> tuple[UUID, Delivery]:
    """Store a user with two memberships; return the user and the delivery that made the newer one."""
    user, teams = user_updated(), (uuid4(), uuid4())
    assert user.user_id
    older, newer = (membership("created", team_id, user.user_id) for team_id in teams)
    applied(url, *(team_event("created", team_id) for team_id in teams), user)
    applied(url, older)
    applied(url, newer)
    return user.user_id, newer


def team_with_two_users(url: str) -> int:
    """Return the number of a delivery that changed two profiles."""
    team_id = uuid4()
    users = [user_updated() for _ in range(2)]
    applied(url, team_event("created", team_id), *users)
    applied(url, *(membership("created", team_id, each.user_id or uuid4()) for each in users))
    ended = team_event("deleted", team_id)
    applied(url, ended)
    [found] = rows(url, f"SELECT seq FROM consumer.outbox WHERE message_id = '{ended.message_id}'")
    return int(found["seq"])


@pytest.mark.parametrize(("size", "is_more"), [(0, False), (3, False), (4, True)])
def test_a_list_tells_of_more_only_if_there_are_more(size: int, is_more: bool) -> None:
    found = FirstRows.of(range(size), 3)

    assert (found, found.is_more) == (list(range(min(size, 3))), is_more)
    assert found.made_into("abc").is_more is is_more
    assert found.remark("there") == ("The first 3, and more: there." if is_more else "")


def test_what_a_delivery_changed_ends_with_a_word(emptied: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    seq = team_with_two_users(emptied)
    whole = seen(desk, f"/deliveries/{seq}")
    monkeypatch.setattr(delivery_page, "CHANGES_MAX", 1)

    page = seen(desk, f"/deliveries/{seq}")
    text = printed(call(emptied, "deliveries", "show", str(seq), "--limit", "1"))
    rest = facts(emptied, "deliveries", "show", str(seq), "--limit", "2")["deliveries"][0]

    assert "and more" not in whole
    assert f"{AND_MORE}: consumer deliveries show {seq} --limit 1000." in page
    assert f"{AND_MORE}: choose a higher --limit." in " ".join(text.split())
    assert (len(rest["changes"]), rest["has_more_changes"]) == (2, False)
    assert facts(emptied, "deliveries", "show", str(seq), "--limit", "1")["deliveries"][0]["has_more_changes"]
    assert (delivery_command.CHANGES, delivery_command.CHANGES_MAX) == (20, 1_000)


def test_the_teams_of_a_user_end_with_a_word(emptied: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    user_id, _ = in_two_teams(emptied)
    whole = seen(desk, f"/users/{user_id}")
    monkeypatch.setattr(one_user, "MEMBERSHIPS_MAX", 1)

    page = seen(desk, f"/users/{user_id}")
    text = " ".join(printed(call(emptied, "user", str(user_id))).split())

    assert "and more" not in whole
    assert f"{AND_MORE}: consumer export {user_id} has all." in page
    assert f"{AND_MORE}: `consumer export {user_id}` has all." in text
    assert facts(emptied, "user", str(user_id))["has_more_memberships"]


def test_a_membership_that_was_not_read_is_not_judged(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, newer = in_two_teams(emptied)
    monkeypatch.setattr(one_user, "MEMBERSHIPS_MAX", 1)

    [found] = facts(emptied, "deliveries", "show", newer.message_id)["deliveries"]

    assert found["unfollowed"] == []


def test_changes_beside_a_timeline_that_are_left_out_are_told_of(
    emptied: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, _ = in_two_teams(emptied)
    monkeypatch.setattr(one_user, "CHANGES_MAX", 1)

    page = seen(desk, f"/users/{user_id}")
    text = " ".join(printed(call(emptied, "user", str(user_id))).split())

    assert "Not all changes are shown: each delivery has its own page." in page
    assert "Not all changes are shown: choose a lower --limit" in text
    assert facts(emptied, "user", str(user_id))["has_more_changes"]


def test_users_of_one_address_that_are_left_out_are_warned_of(
    emptied: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(emptied, *(canary() for _ in range(3)))
    monkeypatch.setattr(one_user, "SAME_EMAIL_MAX", 2)

    found = words(desk.post("/find", {"q": EMAIL}).text)

    assert "The first 2, and more." in found
    assert "Over 2 users have this e-mail address" in call(emptied, "user", EMAIL).stderr
    assert "Warning: over 2 users have this e-mail address" in call(emptied, "deliveries", "--email", EMAIL).stderr


def test_dead_letters_of_the_command_line_end_with_a_word(emptied: str) -> None:
    arrive(emptied, dead_at_the_door("one"), dead_at_the_door("other")._replace(event_type="team.created"))

    for arguments in (["dead", "list"], ["dead", "list", "--each"]):
        whole, cut = (call(emptied, *arguments, "--limit", limit).stdout for limit in ("2", "1"))

        assert "and more" not in whole
        assert f"{AND_MORE}: choose a higher --limit." in cut
        assert facts(emptied, *arguments, "--limit", "1")["is_more"]


def test_the_types_of_a_group_of_dead_letters_end_with_a_word(
    emptied: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(emptied, dead_at_the_door("one"), dead_at_the_door("other")._replace(event_type="team.created"))
    whole = seen(desk, "/dead")
    monkeypatch.setattr(dead, "NAMED", 1)

    assert "and more" not in whole
    assert "team.created and more." in seen(desk, "/dead")


def test_runs_homes_and_tables_end_with_a_word(emptied: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        change(
            emptied,
            "INSERT INTO consumer.runs (id, kind, project_id, stage, finished_at) "
            f"VALUES ('{uuid4()}', 'reconcile', 'p', 'members', now())",
        )
    whole = seen(desk, "/recovery")
    monkeypatch.setattr(recovery, "LISTED", 1)
    monkeypatch.setattr(system, "TABLES", 1)

    assert "and more" not in whole
    assert AND_MORE in seen(desk, "/recovery")
    assert f"{AND_MORE}: these are smaller." in seen(desk, "/system")


def test_the_largest_tables_come_first(emptied: str) -> None:
    with psycopg.connect(emptied) as conn:
        found = conn.execute(query("system/sizes"), {"size": 5}).fetchall()
        largest = conn.execute(
            "SELECT max(pg_total_relation_size(c.oid)) FROM pg_class AS c "
            "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE n.nspname IN ('consumer', 'identity') AND c.relkind = 'r'"
        ).fetchall()

    sizes = [size for _, size, _ in found]
    assert [(sizes[0],)] == largest
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]
