"""Every setting's default, and every number's bounds: both are taken, and what lies beyond is refused by name."""

from dataclasses import asdict

import pytest

from consumer.errors import BadSettings
from consumer.settings.settings import Settings
from tests.support.settings import load

DEFAULTS = {
    "database_url": None,
    "receiver_database_url": None,
    "worker_database_url": None,
    "migrate_database_url": None,
    "data_dir": None,
    "stack_webhook_secrets": (),
    "app_webhook_secrets": (),
    "host": "127.0.0.1",
    "port": 8000,
    "ops_host": "127.0.0.1",
    "ops_port": None,
    "console_host": "127.0.0.1",
    "console_port": None,
    "console_url": None,
    "console_secret": None,
    "console_trust_user_header": None,
    "path_prefix": "",
    "max_body_bytes": 2_097_152,
    "tolerance_seconds": 300,
    "max_attempts": 12,
    "poll_max_seconds": 1.0,
    "silence_hours": 24,
    "retention_days": None,
    "audit_retention_days": None,
    "role_prefix": "consumer",
    "projection_sql": None,
    "stack_api_url": "https://api.stack-auth.com",
    "stack_project_id": None,
    "stack_secret_server_key": None,
    "stack_super_secret_admin_key": None,
    "svix_server_url": None,
    "stack_api_rps": 10.0,
    "log_format": None,
    "log_level": "info",
    "shaping": {
        "default_company_id": None,
        "default_role": "member",
        "default_department": "General",
        "role_key": "role",
        "department_key": "department",
        "company_key": "company_id",
        "delete_policy": "soft",
    },
    "notify": {"url": None, "secrets": (), "command": (), "heartbeat_url": None},
    "warnings": (),
    "variables": {},
}
# Of each number: the least, the most, and what is one step below and above.
BOUNDS = {
    "PORT": ("0", "65535", "-1", "65536"),
    "OPS_PORT": ("0", "65535", "-1", "65536"),
    "MAX_BODY_BYTES": ("1024", "67108864", "1023", "67108865"),
    "TOLERANCE_SECONDS": ("0", "4294967295", "-1", "4294967296"),
    "MAX_ATTEMPTS": ("1", "1000", "0", "1001"),
    "POLL_MAX_SECONDS": ("0.02", "3600.0", "0.0199", "3600.001"),
    "SILENCE_HOURS": ("0", "8760", "-1", "8761"),
    "RETENTION_DAYS": ("1", "36500", "0", "36501"),
    "AUDIT_RETENTION_DAYS": ("1", "36500", "0", "36501"),
    "STACK_API_RPS": ("0.01", "1000.0", "0.0099", "1000.001"),
}


def problems(name: str, text: str) -> list[str]:
    try:
        load({name: text})
    except BadSettings as error:
        return error.problems
    return []


def test_nothing_set_is_the_contract_s_defaults_to_the_last_of_them() -> None:
    assert asdict(load({})) == DEFAULTS


@pytest.mark.parametrize("name", BOUNDS)
def test_both_bounds_are_taken_and_what_lies_beyond_is_refused(name: str) -> None:
    least, most, below, above = BOUNDS[name]

    for text in (least, most):
        assert float(getattr(load({name: text}), name.lower())) == float(text)
    for text in (below, above):
        assert problems(name, text) == [f"{name} must be from {least} to {most}, not {text!r}."]


def test_every_number_has_its_bounds_here() -> None:
    numbers = {name for name, value in asdict(Settings()).items() if isinstance(value, int | float)}

    assert numbers | {"ops_port", "retention_days", "audit_retention_days"} == {name.lower() for name in BOUNDS}


@pytest.mark.parametrize(("digits", "fault"), [(18, "must be from 1 to 1000"), (19, "must be a whole number")])
def test_a_number_of_more_than_eighteen_digits_is_none(digits: int, fault: str) -> None:
    assert problems("MAX_ATTEMPTS", "9" * digits) == [f"MAX_ATTEMPTS {fault}, not {'9' * digits!r}."]


@pytest.mark.parametrize("length", [1, 50, 51])
def test_a_role_prefix_has_fifty_characters_at_most(length: int) -> None:
    assert bool(problems("ROLE_PREFIX", "a" * length)) == (length > 50)
