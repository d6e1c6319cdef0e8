"""Which error an answer is that has no success."""

import re

from consumer.stack_api.calls import ApiAnswer, Call
from consumer.stack_api.errors import KnownError, SvixRefused, UnexpectedAnswer
from consumer.stack_api.listing import NotAnAnswer, members, value

HEADER = "x-stack-known-error"
# What stands in a code ends up in errors, so nothing else may.
CODE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}")


def refusal(call: Call, answer: ApiAnswer) -> KnownError | UnexpectedAnswer:
    """Return Stack's own error if the header or the body names its code, and both agree.

    Everything else comes from a wrong address, a proxy or a failing server, and proves nothing.
    """
    codes = {code for code in (answer.headers.get(HEADER), _body_code(answer.body)) if code is not None}
    if len(codes) == 1 and answer.status >= 400 and CODE.fullmatch(code := codes.pop()):
        return KnownError(str(call), answer.status, code)
    return _unexpected(call, answer, "without one of Stack's codes, check STACK_API_URL")


def svix_refusal(call: Call, answer: ApiAnswer) -> SvixRefused | UnexpectedAnswer:
    """Return Svix's own error if the body has its shape."""
    try:
        is_svix = answer.status >= 400 and "detail" in members(answer.body)
    except NotAnAnswer:
        is_svix = False
    if is_svix:
        return SvixRefused(str(call), answer.status)
    return _unexpected(call, answer, "without Svix's shape, check SVIX_SERVER_URL")


def _unexpected(call: Call, answer: ApiAnswer, reason: str) -> UnexpectedAnswer:
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    named = media_type if MEDIA_TYPE.fullmatch(media_type) else "an unknown type"
    return UnexpectedAnswer(str(call), answer.status, f"{named} {reason}")


def _body_code(body: bytes) -> str | None:
    try:
        code = value(members(body), "code")
    except NotAnAnswer:
        return None
    return code if isinstance(code, str) else None
