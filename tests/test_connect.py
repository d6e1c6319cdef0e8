"""`consumer connect`: an endpoint is made or found, looked at, and shown to bring webhooks into this database."""

import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import Result

from consumer.operations import connect as operation
from consumer.providers.standard_webhooks import Verifier
from consumer.settings.signing_secrets import decoded, fingerprint
from consumer.stack_api.endpoint import SENT_TYPES
from tests.support.backfills import now_is_now
from tests.support.cli import call, facts
from tests.support.databases import rows
from tests.support.fake_stack import FakeStack, trouble
from tests.support.fake_stack.svix import Endpoint
from tests.support.recoveries import environment, outbox
from tests.support.web import TOLERANCE, Site

PROJECT = "SELECT project_id, endpoint_url FROM consumer.project"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "ARRIVAL_SECONDS", 0.3)


@pytest.fixture
def svix(any_svix: FakeStack) -> FakeStack:
    """A project without an endpoint, and a Svix that delivers."""
    now_is_now(any_svix)
    any_svix.svix.delivers = True
    return any_svix


def address(site: Site, path: str = "/webhooks/stack") -> str:
    return f"http://127.0.0.1:{site.port}{path}"


def receive(site: Site, *secrets: str) -> None:
    """Let the receiver verify with these secrets."""
    site.app = site.receiver({"stack": Verifier(secrets, TOLERANCE)}, datetime.now(UTC))


def endpoint(fake: FakeStack, site: Site, **changes: Any) -> Endpoint:
    """Make an endpoint, and let the receiver know its secret."""
    made = fake.svix.add_endpoint(address(site), fake.project.now, **changes)
    receive(site, made.secret)
    return made


def connect(fake: FakeStack, url: str, site: Site, *arguments: str, **settings: str) -> Result:
    return call(url, "connect", "--url", address(site), *arguments, **environment(fake, **settings))


def test_an_endpoint_is_found_by_its_url_and_its_test_event_arrives(emptied: str, site: Site, svix: FakeStack) -> None:
    made = endpoint(svix, site)

    arguments = ("connect", "--url", f"{address(site)}/")
    document = facts(emptied, *arguments, **environment(svix, STACK_WEBHOOK_SECRETS=made.secret))

    verified_by = fingerprint(decoded(made.secret))
    assert document == {
        "url": f"{address(site)}/",
        "endpoint": made.id,
        "made": False,
        "secret": verified_by,
        "secret_file": None,
        "test_event": "received",
    }
    assert [(row["event_type"], row["verified_by"]) for row in outbox(emptied)] == [("stack.test", verified_by)]
    assert rows(emptied, PROJECT) == [{"project_id": svix.project_id, "endpoint_url": f"{address(site)}/"}]
    assert len(svix.svix.endpoints) == 1


def test_an_endpoint_that_is_missing_is_made_for_all_types_and_its_secret_written(
    emptied: str, site: Site, svix: FakeStack, tmp_path: Path
) -> None:
    file = tmp_path / "secret"

    first = connect(svix, emptied, site, "--secret-file", str(file))
    [made] = svix.svix.endpoints.values()
    receive(site, *file.read_text().split())
    second = connect(svix, emptied, site, "--secret-file", str(file))

    assert (first.exit_code, second.exit_code) == (1, 0)
    assert "No test event arrived within" in first.stderr
    assert f"endpoint     {made.id}, found\n" in second.stdout
    assert "--secret-file FILE" in first.stderr
    assert (made.event_types, made.url, made.disabled) == (None, address(site), False)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (f"{made.secret}\n", 0o600)
    assert not [each for each in (first, second) if "whsec_" in each.output]
    assert list(tmp_path.iterdir()) == [file]


def test_after_a_rotation_the_new_secret_stands_before_the_old_one(
    emptied: str, site: Site, svix: FakeStack, tmp_path: Path
) -> None:
    made, file = endpoint(svix, site), tmp_path / "secret"
    secrets = [made.secret]
    for _ in range(2):
        connect(svix, emptied, site, "--secret-file", str(file))
        svix.svix.rotate(made)
        secrets.insert(0, made.secret)
    # Without --url it is the endpoint of the last time.
    result = call(emptied, "connect", "--secret-file", str(file), **environment(svix))
    receive(site, *file.read_text().split())

    assert result.exit_code == 1
    assert file.read_text().split() == secrets[:2]
    assert facts(emptied, "connect", **environment(svix))["url"] == address(site)


def test_a_receiver_that_still_has_the_old_secret_first_is_told(emptied: str, site: Site, svix: FakeStack) -> None:
    old = endpoint(svix, site)
    # Its webhooks come here too, by another URL.
    svix.svix.add_endpoint(address(site, "/webhooks/stack?second"), svix.project.now)

    new = svix.svix.add_endpoint("http://127.0.0.1:1/webhooks/stack", svix.project.now)
    result = call(emptied, "connect", "--url", new.url, **environment(svix))

    assert result.exit_code == 1
    assert f"verified with another secret ({fingerprint(decoded(old.secret))})" in result.stderr
    assert rows(emptied, PROJECT) == []


