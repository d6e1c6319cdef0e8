"""What Stack does with the super secret admin key: it hands out tokens of Svix and sends the test event."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from consumer.stack_api.calls import Call, Caller, CallLimits, header_value, is_header_value, open_caller
from consumer.stack_api.client import StackAccess, answer_to, project_headers
from consumer.stack_api.listing import NotAnAnswer, members, text, value
from consumer.stack_api.rate import RateLimit


@dataclass(frozen=True, slots=True)
class SvixToken:
    """A token for the project's messages and endpoints in Svix, valid for an hour up to seven days."""

    token: str = field(repr=False)
    is_hosted: bool


class StackAdmin:
    """Calls with the admin key; each may raise ApiError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def svix_token(self) -> SvixToken:
        """Make a token; it is hosted if Stack names a page of svix.com for it."""
        return await answer_to(self._caller, Call("POST", "/api/v1/webhooks/svix-token", body={}), _token)

    async def send_test_webhook(self, endpoint_id: str) -> bool:
        """Have Stack send `stack.test` to every endpoint; tell whether *endpoint_id* took it within some seconds."""
        call = Call("POST", "/api/v1/internal/send-test-webhook", body={"endpoint_id": endpoint_id})
        return await answer_to(self._caller, call, _is_success)


@asynccontextmanager
async def open_stack_admin(
    access: StackAccess, rate: RateLimit, limits: CallLimits | None = None
) -> AsyncIterator[StackAdmin]:
    """Open the API for its project with the admin key."""
    key = header_value("STACK_SUPER_SECRET_ADMIN_KEY", access.admin_key)
    headers = {**project_headers(access, "admin"), "x-stack-super-secret-admin-key": key}
    async with open_caller("STACK_API_URL", access.url, headers, rate, limits or CallLimits()) as caller:
        yield StackAdmin(caller)


def _token(body: bytes) -> SvixToken:
    answer = members(body)
    token = text(answer, "token")
    # It becomes a header's value.
    if not is_header_value(token):
        raise NotAnAnswer("token is no token")
    return SvixToken(token, is_hosted=value(answer, "url") is not None)


def _is_success(body: bytes) -> bool:
    success = value(members(body), "success")
    if not isinstance(success, bool):
        raise NotAnAnswer("success is no boolean")
    return success
