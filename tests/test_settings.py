"""The variables of the contract: their defaults, names and limits, and every fault said at once."""

from pathlib import Path
from uuid import UUID

import pytest

from consumer.settings.aliases import ALIASES
from consumer.settings.settings import Settings, ShapingSettings
from tests.support.settings import HIDDEN, URL, faults, load

ROOT = Path(__file__).parent.parent
COMPANY_ID = UUID("0b8f6a3c-0000-4000-8000-000000000001")
PREFIX_RULE = (
    "must begin with a letter or underscore and have at most 50 lower-case letters, digits and underscores,"
    " without pg_ in front"
)
NEW, OLD = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3", "whsec_b2xkb2xkb2xkb2xkb2xkb2xk"


def test_nothing_set_is_the_contracts_defaults() -> None:
    loaded = load({})

    assert loaded == Settings()
    assert (loaded.database_url, loaded.stack_webhook_secrets, loaded.app_webhook_secrets) == (None, (), ())
    assert (loaded.host, loaded.port, loaded.ops_host, loaded.ops_port) == ("127.0.0.1", 8000, "127.0.0.1", None)
    assert (loaded.max_body_bytes, loaded.tolerance_seconds, loaded.max_attempts) == (2_097_152, 300, 12)
    assert (loaded.poll_max_seconds, loaded.retention_days, loaded.role_prefix) == (1.0, None, "consumer")
    assert (loaded.log_format, loaded.log_level) == (None, "info")
    assert loaded.shaping == ShapingSettings(None, "member", "General", "role", "department", "company_id", "soft")


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("DATABASE_URL", URL, "database_url", URL),
        ("DATABASE_URL", "host=/run/postgresql dbname=app", "database_url", "host=/run/postgresql dbname=app"),
        ("RECEIVER_DATABASE_URL", URL, "receiver_database_url", URL),
        ("WORKER_DATABASE_URL", URL, "worker_database_url", URL),
        ("MIGRATE_DATABASE_URL", URL, "migrate_database_url", URL),
        ("CONSUMER_DATA_DIR", "/var/lib/consumer", "data_dir", Path("/var/lib/consumer")),
        ("CONSUMER_DATA_DIR", "~/data", "data_dir", Path.home() / "data"),
        ("STACK_WEBHOOK_SECRETS", f"{NEW}, {OLD},", "stack_webhook_secrets", (NEW, OLD)),
        ("STACK_WEBHOOK_SECRETS", " ,", "stack_webhook_secrets", ()),
        ("STACK_WEBHOOK_SECRET", NEW, "stack_webhook_secrets", (NEW,)),
        ("HEXCLAVE_WEBHOOK_SECRETS", f"{NEW} {OLD}", "stack_webhook_secrets", (NEW, OLD)),
        ("HEXCLAVE_WEBHOOK_SECRET", NEW, "stack_webhook_secrets", (NEW,)),
        ("APP_WEBHOOK_SECRETS", f"{NEW}\n{OLD}", "app_webhook_secrets", (NEW, OLD)),
        ("APP_WEBHOOK_SECRET", NEW, "app_webhook_secrets", (NEW,)),
        ("HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("PORT", "0", "port", 0),
        ("OPS_HOST", "::1", "ops_host", "::1"),
        ("OPS_PORT", "65535", "ops_port", 65535),
        ("MAX_BODY_BYTES", "524288", "max_body_bytes", 524_288),
        ("OPS_PORT", "OFF", "ops_port", "off"),
        ("PATH_PREFIX", "/hooks", "path_prefix", "/hooks"),
        ("PATH_PREFIX", "hooks/v1.2/", "path_prefix", "/hooks/v1.2"),
        ("PATH_PREFIX", "/", "path_prefix", ""),
        ("TOLERANCE_SECONDS", "0", "tolerance_seconds", 0),
        ("TOLERANCE_SECONDS", "3600", "tolerance_seconds", 3600),
        ("MAX_ATTEMPTS", "1", "max_attempts", 1),
        ("POLL_MAX_SECONDS", "60", "poll_max_seconds", 60.0),
        ("RETENTION_DAYS", " 30 ", "retention_days", 30),
        ("ROLE_PREFIX", "consumer_eu", "role_prefix", "consumer_eu"),
        ("STACK_API_URL", "https://stack.example.com/", "stack_api_url", "https://stack.example.com"),
        ("HEXCLAVE_API_URL", "https://api.example.com", "stack_api_url", "https://api.example.com"),
        ("STACK_PROJECT_ID", "p", "stack_project_id", "p"),
        ("HEXCLAVE_PROJECT_ID", "p", "stack_project_id", "p"),
        ("NEXT_PUBLIC_STACK_PROJECT_ID", "p", "stack_project_id", "p"),
        ("NEXT_PUBLIC_HEXCLAVE_PROJECT_ID", "p", "stack_project_id", "p"),
        ("STACK_SECRET_SERVER_KEY", "k", "stack_secret_server_key", "k"),
        ("HEXCLAVE_SECRET_SERVER_KEY", "k", "stack_secret_server_key", "k"),
        ("STACK_SUPER_SECRET_ADMIN_KEY", "k", "stack_super_secret_admin_key", "k"),
        ("HEXCLAVE_SUPER_SECRET_ADMIN_KEY", "k", "stack_super_secret_admin_key", "k"),
        ("SVIX_SERVER_URL", "http://svix.internal:8071/", "svix_server_url", "http://svix.internal:8071"),
        ("LOG_FORMAT", "JSON", "log_format", "json"),
        ("LOG_LEVEL", "warning", "log_level", "warning"),
        ("HOST", "  ", "host", "127.0.0.1"),
    ],
)
def test_a_variable_sets_its_field_and_nothing_else(variable: str, text: str, field: str, value: object) -> None:
    loaded = load({variable: text})

    changed = {name for name in Settings.__slots__ if getattr(loaded, name) != getattr(Settings(), name)}
    assert changed <= {field, "variables"}
    assert getattr(loaded, field) == value


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("DEFAULT_COMPANY_ID", str(COMPANY_ID).upper(), ShapingSettings(default_company_id=COMPANY_ID)),
        ("DEFAULT_COMPANY_ID", "None", ShapingSettings(default_company_id=None)),
        ("DEFAULT_ROLE", "guest", ShapingSettings(default_role="guest")),
        ("DEFAULT_DEPARTMENT", "Sales and more", ShapingSettings(default_department="Sales and more")),
        ("ROLE_KEY", "r", ShapingSettings(role_key="r")),
        ("DEPARTMENT_KEY", "d", ShapingSettings(department_key="d")),
        ("COMPANY_KEY", "c", ShapingSettings(company_key="c")),
        ("DELETE_POLICY", "hard", ShapingSettings(delete_policy="hard")),
    ],
)
def test_a_variable_that_shapes_rows_is_part_of_the_projection(
    variable: str, text: str, expected: ShapingSettings
) -> None:
    assert load({variable: text}).shaping == expected


