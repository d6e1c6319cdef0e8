"""Rows of lookups to the last value: one user."""

from dataclasses import asdict

import pytest

from consumer.lookup import listing, one_user
from consumer.lookup.one_user import KnownMembership, NewestEdit, StoredCounts
from consumer.postgres.connections import Connection
from tests.support.databases import change
from tests.support.factories import NOON
from tests.support.lookup_rows import FOUR, INTO, MIRROR, ONE, THREE, TWO, at
from tests.support.shown import known_user

pytest_plugins = ["tests.support.lookup_rows"]


async def test_of_an_unknown_user_nothing_but_the_id_is_known(viewer: Connection) -> None:
    assert await one_user.find(viewer, ONE) == known_user(user_id=ONE)


async def test_a_mirror_without_a_profile_is_known_by_its_own_values(emptied: str, viewer: Connection) -> None:
    change(
        emptied,
        f"INSERT INTO identity.companies (id, deleted_at) VALUES ('{TWO}', NULL), ('{THREE}', '{NOON}');"
        f"{MIRROR}(stack_user_id, company_id, source_role, source_department, source_company_id, is_anonymous, "
        "is_erased, sync_version, deleted_at, occurred_at, message_id, version) VALUES "
        f"('{ONE}', '{TWO}', 'r', 'd', '{THREE}', TRUE, TRUE, 7, '{at(1)}', '{NOON}', 'm', 'v');"
        f"{INTO}(1, 'app', 'm', 'user.signed_in', '{ONE}', NULL, '{NOON}', ''),"
        f"(2, 'stack', 'm', 'user.updated', '{ONE}', NULL, '{at(1)}', ''),"
        f"(3, 'stack', 'n', 'user.updated', '{ONE}', NULL, '{NOON}', ''),"
        f"(4, 'backfill', 'm', 'user.updated', '{TWO}', NULL, '{NOON}', '')",
    )

    found = await one_user.find(viewer, ONE)

    assert found.company_name != "Unnamed team"
    assert asdict(found) | {"company_name": None} == asdict(
        known_user(
            user_id=ONE,
            is_known=True,
            company_id=TWO,
            deleted_at=at(1),
            is_anonymous=True,
            is_erased=True,
            source_role="r",
            source_department="d",
            source_company_id=THREE,
            sync_version=7,
            snapshot_at=NOON,
            snapshot_seq=1,
            snapshot_source="app",
            snapshot_type="user.signed_in",
        )
    )


async def test_a_profile_comes_before_its_mirror(emptied: str, viewer: Connection) -> None:
    change(
        emptied,
        f"INSERT INTO identity.companies (id) VALUES ('{TWO}'), ('{THREE}');"
        f"{MIRROR}(stack_user_id, company_id, source_company_id, deleted_at) "
        f"VALUES ('{ONE}', '{THREE}', '{THREE}', '{at(3)}');"
        "INSERT INTO identity.profiles (user_id, company_id, full_name, role_type, department, is_restricted, "
        "created_at, updated_at, deleted_at, email_verified) VALUES "
        f"('{ONE}', '{TWO}', 'Ada', 'r', 'd', TRUE, '{at(1)}', '{at(2)}', '{at(4)}', FALSE);"
        f"INSERT INTO consumer.rebuild (stage, id) VALUES (2, '{TWO}')",
    )

    found = await one_user.find(viewer, ONE)

    assert (found.is_known, found.has_profile, found.is_restricted, found.email_verified) == (True, True, True, False)
    assert (found.company_id, found.deleted_at, found.created_at, found.updated_at) == (TWO, at(4), at(1), at(2))
    assert (found.role_type, found.department, found.is_source_company_active) == ("r", "d", True)
    assert (found.is_rebuild_queued, found.is_unlisted, found.scanned_at, found.snapshot_seq) == (
        False,
        False,
        None,
        None,
    )


async def test_the_newest_complete_scan_tells_who_is_unlisted(emptied: str, viewer: Connection) -> None:
    runs = "INSERT INTO consumer.runs (id, kind, project_id, stage, begun_at, finished_at) VALUES "
    change(
        emptied,
        f"{runs}('{ONE}', 'backfill', 'p', 'members', '{at(1)}', '{at(9)}'), "
        f"('{TWO}', 'backfill', 'p', 'members', '{at(2)}', '{at(3)}'), "
        f"('{THREE}', 'reconcile', 'p', 'members', '{at(3)}', NULL); "
        "INSERT INTO consumer.suspects (run_id, kind, user_id, team_id) VALUES "
        f"('{TWO}', 'undeleted_user', '{ONE}', NULL), ('{TWO}', 'extra_membership', '{TWO}', '{ONE}'), "
        f"('{ONE}', 'undeleted_user', '{TWO}', NULL), ('{TWO}', 'revived_user', '{THREE}', NULL)",
    )

    found = [await one_user.find(viewer, each) for each in (ONE, TWO, THREE)]

    assert {each.scanned_at for each in found} == {at(2)}
    assert [each.is_unlisted for each in found] == [True, False, False]


