"""Claims about keys, queries and users."""

from uuid import UUID, uuid4

from consumer.stack_api import listing
from consumer.stack_api.calls import Call
from tools.verify.claims import Claim
from tools.verify.recording import fields, parsed
from tools.verify.visit import USERS, Differs, NotTried, Visit, expect_refusal, expect_success

# A project with more users than a hundred thousand is no free one.
PAGES_MAX = 100
EVERYBODY = {"include_anonymous": "true"}
ONE = {"limit": "1"}


async def making(visit: Visit) -> None:
    """Make the users and the team that other claims are about."""
    await visit.make_all()
    if visit.refusals:
        raise NotTried("; ".join(f"{name}: {refused}" for name, refused in visit.refusals.items()))


async def wrong_key(visit: Visit) -> None:
    """Ask with a wrong key, and with none."""
    answer = await visit.get(USERS, ONE, {"x-stack-secret-server-key": "ssk_wrong"})
    expect_refusal(answer, 401, "INVALID_SECRET_SERVER_KEY")


async def wrong_project(visit: Visit) -> None:
    """Ask about a project that does not exist."""
    answer = await visit.get(USERS, ONE, {"x-stack-project-id": str(uuid4())})
    expect_refusal(answer, 400, "CURRENT_PROJECT_NOT_FOUND")


async def unknown_parameter(visit: Visit) -> None:
    """Ask with a parameter that no server knows."""
    expect_refusal(await visit.get(USERS, {**ONE, "no_such_parameter": "true"}), 400, "SCHEMA_ERROR")


async def unusable_id(visit: Visit) -> None:
    """Ask for a user whose id is no UUID."""
    answer = await visit.get(f"{USERS}/no-uuid", {})
    if answer.status != 400:
        raise Differs(f"answered {answer.status}, not 400")


async def hidden_users(visit: Visit) -> None:
    """List the made users with and without the parameter."""
    ordinary, anonymous, restricted = (str(visit.user(kind)) for kind in ("ordinary", "anonymous", "restricted"))

    async def check() -> None:
        for query, expected in (({}, {ordinary}), (EVERYBODY, {ordinary, anonymous, restricted})):
            page = listing.page(expect_success(await visit.get(USERS, {"query": visit.options.tag, **query})))
            found = {user.id for user in page.items}
            if found != expected:
                raise Differs(f"{query or 'no parameter'} lists {len(found)} of the made users, not {len(expected)}")

    await visit.eventually(check)


async def all_users(visit: Visit) -> None:
    """Walk the whole list as the backfill does."""
    wanted = {str(visit.user(kind)) for kind in visit.users}

    async def check() -> None:
        found: list[listing.ListedObject] = []
        cursor = None
        for _ in range(PAGES_MAX):
            page = await visit.api.users(cursor)
            found += page.items
            if (cursor := page.next_cursor) is None:
                break
        ids = [user.id for user in found]
        if missing := wanted - set(ids):
            raise Differs(f"{len(missing)} of the made users are not in it")
        if len(set(ids)) < len(ids):
            raise Differs("a user is in it twice")
        times = [user.signed_up_at_millis or 0 for user in found]
        if times != sorted(times):
            raise Differs("it is not in the order of the sign-ups")

    await visit.eventually(check)


async def cursor(visit: Visit) -> None:
    """Read two pages of one user each; they tell the age of the server."""
    first = listing.page(expect_success(await visit.get(USERS, ONE | EVERYBODY)))
    if len(first.items) != 1 or first.next_cursor is None:
        raise Differs("a list of several users, one a page, has no next cursor")
    answer = await visit.get(USERS, {**ONE, **EVERYBODY, "cursor": first.next_cursor})
    second = listing.page(expect_success(answer))
    if not second.items or second.items[0].id == first.items[0].id:
        raise Differs("the second page does not go on")
    ages = {first.items[0].id: "new", second.items[0].id: "old"}
    if first.next_cursor not in ages:
        raise Differs("the next cursor is neither the page's last user nor the next page's first")
    visit.age = ages[first.next_cursor]


async def recently_active(visit: Visit) -> None:
    """Ask for the users that were active last; an old server refuses that with SCHEMA_ERROR."""
    page = await visit.api.recently_active_users()
    times = [user.last_active_at_millis or 0 for user in page.items] if page else []
    if times != sorted(times, reverse=True):
        raise Differs("the last active is not the first")


async def one_user(visit: Visit) -> None:
    """Ask for one user by its id, and by the same in capitals."""
    user_id = visit.user("anonymous")

    async def check() -> None:
        if await visit.api.user(user_id) is None:
            raise Differs("a user that was made is not found")
        answer = await visit.get(f"{USERS}/{str(user_id).upper()}", {})
        if fields(parsed(answer.body)).get("id") != str(user_id):
            raise Differs(f"an id in capitals is answered {answer.status}, or with another id")

    await visit.eventually(check)


async def deleted_user(visit: Visit) -> None:
    """Ask for a user that the tool has deleted."""
    user_id = await _deleted(visit)

    async def check() -> None:
        expect_refusal(await visit.get(f"{USERS}/{user_id}", {}), 404, "USER_NOT_FOUND")
        if await visit.api.user(user_id) is not None:
            raise Differs("the product's client takes it for alive")

    await visit.eventually(check)


async def deleted_cursor(visit: Visit) -> None:
    """Go on behind a user that is gone."""
    answer = await visit.get(USERS, {**ONE, **EVERYBODY, "cursor": str(visit.user("ordinary"))})
    page = listing.page(expect_success(answer))
    if page.items or page.next_cursor is not None:
        raise Differs("the page is not empty")


async def _deleted(visit: Visit) -> UUID:
    """Delete the ordinary user, by its id in capitals: events repeat the id as it stands in the path."""
    user_id = visit.user("ordinary")
    expect_success(await visit.server.answer(Call("DELETE", f"{USERS}/{str(user_id).upper()}")))
    return user_id


READING = (
    Claim("making", "Users, a team and a membership are made; the answers have the shape of GET's.", making),
    Claim("wrong-key", "A wrong server key is refused with 401 INVALID_SECRET_SERVER_KEY.", wrong_key),
    Claim("wrong-project", "An unknown project is refused with 400 CURRENT_PROJECT_NOT_FOUND.", wrong_project),
    Claim("unknown-parameter", "An unknown parameter is refused with 400 SCHEMA_ERROR.", unknown_parameter),
    Claim("unusable-id", "An id that is no UUID is refused with 400, never 404.", unusable_id),
    Claim("hidden-users", "A list has anonymous and restricted users only with include_anonymous=true.", hidden_users),
    Claim("all-users", "The list of all users has each one once, in the order of the sign-ups.", all_users),
    Claim("cursor", "The next cursor is the page's last user (new) or the next page's first (old).", cursor),
    Claim("recently-active", "A new server sorts by last_active_at, an old one refuses that.", recently_active),
    Claim("one-user", "A user is found by its id in any case; the answer has it in lower case.", one_user),
)
DELETING = (
    Claim("deleted-user", "A deleted user is answered with 404 USER_NOT_FOUND.", deleted_user),
    Claim("deleted-cursor", "A cursor whose user is gone gives an empty last page.", deleted_cursor),
)