@pytest.mark.parametrize(
    ("variable", "text", "fault"),
    [
        ("PORT", "eighty", "must be a whole number, not 'eighty'."),
        ("PORT", "8_000", "must be a whole number, not '8_000'."),
        ("PORT", "9" * 5000, "must be a whole number, not '99999999999999999999'."),
        ("PORT", "80\x1b[2J", r"must be a whole number, not '80\x1b[2J'."),
        ("PORT", "65536", "must be from 0 to 65535, not '65536'."),
        ("OPS_PORT", "-1", "must be from 0 to 65535, not '-1'."),
        ("OPS_PORT", "no", "must be a whole number or off, not 'no'."),
        ("PATH_PREFIX", "/a//b", "must be a path such as /hooks, of letters, digits and . _ ~ -, not '/a//b'."),
        ("PATH_PREFIX", "/a/../b", "must be a path such as /hooks, of letters, digits and . _ ~ -, not '/a/../b'."),
        ("PATH_PREFIX", "/a%2fb", "must be a path such as /hooks, of letters, digits and . _ ~ -, not '/a%2fb'."),
        ("PATH_PREFIX", "/a?b", "must be a path such as /hooks, of letters, digits and . _ ~ -, not '/a?b'."),
        (
            "PATH_PREFIX",
            "https://x/a",
            "must be a path such as /hooks, of letters, digits and . _ ~ -, not 'https://x/a'.",
        ),
        ("MAX_BODY_BYTES", "0", "must be from 1024 to 67108864, not '0'."),
        ("TOLERANCE_SECONDS", "4294967296", "must be from 0 to 4294967295, not '4294967296'."),
        ("TOLERANCE_SECONDS", "-1", "must be from 0 to 4294967295, not '-1'."),
        ("MAX_ATTEMPTS", "0", "must be from 1 to 1000, not '0'."),
        ("POLL_MAX_SECONDS", "soon", "must be a number, not 'soon'."),
        ("POLL_MAX_SECONDS", "nan", "must be from 0.02 to 3600.0, not 'nan'."),
        ("POLL_MAX_SECONDS", "0", "must be from 0.02 to 3600.0, not '0'."),
        ("RETENTION_DAYS", "0", "must be from 1 to 36500, not '0'."),
        ("DEFAULT_COMPANY_ID", "acme", "must be a UUID or none, not 'acme'."),
        ("DELETE_POLICY", "purge", "must be one of soft, anonymise, hard, not 'purge'."),
        ("LOG_FORMAT", "xml", "must be one of json, text, not 'xml'."),
        ("LOG_LEVEL", "loud", "must be one of debug, info, warning, error, not 'loud'."),
        ("STACK_API_URL", "api.stack-auth.com", "must be an http:// or https:// URL, not 'api.stack-auth.com'."),
        ("HEXCLAVE_API_URL", "example.com", "must be an http:// or https:// URL, not 'example.com'."),
        ("DATABASE_URL", "mysql://user@localhost/app", "must start with postgresql:// or postgres://."),
        ("DATABASE_URL", "app", "is not a connection string that libpq understands."),
        (
            "DATABASE_URL",
            "postgresql://u:p%zz@h/d",
            "is not a connection string that libpq understands; "
            "if the password has @ : / # or %, write it percent-encoded.",
        ),
        (
            "DATABASE_URL",
            "postgresql://u:p@h/d?application=x&sslmode=require",
            "is not a connection string that libpq understands; it does not know the parameter application.",
        ),
        *(
            (
                "DATABASE_URL",
                f"postgresql://u:p@h/d?{name}=verify-full&schema=x",
                f"is not a connection string that libpq understands; it does not know the parameter {name}.",
            )
            for name in ("sslmod", "SSLMODE", "ssl-mode", "ssl_mode")
        ),
        *(
            (
                "DATABASE_URL",
                f"postgresql://u:p@h/d?{query}",
                "is not a connection string that libpq understands; "
                "if the password has @ : / # or %, write it percent-encoded.",
            )
            for query in ("hunter=b@h/d", "password=a&hunter=b", "hunter2=x", "hunter", "sslmode=%zz&application=x")
        ),
        ("CONSUMER_DATA_DIR", "~nobody-here/x", "must name the home directory of a known user, not '~nobody-here/x'."),
        *(
            (
                "ROLE_PREFIX",
                text,
                f"{PREFIX_RULE}, not {text[:20]!r}.",
            )
            for text in ("Consumer", "1st", "pg_consumer", "a" * 51, 'a"; DROP ROLE postgres')
        ),
    ],
)
def test_an_unusable_value_is_refused_with_its_name(variable: str, text: str, fault: str) -> None:
    assert faults(**{variable: text}) == [f"{variable} {fault}"]


