"""What the server's log gets of our parameters: the doctor warns of exactly the settings that put them there."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.doctor.check import Check
from consumer.doctor.sessions import StatementLog, check_statement_logs, judge_statement_logs, leaks_of
from consumer.embedded import server as embedded
from consumer.postgres.connections import worker_access
from tests.support.cli import examined
from tests.support.databases import change
from tests.support.strangers import stranger

LOGIN = "Shop's worker"
QUOTED = '"Shop\'s worker"'
# What servers have by default; the embedded one logs less.
ORDINARY = {"log_min_messages": "warning", "log_min_error_statement": "error", "log_error_verbosity": "default"}


@dataclass(frozen=True, slots=True)
class Logged:
    """A server, and its log."""

    url: str
    log: Path

    def set(self, **settings: str) -> None:
        """Give the login these settings and no others, on top of the ordinary ones."""
        change(self.url, f"ALTER ROLE {QUOTED} RESET ALL")
        for name, value in (ORDINARY | settings).items():
            change(self.url, f"ALTER ROLE {QUOTED} SET {name.replace('__', '.')} = '{value}'")

    @property
    def login_url(self) -> str:
        return make_conninfo(self.url, user=LOGIN)

    def holds(self, marker: str) -> bool:
        """Send a parameter as the login, in a statement that succeeds and in one that fails, and look for it."""
        with psycopg.connect(self.login_url, autocommit=True, prepare_threshold=None) as conn:
            conn.execute("DELETE FROM kept WHERE name = %b", [marker])
            with pytest.raises(psycopg.errors.DivisionByZero):
                conn.execute("SELECT 1 / (length(%b::text) - length(%b::text))", [marker, marker])
        # A printed plan is broken into short lines.
        text = " ".join(self.log.read_text().split())
        return marker in text or as_numbers(marker) in text


def as_numbers(text: str) -> str:
    """Return the bytes of a constant as a printed plan shows them."""
    return " ".join(str(byte) for byte in text.encode())


@pytest.fixture(scope="module")
def server() -> Iterator[Logged]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with embedded.server(Path(folder) / "postgres", create=True) as url:
            change(url, "CREATE TABLE kept (name text)")
            change(url, f"CREATE ROLE {QUOTED} LOGIN")
            change(url, f"GRANT ALL ON kept TO {QUOTED}")
            yield Logged(url, Path(folder) / "postgres" / "postgres.log")


LEAKING = {
    "all statements": {"log_statement": "all"},
    "writing statements": {"log_statement": "mod"},
    "slow statements": {"log_min_duration_statement": "0"},
    "a sample of slow statements": {"log_min_duration_sample": "0", "log_statement_sample_rate": "1"},
    "a sample of transactions": {"log_transaction_sample_rate": "1"},
    "the first bytes": {"log_statement": "all", "log_parameter_max_length": "40"},
    "parameters of errors": {"log_parameter_max_length_on_error": "-1"},
    "statements and errors": {"log_statement": "all", "log_parameter_max_length_on_error": "-1"},
    "plans": {"session_preload_libraries": "auto_explain", "auto_explain__log_min_duration": "0"},
    "plans without parameters": {
        "session_preload_libraries": "auto_explain",
        "auto_explain__log_min_duration": "0",
        "auto_explain__log_parameter_max_length": "0",
    },
    "plans in terse lines": {
        "session_preload_libraries": "auto_explain",
        "auto_explain__log_min_duration": "0",
        "log_error_verbosity": "terse",
    },
    "the planner's trees": {"debug_print_plan": "on"},
}
SAFE = {
    "the ordinary settings": {},
    "definitions only": {"log_statement": "ddl"},
    "times only": {"log_duration": "on"},
    "parameters are cut off": {"log_statement": "all", "log_parameter_max_length": "0"},
    "a sample of none": {"log_min_duration_sample": "0", "log_statement_sample_rate": "0"},
    "terse lines": {"log_statement": "all", "log_error_verbosity": "terse", "log_parameter_max_length_on_error": "-1"},
    "nothing below fatal": {
        "log_statement": "all",
        "log_min_messages": "fatal",
        "log_parameter_max_length_on_error": "9",
    },
    "the parser's trees": {"debug_print_parse": "on", "debug_print_rewritten": "on"},
    "plans of nothing": {"session_preload_libraries": "auto_explain", "auto_explain__log_min_duration": "-1"},
}


@pytest.mark.parametrize("settings", LEAKING.values(), ids=LEAKING)
def test_the_doctor_warns_of_what_writes_parameters_and_its_cure_stops_that(
    server: Logged, settings: dict[str, str], request: pytest.FixtureRequest
) -> None:
    marker = f"jane{abs(hash(request.node.callspec.id))}"
    server.set(**settings)

    [check] = checked(server)

    assert check.state == "warning"
    assert QUOTED in check.finding
    assert server.holds(marker)
    for statement in [part.strip() for part in (check.cure or "").split(":", 1)[1].split(";")[:-1]]:
        change(server.url, statement)
    assert [check.state for check in checked(server)] == ["ok"]
    assert not server.holds(marker[::-1])


@pytest.mark.parametrize("settings", SAFE.values(), ids=SAFE)
def test_the_doctor_is_silent_where_the_log_gets_no_parameter(
    server: Logged, settings: dict[str, str], request: pytest.FixtureRequest
) -> None:
    server.set(**settings)

    assert [check.state for check in checked(server)] == ["ok"]
    assert not server.holds(f"john{abs(hash(request.node.callspec.id))}")


def checked(server: Logged) -> list[Check]:
    return asyncio.run(check_statement_logs([server.login_url], worker_access("consumer")))


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"pgaudit.log": "write", "pgaudit.log_parameter": "on"}, ["pgaudit.log_parameter = on"]),
        ({"pgaudit.log": "none", "pgaudit.log_parameter": "on"}, []),
        ({"pgaudit.log": "write", "pgaudit.log_parameter": "off"}, []),
        ({}, []),
    ],
)
def test_an_audit_extension_is_judged_by_its_own_settings(settings: dict[str, str], found: list[str]) -> None:
    assert [leak.setting for leak in leaks_of(settings)] == found


def test_what_only_a_superuser_may_set_is_said() -> None:
    log = StatementLog("shop", {"log_statement": "all"})
    own = StatementLog("own", {"log_parameter_max_length_on_error": "-1"})

    [both], [mine] = judge_statement_logs([log, own]), judge_statement_logs([own])

    assert both.cure is not None
    assert mine.cure is not None
    assert both.cure.startswith(
        "Only a superuser or a managed server's provider may: ALTER ROLE shop SET log_parameter_max_length = 0;"
    )
    assert mine.cure.startswith("Each login may for itself: ALTER ROLE own SET ")


@pytest.mark.lone_server
def test_the_doctor_asks_each_login_by_its_own_url(emptied: str) -> None:
    with stranger(emptied, "receiver") as conn:
        change(emptied, f"GRANT consumer_receiver TO {conn.info.user}")
        change(emptied, f"ALTER ROLE {conn.info.user} SET log_min_duration_statement = 500")
        change(emptied, f"ALTER ROLE {conn.info.user} SET log_error_verbosity = 'default'")
        receiver = make_conninfo(emptied, user=conn.info.user, password="x")

        _, checks = examined(emptied, RECEIVER_DATABASE_URL=receiver)

        assert checks["statement log"]["state"] == "warning"
        assert checks["statement log"]["finding"].startswith("log_min_duration_statement = 500: ")
        assert checks["statement log"]["finding"].endswith(f"from {conn.info.user}")
    assert examined(emptied)[1]["statement log"]["state"] == "ok"
