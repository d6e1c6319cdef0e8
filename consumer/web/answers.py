"""What a refused request is told: a code for programs, a sentence for people."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

# About one failover of a database. Svix repeats by its own schedule.
RETRY_AFTER = {"retry-after": "5"}


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a response that can be sent many times; *message* must not hold anything the sender sent."""
    return JSONResponse({"error": code, "message": message}, status, headers)


# Made beforehand: when it is needed, there is no room for it.
OUT_OF_MEMORY = refusal(503, "out_of_memory", "There is no memory for the request now; send it again.", RETRY_AFTER)
