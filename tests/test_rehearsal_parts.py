"""What the doctor concludes from a rehearsed statement: its error, its missing grants, and the code that it reaches."""

from collections.abc import Sequence

import psycopg
import pytest
from psycopg import errors as postgres

from consumer.doctor import user_rehearsal
from consumer.doctor.check import Check, ok
from consumer.doctor.rehearsal import rehearse, rehearse_statement
from consumer.doctor.user_rehearsal import GRANTS_MAX, _Named, _Trial, rehearse_user
from consumer.postgres.connections import connect, receiver_access, worker_access
from tests.support.passing import passing

ACCESS = worker_access("consumer")
TRIGGERS, CODE = "application's triggers", "application's code"
GRANT_IT = "Grant it, or correct the trigger or the constraint it names."


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("permission denied for table user", (32, 4)),
        ("user denied for table users", (4, 4)),
        ("User, then USER", (15, 4)),
        ("my_user users user1", (0, 4)),
        ("für user.", (8, 4)),
        ("", (0, 4)),
    ],
)
def test_an_object_is_found_where_its_name_ends_last_as_a_word(message: str, place: tuple[int, int]) -> None:
    assert _Named("relation", "user", "app.user").place_in(message) == place


def test_a_name_is_no_pattern_and_of_two_that_end_alike_the_longer_counts() -> None:
    message = "permission denied for table Far zapper"
    long, short = _Named("relation", "Far zapper", "a"), _Named("relation", "zapper", "b")

    assert _Named("relation", "za..er", "c").place_in(message) == (0, 6)
    assert max((short, long), key=lambda each: each.place_in(message)) == long


async def concluded(
    monkeypatch: pytest.MonkeyPatch, url: str, error: psycopg.Error | None, grants: Sequence[str]
) -> Check:
    """Return what is said of a trial that ends so."""

    async def complete(self: _Trial) -> psycopg.Error | None:
        assert self.grants == []
        self.grants.extend((grant, "consumer_worker") for grant in grants)
        return error

    monkeypatch.setattr(user_rehearsal._Trial, "complete", complete)
    async with await connect(url, ACCESS) as conn:
        return await rehearse_user(conn, ACCESS, b"SELECT 1")


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (postgres.CheckViolation, "warning", "23514"),
        (postgres.DivisionByZero, "warning", "22012"),
        (postgres.RaiseException, "warning", "P0001"),
        (postgres.UndefinedTable, "failing", "42P01"),
        (postgres.InsufficientPrivilege, "failing", "42501"),
    ],
)
async def test_who_is_refused_for_the_values_is_a_warning_and_any_other_error_fails(
    monkeypatch: pytest.MonkeyPatch, emptied: str, error: type[psycopg.Error], state: str, code: str
) -> None:
    grants = ["SELECT ON TABLE app.t", "USAGE ON SCHEMA app"]
    said = f"a made-up user is refused: {error.__name__} ({code})"
    cure = (
        "As their owner: GRANT SELECT ON TABLE app.t TO consumer_worker; GRANT USAGE ON SCHEMA app TO consumer_worker;"
    )

    alone = await concluded(monkeypatch, emptied, error(), [])
    beside = await concluded(monkeypatch, emptied, error(), grants)

    assert alone == Check(TRIGGERS, state, said, GRANT_IT)  # type: ignore[arg-type]  # One of the states.
    assert beside == Check(TRIGGERS, "failing", f"2 missing grants; {said}", cure)


async def test_missing_grants_alone_fail_and_none_is_well(monkeypatch: pytest.MonkeyPatch, emptied: str) -> None:
    cure = "As their owner: GRANT SELECT ON TABLE app.t TO consumer_worker;"

    assert await concluded(monkeypatch, emptied, None, []) == ok(TRIGGERS, "a made-up user passes")
    assert await concluded(monkeypatch, emptied, None, ["SELECT ON TABLE app.t"]) == Check(
        TRIGGERS, "failing", "1 missing grants", cure
    )


async def test_the_search_for_grants_ends_at_fifty(monkeypatch: pytest.MonkeyPatch, emptied: str) -> None:
    tried: list[int] = []

    async def error(self: _Trial) -> psycopg.Error:
        tried.append(len(self.grants))
        return postgres.InsufficientPrivilege()

    async def grant_next(self: _Trial, _: psycopg.Error) -> bool:
        self.grants.append((f"x{len(self.grants)}", "role"))
        return True

    monkeypatch.setattr(_Trial, "error", error)
    monkeypatch.setattr(_Trial, "_grant_next", grant_next)
    async with await connect(emptied, ACCESS) as conn:
        trial = _Trial(conn, ACCESS, b"SELECT 1")
        left = await trial.complete()

    assert (type(left), len(trial.grants), tried) == (postgres.InsufficientPrivilege, 50, list(range(50)))
    assert GRANTS_MAX == 50


