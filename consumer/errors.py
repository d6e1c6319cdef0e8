"""Every error that this package raises on purpose."""

from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime


class ConsumerError(Exception):
    """The operation could not be done."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class TryLater(ConsumerError):
    """It can't be done now, and the same may succeed later."""


class BadSettings(ConsumerError):
    """The configuration is not usable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BadPayload(ConsumerError):
    """A signed body can never be applied; *path* is the place in it, *reason* the cause."""

    def __init__(self, code: str, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.code = code
        self.path = path
        self.reason = reason


class BadQuery(ConsumerError):
    """The query has an argument that can't be used."""


class BadSignature(ConsumerError):
    """The signature does not prove that the delivery comes from its sender."""

    def __init__(self, refusal: str, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


class StoreUnavailable(ConsumerError):
    """The delivery could not be stored now; the sender should repeat it."""

    def __init__(self, cause: Exception | None = None) -> None:
        super().__init__()
        self.__cause__ = cause


class IntakeFull(StoreUnavailable):
    """Too many deliveries wait to be stored."""


class NoDatabase(ConsumerError):
    """There is no database."""


class SettingsMismatch(ConsumerError):
    """The settings that shape rows differ from those recorded in the database."""


class WrongRelease(ConsumerError):
    """This release may not work on the database as it is migrated; *reason* says why, with the cure."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason[0].upper()}{reason[1:]}.")
        self.reason = reason


class PrunedState(ConsumerError):
    """Some deliveries that tell of a state in the past may have been removed; *pruned_until*: before then."""

    def __init__(self, pruned_until: datetime) -> None:
        mark = f"{pruned_until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        super().__init__(f"Deliveries from before {mark} were pruned, so no state before then can be told.")
        self.pruned_until = pruned_until


class NewerRelease(ConsumerError):
    """This release does not know the type; the release that has migrated the database may."""


class SettingsBusy(ConsumerError):
    """The recorded settings stay locked, and nothing was changed."""


class WorkerPaused(ConsumerError):
    """Too much of a batch fails alike: the cause is ours, and no delivery dies of it."""


class LostDeliveries(ConsumerError):
    """A statement skipped the delivery."""

    code = "lost"


class UsersErased(ConsumerError):
    """Deliveries hold data of users that are erased by now; *bodies* without it, by seq."""

    def __init__(self, bodies: Mapping[int, bytes]) -> None:
        super().__init__()
        self.bodies = bodies


class Unended(ConsumerError):
    """The page took too long, or its connection was lost; its users and companies are tried again in smaller pages."""


class Inseparable(ConsumerError):
    """The items fail together, but each succeeds alone."""


class StatementRefused(ConsumerError):
    """The statement of CONSUMER_PROJECTION_SQL failed; *reason* is the server's error.

    *is_for_all*: it fails for every user.
    """

    def __init__(self, reason: Exception, *, is_for_all: bool = False) -> None:
        super().__init__()
        self.reason = reason
        self.is_for_all = is_for_all


class UntrustedCode(ConsumerError):
    """A write would run code of other roles in the session of a login that may do more than the worker's role."""

    def __init__(self, objects: Sequence[str]) -> None:
        super().__init__(f"{', '.join(objects)}: set WORKER_DATABASE_URL to a login of its own")


class UsersRefused(ConsumerError):
    """The statement of CONSUMER_PROJECTION_SQL refuses some users; *reasons* by user id."""

    def __init__(self, reasons: Mapping[Hashable, Exception]) -> None:
        super().__init__()
        self.reasons = reasons


class EmbeddedServerError(ConsumerError):
    """The embedded PostgreSQL could not be started."""
