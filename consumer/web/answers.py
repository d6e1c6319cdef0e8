"""What a refused request is told: a code for programs, a sentence for people."""

from collections.abc import Mapping

from starlette.responses import JSONResponse


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a response that can be sent many times; *message* must not hold anything the sender sent."""
    return JSONResponse({"error": code, "message": message}, status, headers)