async def test_a_statement_is_run_after_each_step_of_the_made_up_user_and_nothing_stays(emptied: str) -> None:
    """Its name and its deletion are refused in turn; a constraint that waits for the end is checked at each step."""
    found = []
    for condition in ("full_name = 'Rehearsal'", "full_name = 'Rehearsal again'", "deleted_at IS NOT NULL", "FALSE"):
        text = f"SELECT 1 / (CASE WHEN {condition} THEN 0 ELSE 1 END) FROM identity.profiles".encode()
        async with passing(emptied, "SET LOCAL ROLE consumer_worker") as conn:
            trial = _Trial(conn, ACCESS, text + b" WHERE user_id = ANY(%(user_ids)b::uuid[])")
            found.append(await trial.error())
            left = await (await conn.execute("SELECT count(*) FROM identity.profiles")).fetchone()
            assert left == (0,)

    assert [type(error) for error in found] == [postgres.DivisionByZero] * 3 + [type(None)]


STATEMENT = b"SELECT %(user_ids)b::uuid[]"


@pytest.mark.parametrize(("is_privileged", "state", "may"), [(True, "warning", "more"), (False, "ok", "nothing more")])
async def test_the_login_beside_an_application_s_code_should_do_nothing_more(
    monkeypatch: pytest.MonkeyPatch, emptied: str, is_privileged: bool, state: str, may: str
) -> None:
    async def answer(_: object) -> bool:
        return is_privileged

    monkeypatch.setattr("consumer.effects.reached_code.is_privileged", answer)
    async with await connect(emptied, ACCESS) as conn:
        statement, code = await rehearse_statement(conn, ACCESS, STATEMENT)
        without = await rehearse_statement(conn, ACCESS, None)

    cure = "Set WORKER_DATABASE_URL to a login of its own that is a member of consumer_worker only."
    finding = f"runs beside a login that may do {may} than consumer_worker"
    assert statement == ok("application's statement", "can be run")
    assert code == Check(CODE, state, finding, cure if is_privileged else None)  # type: ignore[arg-type]
    assert without == []


async def test_code_that_could_take_the_login_over_fails(monkeypatch: pytest.MonkeyPatch, emptied: str) -> None:
    asked: list[bytes | None] = []

    async def untrusted(_: object, statement: bytes | None) -> list[str]:
        asked.append(statement)
        return ["a", "b"]

    monkeypatch.setattr("consumer.effects.reached_code.untrusted", untrusted)
    async with await connect(emptied, ACCESS) as conn:
        broken, code = await rehearse_statement(conn, ACCESS, b"SELECT\n1 / FROM nothing")
        await rehearse_statement(conn, ACCESS, STATEMENT)

    cure = "Set WORKER_DATABASE_URL to a login of its own that is a member of consumer_worker only."
    assert code == Check(
        CODE, "failing", "would run with the worker's login: a, b", f"{cure} Until then no profile changes."
    )
    assert asked == [None, STATEMENT]
    assert (broken.state, broken.finding) == ("failing", "SyntaxError (42601) in line 2")
    assert broken.cure == (
        "Correct the file of CONSUMER_PROJECTION_SQL, or grant consumer_worker the tables it touches: "
        "`consumer adopt plan` prints the grants. Until then no profile changes."
    )


async def test_queries_that_lack_the_same_are_told_together(monkeypatch: pytest.MonkeyPatch, emptied: str) -> None:
    receiver = receiver_access("consumer")
    revoked = "REVOKE SELECT ON consumer.settings FROM consumer_receiver; REVOKE ALL ON consumer.reports FROM PUBLIC"
    async with passing(emptied) as conn:
        well = await rehearse(conn, receiver, "receiver")
    async with passing(emptied, revoked) as conn:
        lacking = await rehearse(conn, receiver, "receiver")

    assert well == ok("receiver's queries", "all can be run")
    assert (lacking.name, lacking.state) == ("receiver's queries", "failing")
    assert lacking.finding == "permission denied for table settings (42501) for recorded_settings/read"
    assert (
        lacking.cure
        == "Undo the REVOKE, RENAME or DROP: sql/schema.sql shows each name and grant as `migrate` made it."
    )
