"""What `consumer erase` asks, refuses and prints."""

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from consumer.cli import erase as command
from consumer.operations import erase
from tests.support.backfills import environment, named
from tests.support.cli import arrive, call, work
from tests.support.databases import rows
from tests.support.erasing import EMAIL, ERASE, REMARK, Life, dump, left
from tests.support.factories import team_event, user_updated
from tests.support.fake_stack import FakeStack
from tests.support.worker import lock

KEY = {"STACK_SECRET_SERVER_KEY": "ssk_1"}


@pytest.fixture
def life(emptied: str) -> Life:
    """A person whose deliveries are applied."""
    life = Life()
    arrive(emptied, *life.told())
    work(emptied)
    return life


def test_nothing_about_a_user_is_an_error(emptied: str) -> None:
    for arguments in (ERASE, ["--dry-run"]):
        result = call(emptied, "erase", str(uuid4()), *arguments)

        sentence = "Error: Nothing is held about this user: the id may be mistyped.\n"
        assert (result.exit_code, result.stderr) == (1, sentence)


@pytest.mark.parametrize(
    ("arguments", "environment", "sentences"),
    [
        (["--yes"], {}, ["STACK_PROJECT_ID is not set", "STACK_SECRET_SERVER_KEY is not set", "Stack can't be asked"]),
        (["--yes"], KEY, ["STACK_PROJECT_ID is not set", "Stack can't be asked"]),
        (["--even-if-alive"], {}, ["--yes confirms"]),
        ([], KEY, ["STACK_PROJECT_ID is not set", "Stack can't be asked", "--yes confirms"]),
    ],
)
def test_an_erasure_that_is_not_sure_is_refused(
    emptied: str, life: Life, arguments: list[str], environment: dict[str, str], sentences: list[str]
) -> None:
    result = call(emptied, "erase", str(life.user_id), *arguments, **environment)

    assert result.exit_code == 2
    assert all(sentence in line for sentence, line in zip(sentences, result.stderr.splitlines(), strict=True))
    assert REMARK in dump(emptied)


def test_a_user_that_stack_has_no_more_is_erased_and_another_is_refused(emptied: str, any_fake: FakeStack) -> None:
    [user_id] = named(any_fake, 1)
    alive, gone = Life(UUID(user_id)), Life()
    arrive(emptied, *alive.told(), *gone.told())
    work(emptied)

    refused = call(emptied, "erase", user_id, "--yes", **environment(any_fake))
    kept = REMARK in dump(emptied)
    erased = call(emptied, "erase", str(gone.user_id), "--yes", **environment(any_fake))

    assert (refused.exit_code, kept, erased.exit_code) == (2, True, 0)
    assert "Stack still has this user" in refused.stderr


def test_an_answer_that_proves_nothing_erases_nothing(emptied: str, life: Life, fake: FakeStack) -> None:
    wrong_address = environment(fake, STACK_API_URL=f"{fake.url}/elsewhere")

    result = call(emptied, "erase", str(life.user_id), "--yes", **wrong_address)

    assert (result.exit_code, REMARK in dump(emptied)) == (1, True)


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_on_a_terminal_a_person_is_asked(
    emptied: str, life: Life, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr(command, "is_terminal", lambda: True)

    result = call(emptied, "erase", str(life.user_id), "--even-if-alive", typed=answer)

    assert result.exit_code == code
    assert f"Erase the user {life.user_id} for good?" in result.stderr
    assert (REMARK in dump(emptied)) == (code == 1)


def test_people_read_what_changed_and_what_is_theirs_to_judge(emptied: str, life: Life) -> None:
    for number in range(command.LISTED + 3):
        arrive(emptied, team_event("updated", life.shared_id, display_name=f"{number}: ask {EMAIL}"))
    arrive(emptied, user_updated(primary_email=EMAIL))
    work(emptied)

    printed = call(emptied, "erase", str(life.user_id), *ERASE).stdout
    again = call(emptied, "erase", str(life.user_id), *ERASE).stdout

    assert "identity.profile_audit" in printed
    assert "1 of the user's addresses belong to another user too" in printed
    assert "26 other places hold a name or an address of the user" in printed
    assert "and 6 more: --json has the first 10,000." in printed
    assert again == "Nothing is left to erase of this user.\n"


def test_only_the_first_mentions_are_kept_and_all_are_counted(
    emptied: str, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "MENTIONS_MAX", 2)
    for _ in range(3):
        arrive(emptied, team_event("updated", life.shared_id, display_name=f"ask {EMAIL}"))

    report = life.erased(emptied)

    assert len(report["mentions"]) == 2
    assert report["mention_count"] > 3


def test_what_is_not_applied_in_time_is_finished_by_another_call(
    emptied: str, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "WAIT", timedelta(0))
    with psycopg.connect(emptied) as holder:
        lock(holder, [life.user_id])
        result = call(emptied, "erase", str(life.user_id), *ERASE)
    monkeypatch.undo()

    assert result.exit_code == 1
    assert "The erasure is stored, but not applied in time" in result.stderr
    assert rows(emptied, "SELECT FROM consumer.outbox WHERE event_type = 'user.erased'")
    life.erased(emptied)
    assert left(emptied) == []
