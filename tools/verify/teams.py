"""Claims about teams, members and permissions."""

from uuid import uuid4

from consumer.stack_api import listing
from consumer.stack_api.calls import Call
from tools.verify.claims import Claim
from tools.verify.users import PAGES_MAX
from tools.verify.visit import TEAMS, Differs, Visit, expect_refusal, expect_success

PROFILES, PERMISSIONS = "/api/v1/team-member-profiles", "/api/v1/team-permissions"


async def all_teams(visit: Visit) -> None:
    """Walk the whole list as the backfill does: with a limit, or without one on an old server."""
    team_id = str(visit.team_id)

    async def check() -> None:
        cursor = None
        for _ in range(PAGES_MAX):
            page = await visit.api.teams(cursor)
            if team_id in {team.id for team in page.items}:
                return
            if (cursor := page.next_cursor) is None:
                break
        raise Differs("the made team is not in it")

    await visit.eventually(check)


async def members(visit: Visit) -> None:
    """List the members of the made team: its creator, and the anonymous user that joined."""
    team_id, expected = visit.team_id, {visit.user("ordinary"), visit.user("anonymous")}

    async def check() -> None:
        found = await visit.api.team_member_profiles(team_id)
        if found is None or {profile.user_id for profile in found} != expected:
            raise Differs("its members are not the creator and the anonymous user that joined")

    await visit.eventually(check)


async def team_permissions(visit: Visit) -> None:
    """List what members may do directly, and with what that contains."""
    team_id, creator = visit.team_id, visit.user("ordinary")

    async def check() -> None:
        direct = await visit.api.team_permissions(team_id)
        answer = await visit.get(PERMISSIONS, {"team_id": str(team_id), "recursive": "true"})
        recursive = listing.permissions(expect_success(answer), of_teams=True)
        if not any(permission.user_id == creator for permission in direct):
            raise Differs("the creator has no permission")
        if not set(direct) <= set(recursive):
            raise Differs("recursive=true leaves direct permissions out")

    await visit.eventually(check)


async def project_permissions(visit: Visit) -> None:
    """List what users may do in the project."""
    await visit.api.project_permissions()


async def unknown_team(visit: Visit) -> None:
    """Ask about a team that never was."""
    team_id = uuid4()
    expect_refusal(await visit.get(PROFILES, {"team_id": str(team_id)}), 404, "TEAM_NOT_FOUND")
    if await visit.api.team_permissions(team_id):
        raise Differs("it has permissions")


async def deleted_team(visit: Visit) -> None:
    """Ask for a team that the tool has deleted."""
    team_id = visit.team_id
    expect_success(await visit.server.answer(Call("DELETE", f"{TEAMS}/{team_id}")))

    async def check() -> None:
        expect_refusal(await visit.get(f"{TEAMS}/{team_id}", {}), 404, "TEAM_NOT_FOUND")

    await visit.eventually(check)


READING = (
    Claim("all-teams", "Teams are listed with limit=200 (new), or all at once without a limit (old).", all_teams),
    Claim("members", "A team's members are listed whole, its creator and anonymous users too.", members),
    Claim(
        "team-permissions", "Direct permissions of a team are listed; recursive=true adds to them.", team_permissions
    ),
    Claim("project-permissions", "Permissions in the project are listed.", project_permissions),
    Claim("unknown-team", "Members of an unknown team: 404 TEAM_NOT_FOUND. Its permissions: none.", unknown_team),
)
DELETING = (Claim("deleted-team", "A deleted team is answered with 404 TEAM_NOT_FOUND.", deleted_team),)
