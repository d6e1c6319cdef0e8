"""Claims about Svix, and what Stack does with the admin key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from consumer.providers.stack.message_ids import occurred_at
from consumer.stack_api.calls import Call, CallLimits, open_caller
from consumer.stack_api.svix import SvixApi, address
from consumer.stack_api.svix_answers import SvixEndpoint, SvixMessage
from tools.verify.claims import Claim
from tools.verify.recording import RecordedCaller, fields, parsed
from tools.verify.schemas import event_differences
from tools.verify.visit import Differs, NotTried, Visit, expect_refusal

# What Svix holds of the run is as young as the run.
RUN = timedelta(hours=1)
# The id's time has steps of 4 ms; the rest is between the id and the row.
ID_TIME_DIFFERENCE_MAX = timedelta(seconds=5)
NEVER = datetime.min.replace(tzinfo=UTC)
TYPES = ("user.created", "user.deleted", "team.created", "team.deleted")


@asynccontextmanager
async def opened(visit: Visit) -> AsyncIterator[SvixApi]:
    """Open Svix with a token of Stack's."""
    token = await visit.stack_admin.svix_token()
    url = visit.options.svix_url or address(token)
    rate = visit.server.rate
    async with open_caller("SVIX_SERVER_URL", url, {}, rate, CallLimits()) as caller:
        recorded = RecordedCaller(caller, visit.recorder)
        yield SvixApi(recorded, visit.stack_admin, token.token, visit.access.project_id)


async def wrong_admin_key(visit: Visit) -> None:
    """Ask for a token with a wrong key."""
    _ = visit.stack_admin
    assert visit.admin is not None, "stack_admin has looked for it"
    key = {"x-stack-super-secret-admin-key": "sak_wrong"}
    answer = await visit.admin.answer(Call("POST", "/api/v1/webhooks/svix-token", body={}, headers=key))
    expect_refusal(answer, 401, "INVALID_SUPER_SECRET_ADMIN_KEY")


async def svix_token(visit: Visit) -> None:
    """Ask for a token."""
    await visit.stack_admin.svix_token()


async def endpoints(visit: Visit) -> None:
    """List the endpoints with the token."""
    async with opened(visit) as svix:
        await svix.endpoints()


async def endpoint_secret(visit: Visit) -> None:
    """Read the secret of an endpoint, which the record does not show."""
    async with opened(visit) as svix:
        secret = await svix.endpoint_secret((await _first_endpoint(svix)).id)
        if not secret.startswith("whsec_"):
            raise Differs("the secret does not begin with whsec_")


async def messages(visit: Visit) -> None:
    """Look for the messages about what the tool made and deleted, and compare their bodies with the webhooks'."""
    async with opened(visit) as svix:
        found = await visit.eventually(lambda: _all_told(visit, svix))
    for message in found:
        body = parsed(message.payload)
        event_type = str(fields(body).get("type"))
        if differences := event_differences(event_type, body):
            raise Differs(f"{event_type}: {'; '.join(differences)}")
        if occurred_at(message.id, NEVER, datetime.max.replace(tzinfo=UTC) - NEVER) == NEVER:
            raise Differs("a message's id holds no time")
        if abs(occurred_at(message.id, message.at, RUN) - message.at) > ID_TIME_DIFFERENCE_MAX:
            raise Differs("the time in a message's id is not the message's")


async def id_of_deletion(visit: Visit) -> None:
    """Look at the id in the event of the deletion, whose path had it in capitals."""
    user_id = str(visit.user("ordinary"))
    async with opened(visit) as svix:
        found = await visit.eventually(lambda: _all_told(visit, svix))
    ids = [_subject(message) for message in found if fields(parsed(message.payload)).get("type") == "user.deleted"]
    if user_id.upper() not in ids:
        raise Differs("it is in lower case, though the path had capitals")


async def test_webhook(visit: Visit) -> None:
    """Have Stack send `stack.test`, to every endpoint."""
    admin = visit.stack_admin
    async with opened(visit) as svix:
        endpoint = await _first_endpoint(svix)
    if not visit.options.sends_test:
        raise NotTried("--send-test was not given")
    await admin.send_test_webhook(endpoint.id)


async def _first_endpoint(svix: SvixApi) -> SvixEndpoint:
    found = await svix.endpoints()
    if not found:
        raise NotTried("the project has no endpoint")
    return found[0]


async def _all_told(visit: Visit, svix: SvixApi) -> list[SvixMessage]:
    """Return the messages about the ordinary user and the team."""
    subjects = {str(visit.user("ordinary")), str(visit.team_id)}
    found: list[SvixMessage] = []
    async for page in svix.messages(visit.started_at - RUN):
        found += [message for message in page.messages if _subject(message).lower() in subjects]
    types = {str(fields(parsed(message.payload)).get("type")) for message in found}
    if missing := set(TYPES) - types:
        raise Differs(f"no message tells of {', '.join(sorted(missing))}")
    return found


def _subject(message: SvixMessage) -> str:
    return str(fields(fields(parsed(message.payload)).get("data")).get("id"))


ADMINISTERING = (
    Claim("wrong-admin-key", "A wrong admin key: 401 INVALID_SUPER_SECRET_ADMIN_KEY.", wrong_admin_key),
    Claim("svix-token", "The admin key gets a token for Svix, with 201.", svix_token),
    Claim("endpoints", "The token lists the project's endpoints.", endpoints),
    Claim("endpoint-secret", "The token reads an endpoint's secret.", endpoint_secret),
    Claim("messages", "Svix keeps a message for each event, with a time in its id and the webhook's body.", messages),
    Claim("id-of-deletion", "A deletion's event has the id as it stood in the request's path.", id_of_deletion),
    Claim("test-webhook", "Stack sends stack.test and says whether the endpoint took it.", test_webhook),
)
