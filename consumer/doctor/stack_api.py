"""Whether Stack's API can be asked, which only the recovery needs."""

from uuid import UUID

from consumer.doctor.check import Check, ok
from consumer.errors import BadSettings
from consumer.stack_api.calls import CallLimits
from consumer.stack_api.client import StackAccess, open_stack_api
from consumer.stack_api.cures import cure
from consumer.stack_api.errors import ApiError
from consumer.stack_api.rate import RateLimit

NAME = "Stack's API"
# Somebody waits for the report.
LIMITS = CallLimits(connect_seconds=3, read_seconds=5, call_seconds=8, attempts=1)
# No user has this id, and the answer shows that key and project are right.
NOBODY = UUID(int=0)
UNSET = "Set both, from Stack's dashboard, so that `backfill` and `refresh` can ask it."


async def check_stack_api(access: StackAccess) -> Check:
    """Ask for a user that does not exist; never more than a warning, because webhooks need no API."""
    if not access.project_id and not access.server_key:
        return ok(NAME, "not used: STACK_PROJECT_ID and STACK_SECRET_SERVER_KEY are not set")
    if not access.project_id or not access.server_key:
        missing = "STACK_SECRET_SERVER_KEY" if access.project_id else "STACK_PROJECT_ID"
        return Check(NAME, "warning", f"{missing} is not set", UNSET)
    try:
        async with open_stack_api(access, RateLimit(1), LIMITS) as api:
            await api.user(NOBODY)
    except BadSettings as error:
        return Check(NAME, "warning", str(error), "Correct the variable, in the environment or in .env.")
    except ApiError as error:
        return Check(NAME, "warning", str(error), cure(error) or "Check STACK_API_URL.")
    return ok(NAME, f"answers for project {access.project_id}")
