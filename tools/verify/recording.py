"""Every call of the run and its answer, each compared with its schema."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from consumer.stack_api.calls import ApiAnswer, Call, Caller
from tools.verify.masks import SEGMENTS, Masks, headers
from tools.verify.schemas import answer_differences


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call and its answer."""

    claim: str
    call: Call
    answer: ApiAnswer
    body: object

    @property
    def differences(self) -> list[str]:
        """How the answer differs from its schema."""
        if self.body is None:
            return [] if not self.answer.is_success or not self.answer.body else ["the body is no JSON"]
        return answer_differences(self.call.method, self.call.path, self.answer.status, self.body)

    def masked(self, masks: Masks) -> dict[str, object]:
        """Return the exchange for the record."""
        text = f"{len(self.answer.body)} bytes that are no JSON"
        return {
            "claim": self.claim,
            "request": {
                "method": self.call.method,
                "path": masks.path(self.call.path),
                "query": masks.query(self.call.query),
                "body": masks.body(self.call.body),
            },
            "response": {
                "status": self.answer.status,
                "headers": headers(self.answer.headers),
                "body": text if self.body is None else masks.body(self.body),
            },
        }


class Recorder:
    """Keeps the exchanges, under the claim that each one is about."""

    def __init__(self) -> None:
        self.claim = "setup"
        self.exchanges: list[Exchange] = []

    def differences(self, claim: str) -> list[str]:
        """Return how the answers of a claim differ from their schemas, each difference once."""
        own = (exchange for exchange in self.exchanges if exchange.claim == claim)
        found = (f"{each.call.method} /{_route(each.call)}: {text}" for each in own for text in each.differences)
        return list(dict.fromkeys(found))


class RecordedCaller(Caller):
    """Makes the calls of another caller, and records each answer."""

    def __init__(self, caller: Caller, recorder: Recorder) -> None:
        self.rate = caller.rate
        self._inner = caller
        self._recorder = recorder

    async def answer(self, call: Call) -> ApiAnswer:
        """Make a call and record it."""
        answer = await self._inner.answer(call)
        self._recorder.exchanges.append(Exchange(self._recorder.claim, call, answer, parsed(answer.body)))
        return answer


def parsed(body: bytes) -> object:
    """Return a parsed body, None if it is no JSON."""
    try:
        found: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found


def fields(body: object) -> Mapping[str, object]:
    """Return an object's members, none if it is something else."""
    return body if isinstance(body, dict) else {}


def _route(call: Call) -> str:
    """Return the path without what names a subject."""
    return "/".join(part if part in SEGMENTS else "…" for part in call.path.strip("/").split("/"))
