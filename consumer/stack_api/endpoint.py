"""What is wrong with the endpoint at Svix that brings the webhooks."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import httpx

from consumer.events.registry import types_from
from consumer.settings import signing_secrets
from consumer.stack_api.svix import SvixApi
from consumer.stack_api.svix_answers import SvixEndpoint

# What Stack may send: the types of your own backend are taken from Stack too, should they ever come.
SENT_TYPES = tuple(name for name in types_from("stack") if name not in types_from("app"))
# So many types are named; the others are counted.
NAMED_MAX = 5


class EndpointFinding(NamedTuple):
    """Something that keeps webhooks from arriving, all of them where it *is_alarm*; and its cure."""

    code: str
    sentence: str
    cure: str
    is_alarm: bool = False


async def endpoint_findings(svix: SvixApi, url: str, secrets: Sequence[str]) -> list[EndpointFinding]:
    """Judge the endpoint with this URL as it is now; nothing is changed.

    *secrets* are those that the receiver verifies with; with none known here its own is not compared. Raises ApiError.
    """
    found = of_url(await svix.endpoints(), url)
    if not found:
        cure = f"Run `consumer connect --url {url}`, or correct the URL."
        return [EndpointFinding("endpoint_not_found", f"Svix has no endpoint for {url}", cure, is_alarm=True)]
    endpoint = found[0]
    findings = [*obstacles(endpoint), *_doubled(found)]
    if secrets and not is_among(await svix.endpoint_secret(endpoint.id), secrets):
        cure = (
            "Run `consumer connect --secret-file FILE`, name FILE in STACK_WEBHOOK_SECRETS_FILE, restart the receiver."
        )
        sentence = "its signing secret is none of STACK_WEBHOOK_SECRETS"
        findings.append(EndpointFinding("endpoint_secret_differs", sentence, cure, is_alarm=True))
    failures = await svix.last_failures(endpoint.id)
    # Older ones may have failed in an outage that is over: Svix repeats them.
    if failures and failures[0] and not endpoint.is_disabled:
        sentence = f"{sum(failures)} of its last {len(failures)} messages failed, the newest too"
        cure = "Look into the receiver's log; `consumer connect` sends a test event."
        findings.append(EndpointFinding("endpoint_failing", sentence, cure))
    return findings


def of_url(endpoints: Sequence[SvixEndpoint], url: str) -> list[SvixEndpoint]:
    """Return the endpoints with this URL, an enabled one first."""
    same = [endpoint for endpoint in endpoints if _address(endpoint.url) == _address(url)]
    return sorted(same, key=lambda endpoint: endpoint.is_disabled)


def obstacles(endpoint: SvixEndpoint) -> Iterator[EndpointFinding]:
    """Yield what keeps messages from being sent to an endpoint at all."""
    if endpoint.is_disabled:
        sentence = "Svix has disabled the endpoint, as it does after five days of failures"
        cure = "Run `consumer connect --enable`, then `consumer recover --since` the last delivery."
        yield EndpointFinding("endpoint_disabled", sentence, cure, is_alarm=True)
    missing = [name for name in SENT_TYPES if endpoint.event_types is not None and name not in endpoint.event_types]
    if missing:
        more = f" and {len(missing) - NAMED_MAX} more" if len(missing) > NAMED_MAX else ""
        sentence = f"its filter keeps out {', '.join(missing[:NAMED_MAX])}{more}"
        cure = "Take the filter away in Stack's dashboard, under Webhooks: it keeps out types yet to come too."
        yield EndpointFinding("endpoint_filtered", sentence, cure)
    if endpoint.channels:
        sentence = "it takes messages of some channels only, and Stack's have none"
        cure = "Take its channels away in Stack's dashboard, under Webhooks."
        yield EndpointFinding("endpoint_channels", sentence, cure, is_alarm=True)


def is_among(secret: str, secrets: Sequence[str]) -> bool:
    """Tell whether a secret is one of others, however they are written."""
    return not signing_secrets.keys([secret]).isdisjoint(signing_secrets.keys(secrets))


def _doubled(found: Sequence[SvixEndpoint]) -> Iterator[EndpointFinding]:
    if len(found) > 1:
        sentence = f"{len(found)} endpoints have this URL, each with a secret of its own"
        cure = "Delete all but one in Stack's dashboard, under Webhooks."
        yield EndpointFinding("endpoint_doubled", sentence, cure)


def _address(url: str) -> str:
    """Return a URL without what makes no difference: capitals in the host, a default port, a slash at the end."""
    try:
        return str(httpx.URL(url)).rstrip("/")
    except httpx.InvalidURL:
        return url
