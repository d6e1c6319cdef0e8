"""Each limit of a setting that is a number, each default, and what a settings' text shows of the settings."""

from dataclasses import fields
from pathlib import Path

import pytest

from consumer.settings import texts
from consumer.settings.settings import NAMES, Settings, ShapingSettings, read
from tests.support.settings import HIDDEN, faults, load

# By variable: the least and the most that is taken, and by how little each can be missed.
BOUNDS: dict[str, tuple[float, float, float]] = {
    "PORT": (0, 65_535, 1),
    "OPS_PORT": (0, 65_535, 1),
    "CONSOLE_PORT": (0, 65_535, 1),
    "MAX_BODY_BYTES": (1_024, 67_108_864, 1),
    "TOLERANCE_SECONDS": (0, 4_294_967_295, 1),
    "MAX_ATTEMPTS": (1, 1_000, 1),
    "POLL_MAX_SECONDS": (0.02, 3_600.0, 0.001),
    "SILENCE_HOURS": (0, 8_760, 1),
    "RETENTION_DAYS": (1, 36_500, 1),
    "AUDIT_RETENTION_DAYS": (1, 36_500, 1),
    "STACK_API_RPS": (0.01, 1_000.0, 0.001),
}
SECRETS = {
    "database_url",
    "receiver_database_url",
    "worker_database_url",
    "migrate_database_url",
    "stack_webhook_secrets",
    "app_webhook_secrets",
    "console_secret",
    "projection_sql",
    "stack_secret_server_key",
    "stack_super_secret_admin_key",
}


@pytest.mark.parametrize(("name", "least", "most"), [(name, *bounds[:2]) for name, bounds in BOUNDS.items()])
def test_the_least_and_the_most_of_a_number_are_taken(name: str, least: float, most: float) -> None:
    assert [getattr(load({name: str(number)}), name.lower()) for number in (least, most)] == [least, most]


@pytest.mark.parametrize(("name", "bounds"), BOUNDS.items(), ids=BOUNDS)
def test_what_is_less_or_more_is_refused_with_both_limits(name: str, bounds: tuple[float, float, float]) -> None:
    least, most, step = bounds

    for number in (least - step, most + step):
        assert faults(**{name: f"{number:.10g}"}) == [f"{name} must be from {least} to {most}, not '{number:.10g}'."]


def test_eighteen_digits_are_a_number_and_nineteen_are_none() -> None:
    assert faults(PORT="1" * 18) == ["PORT must be from 0 to 65535, not '111111111111111111'."]
    assert faults(PORT="1" * 19) == ["PORT must be a whole number, not '1111111111111111111'."]


def test_of_a_bad_value_twenty_characters_are_shown() -> None:
    assert faults(LOG_LEVEL="abcdefghijklmnopqrstu") == [
        "LOG_LEVEL must be one of debug, info, warning, error, not 'abcdefghijklmnopqrst'."
    ]


def test_each_default_is_that_of_the_contract() -> None:
    settings = Settings()

    assert (settings.console_host, settings.console_port, settings.console_url) == ("127.0.0.1", None, None)
    assert (settings.console_secret, settings.console_trust_user_header, settings.path_prefix) == (None, None, "")
    assert (settings.silence_hours, settings.audit_retention_days, settings.data_dir) == (24, None, None)
    assert (settings.stack_api_url, settings.svix_server_url) == ("https://api.stack-auth.com", None)
    assert (settings.stack_project_id, settings.stack_api_rps) == (None, 10.0)
    assert (settings.projection_sql, settings.warnings, settings.variables) == (None, (), {})


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("CONSOLE_HOST", "::1", "console_host", "::1"),
        ("CONSOLE_PORT", "8004", "console_port", 8004),
        ("CONSOLE_PORT", "Off", "console_port", "off"),
        ("CONSOLE_URL", "https://OPS.example.com/Users/", "console_url", "https://ops.example.com/Users"),
        ("CONSOLE_URL", "https://ops.example.com:444", "console_url", "https://ops.example.com:444"),
        ("CONSOLE_SECRET", "s" * 32, "console_secret", "s" * 32),
        ("AUDIT_RETENTION_DAYS", "7", "audit_retention_days", 7),
        ("SILENCE_HOURS", "0", "silence_hours", 0),
        ("STACK_API_RPS", "2.5", "stack_api_rps", 2.5),
    ],
)
def test_a_variable_sets_its_field(variable: str, text: str, field: str, value: object) -> None:
    loaded = load({variable: text})

    assert getattr(loaded, field) == value
    assert loaded.variables == {variable: variable}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("CONSOLE_SECRET", "s" * 31, "must have at least 32 characters."),
        *(
            (
                "CONSOLE_URL",
                text,
                f"must be a URL of a host and a path, such as https://ops.example.com/users, not {text[:20]!r}.",
            )
            for text in ("https://h/#x", "https://h/?x=1", "https://kim@h/", "https:///users")
        ),
    ],
)
def test_what_cannot_be_the_console_s_is_refused_and_no_secret_is_quoted(name: str, text: str, problem: str) -> None:
    assert faults(**{name: text}) == [f"{name} {problem}"]


