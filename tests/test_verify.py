"""`python -m tools.verify` tells which claims hold at a project, and leaves it as it was."""

import re
import signal
from pathlib import Path

import pytest

from tests.support.fake_stack import FakeStack, answers, shapes, trouble, writes
from tests.support.fake_stack.serving import Port
from tests.support.fake_stack.shapes import Age
from tests.support.processes import ROOT, until
from tests.support.verify import WITH_ADMIN_KEY, instead, start, todays_fake, verify
from tools.verify.__main__ import CLAIMS

VERIFIED = (ROOT / "docs" / "VERIFIED.md").read_text()
ADMINISTERING = {"wrong-admin-key", "svix-token", "endpoints", "endpoint-secret", "messages", "id-of-deletion"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "verify.json"


def contents(fake: FakeStack) -> tuple[set[str], set[str]]:
    return set(fake.project.users.latest), set(fake.project.teams.latest)


@pytest.mark.parametrize("age", ["new", "old"])
def test_every_claim_holds_at_the_fake(stack_port: Port, out: Path, age: Age) -> None:
    fake = stack_port.serve(todays_fake(age))
    before = contents(fake)

    report = verify(fake, out, "--send-test", **WITH_ADMIN_KEY)

    assert (report.exit_code, report.odd) == (0, {}), report.text
    assert f"The server's age: {age}." in report.text
    assert contents(fake) == before
    assert "stack.test" in {event.type for event in fake.project.events}


def test_a_self_hosted_svix_holds_too(stack_port: Port, out: Path) -> None:
    fake = stack_port.serve(todays_fake())
    fake.svix.is_self_hosted = True

    assert verify(fake, out, "--send-test", **WITH_ADMIN_KEY).odd == {}


def test_what_needs_another_key_or_consent_is_not_tried(stack_port: Port, out: Path) -> None:
    fake = stack_port.serve(todays_fake())

    without_key, without_consent = verify(fake, out), verify(fake, out, **WITH_ADMIN_KEY)

    assert without_key.odd == dict.fromkeys([*ADMINISTERING, "test-webhook"], "not tried")
    assert without_key.reasons["svix-token"] == ["STACK_SUPER_SECRET_ADMIN_KEY is not set"]
    assert without_consent.odd == {"test-webhook": "not tried"}
    assert (without_key.exit_code, without_consent.exit_code) == (0, 0)
    assert "stack.test" not in {event.type for event in fake.project.events}


def test_a_server_that_lists_no_anonymous_users_differs(stack_port: Port, out: Path) -> None:
    report = verify(stack_port.serve(todays_fake("oldest")), out)

    assert report.exit_code == 1
    assert {name for name, verdict in report.odd.items() if verdict == "differs"} == {
        "hidden-users",
        "all-users",
        "cursor",
        "deleted-cursor",
    }


def test_a_missing_field_is_named(stack_port: Port, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = tuple(key for key in shapes.USER_KEYS if key != "primary_email_verified")
    monkeypatch.setattr(shapes, "USER_KEYS", keys)

    report = verify(stack_port.serve(todays_fake()), out)

    assert report.exit_code == 1
    assert "GET /api/v1/users: items[] lacks primary_email_verified" in report.reasons["all-users"]
    assert "items[] lacks primary_email_verified" in report.text


def test_a_field_of_another_type_is_named(stack_port: Port, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "team_shape", lambda team: {**shapes.team_shape(team), "created_at_millis": "now"})

    report = verify(stack_port.serve(todays_fake()), out)

    assert report.odd["making"] == "differs"
    assert report.reasons["making"] == ["POST /api/v1/teams: created_at_millis is string, not integer"]


def test_another_error_is_named(stack_port: Port, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(answers.STATUSES, "USER_NOT_FOUND", 410)

    report = verify(stack_port.serve(todays_fake()), out)

    assert report.exit_code == 1
    assert report.reasons["deleted-user"] == ["answered 410 USER_NOT_FOUND, not 404 USER_NOT_FOUND"]


def test_an_id_of_a_deletion_in_lower_case_is_named(
    stack_port: Port, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "_id", lambda request, name: (request.path_params[name].lower(), False))

    report = verify(stack_port.serve(todays_fake()), out, "--send-test", **WITH_ADMIN_KEY)

    assert report.odd == {"id-of-deletion": "differs"}


def test_a_page_of_a_proxy_differs_and_what_was_made_goes(stack_port: Port, out: Path) -> None:
    fake = stack_port.serve(todays_fake())
    before = contents(fake)
    instead(fake, "GET", "/api/v1/project-permissions", trouble.page(404))

    report = verify(fake, out)

    assert "is not one of the API" in report.reasons["project-permissions"][0]
    assert contents(fake) == before


def test_a_server_that_makes_no_user_is_tried_as_far_as_it_goes(stack_port: Port, out: Path) -> None:
    fake = stack_port.serve(todays_fake())
    instead(fake, "POST", "/api/v1/users", trouble.text(400))

    report = verify(fake, out)

    assert report.reasons["members"] == ["the server made no team: not asked"]
    assert report.reasons["one-user"] == ["the server made no anonymous user: 400 without a code"]
    assert report.verdicts["wrong-key"] == "as expected"
    assert report.exit_code == 0


def test_teams_that_a_project_gives_to_new_users_go_too(stack_port: Port, out: Path) -> None:
    fake = stack_port.serve(todays_fake())
    fake.project.creates_personal_teams = True
    before = contents(fake)

    verify(fake, out)

    assert contents(fake) == before
    assert len({event.message_id for event in fake.project.events if event.type == "team.created"}) == 4


def test_an_interrupted_run_removes_what_it_made(stack_port: Port, out: Path) -> None:
    fake = stack_port.serve(todays_fake())
    before = contents(fake)
    instead(fake, "GET", "/api/v1/project-permissions", trouble.slow(60))

    with start(fake, out, "--yes") as process:
        until(lambda: any(asked.path.endswith("/project-permissions") for asked in fake.asked))
        made = contents(fake)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    assert (len(made[0]), len(made[1])) == (len(before[0]) + 3, 1)
    assert contents(fake) == before
    assert process.returncode == 1


def test_what_could_not_be_removed_is_named(stack_port: Port, out: Path) -> None:
    fake = stack_port.serve(todays_fake())
    before = contents(fake)
    instead(fake, "DELETE", "/api/v1/users/", trouble.page(404))

    report = verify(fake, out)
    left = contents(fake)[0] - before[0]

    assert len(left) == 3
    assert sorted(report.errors.split()[2::3]) == sorted(f"/api/v1/users/{user_id}" for user_id in left)
    assert "3 objects were not removed." in report.text
    assert report.exit_code == 1


def test_nothing_is_made_without_consent(stack_port: Port, out: Path) -> None:
    fake = stack_port.serve(todays_fake())

    with start(fake, out) as process:
        text, _ = process.communicate(timeout=30)

    assert "This makes 3 users and 1 team" in text
    assert (process.returncode, fake.asked) == (1, [])


def test_a_missing_key_is_refused(stack_port: Port, out: Path) -> None:
    report = verify(stack_port.serve(todays_fake()), out, STACK_SECRET_SERVER_KEY="")

    assert (report.exit_code, "STACK_SECRET_SERVER_KEY must be set" in report.errors) == (2, True)


def test_each_claim_has_its_row_in_the_page() -> None:
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", VERIFIED, re.MULTILINE))

    assert rows == {claim.name for claim in CLAIMS}
    assert len(CLAIMS) == len(rows)
