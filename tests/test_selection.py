"""Which deliveries a selection chooses: each condition alone, in pages and counted, of all states and of failures."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from consumer.outbox import deliveries
from consumer.outbox.deliveries import DeliveryCount, Selection
from consumer.postgres.connections import operator_access
from tests.support.databases import change, rows
from tests.support.kept import kept

ACCESS = operator_access("consumer")
ADA, BOB, CREW, OTHER = (UUID(int=n) for n in (1, 2, 9, 10))
STATES, FAILED = ("pending", "retrying", "dead", "done"), ("retrying", "dead")
BEGIN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
# Whatever became of a delivery did so an hour after it was received.
LATER = timedelta(hours=1)
LOG = f"""
    INSERT INTO consumer.outbox
        (source, message_id, event_type, user_id, team_id, verified_by, received_at, occurred_at, body)
    SELECT source, letter, event_type, user_id::uuid, team_id::uuid, verified_by, at, at, ''
    FROM (VALUES
        ('stack', 'a', 'user.updated', '{ADA}', NULL, 'k1', 0),
        ('app', 'b', 'user.signed_in', '{BOB}', NULL, 'k2', 1),
        ('operator', 'c', 'company.declared', NULL, '{CREW}', NULL, 2),
        ('stack', 'd', 'team.updated', NULL, '{CREW}', 'k1', 3),
        ('backfill', 'e', 'user.updated', '{BOB}', NULL, NULL, 4),
        ('reconcile', 'f', 'team_membership.deleted', '{ADA}', '{OTHER}', NULL, 5)
    ) AS v (source, letter, event_type, user_id, team_id, verified_by, minute)
    CROSS JOIN LATERAL (SELECT '{BEGIN}'::timestamptz + minute * interval '1 minute' AS at) AS t
    ORDER BY letter;
    INSERT INTO consumer.outcomes (seq, outcome, at)
    SELECT seq, (ARRAY['applied', 'unchanged', 'discarded'])[position(message_id IN 'abc')], received_at + '1 h'
    FROM consumer.outbox WHERE message_id IN ('a', 'b', 'c');
    INSERT INTO consumer.failures
        (seq, state, attempts, next_attempt_at, error_code, error, failed_at, source, event_type)
    SELECT
        seq, CASE message_id WHEN 'd' THEN 'retrying' ELSE 'dead' END, 1,
        CASE message_id WHEN 'd' THEN now() END, CASE message_id WHEN 'd' THEN '55P03' ELSE 'not_json' END,
        'x', received_at + '1 h', source, event_type
    FROM consumer.outbox WHERE message_id IN ('d', 'e');
    INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outbox WHERE message_id = 'f'