async def test_edits_have_their_time_and_whether_their_company_is_active(emptied: str, viewer: Connection) -> None:
    change(
        emptied,
        f"INSERT INTO identity.companies (id, deleted_at) VALUES ('{TWO}', NULL), ('{THREE}', '{NOON}');"
        f"{INTO}(1, 'app', 'm', 'profile.edited', '{ONE}', NULL, '{NOON}', '');"
        "INSERT INTO consumer.edits (user_id, field, value, version, seq) VALUES "
        f"('{ONE}', 'role_type', '{TWO}', 'v', 1), ('{ONE}', 'department', NULL, 'v', 9), "
        f"('{ONE}', 'company_id', '{TWO}', 'v', 1), ('{TWO}', 'company_id', '{THREE}', 'v', 1), "
        f"('{THREE}', 'company_id', '{FOUR}', 'v', 1)",
    )

    found = {each: await one_user.edits(viewer, each) for each in (ONE, TWO, THREE)}

    assert list(found[ONE].values()) == [
        NewestEdit("company_id", str(TWO), 1, NOON, True),
        NewestEdit("department", None, 9, None, False),
        NewestEdit("role_type", str(TWO), 1, NOON, False),
    ]
    assert [found[each]["company_id"].is_company_active for each in (TWO, THREE)] == [False, False]


async def test_memberships_are_shown_with_their_companies_up_to_a_limit(
    emptied: str, viewer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_user, "MEMBERSHIPS_MAX", 2)
    members = "INSERT INTO identity.company_members (company_id, user_id, joined_at, removed_at, permissions) VALUES "
    change(
        emptied,
        "INSERT INTO identity.companies (id, deleted_at) "
        f"VALUES ('{TWO}', NULL), ('{THREE}', '{at(5)}'), ('{FOUR}', NULL);"
        f"{members}('{TWO}', '{ONE}', NULL, NULL, '{{a,b}}'), ('{THREE}', '{ONE}', '{at(1)}', '{at(2)}', '{{}}'), "
        f"('{THREE}', '{TWO}', '{at(1)}', NULL, '{{}}')",
    )
    two = await one_user.memberships(viewer, ONE)
    change(emptied, f"{members}('{FOUR}', '{ONE}', '{at(1)}', NULL, '{{}}')")
    three = await one_user.memberships(viewer, ONE)

    assert list(two) == [
        KnownMembership(TWO, two[0].company_name, None, None, None, ["a", "b"]),
        KnownMembership(THREE, two[1].company_name, at(5), at(1), at(2), []),
    ]
    assert all(each.company_name for each in two)
    assert ([each.company_id for each in three], two.is_more, three.is_more) == ([FOUR, TWO], False, True)


@pytest.mark.parametrize("about_max", [5_000, 0], ids=["few", "many"])
async def test_what_waits_of_a_user_is_counted_by_state(
    emptied: str, viewer: Connection, monkeypatch: pytest.MonkeyPatch, about_max: int
) -> None:
    monkeypatch.setattr(listing, "ABOUT_MAX", about_max)
    rows = ", ".join(
        f"({n}, 'stack', 'm{n}', 'x', '{ONE if n < 8 else TWO}', NULL, '{NOON}', '')" for n in range(1, 10)
    )
    change(
        emptied,
        f"{INTO}{rows}; UPDATE consumer.outbox SET received_at = '{NOON}'::timestamptz + seq * interval '1 hour';"
        "INSERT INTO consumer.pending (seq) VALUES (1), (2), (3), (8);"
        "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) VALUES "
        "(4, 'retrying', 1, now(), 'c', 'e'), (5, 'retrying', 1, now(), 'c', 'e'), (6, 'dead', 1, NULL, 'c', 'e'), "
        "(9, 'dead', 1, NULL, 'c', 'e');"
        "INSERT INTO consumer.outcomes (seq, outcome) VALUES (7, 'applied')",
    )

    found = await one_user.counts(viewer, ONE)

    if about_max:
        assert found == StoredCounts(7, 3, 2, 1, at(1), is_more=False)
    else:
        assert found == StoredCounts(0, 3, 2, 1, None, is_more=True)
        monkeypatch.setattr(one_user, "WAITING_MAX", 2)
        # Of the newest two of each queue one is another user's.
        assert (await one_user.counts(viewer, ONE)) == StoredCounts(0, 1, 0, 1, None, is_more=True)
