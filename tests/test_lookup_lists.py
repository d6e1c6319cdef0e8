"""Rows of lookups to the last value: changes, ids by their first digits, labels, and one company."""

from uuid import UUID

import pytest

from consumer.lookup import audit, id_prefixes, labels, one_company, one_user
from consumer.lookup.id_prefixes import IdRange
from consumer.lookup.one_user import FieldChange
from consumer.postgres.connections import Connection
from tests.support.databases import change
from tests.support.lookup_rows import FOUR, INTO, MIRROR, ONE, THREE, TWO, at

pytest_plugins = ["tests.support.lookup_rows"]


AUDIT = (
    "INSERT INTO identity.profile_audit (id, at, user_id, operation, changed_fields, source, message_id, seq) "
    "OVERRIDING SYSTEM VALUE VALUES "
)


def audit_row(number: int, user_id: UUID, fields: str, seq: int) -> str:
    return f"({number}, '{at(number)}', '{user_id}', 'update', '{{{fields}}}', 'stack', 'm{number}', {seq})"


async def test_the_last_change_of_each_field_is_that_of_the_newest_row(
    emptied: str, viewer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [(1, ONE, "email,name", 11), (2, ONE, "name", 10), (3, TWO, "email", 12), (4, ONE, "role", 13)]
    change(emptied, AUDIT + ", ".join(audit_row(*each) for each in listed))

    found = await one_user.field_changes(viewer, ONE)
    monkeypatch.setattr(one_user, "AUDIT_ROWS_MAX", 2)
    few = await one_user.field_changes(viewer, ONE)

    assert found == {
        "email": FieldChange("email", at(1), "update", "stack", "m1", 11),
        "name": FieldChange("name", at(2), "update", "stack", "m2", 10),
        "role": FieldChange("role", at(4), "update", "stack", "m4", 13),
    }
    assert set(few) == {"name", "role"}


async def test_the_audit_of_a_delivery_and_of_a_user_between_two_numbers(emptied: str, viewer: Connection) -> None:
    listed = [(1, ONE, "a", 10), (2, TWO, "a", 10), (3, ONE, "a", 11), (4, ONE, "a", 12), (5, ONE, "a", 9)]
    change(emptied, AUDIT + ", ".join(audit_row(*each) for each in listed))

    of_delivery = await audit.of_delivery(viewer, 10, size=2)
    first = await audit.of_delivery(viewer, 10, size=1)
    of_user = await audit.of_user(viewer, ONE, (10, 12), size=2)
    newest = await audit.of_user(viewer, ONE, (0, 99), size=3)

    assert ([each.id for each in of_delivery], of_delivery.is_more, len(first), first.is_more) == (
        [1, 2],
        False,
        1,
        True,
    )
    assert ([each.id for each in of_user], of_user.is_more) == ([3, 1], False)
    assert ([each.id for each in newest], newest.is_more) == ([5, 4, 3], True)
    assert (of_user[0].at, of_user[0].operation, of_user[0].message_id, of_user[0].seq) == (at(3), "update", "m3", 11)


WITHIN = IdRange(ONE, FOUR)


async def test_ids_between_two_are_found_once_in_the_log_or_the_tables(
    emptied: str, viewer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = [UUID(int=ONE.int - 1), UUID(int=FOUR.int + 1)]
    logged = [ONE, ONE, FOUR, FOUR, THREE, *outside]
    change(
        emptied,
        INTO
        + ", ".join(f"({n}, 'stack', 'm{n}', 'x', '{one}', '{one}', now(), '')" for n, one in enumerate(logged, 1)),
    )
    for known in (TWO, FOUR, *outside):
        change(emptied, f"INSERT INTO identity.companies (id) VALUES ('{known}')")
        change(emptied, f"{MIRROR}(stack_user_id) VALUES ('{known}')")

    for find in (id_prefixes.users, id_prefixes.teams):
        monkeypatch.setattr(id_prefixes, "LISTED_MAX", 20)
        everything = await find(viewer, WITHIN)
        assert (list(everything), everything.is_more) == ([ONE, TWO, THREE, FOUR], False)
        assert list(await find(viewer, IdRange(THREE, THREE))) == [THREE]
        for size in (1, 2, 3):
            monkeypatch.setattr(id_prefixes, "LISTED_MAX", size)
            some = await find(viewer, WITHIN)
            assert (list(some), some.is_more) == ([ONE, TWO, THREE, FOUR][:size], True)


async def test_labels_name_only_what_is_known(emptied: str, viewer: Connection) -> None:
    change(
        emptied,
        f"INSERT INTO identity.companies (id, name) VALUES ('{ONE}', 'Crew'), ('{TWO}', 'Other'); {MIRROR}"
        f"(stack_user_id, stack_primary_email) VALUES ('{ONE}', 'ada@example.com'), ('{TWO}', NULL), "
        f"('{THREE}', 'bob@example.com'); {INTO}(1, 'stack', 'm', 'x', '{THREE}', '{FOUR}', now(), '')",
    )

    assert set(await labels.emails(viewer, [ONE, TWO, None])) == {ONE}
    assert set(await labels.company_names(viewer, [ONE, FOUR, None])) == {ONE}
    assert [await labels.emails(viewer, [None]), await labels.company_names(viewer, [])] == [{}, {}]
    assert [await labels.is_team(viewer, each) for each in (ONE, FOUR, THREE)] == [True, True, False]


async def test_a_company_counts_its_people_up_to_a_limit(
    emptied: str, viewer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = "INSERT INTO identity.company_members (company_id, user_id, is_guest, removed_at) VALUES "
    profile = "INSERT INTO identity.profiles (user_id, company_id, full_name, role_type, department) VALUES "
    change(
        emptied,
        f"INSERT INTO identity.companies (id) VALUES ('{ONE}'), ('{TWO}');"
        f"{members}('{ONE}', '{ONE}', FALSE, NULL), ('{ONE}', '{TWO}', TRUE, NULL), ('{ONE}', '{THREE}', TRUE, NULL), "
        f"('{ONE}', '{FOUR}', FALSE, now()), ('{TWO}', '{ONE}', TRUE, NULL);"
        f"{profile}('{ONE}', '{ONE}', 'A', 'r', 'd'), ('{TWO}', '{TWO}', 'B', 'r', 'd');"
        f"INSERT INTO consumer.rebuild (stage, id) VALUES (1, '{ONE}');"
        "INSERT INTO consumer.rehome (company_id, next_user_id, last_user_id, seq) "
        f"VALUES ('{TWO}', '{ONE}', '{ONE}', 1)",
    )

    found = {each: await one_company.find(viewer, each) for each in (ONE, TWO)}
    listed = await one_company.members(viewer, ONE, size=2)
    rest = await one_company.members(viewer, ONE, size=9, after=TWO)
    monkeypatch.setattr(one_company, "COUNTED_MAX", 1)
    limited = await one_company.find(viewer, ONE)

    one, two = found[ONE], found[TWO]
    assert one
    assert two
    assert limited
    assert [(each.members, each.guests, each.at_home) for each in (one, two, limited)] == [
        (3, 2, 1),
        (1, 1, 1),
        (1, 1, 1),
    ]
    assert [(each.is_rebuild_queued, each.is_rehome_queued) for each in (one, two)] == [(True, False), (False, True)]
    assert [(each.user_id, each.is_guest, each.role_type) for each in listed] == [(ONE, False, "r"), (TWO, True, "r")]
    assert (listed.is_more, [each.user_id for each in rest], rest.is_more) == (True, [THREE], False)
