"""Which members and permissions of a page of answers a reconciliation suspects."""

from datetime import timedelta
from uuid import UUID

from consumer.operations import runs, suspects
from consumer.operations.runs import PageCounts, Run
from consumer.operations.scan import RunPage, TeamAnswers
from consumer.postgres.connections import Connection, operator_access, transaction
from consumer.stack_api.listing import MemberProfile, Permission
from tests.support.databases import change, rows
from tests.support.kept import kept

ACCESS = operator_access("consumer")
ADA, BOB, EVE = (UUID(int=n) for n in (1, 2, 3))
CREW, CLUB = UUID(int=8), UUID(int=9)
ASKED_AGAIN_AFTER = timedelta(minutes=5)
OLD, YOUNG = (
    "consumer.version('stack', now() - interval '1 d', '')",
    "consumer.version('stack', now() + interval '1 d', '')",
)


def permitted(
    url: str, team_id: UUID, user_id: UUID, name: str, *, version: str = OLD, is_present: bool = True
) -> None:
    values = f"'{user_id}', '{team_id}', '{name}', {version}, {is_present}"
    change(url, f"INSERT INTO consumer.team_permissions VALUES ({values})")


def joined(
    url: str, team_id: UUID, user_id: UUID, *, version: str = OLD, at: str = "- '1 d'", left: str = "NULL"
) -> None:
    at = f"now() {at}::interval"
    change(url, f"INSERT INTO identity.company_members VALUES ('{team_id}', '{user_id}', {at}, {left})")
    values = f"'{user_id}', '{team_id}', {at}, {version}, '', NULL, false"
    change(url, f"INSERT INTO consumer.memberships VALUES ({values})")


async def suspected(url: str, answers: dict[UUID, TeamAnswers], *, gone: UUID | None = None) -> set[tuple[object, ...]]:
    """Return what is suspected of a page with these answers; *gone* is a user who is a suspect already."""
    async with kept(url, ACCESS) as conn:
        run = (await runs.begin(conn, ACCESS, "reconcile", "project", is_new=False)).run
        change(url, "DELETE FROM consumer.suspects")
        if gone:
            values = f"'{run.id}', 'undeleted_user', '{gone}'"
            change(url, f"INSERT INTO consumer.suspects (run_id, kind, user_id) VALUES ({values})")
        async with transaction(conn, ACCESS):
            await suspects.put_found(conn, run, RunPage((), None, PageCounts(), team_answers=answers))
    statement = "SELECT kind, team_id, user_id, permission_id FROM consumer.suspects WHERE team_id IS NOT NULL"
    assert not rows(url, "SELECT FROM consumer.suspects WHERE team_id IS NOT NULL AND asked_at IS NULL")
    return {tuple(row.values()) for row in rows(url, statement)}


def answer(team_id: UUID, *members: UUID, **permissions: UUID) -> TeamAnswers:
    """Return who is in a team, and who has each permission there."""
    return TeamAnswers(
        [MemberProfile(team_id, user_id, b"{}") for user_id in members],
        [Permission(name, user_id, team_id) for name, user_id in permissions.items()],
    )


async def test_a_member_is_suspected_only_in_the_team_that_does_not_list_it(emptied: str) -> None:
    change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{CREW}', 'Crew'), ('{CLUB}', 'Club')")
    for team_id in (CREW, CLUB):
        for user_id in (ADA, BOB):
            joined(emptied, team_id, user_id)

    found = await suspected(emptied, {CREW: answer(CREW, ADA), CLUB: answer(CLUB, BOB)})

    assert found == {("extra_membership", CREW, BOB, None), ("extra_membership", CLUB, ADA, None)}


async def test_who_left_joined_lately_or_is_gone_is_not_suspected(emptied: str) -> None:
    change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{CREW}', 'Crew'), ('{CLUB}', 'Club')")
    joined(emptied, CREW, ADA, left="now()")
    joined(emptied, CREW, BOB, version=YOUNG)
    joined(emptied, CREW, EVE)
    joined(emptied, CLUB, ADA, at="+ '1 d'")

    assert await suspected(emptied, {CREW: TeamAnswers(), CLUB: TeamAnswers()}, gone=EVE) == set()


async def test_a_permission_is_suspected_only_for_the_user_and_team_that_do_not_list_it(emptied: str) -> None:
    change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{CREW}', 'Crew'), ('{CLUB}', 'Club')")
    for team_id in (CREW, CLUB):
        for user_id in (ADA, BOB):
            joined(emptied, team_id, user_id)
            permitted(emptied, team_id, user_id, "a")
    permitted(emptied, CREW, ADA, "b")
    permitted(emptied, CREW, ADA, "withdrawn", is_present=False)
    permitted(emptied, CREW, ADA, "young", version=YOUNG)

    found = await suspected(emptied, {CREW: answer(CREW, ADA, BOB, a=ADA), CLUB: answer(CLUB, ADA, BOB, a=BOB)})

    kind = "extra_permission"
    assert found == {(kind, CREW, BOB, "a"), (kind, CLUB, ADA, "a"), (kind, CREW, ADA, "b")}


