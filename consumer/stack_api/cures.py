"""The cure of an error of Stack's API, in one sentence."""

from consumer.stack_api.errors import (
    AnswerTooLarge,
    ApiError,
    CannotListAll,
    KnownError,
    SvixRefused,
    TemporaryFailure,
)

KEY = "Copy the secret server key of this project from Stack's dashboard into STACK_SECRET_SERVER_KEY."
ADMIN_KEY = "Copy the super secret admin key of this project from Stack's dashboard into STACK_SUPER_SECRET_ADMIN_KEY."
SVIX = "Stack's own Svix takes the token that Stack gives: correct SVIX_SERVER_URL, or unset it for a hosted one."
ADDRESS = "Svix takes no such address: it must be a public one that begins with https://."
PROJECT = "Correct STACK_PROJECT_ID: this server has no such project."
REACH = "Check STACK_API_URL, SVIX_SERVER_URL and the network; the same command goes on later."
UPDATE = "Update the server of Stack."


def cure(error: ApiError) -> str:
    """Return what to do, as a sentence; empty if only the error itself is known."""
    match error:
        case KnownError(code="CURRENT_PROJECT_NOT_FOUND" | "PROJECT_NOT_FOUND"):
            return PROJECT
        case KnownError(code="INVALID_SUPER_SECRET_ADMIN_KEY" | "ADMIN_AUTHENTICATION_REQUIRED"):
            return ADMIN_KEY
        case SvixRefused(status=401 | 403 | 404):
            return SVIX
        case SvixRefused(status=422):
            return ADDRESS
        case KnownError(status=401 | 403):
            return KEY
        case KnownError(code="SCHEMA_ERROR") | CannotListAll():
            return UPDATE
        case TemporaryFailure():
            return REACH
        case AnswerTooLarge():
            return "Report it: the answer does not fit into memory."
    # The text of the others names what to check, as of an answer that is not one of the API.
    return ""