def test_a_statement_that_is_refused_is_named_by_its_path_alone(tmp_path: Path) -> None:
    path = tmp_path / "projection.sql"
    path.write_text("DELETE FROM t")

    assert faults(CONSUMER_PROJECTION_SQL=str(path)) == [
        f"CONSUMER_PROJECTION_SQL names {path}, which does not use %(user_ids)b::uuid[], the users that changed."
    ]


def test_a_settings_text_shows_every_setting_but_the_secrets_and_names() -> None:
    shown = repr(Settings())
    hidden = {each.name for each in fields(Settings) if f" {each.name}=" not in shown.replace("Settings(", " ")}

    assert hidden == SECRETS | {"variables"}
    assert all(f"{each.name}=" in repr(ShapingSettings()) for each in fields(ShapingSettings))


def test_no_word_of_a_command_is_shown() -> None:
    loaded = load({"NOTIFY_COMMAND": f"/opt/page --token {HIDDEN}"})

    assert HIDDEN not in repr(loaded)


def test_what_cannot_be_used_counts_as_set(tmp_path: Path) -> None:
    """A second problem, that it is not set, would mislead."""
    assert load({}).variables == {}
    bad = {"DATABASE_URL_FILE": str(tmp_path), "APP_WEBHOOK_SECRETS_FILE": str(tmp_path / "none")}
    from_files, _ = read(bad)

    assert from_files.database_url == "DATABASE_URL_FILE"
    assert from_files.app_webhook_secrets == ("APP_WEBHOOK_SECRETS_FILE",)
    assert read({"DATABASE_URL": "mysql://h/d"})[0].database_url == "mysql://h/d"


def test_each_name_is_known_with_its_aliases_and_its_file() -> None:
    names = {"DATABASE_URL", "CONSUMER_DATA_DIR", "DELETE_POLICY", "NOTIFY_SECRET", "HEXCLAVE_WEBHOOK_SECRET"}

    assert names | {f"{name}_FILE" for name in names} <= NAMES
    assert "DATA_DIR" not in NAMES


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("“”", "is in typographic quotes: write it without them"),
        ('"', "is in quotes: write it without them"),
        ('""', "is in quotes: write it without them"),
        ("“a", None),
        ("a”", None),
        ("a”b", None),
        ("“", None),
        ("'a", None),
        ("a'", None),
        ("'ab\"", None),
        ("", None),
    ],
)
def test_a_text_is_in_quotes_if_both_its_ends_are(text: str, problem: str | None) -> None:
    assert texts.flaw(text) == problem


def test_a_file_may_be_as_large_as_a_mebibyte() -> None:
    assert texts.decoded(b"#" * 1_048_576) == "#" * 1_048_576
    with pytest.raises(ValueError, match=r"^is larger than 1024 kB$"):
        texts.decoded(b"#" * 1_048_577)


def test_what_is_unusual_is_told_with_its_consequence() -> None:
    assert load({"TOLERANCE_SECONDS": "3601", "MAX_BODY_BYTES": "524287"}).warnings == (
        "TOLERANCE_SECONDS is over an hour: for that long, a recorded request can be sent again.",
        "MAX_BODY_BYTES is under 512 kB: events with much metadata are refused with 413.",
    )
