"""Brings users, teams, members and permissions in from Stack's API, page by page, beside live webhooks."""

from collections.abc import AsyncIterator

from consumer.operations import drift, imports, runs, scan, suspects
from consumer.operations.runs import Run
from consumer.postgres import ledger
from consumer.postgres.connections import Access, Connection, transaction
from consumer.stack_api.client import TEAMS_LIMIT, USERS_LIMIT, StackApi


async def backfill(conn: Connection, access: Access, api: StackApi, run: Run) -> AsyncIterator[Run]:
    """Fetch and store the pages of a run, each in a transaction of its own; yield the run after each, until its end.

    A page is fetched outside any transaction, and thrown away if another process has stored it meanwhile. Raises
    ApiError and ScanDisturbed; a second call goes on at that page.
    """
    while run.is_open:
        async with transaction(conn, access):
            # The time before which a page shows nothing is the database's when the request began.
            run = await runs.read(conn, run.id)
            team_ids = await runs.next_teams(conn, run, scan.TEAMS_A_PAGE) if run.stage == "members" else []
        if run.is_open:
            page = await scan.fetch(api, run, team_ids)
            async with transaction(conn, access):
                await ledger.begin_work(conn)
                if await runs.lock(conn, run):
                    await _store(conn, run, page)
                run = await runs.read(conn, run.id)
        yield run


async def _store(conn: Connection, run: Run, page: scan.RunPage) -> None:
    await runs.pin_project(conn, run.project_id)
    news = await imports.news(conn, page.deliveries)
    await suspects.clear_listed(conn, run, page)
    if run.kind == "reconcile":
        await drift.add(conn, run, await drift.found(conn, news))
        await suspects.put_found(conn, run, page)
    put = await imports.put(conn, news)
    teams = await runs.put_teams(conn, run, page.listed_team_ids)
    await runs.drop_teams(conn, run, page.done_team_ids)
    counts = page.counts._replace(teams=teams, stored=put.stored, unusable=put.unusable)
    await runs.advance(conn, run, page.place, counts)


def calls_expected(users: int, teams: int) -> int:
    """Return how many calls a run takes: pages of users and teams, and two for each team with members."""
    pages_of_users, pages_of_teams = -(-users // USERS_LIMIT), -(-teams // TEAMS_LIMIT)
    return max(1, pages_of_users) + max(1, pages_of_teams) + 2 * teams
