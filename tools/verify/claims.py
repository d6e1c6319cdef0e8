"""What the product relies on: one claim is one sentence and the calls that try it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from consumer.stack_api.errors import ApiError, SvixAddressUnknown, TemporaryFailure
from consumer.stack_api.listing import NotAnAnswer
from tools.verify.visit import Differs, NotTried, Visit

Verdict = Literal["as expected", "differs", "not tried"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A name, what holds, and the check; it raises Differs or NotTried."""

    name: str
    sentence: str
    check: Callable[[Visit], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a claim, and how or why."""

    claim: Claim
    verdict: Verdict
    reasons: tuple[str, ...] = ()


async def tried(claim: Claim, visit: Visit) -> Finding:
    """Try a claim; an answer that is not one of the API differs, and one that never came says nothing."""
    visit.recorder.claim = claim.name
    verdict: Verdict = "as expected"
    reasons: list[str] = []
    try:
        await claim.check(visit)
    except (NotTried, TemporaryFailure, SvixAddressUnknown) as error:
        verdict, reasons = "not tried", [str(error)]
    except (Differs, NotAnAnswer, ApiError) as error:
        verdict, reasons = "differs", [str(error)]
    if differences := visit.recorder.differences(claim.name):
        verdict, reasons = "differs", reasons + differences
    return Finding(claim, verdict, tuple(reasons))
