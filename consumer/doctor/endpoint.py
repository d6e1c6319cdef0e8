"""Whether the endpoint at Svix still brings the webhooks, which only the admin key can ask."""

from collections.abc import Sequence

from consumer.doctor.check import Check, ok
from consumer.doctor.stack_api import LIMITS
from consumer.errors import BadSettings
from consumer.stack_api.admin import open_stack_admin
from consumer.stack_api.client import StackAccess
from consumer.stack_api.cures import cure
from consumer.stack_api.endpoint import EndpointFinding, endpoint_findings
from consumer.stack_api.errors import ApiError
from consumer.stack_api.rate import RateLimit
from consumer.stack_api.svix import open_svix

NAME = "endpoint at Svix"
# A call has the time of its own answer only; five of them are a burst that no limit refuses.
CALLS_A_SECOND = 10


async def check_endpoint(
    access: StackAccess, svix_url: str | None, url: str | None, secrets: Sequence[str]
) -> list[Check]:
    """Judge the endpoint that `consumer connect` has recorded; failing only where no webhook can arrive."""
    if not access.admin_key or not access.project_id:
        return [ok(NAME, "not looked at: STACK_SUPER_SECRET_ADMIN_KEY is not set")]
    if url is None:
        return [ok(NAME, "not looked at: `consumer connect` has recorded none")]
    rate = RateLimit(CALLS_A_SECOND)
    try:
        async with (
            open_stack_admin(access, rate, LIMITS) as admin,
            open_svix(admin, access.project_id, svix_url, rate, LIMITS) as svix,
        ):
            found = await endpoint_findings(svix, url, secrets)
    except BadSettings as error:
        return [Check(NAME, "warning", str(error), "Correct the variable, in the environment or in .env.")]
    except ApiError as error:
        return [Check(NAME, "warning", str(error), cure(error) or "Check STACK_API_URL and SVIX_SERVER_URL.")]
    return [_check(finding) for finding in found] or [ok(NAME, f"{url} is enabled and gets all types")]


def _check(finding: EndpointFinding) -> Check:
    return Check(NAME, "failing" if finding.is_alarm else "warning", finding.sentence, finding.cure)
