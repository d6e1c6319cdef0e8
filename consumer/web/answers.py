"""The answer to a refused request: a code for programs, a sentence for people."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

# About one failover of a database. Svix repeats by its own schedule.
RETRY_AFTER = {"retry-after": "5"}


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a response that can be sent many times; *message* must not contain anything from the request."""
    return JSONResponse({"error": code, "message": message}, status, headers)


# Made in advance, because there is no memory for it when it is needed.
OUT_OF_MEMORY = refusal(503, "out_of_memory", "There is no memory for the request now; send it again.", RETRY_AFTER)
