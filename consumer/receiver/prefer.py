"""`Prefer: wait=N` (RFC 7240, section 4.3): the sender asks for the answer once the profile is there."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from starlette.responses import JSONResponse, Response

from consumer.receiver.waits import Settled

# A person waits for the sign-in behind it. `Preference-Applied` reports this limit to a sender that asks for longer.
WAIT_SECONDS_MAX = 5
WAIT = re.compile(rb'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])', re.IGNORECASE)

# Returns a settled delivery, or None when it is not settled in time.
WaitFor = Callable[[str, timedelta], Awaitable[Settled | None]]


async def answer(wait_for: WaitFor, message_id: str, asked: int) -> Response:
    """Return 200 with the profile, 204 if the applied delivery leaves none, 202 while it is not applied.

    A dead delivery gets 202 too, because it may be retried one day.
    """
    seconds = min(asked, WAIT_SECONDS_MAX)
    applied = {"preference-applied": f"wait={seconds}"}
    settled = await wait_for(message_id, timedelta(seconds=seconds))
    if settled is None or settled.state == "dead":
        return JSONResponse({"message_id": message_id, "state": "dead" if settled else "pending"}, 202, applied)
    if settled.profile is None:
        return Response(status_code=204, headers=applied)
    return JSONResponse(settled.profile, 200, applied)


def wait_asked_for(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """Return the seconds that the sender asks to wait; 0 without a preference or with a malformed one."""
    preferences = b",".join(value for name, value in headers if name == b"prefer")
    asked = WAIT.search(preferences) if preferences else None
    return int(asked[1]) if asked else 0
