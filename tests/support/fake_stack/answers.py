"""How Stack answers: known errors with a code, all others as plain text."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from tests.support.fake_stack.shapes import Age

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"
STATUSES = {
    "USER_NOT_FOUND": 404,
    "TEAM_NOT_FOUND": 404,
    "TEAM_MEMBERSHIP_NOT_FOUND": 404,
    "SERVER_AUTHENTICATION_REQUIRED": 401,
    "ADMIN_AUTHENTICATION_REQUIRED": 401,
    "INVALID_SECRET_SERVER_KEY": 401,
    "INVALID_SUPER_SECRET_ADMIN_KEY": 401,
    "INSUFFICIENT_ACCESS_TYPE": 401,
}
BAD_REQUEST = 400
OVERRIDE = "x-stack-override-error-status"


class Refused(Exception):
    """The request ends with an error: one of Stack's codes, or a text with a status."""

    def __init__(self, error: str | int, **details: object) -> None:
        super().__init__(error)
        self.error = error
        self.details = details


def ok(body: Mapping[str, Any], age: Age, status: int = 200) -> Response:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return Response(text.encode(), status, common_headers(age), JSON)


def refused(refusal: Refused, age: Age, headers: Mapping[str, str]) -> Response:
    """Return the answer to a refused request; the client may ask for a status of 200 in place of any 4xx."""
    if isinstance(refusal.error, int):
        answer = Response("<sentence>", refusal.error, common_headers(age), TEXT)
    else:
        code = refusal.error
        details = {"details": refusal.details} if refusal.details else {}
        text = json.dumps({"code": code, **details, "error": "<sentence>"}, indent=2)
        answer = Response(text, STATUSES.get(code, BAD_REQUEST), common_headers(age), JSON)
        for prefix in prefixes(age):
            answer.headers[f"{prefix}known-error"] = code
    if headers.get(OVERRIDE) and answer.status_code < 500:
        answer.headers["x-stack-actual-status"] = str(answer.status_code)
        answer.status_code = 200
    return answer


def common_headers(age: Age) -> dict[str, str]:
    return {"cache-control": "no-store, max-age=0", **{f"{prefix}request-id": "made-up" for prefix in prefixes(age)}}


def prefixes(age: Age) -> tuple[str, ...]:
    """Return how the names of headers begin."""
    return ("x-stack-", "x-hexclave-") if age == "new" else ("x-stack-",)
