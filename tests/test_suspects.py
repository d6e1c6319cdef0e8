"""Which members and permissions of a page of answers a reconciliation suspects."""

from uuid import UUID

from consumer.operations import runs, suspects
from consumer.operations.runs import PageCounts
from consumer.operations.scan import RunPage, TeamAnswers
from consumer.postgres.connections import operator_access, transaction
from consumer.stack_api.listing import MemberProfile, Permission
from tests.support.databases import change, rows
from tests.support.kept import kept

ACCESS = operator_access("consumer")
ADA, BOB, EVE = (UUID(int=n) for n in (1, 2, 3))
CREW, CLUB = UUID(int=8), UUID(int=9)
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
