"""The settings on the page of the system: all of them, and of a secret only whether it is set."""

import re
from itertools import chain

import pytest

from consumer.settings.aliases import ALIASES
from consumer.settings.settings import NAMES
from tests.support.console import running

ROW = r'<tr><th scope="row"><code>{}</code></th><td>(.*?)</td></tr>'
# What each of them holds may open a door elsewhere.
SECRET = "kanarie"
SECRETS = {
    "NOTIFY_URL": f"https://hooks.example.com/services/{SECRET}",
    "NOTIFY_SECRET": f"whsec_{'a2FuYXJpZQ' * 4}",
    "HEARTBEAT_URL": f"https://{SECRET}@beat.example.com/1",
    "STACK_SECRET_SERVER_KEY": SECRET,
}


@pytest.fixture(scope="module")
def page(database_url: str) -> str:
    with running(database_url, **SECRETS) as desk:
        return desk.as_("viewer").get("/system").text


def test_every_setting_is_listed_as_it_is_or_as_not_set(page: str) -> None:
    listed = page[page.index("<h2>Settings of this process") :]
    variables = {name for name in NAMES if not name.endswith("_FILE")} - set(chain(*ALIASES.values()))

    assert variables >= {"NOTIFY_URL", "NOTIFY_SECRET", "NOTIFY_COMMAND", "HEARTBEAT_URL", "SILENCE_HOURS"}
    assert variables - set(re.findall("<code>([A-Z_]+)</code>", listed)) == set()
    assert re.findall(ROW.format("SILENCE_HOURS"), page) == ["24"]


@pytest.mark.parametrize("name", SECRETS)
def test_of_a_secret_or_an_address_that_may_hold_one_the_page_says_that_it_is_set(page: str, name: str) -> None:
    assert re.findall(ROW.format(name), page) == ["set"]
    assert SECRETS[name] not in page


def test_no_part_of_a_secret_is_on_the_page(page: str) -> None:
    assert SECRET not in page
    assert "example.com" not in page


def test_a_command_that_is_told_of_findings_is_said_to_be_set(database_url: str) -> None:
    with running(database_url, NOTIFY_COMMAND=f"/usr/bin/tell --token {SECRET}") as desk:
        page = desk.as_("viewer").get("/system").text

    assert re.findall(ROW.format("NOTIFY_COMMAND"), page) == ["set"]
    assert re.findall(ROW.format("NOTIFY_URL"), page) == []
    assert SECRET not in page