"""


def minute(number: int) -> datetime:
    return BEGIN + timedelta(minutes=number)


@pytest.mark.parametrize(
    ("conditions", "letters"),
    [
        ({}, "abdef"),
        ({"is_discarded": True}, "c"),
        ({"since": minute(3)}, "def"),
        ({"until": minute(3)}, "ab"),
        ({"since": minute(1), "until": minute(4)}, "bd"),
        # What waits has not changed since it arrived.
        ({"settled_until": minute(0) + LATER}, "af"),
        ({"settled_until": minute(4) + LATER}, "abdef"),
        ({"settled_until": minute(4) + LATER - timedelta(seconds=1)}, "abdf"),
        ({"source": "stack"}, "ad"),
        ({"source": "backfill"}, "e"),
        ({"source": "operator", "is_discarded": True}, "c"),
        ({"outcome": "unchanged"}, "b"),
        ({"event_type": "user.updated"}, "ae"),
        ({"event_type": "team_m*"}, "f"),
        ({"event_type": "user.u*"}, "ae"),
        ({"event_type": "*"}, "abdef"),
        ({"event_type": "user"}, ""),
        ({"user_id": BOB}, "be"),
        ({"team_id": CREW}, "d"),
        ({"error_code": "not_json"}, "e"),
        ({"verified_by": "k1"}, "ad"),
        ({"message_ids": ("a", "e", "x")}, "ae"),
        ({"message_ids": ("b", "c", "d", "f")}, "bdf"),
        ({"message_ids": ("a", "c"), "is_discarded": True}, "c"),
    ],
)
async def test_each_condition_chooses_alone(emptied: str, conditions: dict[str, Any], letters: str) -> None:
    change(emptied, LOG)
    states = {row["message_id"]: row for row in rows(emptied, "SELECT message_id, seq, state FROM consumer.deliveries")}
    by_seq = {row["seq"]: letter for letter, row in states.items()}

    async with kept(emptied, ACCESS) as conn:
        for chosen, matching in ((STATES, letters), (FAILED, [one for one in letters if one in "de"])):
            selection = Selection(states=chosen, **conditions)
            found = await deliveries.page(conn, selection, after_seq=0, page_size=10)
            counted = await deliveries.count(conn, selection)

            assert [by_seq[each.seq] for each in found] == list(matching)
            by_state = Counter({each.state: 0 for each in counted})
            for each in counted:
                by_state[each.state] += each.deliveries
            assert by_state == Counter(states[one]["state"] for one in matching)


async def test_numbers_choose_too_and_a_page_goes_on_behind_the_last(emptied: str) -> None:
    change(emptied, LOG)
    a, b, c, d, e, f = (row["seq"] for row in rows(emptied, "SELECT seq FROM consumer.outbox ORDER BY message_id"))

    async with kept(emptied, ACCESS) as conn:
        selection = Selection(states=STATES, seqs=(a, c, d, e, f))
        first = await deliveries.page(conn, selection, after_seq=0, page_size=2)
        second = await deliveries.page(conn, selection, after_seq=d, page_size=2)
        failed = Selection(states=FAILED, seqs=(b, e))
        counted = await deliveries.count(conn, failed)

    assert ([each.seq for each in first], [each.seq for each in second]) == ([a, d], [e, f])
    assert counted == [DeliveryCount("dead", "user.updated", None, 1)]


@pytest.mark.parametrize("since", [None, BEGIN - timedelta(days=1)])
async def test_the_most_come_first_within_a_state_and_a_count_ends_at_its_limit(
    emptied: str, since: datetime | None
) -> None:
    """Without a time the failures alone tell."""
    change(emptied, LOG)
    change(emptied, "DELETE FROM consumer.outcomes WHERE outcome <> 'applied'")
    dead = (
        "INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type) "
        "SELECT seq, 'dead', 0, 'x', 'x', source, 'zzz' FROM consumer.outbox WHERE message_id IN ('b', 'c')"
    )
    change(emptied, dead)
    change(emptied, "UPDATE consumer.outbox SET event_type = 'zzz' WHERE message_id IN ('b', 'c')")

    async with kept(emptied, ACCESS) as conn:
        selection = Selection(states=FAILED, since=since)
        counted = await deliveries.count(conn, selection)
        three = await deliveries.count(conn, selection, count_max=3)

    assert counted == [
        DeliveryCount("dead", "zzz", None, 2),
        DeliveryCount("dead", "user.updated", None, 1),
        DeliveryCount("retrying", "team.updated", None, 1),
    ]
    assert sum(each.deliveries for each in three) == 3


async def test_failures_are_grouped_the_most_frequent_first_with_the_latest_as_the_example(emptied: str) -> None:
    change(emptied, LOG)
    change(emptied, "DELETE FROM consumer.pending")
    more = (
        "INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type, failed_at) "
        "SELECT seq, 'dead', 0, 'not_json', 'x', source, 'user.updated', received_at FROM consumer.outbox "
        "WHERE message_id IN ('b', 'f')"
    )
    change(emptied, more)
    another = (
        "INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type) "
        "SELECT seq, 'dead', 0, 'x', 'x', source, event_type FROM consumer.outbox WHERE message_id = 'c'"
    )
    change(emptied, another)

    async with kept(emptied, ACCESS) as conn:
        groups = await deliveries.errors(conn, FAILED, limit=9)
        [first] = await deliveries.errors(conn, FAILED, limit=1)
        by_code = await deliveries.errors(conn, FAILED, error_code="55P03", limit=9)
        by_type = await deliveries.errors(conn, FAILED, event_type="team.updated", limit=9)
        each = await deliveries.failed(conn, FAILED, limit=9)
        each_by_code = await deliveries.failed(conn, FAILED, error_code="55P03", limit=9)
        each_by_type = await deliveries.failed(conn, FAILED, event_type="team.updated", limit=9)

    assert [(one.error_code, one.deliveries, one.message_id) for one in groups] == [
        ("not_json", 3, "f"),
        ("55P03", 1, "d"),
        ("x", 1, "c"),
    ]
    assert first == groups[0]
    assert (first.first_at, first.last_at) == (minute(1), minute(4) + LATER)
    assert by_code == by_type == [groups[1]]
    assert [one.message_id for one in each] == ["b", "c", "d", "e", "f"]
    assert [one.message_id for one in (*each_by_code, *each_by_type)] == ["d", "d"]


async def test_a_message_id_finds_one_of_each_source_and_a_body_only_if_it_is_asked_for(emptied: str) -> None:
    change(emptied, LOG)
    change(emptied, "UPDATE consumer.outbox SET message_id = 'a' WHERE source IN ('operator', 'reconcile')")
    change(emptied, "UPDATE consumer.outbox SET body = '\\x0102', reduced = '\\x01' WHERE source = 'reconcile'")

    async with kept(emptied, ACCESS) as conn:
        without = await deliveries.find(conn, "a", with_body=False)
        whole = await deliveries.find(conn, "a", with_body=True)

    assert [(one["source"], one["body"]) for one in without] == [
        ("stack", None),
        ("operator", None),
        ("reconcile", None),
    ]
    assert [one["body"] for one in whole] == [b"", b"", b"\x01\x02"]
    assert (whole[2]["body_bytes"], whole[2]["reduced_bytes"], whole[0]["reduced_bytes"]) == (2, 1, None)
