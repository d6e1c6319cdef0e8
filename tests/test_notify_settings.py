"""The settings of notifications: what each takes, and which combinations are refused, all at once."""

from pathlib import Path

import pytest

from consumer.settings.notifications import ADDRESS, NotifySettings
from consumer.settings.signing_secrets import EXAMPLES
from tests.support.settings import HIDDEN, faults, load

URL = "https://hooks.example.com/services/T0/B0/s3cr3t"
NEW, OLD = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3", "whsec_b2xkb2xkb2xkb2xkb2xkb2xk"


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        pytest.param({}, NotifySettings(), id="nobody is told"),
        pytest.param({"NOTIFY_URL": URL}, NotifySettings(url=URL), id="a chat, which checks no signature"),
        pytest.param({"NOTIFY_URL": f"{URL}?key=a&token=b"}, NotifySettings(url=f"{URL}?key=a&token=b"), id="a query"),
        pytest.param(
            {"NOTIFY_URL": URL, "NOTIFY_SECRET": f"{NEW} {OLD}"},
            NotifySettings(url=URL, secrets=(NEW, OLD)),
            id="signed, during a rotation by both",
        ),
        pytest.param(
            {"NOTIFY_COMMAND": "/opt/page --team 'on call'"},
            NotifySettings(command=("/opt/page", "--team", "on call")),
            id="a command, split as a shell splits words",
        ),
        pytest.param({"HEARTBEAT_URL": URL}, NotifySettings(heartbeat_url=URL), id="a heartbeat alone"),
    ],
)
def test_what_is_set_is_read(variables: dict[str, str], found: NotifySettings) -> None:
    assert load(variables).notify == found
    assert found.is_on == bool(variables)


def test_each_is_read_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{NEW}\n")
    (tmp_path / "url").write_text(f"{URL}\n")

    found = load({"NOTIFY_SECRET_FILE": str(tmp_path / "secret"), "NOTIFY_URL_FILE": str(tmp_path / "url")}).notify

    assert (found.url, found.secrets) == (URL, (NEW,))


@pytest.mark.parametrize("name", ["NOTIFY_URL", "HEARTBEAT_URL"])
@pytest.mark.parametrize(
    "text",
    [
        *("ftp://h/x", "file:///etc/passwd", "h/x", "javascript:alert(1)", "http://", "http://[::1/"),
        *(
            "https://:80/",
            "http://h:99999/",
            "http://h:0/",
            "http://h:port/",
            "https://h/ä",
            "https://h/a b",
            "https://h/a\tb",
        ),
    ],
)
def test_no_other_address_is_taken_and_none_is_quoted(name: str, text: str) -> None:
    assert faults(**{name: text}) == [f"{name} {ADDRESS}."]


def test_a_command_without_the_end_of_a_quote_is_refused() -> None:
    assert faults(NOTIFY_COMMAND="page 'on call") == ["NOTIFY_COMMAND has a quote or a backslash without its end."]


def test_combinations_that_cannot_work_are_refused_at_once() -> None:
    said = faults(
        NOTIFY_URL=URL, NOTIFY_COMMAND="page", NOTIFY_SECRET=NEW, STACK_WEBHOOK_SECRETS=OLD, APP_WEBHOOK_SECRETS=NEW
    )

    assert said == [
        "NOTIFY_URL and NOTIFY_COMMAND are both set; keep one of them.",
        "NOTIFY_SECRET and APP_WEBHOOK_SECRETS hold the same key: who checks notifications could forge events. "
        "Make another for NOTIFY_SECRET.",
    ]


def test_a_secret_signs_nothing_without_an_address() -> None:
    refused = "NOTIFY_SECRET is set without NOTIFY_URL: it signs what is sent there."

    assert faults(NOTIFY_SECRET=NEW) == [refused]
    assert faults(NOTIFY_SECRET=NEW, NOTIFY_COMMAND="page") == [refused]


def test_a_published_key_is_refused() -> None:
    [said] = faults(NOTIFY_URL=URL, NOTIFY_SECRET=EXAMPLES[0])

    assert said.startswith("NOTIFY_SECRET holds an example key that documents show")


def test_neither_a_problem_nor_the_repr_shows_what_is_set() -> None:
    loaded = load({"NOTIFY_URL": URL, "NOTIFY_SECRET": HIDDEN, "HEARTBEAT_URL": URL})
    said = faults(NOTIFY_URL=f"htp://{HIDDEN}", NOTIFY_COMMAND=f"'{HIDDEN}", NOTIFY_SECRET=f"{HIDDEN}!")

    assert not {text for text in (URL, HIDDEN, "s3cr3t") if text in repr(loaded) + str(said)}


def test_an_address_and_a_command_are_refused_by_the_names_that_are_set(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)

    assert faults(NOTIFY_URL_FILE=str(tmp_path / "url"), NOTIFY_COMMAND="page") == [
        "NOTIFY_URL_FILE and NOTIFY_COMMAND are both set; keep one of them."
    ]


@pytest.mark.parametrize(
    "text", ["http://h", "https://h:1/", "https://h:65535/x", "http://[::1]:8080/#x", "https://k@h/"]
)
def test_an_address_has_a_host_and_a_port_that_can_be_called(text: str) -> None:
    assert load({"NOTIFY_URL": text, "HEARTBEAT_URL": text}).notify == NotifySettings(url=text, heartbeat_url=text)


def test_a_key_of_both_webhooks_is_refused_for_each() -> None:
    said = faults(NOTIFY_URL=URL, NOTIFY_SECRET=f"{NEW} {OLD}", STACK_WEBHOOK_SECRET=OLD, APP_WEBHOOK_SECRETS=NEW)

    forged = "hold the same key: who checks notifications could forge events. Make another for NOTIFY_SECRET."
    assert said == [f"NOTIFY_SECRET and {name} {forged}" for name in ("STACK_WEBHOOK_SECRET", "APP_WEBHOOK_SECRETS")]
