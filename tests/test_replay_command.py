"""`consumer replay`: its filters, its refusals, and its words."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.cli.filters import TimeParam
from consumer.lookup.times import DURATION_MAX, instant
from consumer.outbox.storage import Delivery
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import rows
from tests.support.factories import delivery, user_deleted, user_updated
from tests.support.names import own
from tests.support.outbox import set_aside, states

USER = UUID("0b5e9a3c-0d6c-4f8b-9a51-0c4de4b7c001")


def unusable(code: str = "bad_shape", body: bytes = b'{"type": "user.updated", "data": {}}') -> Delivery:
    return delivery("user.updated", USER)._replace(body=body, error_code=code, error="$: no longer the reason")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["--type", "user.deleted"], ["deleted"], id="type"),
        pytest.param(["--user", str(USER)], ["old", "deleted"], id="user"),
        pytest.param(["--user", str(USER).upper()], ["old", "deleted"], id="user in upper case"),
        pytest.param(["--message-id", "old"], ["old"], id="message id"),
        pytest.param(["--message-id", "old", "--message-id", "dead"], ["old", "dead"], id="two message ids"),
        pytest.param(["--since", "2026-11-21"], ["new", "dead"], id="since a day"),
        pytest.param(["--since", "2026-11-20T12:00:00+00:00"], ["deleted", "new", "dead"], id="since is inclusive"),
        pytest.param(["--until", "2026-11-20T12:00:00Z"], ["old"], id="until is exclusive"),
        pytest.param(["--since", "2026-11-20T14:00:00+02:00", "--until", "2026-11-21"], ["deleted"], id="a zone"),
        pytest.param(["--since", "1h"], ["dead"], id="a duration"),
        pytest.param(["--until", "1h"], ["old", "deleted", "new"], id="until a while ago"),
        pytest.param(["--all", "--state", "done"], ["old", "deleted", "new"], id="done ones"),
        pytest.param(["--all", "--state", "dead"], ["dead"], id="dead ones"),
        pytest.param(["--all", "--state", "dead, retrying"], ["dead", "retrying"], id="retrying ones"),
        pytest.param(["--error", "23505", "--state", "retrying"], ["retrying"], id="an error"),
        pytest.param(["--state", "retrying"], ["retrying"], id="those that would be tried again anyway"),
        pytest.param(["--all"], ["old", "deleted", "new", "dead"], id="all, which leaves retrying ones to their time"),
        pytest.param(["--type", "user.updated", "--until", "2026-11-20"], ["old"], id="two filters"),
    ],
)
def test_each_filter_takes_exactly_what_it_names(emptied: str, arguments: list[str], expected: list[str]) -> None:
    old, deleted = user_updated(USER)._replace(message_id="old"), user_deleted(USER)._replace(message_id="deleted")
    new, dead = user_updated()._replace(message_id="new"), user_updated()._replace(message_id="dead")
    retrying = user_updated()._replace(message_id="retrying")
    arrive(emptied, old, deleted, new)
    work(emptied)
    arrive(emptied, dead, retrying, user_updated()._replace(message_id="fresh"))
    set_aside(emptied, [dead])
    set_aside(emptied, [retrying], "retrying", "23505")
    receive_at(emptied, old="2026-11-19", deleted="2026-11-20 12:00", new="2026-11-22")
    before = states(emptied)

    counted = facts(emptied, "replay", *arguments, "--dry-run")
    untouched = states(emptied)
    done = facts(emptied, "replay", *arguments)

    assert sum(counted["matches"].values()) == len(expected)
    assert untouched == before
    applied = {"old", "deleted", "new"} & {*expected}
    assert done == {"queued": len(expected), "unusable": 0, "rebuilt": len(applied)}
    assert {name for name, state in states(emptied).items() if state == "pending"} == {*expected, "fresh"} - applied
    users = {delivery.user_id for delivery in (old, deleted, new) if delivery.message_id in applied}
    assert {row["id"] for row in rows(emptied, "SELECT id FROM consumer.rebuild")} == users


def receive_at(url: str, **times: str) -> None:
    with psycopg.connect(url, options="-c TimeZone=UTC") as conn:
        for message_id, at in times.items():
            conn.execute("UPDATE consumer.outbox SET received_at = %s WHERE message_id = %s", (at, message_id))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param([], "--all", id="no filter"),
        pytest.param(["--state", "dead"], "--all", id="only states"),
        pytest.param(["--state", "dead,retrying"], "--all", id="only states, one of them retrying"),
        pytest.param(["--all", "--user", str(USER), "--state", "retrying"], "exclude", id="all, a filter and a state"),
        pytest.param(["--dry-run"], "--all", id="nothing but a dry run"),
        pytest.param(["--all", "--type", "user.updated"], "--all", id="all and a filter"),
        pytest.param(["--all", "--state", "pending"], "'pending'", id="a state that is none to replay"),
        pytest.param(["--since", "yesterday"], "ISO 8601", id="no time"),
        pytest.param(["--since", "5"], "ISO 8601", id="no unit"),
        pytest.param(["--user", "ada"], "UUID", id="no user id"),
        pytest.param(
            ["--since", "1d", "--until", "2d"], "--since must lie before --until", id="an end before it begins"
        ),
        pytest.param(["--since", "2999-01-01"], "--since must lie before --until", id="a beginning to come"),
    ],
)
def test_a_call_that_does_not_say_what_it_means_is_a_usage_error(
    emptied: str, arguments: list[str], complaint: str
) -> None:
    result = call(emptied, "replay", *arguments)

    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "named",
    [["--message-id", "msg_typo"], ["--error", "23505"]],
    ids=["an unknown id", "an error that only a retrying one has"],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["replay", "dry run"])
def test_what_is_named_and_not_there_is_a_failure(emptied: str, named: list[str], more: list[str]) -> None:
    done, retrying = user_updated(), user_updated()
    arrive(emptied, done, retrying)
    set_aside(emptied, [retrying], "retrying", "23505")
    work(emptied)

    result = call(emptied, "replay", *named, *more)

    assert states(emptied) == {done.message_id: "done", retrying.message_id: "retrying"}
    assert (result.exit_code, result.stderr.startswith("Error: Nothing that is done or dead matches")) == (1, True)


def test_a_user_without_deliveries_is_a_failure(emptied: str) -> None:
    arrive(emptied, user_updated(USER))

    nobody, pending = [call(emptied, "replay", "--user", str(user_id)) for user_id in (uuid4(), USER)]

    assert (nobody.exit_code, nobody.stderr) == (1, "Error: No stored delivery concerns this user.\n")
    assert (pending.exit_code, "pending deliveries are applied" in pending.stderr) == (1, True)


@pytest.mark.parametrize("state", ["done", "dead", "retrying", "done,dead"])
def test_a_dry_run_counts_a_state_without_a_filter(emptied: str, state: str) -> None:
    arrive(emptied, user_updated())
    work(emptied)

    counted = facts(emptied, "replay", "--state", state, "--dry-run")["matches"]

    assert counted == {name: int(name == "done") for name in state.split(",")}


def test_a_dry_run_counts_by_state_type_and_outcome(emptied: str) -> None:
    older = [user_updated(USER), user_updated(USER)]
    for told in ([user_updated(USER)], older, [user_deleted(USER)], [unusable()._replace(event_type=None)]):
        arrive(emptied, *told)
        work(emptied)

    counted = facts(emptied, "replay", "--all", "--dry-run")
    printed = call(emptied, "replay", "--all", "--state", "done,dead,retrying", "--dry-run").stdout

    assert counted["matches"] == {"done": 4, "dead": 1}
    assert [tuple(each.values()) for each in counted["counts"]] == [
        ("dead", None, None, 1),
        ("done", "user.updated", "stale", 2),
        ("done", "user.deleted", "applied", 1),
        ("done", "user.updated", "applied", 1),
    ]
    assert [cells for line in printed.splitlines() if (cells := line.split()) and cells[-1].isdigit()] == [
        ["-", "dead", "-", "1"],
        ["user.updated", "done", "stale", "2"],
        ["user.deleted", "done", "applied", "1"],
        ["user.updated", "done", "applied", "1"],
        ["-", "retrying", "-", "0"],
    ]


def test_an_empty_time_is_said(emptied: str) -> None:
    result = call(emptied, "replay", "--since", "1h")

    assert (result.exit_code, result.stderr.startswith("Error: Nothing that is done or dead matches")) == (1, True)


def test_a_type_that_this_release_does_not_know_is_doubted(emptied: str) -> None:
    doubted, known = [call(emptied, "replay", "--type", name) for name in ("user.creatd\x1b", "user.created")]

    assert (doubted.exit_code, known.exit_code) == (1, 1)
    assert doubted.stderr == "Warning: this release knows no event type user.creatd\\x1b.\n" + known.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("999999w", DURATION_MAX),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00+01:00", datetime(2026, 1, 31, 11, tzinfo=UTC)),
    ],
)
def test_a_time_is_an_instant_or_a_while_ago(text: str, expected: datetime | timedelta) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)

    read = TimeParam().convert(text, None, None)

    assert read == expected
    assert instant(read, now) == (expected if isinstance(expected, datetime) else now - expected)


def test_a_discarded_delivery_is_never_replayed(emptied: str) -> None:
    given_up = unusable()
    arrive(emptied, given_up)
    call(emptied, "dead", "discard", given_up.message_id, "--reason", "nonsense")

    assert facts(emptied, "replay", "--all", "--dry-run") == {"matches": {"done": 0, "dead": 0}, "counts": []}
    refused = call(emptied, "replay", "--message-id", given_up.message_id)
    assert (refused.exit_code, refused.stderr.startswith("Error: Delivery ")) == (1, True)
    assert f"{given_up.message_id} was discarded by " in refused.stderr
    assert refused.stderr.endswith("; discarded deliveries are never replayed.\n")
    assert states(emptied) == {given_up.message_id: "done"}


def test_a_delivery_that_arrives_and_is_done_after_the_start_is_not_replayed(emptied: str) -> None:
    early = user_updated()
    arrive(emptied, early)
    work(emptied)
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute("UPDATE consumer.outbox SET received_at = now() + interval '1 minute'")

    assert call(emptied, "replay", "--all").exit_code == 1
    assert not rows(emptied, "SELECT FROM consumer.rebuild")
    assert states(emptied) == {early.message_id: "done"}


@pytest.fixture
def operators_login(emptied: str) -> Iterator[str]:
    """A login that may be the operator and nothing else."""
    with psycopg.connect(emptied, autocommit=True) as conn:
        login = own("operator")
        conn.execute(f"CREATE ROLE {login} LOGIN NOINHERIT PASSWORD 'operator' IN ROLE consumer_operator")
        yield make_conninfo(emptied, user=login, password="operator")
        conn.execute(f"DROP ROLE {login}")


@pytest.mark.parametrize("drained", [True, False], ids=["done", "dead"])
def test_the_operators_own_login_suffices(operators_login: str, emptied: str, drained: bool) -> None:
    stored = user_updated()
    arrive(emptied, stored)
    if drained:
        work(emptied)
    else:
        set_aside(emptied, [stored])

    assert facts(operators_login, "replay", "--all") == {"queued": 1, "unusable": 0, "rebuilt": int(drained)}
    assert states(emptied) == {stored.message_id: "done" if drained else "pending"}


def test_people_read_a_sentence_and_a_pipe_gets_no_colour(emptied: str) -> None:
    arrive(emptied, user_updated(), unusable())
    work(emptied)

    result = call(emptied, "replay", "--all")

    assert result.exit_code == 0
    assert result.stdout == (
        "1 delivery applied before: their users and companies are queued to be rebuilt.\n"
        "1 delivery can't be used by this release either and stays dead.\n"
    )
    assert result.stderr == ""


def test_a_database_that_cannot_be_reached_is_one_sentence(tmp_path: Path) -> None:
    result = call(f"postgresql://nobody@/none?host={tmp_path}", "replay", "--all")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: The database of DATABASE_URL, {tmp_path}:5432/none, can't be used: ")
    assert result.stderr.count("\n") == 1