def test_all_faults_are_reported_at_once() -> None:
    assert [fault.split()[0] for fault in faults(PORT="x", LOG_LEVEL="y", DELETE_POLICY="z")] == [
        "PORT",
        "LOG_LEVEL",
        "DELETE_POLICY",
    ]


@pytest.mark.parametrize("other", [f"{NEW},{OLD}", f"{OLD} {NEW}", f" {NEW}\n{OLD}\n", f"{NEW}, {OLD},{NEW}"])
def test_two_names_with_the_same_secrets_agree_whatever_separates_them(other: str) -> None:
    loaded = load({"STACK_WEBHOOK_SECRETS": f"{NEW} {OLD}", "HEXCLAVE_WEBHOOK_SECRET": other})

    assert loaded.stack_webhook_secrets == (NEW, OLD)


@pytest.mark.parametrize("other", [NEW, f"{NEW}{OLD}", f"{NEW},{OLD},{HIDDEN}"])
def test_two_names_with_other_secrets_disagree(other: str) -> None:
    [problem, *_] = faults(STACK_WEBHOOK_SECRETS=f"{NEW} {OLD}", HEXCLAVE_WEBHOOK_SECRET=other)

    assert problem.startswith("STACK_WEBHOOK_SECRETS and HEXCLAVE_WEBHOOK_SECRET name one setting and disagree")


@pytest.mark.parametrize(("name", "alias"), [(name, alias) for name, aliases in ALIASES.items() for alias in aliases])
def test_two_names_of_one_setting_may_agree_but_not_differ(name: str, alias: str) -> None:
    one, two = (NEW, OLD) if "SECRETS" in name else ("https://one", "https://two")

    load({name: one, alias: one})

    assert faults(**{name: one, alias: two}) == [f"{name} and {alias} name one setting and disagree; keep one of them."]


def test_a_fault_never_quotes_a_value() -> None:
    said = faults(
        DATABASE_URL=f"mysql://u:{HIDDEN}@h/d", STACK_WEBHOOK_SECRETS=HIDDEN, STACK_WEBHOOK_SECRET="whsec_other"
    )

    assert HIDDEN not in str(said)


def test_the_settings_repr_holds_no_secret() -> None:
    urls = [f"{prefix}DATABASE_URL" for prefix in ("", "RECEIVER_", "WORKER_", "MIGRATE_")]
    secrets = {"STACK_WEBHOOK_SECRETS": NEW, "APP_WEBHOOK_SECRETS": OLD, "STACK_SECRET_SERVER_KEY": HIDDEN}

    loaded = load(dict.fromkeys(urls, f"postgresql://u:{HIDDEN}@h/d") | secrets)

    assert not {secret for secret in secrets.values() if secret in repr(loaded)}