def test_a_test_event_that_only_a_recovery_stored_shows_nothing(
    emptied: str, site: Site, svix: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation, "ARRIVAL_SECONDS", 3.0)
    made = endpoint(svix, site)

    async def recovered(scope: object, receive: object, send: object) -> None:
        event = svix.project.send("stack.test", {"message": "m", "endpointUrl": made.url})
        values = f"'stack', '{event.message_id}', 'stack.test', now(), '{{}}'"
        rows(
            emptied,
            f"INSERT INTO consumer.outbox (source, message_id, event_type, occurred_at, body) "
            f"VALUES ({values}) RETURNING seq",
        )
        monkeypatch.setattr(operation, "ARRIVAL_SECONDS", 0.1)
        await trouble.body(b'{"success": true}')(scope, receive, send)  # type: ignore[arg-type]

    svix.troubles.extend([svix.app, svix.app, svix.app, recovered])
    result = connect(svix, emptied, site)

    assert (result.exit_code, "`consumer recover` stored the test event" in result.stderr) == (1, True)


def test_a_test_event_that_another_database_got_is_said(emptied: str, site: Site, svix: FakeStack) -> None:
    endpoint(svix, site)
    svix.svix.delivers = False

    result = connect(svix, emptied, site)

    assert (result.exit_code, "but not into this database" in result.stderr) == (1, True)
    assert rows(emptied, PROJECT) == []


def test_a_disabled_endpoint_is_enabled_only_when_told(emptied: str, site: Site, svix: FakeStack) -> None:
    made = endpoint(svix, site, disabled=True)

    refused = connect(svix, emptied, site)
    is_untouched = made.disabled and svix.project.events == []
    done = connect(svix, emptied, site, "--enable")

    assert (refused.exit_code, done.exit_code) == (1, 0)
    assert is_untouched
    assert "`consumer connect --enable`" in refused.stderr
    assert not made.disabled


def test_an_enabled_endpoint_is_taken_before_a_disabled_one(emptied: str, site: Site, svix: FakeStack) -> None:
    svix.svix.add_endpoint(address(site), svix.project.now, disabled=True)
    made = endpoint(svix, site)
    svix.svix.add_endpoint(address(site), svix.project.now, disabled=True)

    assert facts(emptied, "connect", "--url", address(site), **environment(svix))["endpoint"] == made.id


def test_a_filter_names_the_types_that_it_keeps_out(emptied: str, site: Site, svix: FakeStack) -> None:
    made = endpoint(svix, site, event_types=[name for name in SENT_TYPES if name != "user.deleted"])

    refused = connect(svix, emptied, site)
    made.event_types = SENT_TYPES[:1]
    narrow = connect(svix, emptied, site)
    made.event_types = SENT_TYPES

    assert (refused.exit_code, "its filter keeps out user.deleted." in refused.stderr) == (1, True)
    assert f"and {len(SENT_TYPES) - 6} more" in narrow.stderr
    assert connect(svix, emptied, site).exit_code == 0


def test_the_types_that_stack_sends_are_all_but_those_of_your_backend() -> None:
    assert {"user.created", "team_permission.deleted", "issue.merged", "stack.test"} < set(SENT_TYPES)
    assert not {"user.signed_in", "user.signed_out", "profile.edited", "user.erased"} & set(SENT_TYPES)


def test_a_secret_that_cannot_be_used_is_refused_without_being_shown(
    emptied: str, site: Site, svix: FakeStack, tmp_path: Path
) -> None:
    made = endpoint(svix, site)
    made.secret = "whsk_half_of_a_pair"

    result = connect(svix, emptied, site, "--secret-file", str(tmp_path / "secret"))

    assert (result.exit_code, "asymmetric" in result.stderr, "half_of" in result.output) == (1, True, False)
    assert not (tmp_path / "secret").exists()


def test_a_file_that_cannot_be_written_is_one_sentence(
    emptied: str, site: Site, svix: FakeStack, tmp_path: Path
) -> None:
    endpoint(svix, site)

    result = connect(svix, emptied, site, "--secret-file", str(tmp_path / "missing" / "secret"))

    assert (result.exit_code, "can't be written: No such file" in result.stderr) == (1, True)


def test_a_file_that_holds_something_else_is_left_alone(
    emptied: str, site: Site, svix: FakeStack, tmp_path: Path
) -> None:
    endpoint(svix, site)
    file = tmp_path / "notes"
    file.write_text("my notes\n")

    result = connect(svix, emptied, site, "--secret-file", str(file))

    assert (result.exit_code, "is left alone" in result.stderr, file.read_text()) == (1, True, "my notes\n")


def test_another_project_is_refused_before_anything_is_asked(emptied: str, site: Site, svix: FakeStack) -> None:
    endpoint(svix, site)
    connect(svix, emptied, site)
    before = len(svix.asked)

    result = connect(svix, emptied, site, STACK_PROJECT_ID=str(uuid4()))

    assert (result.exit_code, "two projects would mix" in result.stderr) == (2, True)
    assert len(svix.asked) == before
