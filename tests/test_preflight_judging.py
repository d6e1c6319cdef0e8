"""What the look before a migration judges, by what the ledger tells: objects, rights, and releases."""

from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus

from consumer.postgres import ledger, migrator, preflight
from consumer.postgres.preflight import MigrationRefused, Preflight
from consumer.postgres.refusals import Refusal

CARRIED = ["0001.a", "0002.b", "0003.c", "0004.d"]
SCHEMAS: Any = [SimpleNamespace(name="consumer")]
ROLES = [f"shop_{duty}" for duty in ("receiver", "worker", "operator", "viewer", "app", "tenant", "definer", "masker")]


def refusal(name: str) -> Refusal:
    return Refusal(name, f"the {name} is wrong", f"mend the {name}")


class Judges:
    """Each judge, who notes what it is asked and refuses what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refused: set[str] = set()
        for name in ("prefix", "newer", "objects", "rights", "owners", "ledger_rights"):
            monkeypatch.setattr(preflight, f"judge_{name}", self.judge(name))
        monkeypatch.setattr(preflight, "made_by", lambda ids: frozenset(("table", each) for each in ids))
        monkeypatch.setattr(preflight, "_rows", lambda *_, **values: values["roles"])
        monkeypatch.setattr(ledger, "carried_ids", lambda: CARRIED)

    def judge(self, name: str) -> Any:
        def judged(*asked: Any, **named: Any) -> list[Refusal]:
            self.asked.append((name, *(each for each in asked if not isinstance(each, SimpleNamespace)), named))
            return [refusal(name)] if name in self.refused else []

        return judged

    def execute(self, text: bytes, values: object = None) -> Any:
        if b"consumer preflight/prefixes" in text:
            return SimpleNamespace(fetchall=lambda: [("consumer",), ("shop",)])
        assert values == {"schemas": ["consumer", "consumer_masked", "identity"]}
        return SimpleNamespace(fetchall=lambda: [("table", "consumer.t"), ("view", "identity.v")])

    def found(self, applied: Sequence[str], *, has_ledger: bool = True, may_read: bool = True) -> list[str]:
        target: Any = SimpleNamespace(has_ledger=has_ledger, may_read_ledger=may_read)
        conn = cast("Any", self)
        return [each.name for each in preflight._judge_database(conn, target, SCHEMAS, "shop", applied)]

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [each[1:] for each in self.asked if each[0] == name]


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> Judges:
    return Judges(monkeypatch)


def tables(ids: Collection[str]) -> frozenset[tuple[str, str]]:
    return frozenset(("table", each) for each in ids)


EXISTING = {("table", "consumer.t"), ("view", "identity.v")}


@pytest.mark.parametrize(
    ("applied", "to_make", "rights"),
    [
        # Before the first migration none is half done, later the next one may be.
        ([], CARRIED, [{"is_first": True}]),
        (CARRIED[:1], CARRIED[2:], [{"is_first": False}]),
        (CARRIED[:2], CARRIED[3:], [{"is_first": False}]),
        (CARRIED[:3], [], [{"is_first": False}]),
        (CARRIED, [], []),
    ],
    ids=len,
)
def test_what_is_there_is_judged_by_what_is_made_and_what_is_still_to_make(
    judges: Judges, applied: list[str], to_make: list[str], rights: list[dict[str, bool]]
) -> None:
    assert judges.found(applied) == []

    assert judges.of("prefix") == [("shop", ["consumer", "shop"], {})]
    assert judges.of("objects") == [(EXISTING, tables(applied), tables(to_make), SCHEMAS, {})]
    assert judges.of("rights") == [(ROLES, SCHEMAS, named) for named in rights]
    assert judges.of("newer") == judges.of("owners") == []


def test_where_a_newer_release_has_migrated_only_that_is_judged(judges: Judges) -> None:
    judges.refused = {"newer", "objects", "rights"}

    assert judges.found([*CARRIED[:1], "0009.y", "0008.x"]) == ["newer"]

    assert judges.of("newer") == [(["0008.x", "0009.y"], CARRIED[1:], {})]
    assert judges.of("objects") == judges.of("rights") == []


def test_under_a_wrong_prefix_no_rights_are_judged(judges: Judges) -> None:
    judges.refused = {"prefix", "objects", "rights"}

    assert judges.found([]) == ["prefix", "objects"]


def test_all_that_is_refused_is_told_in_order(judges: Judges) -> None:
    judges.refused = {"objects", "rights"}

    assert judges.found(CARRIED[:1]) == ["objects", "rights"]
    assert judges.found(CARRIED) == ["objects"]


@pytest.mark.parametrize(
    ("refused", "found"),
    [
        ({"prefix", "owners", "ledger_rights"}, ["prefix", "owners"]),
        ({"ledger_rights"}, ["ledger_rights"]),
        ({"prefix"}, ["prefix"]),
    ],
    ids=["all", "the ledger", "the prefix"],
)
def test_a_ledger_that_may_not_be_read_leaves_nothing_else_to_judge(
    judges: Judges, refused: set[str], found: list[str]
) -> None:
    judges.refused = refused | {"objects", "rights", "newer"}

    assert judges.found([], may_read=False) == found
    assert judges.of("objects") == []


def test_without_a_ledger_there_is_none_to_read(judges: Judges) -> None:
    assert judges.found([], has_ledger=False, may_read=False) == []
    assert (len(judges.of("objects")), judges.of("owners")) == (1, [])


def test_one_reason_is_a_sentence_and_several_are_a_list() -> None:
    one, other = refusal("server"), refusal("login")

    assert str(MigrationRefused([one])) == "The server is wrong: mend the server. Nothing was changed."
    assert str(MigrationRefused([one, other])) == (
        "Nothing was changed, for 2 reasons:\n"
        "The server is wrong: mend the server.\nThe login is wrong: mend the login."
    )


def test_only_a_refusal_stops_a_migration() -> None:
    found = Preflight([], ["0001.a"], [], [], [refusal("lacking")], [refusal("warning")], is_pooled=True)
    found.require()

    with pytest.raises(MigrationRefused, match=r"^The server is wrong"):
        Preflight([], [], [], [refusal("server")], [], [], is_pooled=False).require()


SHOWN = ("transaction_read_only", "transaction_isolation", "search_path", "role")


def test_the_look_is_one_snapshot_that_writes_nothing_and_hides_behind_no_search_path(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[list[str]] = []
    read = preflight._rows

    def rows(conn: Any, *asked: Any, **values: Any) -> Any:
        found.append([conn.execute(f"SHOW {name}").fetchone()[0] for name in SHOWN])
        return read(conn, *asked, **values)

    monkeypatch.setattr(preflight, "_rows", rows)
    with migrator.connect(database_url) as conn:
        conn.execute("SELECT set_config('search_path', 'public', FALSE)")
        preflight.look_on(conn, "consumer")
        after = (conn.isolation_level, conn.read_only, conn.info.transaction_status)
        path = conn.execute("SHOW search_path").fetchone()

    assert len(found) == 2
    assert found == [["on", "repeatable read", "consumer, pg_temp", "none"]] * 2
    assert (after, path) == ((IsolationLevel.READ_COMMITTED, None, TransactionStatus.IDLE), ("public",))
