"""What the benches share: the table and the document that they print, an event of one size, their server."""

import json
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from uuid import UUID

import orjson
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bench import support
from bench.support import database, progress, server, show, user_event
from tests.support.names import own

USER = UUID("3f0c7a52-5d0f-4a53-9d0e-6f2f4d1f0b11")
ROWS = [{"measure": "one", "events/s": 1234.5}, {"measure": "two", "events/s": 99.994, "more": None}]


class Screen(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_a_document_has_everything_that_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    show("Drain", [{"measure": "one", "n": 1}], {"event bytes": 1300}, as_json=True)

    document = {"title": "Drain", "event bytes": 1300, "rows": [{"measure": "one", "n": 1}]}
    assert capsys.readouterr().out == json.dumps(document, indent=1) + "\n"


def test_a_table_has_each_column_once_and_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    show("Drain", ROWS, {"event bytes": 1300, "ratio": 0.5}, as_json=False)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "Drain"
    cells = [line.strip("│").split("│") for line in lines if " one " in line]
    heads = next(line for line in lines if "events/s" in line)
    assert [head.strip() for head in heads.strip("┃").split("┃")] == ["measure", "events/s", "more"]
    assert cells == [[" one     ", "    1,234 ", "      "]]
    assert next(line for line in lines if "two" in line) == "│ two     │    99.99 │      │"
    assert lines[-2:] == ["event bytes: 1,300", "ratio: 0.50"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, ""), ("a name", "a name"), (1_234_567, "1,234,567"), (99, "99"), (0.5, "0.50"), (1.0, "1.00")),
        *((99.99, "99.99"), (100.0, "100"), (-99.5, "-99.50"), (-100.0, "-100"), (1_234_567.8, "1,234,568")),
    ],
)
def test_a_figure_is_printed_as_finely_as_it_can_be_read(value: object, text: str) -> None:
    assert support._shown(value) == text


def test_a_file_gets_a_wide_table_and_a_terminal_one_of_its_own_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"measure": "x" * 150}
    monkeypatch.setenv("COLUMNS", "80")
    show("Drain", [row], {}, as_json=False)
    assert max(map(len, capsys.readouterr().out.splitlines())) == 154
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")

    show("Drain", [row], {"event bytes": 1300}, as_json=False)

    lines = screen.getvalue().splitlines()
    assert max(len(line) for line in lines if "x" in line) == 80
    # In no colour.
    assert lines[-1] == "event bytes: 1,300"


def test_a_measure_is_named_at_once_beside_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    class Told(StringIO):
        def flush(self) -> None:
            assert self.getvalue() == "one worker\n"
            flushed.append(True)

    flushed: list[bool] = []
    monkeypatch.setattr(sys, "stderr", Told())

    progress("one worker")

    assert flushed == [True]


@pytest.mark.parametrize("number", [0, 1, 123_456])
def test_an_event_has_one_size_and_its_number_is_its_name_and_its_time(number: int) -> None:
    body = user_event(USER, number)
    event = orjson.loads(body)
    data = event["data"]

    assert len(body) == 1300
    assert event["type"] == "user.updated"
    assert (data["id"], data["display_name"]) == (str(USER), f"User {number}")
    assert data["primary_email"] == f"user{number}@example.com"
    assert data["profile_image_url"] == f"https://images.example.com/avatars/{USER}.png"
    signed_up = datetime(2026, 11, 22, 7, 0, 0, 123_000, tzinfo=UTC)
    assert datetime.fromtimestamp(data["signed_up_at_millis"] / 1000, UTC) == signed_up
    assert data["last_active_at_millis"] - data["signed_up_at_millis"] == number
    assert {key: value for key, value in data["server_metadata"].items() if key != "note"} == {
        "role": "editor",
        "department": "Research",
    }


def test_an_event_is_of_an_ordinary_user_who_signs_in_with_a_password() -> None:
    data = orjson.loads(user_event(USER, 1))["data"]

    yes = {"primary_email_verified", "primary_email_auth_enabled", "has_password", "auth_with_email"}
    no = {"otp_auth_enabled", "requires_totp_mfa", "passkey_auth_enabled", "is_anonymous", "is_restricted"}
    assert {key for key, value in data.items() if value is True} == yes
    assert {key for key, value in data.items() if value is False} == {*no, "restricted_by_admin"}
    assert data["risk_scores"] == {"sign_up": {"bot": 0, "free_trial_abuse": 0}}


def test_a_database_begins_empty_and_is_gone_afterwards(server_url: str) -> None:
    name = own("bench_made")
    with psycopg.connect(server_url, autocommit=True) as conn:
        # Left by a run that was killed.
        conn.execute(f"CREATE DATABASE {name}".encode())

        with database(server_url, name) as url, psycopg.connect(url) as inside:
            assert inside.info.dbname == name
            assert conninfo_to_dict(url) == {**conninfo_to_dict(server_url), "dbname": name}
            assert inside.execute("SELECT FROM pg_namespace WHERE nspname = 'consumer'").fetchall() == []

        assert conn.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchall() == []


def test_a_given_server_is_used_and_else_one_of_its_own_that_is_durable() -> None:
    with server("postgresql://elsewhere") as url:
        assert url == "postgresql://elsewhere"
    with server(None) as url, psycopg.connect(url) as conn:
        [(fsync, folder)] = conn.execute(
            "SELECT current_setting('fsync'), current_setting('data_directory')"
        ).fetchall()
        place = Path(folder).parent.parent
        assert fsync == "on"
        # The server's account may be another one.
        assert place.stat().st_mode & 0o777 == 0o755

    assert not place.exists()
