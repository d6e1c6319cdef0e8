"""Checks of what strangers see or hold of our sessions: our locks, and our parameters in the server's log."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from psycopg.rows import class_row

from consumer.doctor.check import Check, ok
from consumer.postgres import locks
from consumer.postgres.connections import Access, Connection, connect
from consumer.postgres.queries import rows

# Lines of a statement are written at LOG, which these settings of log_min_messages leave out.
QUIET = ("fatal", "panic")


@dataclass(frozen=True, slots=True)
class StatementLog:
    """What the server logs of one login's statements: the login as an identifier in SQL, and the settings by name."""

    login: str
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leak:
    """A setting that writes parameters to the server's log, and the setting that keeps them out."""

    setting: str
    cure: str
    # Whether the login may set it for itself.
    is_own: bool = False


async def check_locks(conn: Connection) -> list[Check]:
    """Name who holds a lock that our processes need."""
    holders = await locks.noteworthy(conn)
    found = [Check("locks", "warning", holder.sentence, holder.cure) for holder in holders]
    return found or [ok("locks", "nobody else holds one of ours")]


async def check_statement_logs(conninfos: Iterable[str], access: Access) -> list[Check]:
    """Ask each login, because a setting may be the server's, a database's or a login's."""
    found = []
    for conninfo in conninfos:
        async with await connect(conninfo, access) as conn:
            found += await rows(conn, class_row(StatementLog), "sessions/statement_log")
    return judge_statement_logs(found)


def judge_statement_logs(found: Sequence[StatementLog]) -> list[Check]:
    """Judge whether the server's log gets the bodies and addresses that our processes send as parameters."""
    leaks = {log.login: list(leaks_of(log.settings)) for log in found}
    causes = list(dict.fromkeys(leak.setting for each in leaks.values() for leak in each))
    if not causes:
        return [ok("statement log", "the server logs no parameters of ours")]
    logins = [login for login, each in leaks.items() if each]
    cures = list(dict.fromkeys(_cure(login, leak) for login, each in leaks.items() for leak in each))
    needs_superuser = any(not leak.is_own for each in leaks.values() for leak in each)
    who = "Only a superuser or a managed server's provider may" if needs_superuser else "Each login may for itself"
    return [
        Check(
            "statement log",
            "warning",
            f"{', '.join(causes)}: the server's log gets the personal data in our parameters, from {', '.join(logins)}",
            f"{who}: {' '.join(cures)} Then restart our processes. Do the same for your application's logins.",
        )
    ]


def leaks_of(settings: Mapping[str, str]) -> Iterator[Leak]:
    """Yield what writes parameters to the log; a setting that the server does not have is left out of *settings*."""
    is_logged = settings.get("log_min_messages") not in QUIET
    # PostgreSQL's own lines have the parameters in DETAIL and CONTEXT, an extension's in the message.
    if settings.get("log_error_verbosity") != "terse":
        if is_logged:
            yield from _statement_leaks(settings)
        yield from _error_leaks(settings)
    if is_logged:
        yield from _extension_leaks(settings)


def _statement_leaks(settings: Mapping[str, str]) -> Iterator[Leak]:
    sample_rate = float(settings.get("log_statement_sample_rate", "0"))
    logged = {
        "log_statement": settings.get("log_statement") in {"mod", "all"},
        "log_min_duration_statement": _is_on(settings, "log_min_duration_statement"),
        "log_min_duration_sample": _is_on(settings, "log_min_duration_sample") and sample_rate > 0,
        "log_transaction_sample_rate": float(settings.get("log_transaction_sample_rate", "0")) > 0,
    }
    for name, is_logged in logged.items():
        if is_logged and settings.get("log_parameter_max_length") != "0":
            yield Leak(f"{name} = {settings[name]}", "log_parameter_max_length = 0")
    if settings.get("debug_print_plan") == "on":
        yield Leak("debug_print_plan = on", "debug_print_plan = off", is_own=True)


def _error_leaks(settings: Mapping[str, str]) -> Iterator[Leak]:
    length = settings.get("log_parameter_max_length_on_error", "0")
    if length != "0" and settings.get("log_min_messages") not in (*QUIET, "log"):
        name = "log_parameter_max_length_on_error"
        yield Leak(f"{name} = {length}", f"{name} = 0", is_own=True)


def _extension_leaks(settings: Mapping[str, str]) -> Iterator[Leak]:
    # A plan shows parameters as constants, whatever auto_explain.log_parameter_max_length says.
    if _is_on(settings, "auto_explain.log_min_duration"):
        setting = f"auto_explain.log_min_duration = {settings['auto_explain.log_min_duration']}"
        yield Leak(setting, "auto_explain.log_min_duration = -1")
    if settings.get("pgaudit.log_parameter") == "on" and settings.get("pgaudit.log", "none") != "none":
        yield Leak("pgaudit.log_parameter = on", "pgaudit.log_parameter = off")


def _is_on(settings: Mapping[str, str], duration: str) -> bool:
    return float(settings.get(duration, "-1")) >= 0


def _cure(login: str, leak: Leak) -> str:
    return f"ALTER ROLE {login} SET {leak.cure};"
