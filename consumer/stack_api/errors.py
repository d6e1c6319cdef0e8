"""What a call of a provider's API can end with; no text of an error has a key, a token or a body."""

from consumer.errors import ConsumerError


class ApiError(ConsumerError):
    """A call of the API did not succeed."""


class KnownError(ApiError):
    """Stack refused the call with a code of its own, as `USER_NOT_FOUND`."""

    def __init__(self, call: str, status: int, code: str) -> None:
        super().__init__(f"Stack refused {call}: {code} ({status}).")
        self.status = status
        self.code = code


class SvixRefused(ApiError):
    """Svix refused the call: the token, the endpoint or an argument is not the right one."""

    def __init__(self, call: str, status: int) -> None:
        super().__init__(f"Svix refused {call} with {status}.")
        self.status = status


class UnexpectedAnswer(ApiError):
    """The answer is not one of the API: a wrong address, or a proxy's page; *reason* says what is wrong with it."""

    def __init__(self, call: str, status: int, reason: str) -> None:
        super().__init__(f"The answer to {call} ({status}) is not one of the API: {reason}.")
        self.status = status


class CannotListAll(ApiError):
    """This server of Stack is older than 2025-08-24: it cannot list the anonymous users, so no list is complete."""


class SvixAddressUnknown(ApiError):
    """Stack uses a Svix server of its own and does not tell its address: set SVIX_SERVER_URL."""


class AnswerTooLarge(ApiError):
    """The answer is larger than any that is read."""


class TemporaryFailure(ApiError):
    """The same call may succeed later; *retry_after_seconds* is the wait that the server asks for, if it asks."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(TemporaryFailure):
    """The server refuses the call for its rate (429)."""


class ServerFailed(TemporaryFailure):
    """The server, or what is in front of it, failed (5xx)."""


class Unreachable(TemporaryFailure):
    """No whole answer came."""