async def run_with(url: str, conn: Connection, *kinds: tuple[str, str]) -> Run:
    """Begin a run whose suspects are one user or team of each kind, with the columns asked_at and confirmed_at."""
    run = (await runs.begin(conn, ACCESS, "reconcile", "project", is_new=False)).run
    for number, (kind, times) in enumerate(kinds, 1):
        values = f"'{run.id}', '{kind}', '{UUID(int=number)}', {times}"
        subject = "team_id" if kind.endswith("team") else "user_id"
        change(
            url, f"INSERT INTO consumer.suspects (run_id, kind, {subject}, asked_at, confirmed_at) VALUES ({values})"
        )
    return run


async def test_what_is_confirmed_or_only_told_is_not_asked_about(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        run = await run_with(
            emptied,
            conn,
            ("undeleted_user", "NULL, NULL"),
            ("revived_user", "now() - interval '6 min', NULL"),
            ("undeleted_user", "now() - interval '2 min', NULL"),
            ("undeleted_user", "now() - interval '6 min', now()"),
            ("listed_user", "NULL, NULL"),
            ("listed_team", "NULL, NULL"),
        )
        found = await suspects.due(conn, run, asked_again_after=ASKED_AGAIN_AFTER, page_size=9)
        first = await suspects.due(conn, run, asked_again_after=ASKED_AGAIN_AFTER, page_size=1)
        change(emptied, "DELETE FROM consumer.suspects WHERE asked_at IS NULL AND kind = 'undeleted_user'")
        at = await suspects.due_at(conn, run, asked_again_after=ASKED_AGAIN_AFTER)
        asked = rows(emptied, "SELECT asked_at FROM consumer.suspects WHERE confirmed_at IS NULL ORDER BY asked_at")
        change(emptied, "DELETE FROM consumer.suspects WHERE confirmed_at IS NULL AND kind NOT LIKE 'listed%'")
        never = await suspects.due_at(conn, run, asked_again_after=ASKED_AGAIN_AFTER)

    assert sorted(each.user_id for each in found if each.user_id) == [ADA, BOB]
    assert [each.user_id for each in first] == [ADA]
    assert (at, never) == (asked[0]["asked_at"] + ASKED_AGAIN_AFTER, None)


async def test_a_second_answer_confirms_and_one_that_another_process_recorded_tells_nothing(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        run = await run_with(emptied, conn, ("undeleted_user", "NULL, NULL"))
        [first] = await suspects.due(conn, run, asked_again_after=timedelta(0), page_size=9)
        await suspects.put_missing(conn, run, [first])
        once = rows(emptied, "SELECT asked_at, confirmed_at FROM consumer.suspects")
        # The answer to the same request again, as of a process beside it.
        await suspects.put_missing(conn, run, [first])
        again = rows(emptied, "SELECT asked_at, confirmed_at FROM consumer.suspects")
        [second] = await suspects.due(conn, run, asked_again_after=timedelta(0), page_size=9)
        await suspects.put_missing(conn, run, [second])
        await suspects.put_missing(conn, run, [second._replace(requested_at=second.requested_at + ASKED_AGAIN_AFTER)])
        [confirmed] = await suspects.confirmed(conn, run, 9)

    assert once[0]["asked_at"] is not None
    assert (once[0]["confirmed_at"], again) == (None, once)
    assert (confirmed.asked_at, confirmed.requested_at) == (once[0]["asked_at"], second.requested_at)


async def test_an_answer_that_lacks_one_permission_tells_of_no_other(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        run = await run_with(emptied, conn)
        for name in ("a", "b"):
            values = f"'{run.id}', 'extra_permission', '{CREW}', '{ADA}', '{name}'"
            columns = "run_id, kind, team_id, user_id, permission_id"
            change(emptied, f"INSERT INTO consumer.suspects ({columns}) VALUES ({values})")
        found = await suspects.due(conn, run, asked_again_after=ASKED_AGAIN_AFTER, page_size=1)
        await suspects.put_missing(conn, run, [each for each in found if each.permission_id == "a"])
        asked = rows(emptied, "SELECT permission_id FROM consumer.suspects WHERE asked_at IS NOT NULL")
        dropped = await suspects.drop(conn, run, [each for each in found if each.permission_id == "b"])

    assert asked == [{"permission_id": "a"}]
    assert dropped == {"extra_permission": 1}
    [left] = rows(emptied, "SELECT permission_id, asked_at FROM consumer.suspects")
    assert (left["permission_id"], left["asked_at"] is None) == ("a", False)
    assert len(found) == 2


async def test_a_page_clears_only_the_undeleted_that_it_lists(emptied: str) -> None:
    async with kept(emptied, ACCESS) as conn:
        kinds = ("undeleted_user", "undeleted_user", "undeleted_team", "undeleted_team")
        others = ("revived_user", "listed_user", "revived_team", "listed_team")
        run = await run_with(emptied, conn, *((kind, "NULL, NULL") for kind in (*kinds, *others)))
        member = f"'{run.id}', 'extra_membership', '{CREW}', '{UUID(int=1)}'"
        change(emptied, f"INSERT INTO consumer.suspects (run_id, kind, team_id, user_id) VALUES ({member})")
        users, teams = [UUID(int=n) for n in (1, 5, 6)], [UUID(int=n) for n in (3, 7, 8)]
        page = RunPage((), None, PageCounts(), listed_user_ids=users, listed_team_ids=teams)
        await suspects.clear_listed(conn, run, page)

    left = rows(emptied, "SELECT kind, user_id, team_id FROM consumer.suspects")
    assert sorted((row["kind"], (row["user_id"] or row["team_id"]).int) for row in left) == [
        ("extra_membership", 1),
        ("listed_team", 8),
        ("listed_user", 6),
        ("revived_team", 7),
        ("revived_user", 5),
        ("undeleted_team", 4),
        ("undeleted_user", 2),
    ]


async def test_a_suspect_that_the_rows_contradict_by_now_is_dropped(emptied: str) -> None:
    """One of each kind is as it was when it was suspected, one is not."""
    lives = "INSERT INTO identity.{table} ({id}, {name}deleted_at) VALUES ('{one}', {value}{deleted_at})"
    user = {"table": "stack_user_profiles", "id": "stack_user_id", "name": "", "value": ""}
    team = {"table": "companies", "id": "id", "name": "name, ", "value": "'Crew', "}
    kinds = [
        (f"{state}_{kind}", table)
        for kind, table in (("user", user), ("team", team))
        for state in ("undeleted", "listed")
    ]
    async with kept(emptied, ACCESS) as conn:
        run = await run_with(emptied, conn, *((kind, "NULL, NULL") for kind, _ in kinds for _ in range(2)))
        for number, deleted_at in enumerate(("NULL", "now()", "now()", "NULL") * 2, 1):
            _, columns = kinds[(number - 1) // 2]
            change(emptied, lives.format(**columns, one=UUID(int=number), deleted_at=deleted_at))
        change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{CLUB}', 'Crew')")
        for user_id, removed_at, permissions in ((ADA, "NULL", "{a}"), (BOB, "now()", "{a}")):
            values = f"'{CLUB}', '{user_id}', now(), {removed_at}, '{permissions}'"
            change(emptied, f"INSERT INTO identity.company_members VALUES ({values})")
            for kind, name in (("membership", "NULL"), ("permission", "'a'"), ("permission", "'b'")):
                values = f"'{run.id}', 'extra_{kind}', '{CLUB}', '{user_id}', {name}"
                names = "run_id, kind, team_id, user_id, permission_id"
                change(emptied, f"INSERT INTO consumer.suspects ({names}) VALUES ({values})")
        async with transaction(conn, ACCESS):
            await suspects.drop_settled(conn, run)

    left = rows(emptied, "SELECT kind, coalesce(user_id, team_id) AS id, permission_id AS name FROM consumer.suspects")
    assert sorted((row["kind"], row["id"].int, row["name"] or "") for row in left) == [
        ("extra_membership", ADA.int, ""),
        ("extra_permission", ADA.int, "a"),
        ("listed_team", 7, ""),
        ("listed_user", 3, ""),
        ("undeleted_team", 5, ""),
        ("undeleted_user", 1, ""),
    ]


async def test_what_was_brought_in_of_late_does_not_count_as_living(emptied: str) -> None:
    change(emptied, f"INSERT INTO identity.companies (id, name) VALUES ('{CREW}', 'Crew'), ('{CLUB}', 'Club')")
    change(emptied, f"UPDATE identity.companies SET deleted_at = now() WHERE id = '{CLUB}'")
    for user_id, deleted_at in ((ADA, "NULL"), (BOB, "NULL"), (EVE, "now()")):
        values = f"'{user_id}', {deleted_at}"
        change(emptied, f"INSERT INTO identity.stack_user_profiles (stack_user_id, deleted_at) VALUES ({values})")
    for user_id, left, names in ((ADA, "NULL", "{a,b}"), (BOB, "NULL", "{a}"), (EVE, "now()", "{a,b,c}")):
        values = f"'{CREW}', '{user_id}', now(), {left}, '{names}'"
        change(emptied, f"INSERT INTO identity.company_members VALUES ({values})")
    async with kept(emptied, ACCESS) as conn:
        run = await run_with(emptied, conn)
        before = await suspects.living(conn)
        kinds = ("missing_user", "missing_team", "missing_creator", "missing_permission", "changed_user")
        for kind in kinds:
            change(
                emptied, f"INSERT INTO consumer.run_repairs (run_id, kind, repaired) VALUES ('{run.id}', '{kind}', 1)"
            )
        lately = await suspects.living(conn)
        change(emptied, "UPDATE consumer.runs SET begun_at = now() - interval '8 days'")
        long_ago = await suspects.living(conn)

    assert list(before.values()) == [2, 1, 2, 3]
    assert list(lately.values()) == [1, 0, 1, 2]
    assert long_ago == before
