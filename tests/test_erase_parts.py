"""The parts of an erasure: what a report counts, what of each body goes, and what is queued or left as it is."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest

from consumer.errors import WrongRelease
from consumer.events.personal import Person, Traces
from consumer.operations import erase, stored_bodies
from consumer.operations.erase import Erasure, Mention, Report, TouchedTeam
from consumer.operations.stored_bodies import Candidate, StoredBody
from consumer.postgres.connections import Connection, operator_access
from tests.support.acting import action
from tests.support.databases import change, rows
from tests.support.fence import ahead
from tests.support.kept import kept
from tests.test_stored import store

OPERATOR = operator_access("consumer")
ADA, BOB, CREW, TEAM = UUID(int=0xA0), UUID(int=0xA1), UUID(int=0xC0), UUID(int=0xC1)
OWN, OTHERS, FAILURES = "consumer.outbox: about the user", "consumer.outbox: about others", "consumer.failures"
BODY = orjson.dumps({"type": "user.updated", "data": {"id": str(ADA), "display_name": "Ada"}}).decode()
NAMING = orjson.dumps({"type": "team.updated", "data": {"id": str(CREW), "display_name": "Works of Ada"}}).decode()
MAILING = orjson.dumps({"type": "x", "data": {"user": {"id": str(BOB), "primary_email": "a@x"}}}).decode()


@pytest.fixture
async def conn(emptied: str) -> AsyncIterator[Connection]:
    async with kept(emptied, OPERATOR) as conn:
        yield conn


def erasure(**named: Any) -> Erasure:
    given = {"person": Person(ADA, (), {"a@x"}), "found": Traces(frozenset({"Ada", ""}), frozenset({"a@x"}))}
    return Erasure(**{**given, "teams": [TouchedTeam(CREW, is_own=True)], "shared_emails": 3, **named})


def bodies(url: str) -> dict[int, bytes]:
    return {row["seq"]: row["body"] for row in rows(url, "SELECT seq, body FROM consumer.outbox ORDER BY seq")}


async def erased(conn: Connection, *, is_kept: bool, of: Erasure | None = None) -> Report:
    reports = [each async for each in erase.erase_bodies(conn, OPERATOR, of or erasure(), is_kept=is_kept)]
    assert all(each is reports[0] for each in reports)
    return reports[-1]


def test_a_report_counts_all_mentions_and_keeps_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erase, "MENTIONS_MAX", 3)
    mentions = [Mention("a", str(n), "c") for n in range(5)]
    report = Report()
    assert report == Report(Counter(), [], [], 0, 0)

    report.mention(*mentions[:2])
    report.mention()
    report.mention(*mentions[2:])

    assert (report.mentions, report.mention_count) == (mentions[:3], 5)


def test_an_erasure_knows_the_teams_of_nobody_else_and_all_companies() -> None:
    found = erasure(teams=[TouchedTeam(CREW, is_own=True), TouchedTeam(TEAM, is_own=False)])

    assert (found.team_ids, found.company_ids) == ([CREW], [CREW, TEAM])


async def test_an_erasure_is_stored_and_queued_once_and_workers_are_woken(emptied: str, conn: Connection) -> None:
    with psycopg.connect(emptied, autocommit=True) as listening:
        listening.execute("LISTEN consumer_wake")
        for _ in range(2):
            await erase.store(conn, OPERATOR, ADA, action("erase"))
        woken = list(listening.notifies(timeout=10, stop_after=1))

    [stored] = rows(
        emptied,
        "SELECT source, message_id, event_type, user_id, team_id, verified_by, body, "
        "now() - occurred_at < '1 min' AS is_now FROM consumer.outbox INNER JOIN consumer.pending USING (seq)",
    )
    body = orjson.loads(stored.pop("body"))
    assert stored == {
        "source": "operator",
        "message_id": f"erase:{ADA}",
        "event_type": "user.erased",
        "user_id": ADA,
        "team_id": None,
        "verified_by": None,
        "is_now": True,
    }
    assert (body, bool(woken)) == ({"type": "user.erased", "data": {"id": str(ADA)}}, True)
    assert rows(emptied, "SELECT action, affected FROM consumer.actions") == [{"action": "erase", "affected": 1}] * 2


async def test_a_release_that_is_too_old_stores_no_erasure_and_replaces_no_body(emptied: str, conn: Connection) -> None:
    await erase.store(conn, OPERATOR, ADA, action("erase"))
    seq = store(emptied, "user.updated", user_id=ADA, body=BODY)
    before = bodies(emptied)

    with ahead(emptied, 9999):
        with pytest.raises(WrongRelease):
            await erase.store(conn, OPERATOR, BOB, action("erase"))
        with pytest.raises(WrongRelease):
            await erased(conn, is_kept=True)

    assert (bodies(emptied), seq in before) == (before, True)


async def test_what_is_prepared_are_the_values_of_tables_and_bodies(emptied: str, conn: Connection) -> None:
    change(
        emptied,
        "INSERT INTO identity.stack_user_profiles (stack_user_id, stack_display_name, stack_primary_email) VALUES "
        f"('{ADA}', 'Unknown User', 'a@x'), ('{BOB}', 'Bob', 'b@x')",
    )
    for name, email in (("Ada", "b@x"), ("Countess", "c@x")):
        data = {"id": str(ADA), "display_name": name, "primary_email": email}
        store(emptied, "user.updated", user_id=ADA, body=orjson.dumps({"type": "user.updated", "data": data}).decode())
    store(emptied, "team_membership.created", user_id=ADA, team_id=CREW, body='{"data": {}}')

    found = await erase.prepare(conn, OPERATOR, ADA)
    nobody = await erase.prepare(conn, OPERATOR, UUID(int=7))

    assert (set(found.found.names), set(found.found.emails)) == ({"Ada", "Countess"}, {"a@x", "b@x", "c@x"})
    assert (found.person.user_id, set(found.person.emails), found.shared_emails) == (ADA, {"a@x", "c@x"}, 1)
    assert [each.id for each in found.teams] == [CREW]
    assert set(found.person.team_ids) == set(found.team_ids)
    assert (nobody.found, nobody.teams, nobody.shared_emails) == (Traces(), [], 0)


@pytest.mark.parametrize("is_kept", [True, False])
async def test_bodies_lose_what_is_the_persons_and_the_report_counts_them(
    emptied: str, conn: Connection, is_kept: bool
) -> None:
    await erase.store(conn, OPERATOR, ADA, action("erase"))
    own = [store(emptied, "user.updated", user_id=ADA, body=BODY) for _ in range(2)]
    odd = store(emptied, "user.updated", user_id=ADA, body="no json")
    empty = store(emptied, "user.updated", user_id=ADA, body="")
    naming = store(emptied, "team.updated", user_id=None, team_id=TEAM, body=NAMING)
    plain = store(emptied, "team.updated", user_id=None, team_id=TEAM, body='{"data": 1}')
    change(
        emptied,
        f"DELETE FROM consumer.outcomes WHERE seq = {own[0]}; INSERT INTO consumer.failures "
        f"(seq, state, attempts, error_code, error) VALUES ({own[0]}, 'dead', 1, 'c', 'Ada')",
    )
    before = bodies(emptied)

    report = await erased(conn, is_kept=is_kept)

    after = bodies(emptied)
    assert [each.seq for each in report.unreadable] == [odd]
    assert (report.mention_count, report.shared_emails) == (1, 3)
    assert [each.column for each in report.mentions] == ["body"]
    assert +report.changed == Counter({OWN: 3, **({FAILURES: 1} if is_kept else {})})
    changed = {seq for seq in before if after[seq] != before[seq]}
    assert changed == ({*own, odd} if is_kept else set())
    assert (after[naming], after[plain], after[empty]) == (NAMING.encode(), b'{"data": 1}', b"")
    if is_kept:
        assert (after[odd], b"Ada" in after[own[0]], str(ADA).encode() in after[own[0]]) == (b"", False, True)
    queue = {(row["stage"], row["id"]) for row in rows(emptied, "SELECT stage, id FROM consumer.rebuild")}
    assert queue == ({(2, ADA), (1, CREW), (3, CREW)} if is_kept else set())


async def test_a_second_call_queues_again_and_changes_nothing(emptied: str, conn: Connection) -> None:
    await erase.store(conn, OPERATOR, ADA, action("erase"))
    store(emptied, "user.updated", user_id=ADA, body=BODY)
    await erased(conn, is_kept=True)
    change(emptied, "DELETE FROM consumer.rebuild")
    before = bodies(emptied)

    report = await erased(conn, is_kept=True)

    assert (+report.changed, bodies(emptied), len(rows(emptied, "SELECT FROM consumer.rebuild"))) == ({}, before, 3)


class Replaced:
    """Keeps which bodies were replaced in place of the table."""

    def __init__(self) -> None:
        self.bodies: list[dict[int, bytes]] = []

    async def __call__(self, _: object, user_id: UUID, made: dict[int, Any]) -> int:
        assert user_id == ADA
        self.bodies.append({seq: each.body for seq, each in made.items()})
        return 2


async def test_pages_add_up_and_a_page_without_a_change_replaces_nothing(
    emptied: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_bodies, "replace", replaced := Replaced())
    work = erase._Bodies(conn, OPERATOR, erasure(), True, Report())
    selected = {"id": str(ADA), "primary_email": "a@x", "display_name": "Ada"}
    whole = orjson.dumps({"type": "x", "data": {"user": selected}})
    for first in (1, 10):
        await work.erase_others(
            [
                Candidate(first, "stack", f"m{first}", whole),
                Candidate(first + 1, "stack", f"n{first}", None),
                Candidate(first + 2, "stack", f"o{first}", b'{"data": {"a": "Ada"}}'),
                Candidate(first + 3, "stack", f"p{first}", b'{"data": {"a": "Bob"}}'),
            ]
        )
        await work.erase_own([StoredBody(first + 4, "stack", "q", BODY.encode())])
        await work.erase_own([StoredBody(first + 5, "stack", "r", b"")])

    assert [sorted(each) for each in replaced.bodies] == [[1], [5], [10], [14]]
    assert work.report.changed == Counter({OTHERS: 2, OWN: 2, FAILURES: 8})
    assert [each.key for each in work.report.mentions] == ["n1", "o1", "n10", "o10"]
    assert work.report.unreadable == []
